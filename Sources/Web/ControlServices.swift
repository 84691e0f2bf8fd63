// SPDX-License-Identifier: Apache-2.0
// What the routes work with.
package import Domain
package import Engine
package import Logging
import NIOCore

/// Everything that routes reach; made once by the wiring.
package struct ControlServices: Sendable {
  package var engine: Engine
  package var tokens: TokenBook
  package var tasks: TaskParser
  package var defaultRetry: RetryPolicy
  package var limits: Limits
  package let sockets: OpenSockets
  package let live: LiveHub
  package let socketIO: SocketIOServer
  /// Which pages may open live connections.
  package var origins: OriginPolicy
  /// Where agents send their reports; known once the server listens.
  package var addresses: @Sendable () -> CallbackAddresses
  package var allowsCompatSignatures: Bool
  package var version: String
  package var startedAt: Timestamp
  let openAPI: ByteBuffer
  package var logger: Logger
  /// Makes a new master key, keeps it safe, and seals everything under it; returns the key's id.
  package var rotateMasterKey: @Sendable () async throws(ControlError) -> String
  /// Writes a backup to a name within the data folder, or a name of its own.
  package var backup: @Sendable (String?) async throws(ControlError) -> (path: String, bytes: Int64)
  /// Why the server is not ready; nil if it is.
  package var notReady: @Sendable () async -> String?

  package init(
    engine: Engine, tokens: TokenBook, tasks: TaskParser, defaultRetry: RetryPolicy,
    limits: Limits, origins: OriginPolicy = OriginPolicy(),
    addresses: @escaping @Sendable () -> CallbackAddresses,
    allowsCompatSignatures: Bool, version: String,
    startedAt: Timestamp, openAPI: [UInt8], logger: Logger,
    rotateMasterKey: @escaping @Sendable () async throws(ControlError) -> String,
    backup:
      @escaping @Sendable (String?) async throws(ControlError) -> (
        path: String, bytes: Int64
      ),
    notReady: @escaping @Sendable () async -> String?
  ) {
    self.engine = engine
    self.tokens = tokens
    self.tasks = tasks
    self.defaultRetry = defaultRetry
    self.limits = limits
    sockets = OpenSockets(most: limits.sockets)
    live = LiveHub(engine: engine, tokens: tokens, logger: logger)
    socketIO = SocketIOServer(
      feed: LiveFeed(hub: live), settings: EngineIOSettings(limits), random: engine.world.random,
      onFull: { [meters = engine.meters] in meters.limitHit(.sockets) })
    self.origins = origins
    self.addresses = addresses
    self.allowsCompatSignatures = allowsCompatSignatures
    self.version = version
    self.startedAt = startedAt
    self.openAPI = ByteBuffer(bytes: openAPI)
    self.logger = logger
    self.rotateMasterKey = rotateMasterKey
    self.backup = backup
    self.notReady = notReady
  }
}

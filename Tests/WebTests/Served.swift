// SPDX-License-Identifier: Apache-2.0
// A server on a free port of the loopback, with a store in memory and a pull agent.
import Domain
import Engine
import Logging
import ServiceLifecycle
import Simulation
import Synchronization
import Testing

@testable import Web

struct Served: Sendable {
  let port: Int
  let token: String
  let engine: Engine
  let agent: AgentID
  let secret: AgentSecret
  let log: LinesSeen
  let responder: APIResponder
  var sockets: OpenSockets { responder.sockets }
  /// Begins the graceful end.
  let stop: @Sendable () async -> Void

  static func run(
    limits: Limits = Limits(), deadlines: ReadDeadlines.Times = ReadDeadlines.Times(),
    slowReader: SlowReader.Times = SlowReader.Times(), routes: [Route] = [], origins: [String] = [],
    spans: SpanRecorder? = nil,
    _ body: @Sendable @escaping (Served) async throws -> Void
  ) async throws {
    let world = World.live
    let store = MemoryStore(limits: limits)
    let log = LinesSeen()
    let logger = Logger(label: "test") { _ in log }
    var options = Engine.Options()
    options.spans = spans
    let engine = try await Engine.open(
      store: store, world: world, connector: QuietConnector(),
      vault: try Vault(key: [UInt8](repeating: 7, count: 32)), options: options,
      logger: logger)
    let tokens = try await TokenBook(store: store, world: world, most: 10)
    let token = tokens.newText()
    _ = try await tokens.add(token, name: "test", role: .admin)
    let agent = AgentID(stored: "puller")
    let secret = try await engine.register(
      AgentRecord(
        id: agent, name: "puller", kind: .http, capabilities: ["work"], createdAt: world.now()))
    let (ports, found) = AsyncStream.makeStream(of: Int.self)
    let services = services(engine, tokens, limits, origins, logger)
    var server = APIServer(
      services: services, host: "127.0.0.1", port: 0
    ) { found.yield($0) }
    server.deadlines = deadlines
    server.slowReader = slowReader
    server.routes += routes
    let running = ServiceGroup(
      configuration: ServiceGroupConfiguration(services: [engine, server], logger: logger))
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await running.run() }
      do {
        let port = try #require(await ports.first { _ in true })
        try await body(
          Served(
            port: port, token: token, engine: engine, agent: agent, secret: secret, log: log,
            responder: APIResponder(services: services),
            stop: { await running.triggerGracefulShutdown() }))
      } catch {
        await running.triggerGracefulShutdown()
        throw error
      }
      await running.triggerGracefulShutdown()
      try await group.waitForAll()
    }
  }

  private static func services(
    _ engine: Engine, _ tokens: TokenBook, _ limits: Limits, _ origins: [String],
    _ logger: Logger
  ) -> ControlServices {
    ControlServices(
      engine: engine, tokens: tokens, tasks: TaskParser(limits: limits),
      defaultRetry: RetryPolicy(), limits: limits,
      origins: OriginPolicy(allowed: origins),
      addresses: { CallbackAddresses(callbackUrl: "http://x/c", progressOrigin: "http://x") },
      allowsCompatSignatures: true, version: "1", startedAt: engine.world.now(),
      openAPI: [UInt8](repeating: 0x20, count: 256 << 10), logger: logger,
      rotateMasterKey: { () throws(ControlError) in throw ControlError(.conflict, "no") },
      backup: { _ throws(ControlError) in throw ControlError(.internalError, "The cause.") },
      notReady: { nil })
  }
}

/// Reaches nobody: all agents here pull.
struct QuietConnector: AgentConnector {
  func start(
    _ dispatch: Dispatch, on agent: AgentRecord, secrets: [AgentSecret]
  ) async -> DispatchAnswer { .accepted }
  func cancel(
    _ task: RunningTask, reason: CancelReason, on agent: AgentRecord, secrets: [AgentSecret]
  ) async {}
  func isHealthy(_ agent: AgentRecord) async -> Bool { true }
  func check(url: String, path: String, isEndpoint: Bool) async throws(ControlError) {}
}

/// Keeps what is logged.
struct LinesSeen: LogHandler {
  private final class Lines: Sendable { let all = Mutex<[String]>([]) }
  private let lines = Lines()
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.trace

  var all: [String] { lines.all.withLock { $0 } }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    lines.all.withLock { $0.append("\(event.message) \(event.metadata ?? [:])") }
  }
}

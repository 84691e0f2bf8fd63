// SPDX-License-Identifier: Apache-2.0
// The HTTP server: routes behind one responder that checks tokens and renders errors.
import Domain
import Engine
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// Serves the API until shutdown.
package struct APIServer: Service {
  private let services: ControlServices
  private let host: String
  private let port: Int
  private let certificates: TLSCertificates?
  private let onListening: @Sendable (Int) -> Void
  /// What slow clients are given.
  var deadlines = ReadDeadlines.Times()
  var routes = RouteTable.all
  var handshake = TimeAmount.seconds(10)
  var slowReader = SlowReader.Times()

  /// - Parameters:
  ///   - certificates: For TLS.
  ///   - onListening: called with the port once the server answers.
  package init(
    services: ControlServices, host: String, port: Int, certificates: TLSCertificates? = nil,
    onListening: @escaping @Sendable (Int) -> Void
  ) {
    self.services = services
    self.host = host
    self.port = port
    self.certificates = certificates
    self.onListening = onListening
  }

  package func run() async throws {
    let limit = ConnectionLimit(
      most: services.limits.connections, sockets: services.sockets,
      meters: services.engine.meters)
    let edge = EdgeChannel(
      responder: APIResponder(services: services, routes: routes), limit: limit,
      addresses: AddressLimit(services.limits), certificates: certificates,
      handshake: handshake, slowReader: slowReader, deadlines: deadlines)
    let server = edge.server(
      configuration: ServerConfiguration(
        address: .hostname(host, port: port), backlog: 1_024,
        availableConnectionsDelegate: ConnectionLimit.Delegate(limit: limit)),
      onServerRunning: { channel in
        limit.listens(on: channel)
        onListening(channel.localAddress?.port ?? port)
      },
      eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: quiet())
    try await withThrowingDiscardingTaskGroup { group in
      group.addTask { await services.live.run() }
      try await withGracefulShutdownHandler {
        try await server.run()
      } onGracefulShutdown: {
        services.socketIO.stop()
      }
      group.cancelAll()
    }
  }

  /// The framework's own notes are for debugging it, and a handler that keeps what it is told costs
  /// every request; errors of ours are logged where they happen.
  private func quiet() -> Logger {
    Logger(label: "orrery.http") { _ in SwiftLogNoOpLogHandler() }
  }
}

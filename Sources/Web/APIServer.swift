// SPDX-License-Identifier: Apache-2.0
// The HTTP server: routes behind one responder that checks tokens and renders errors.
import Domain
import Engine
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle

/// Serves the API until shutdown.
package struct APIServer: Service {
  private let services: ControlServices
  private let host: String
  private let port: Int
  private let onListening: @Sendable (Int) -> Void
  /// What slow clients are given.
  var deadlines = ReadDeadlines.Times()

  /// - Parameter onListening: called with the port once the server answers.
  package init(
    services: ControlServices, host: String, port: Int,
    onListening: @escaping @Sendable (Int) -> Void
  ) {
    self.services = services
    self.host = host
    self.port = port
    self.onListening = onListening
  }

  package func run() async throws {
    let deadlines = deadlines
    let application = Application(
      responder: APIResponder(services: services),
      server: HTTPServerBuilder { EdgeChannel(responder: $0, deadlines: deadlines) },
      configuration: ApplicationConfiguration(
        address: .hostname(host, port: port), serverName: nil, backlog: 1_024,
        availableConnectionsDelegate: MaximumAvailableConnections(services.limits.connections)),
      onServerRunning: { channel in onListening(channel.localAddress?.port ?? port) },
      logger: quiet())
    try await application.run()
  }

  /// The framework's own notes are for debugging it, and a handler that keeps what it is told costs
  /// every request; errors of ours are logged where they happen.
  private func quiet() -> Logger {
    Logger(label: "orrery.http") { _ in SwiftLogNoOpLogHandler() }
  }
}

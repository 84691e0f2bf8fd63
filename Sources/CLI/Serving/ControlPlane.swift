// SPDX-License-Identifier: Apache-2.0
// Wires the server: the only place that knows every part.
import Agents
import Domain
import Engine
import Foundation
import Logging
import ServiceLifecycle
import StoreSQLite
import Synchronization
import UnixSignals
import Web

/// Everything that `orrery serve` starts, in order, and stops in the opposite order.
struct ControlPlane {
  let config: ServerConfig
  let logger: Logger
  private let world = World.live

  init(config: ServerConfig, logger: Logger) {
    self.config = config
    self.logger = logger
  }

  /// Runs until SIGTERM or SIGINT, or until the store cannot be written any more.
  func run() async throws {
    Self.outliveHangups()
    allowOpenFiles()
    let certificates = try openCertificates()
    let store = try openStore()
    do {
      try await run(on: store, certificates)
      await store.close()
    } catch {
      await store.close()
      throw error
    }
  }

  private func allowOpenFiles() {
    let needed = config.limits.connections + config.limits.sockets + OpenFiles.besides
    guard let files = OpenFiles.raise(to: needed), files.soft < needed else { return }
    logger.warning(
      "the system allows fewer open files than the limits of connections and sockets need",
      metadata: ["allowed": "\(files.soft)", "needed": "\(needed)"])
  }

  /// SIGHUP asks for the certificate to be read again, and would otherwise end a server that has
  /// none or is about to start. A handler, since programs that are started would inherit that a
  /// signal is ignored.
  private static func outliveHangups() {
    signal(SIGHUP) { _ in }
  }

  private func openCertificates() throws -> TLSCertificates? {
    guard let tls = config.tls else { return nil }
    do {
      return try TLSCertificates(
        certificate: tls.certificate, key: tls.key, logger: logger,
        pause: { try await World.live.sleep(Self.certificateInterval) })
    } catch {
      throw StartError(error.description)
    }
  }

  /// Milliseconds between two looks at the certificate's files.
  private static let certificateInterval: Int64 = 2_000

  private func openStore() throws -> SQLiteStore {
    do {
      return try SQLiteStore.open(
        folder: config.dataFolder, database: config.databaseFile, limits: config.limits,
        logger: logger)
    } catch {
      throw StartError(error.message)
    }
  }

  private func run(on store: SQLiteStore, _ certificates: TLSCertificates?) async throws {
    let masterKey = MasterKey(dataFolder: config.dataFolder, given: config.masterKey?.value)
    let vault = try await masterKey.open(store, random: world.random)
    let address = ServerAddress(
      host: config.host, port: config.port, publicUrl: config.publicUrl,
      callbackUrl: config.callbackUrl, isEncrypted: certificates != nil)
    let secrets = SecretSource()
    let connector = makeConnector(address, secrets)
    do {
      try await run(on: store, connector, masterKey, vault, address, secrets, certificates)
      await connector.shutdown()
    } catch {
      await connector.shutdown()
      throw error
    }
  }

  private func run(
    on store: SQLiteStore, _ connector: HTTPConnector, _ masterKey: MasterKey, _ vault: Vault,
    _ address: ServerAddress, _ secrets: SecretSource, _ certificates: TLSCertificates?
  ) async throws {
    let engine = try await openEngine(store, connector, vault, address)
    secrets.engine.withLock { $0 = engine }
    let managed = try await adoptAgents(engine, address, secrets)
    let tokens = try await TokenBook(store: store, world: world, most: config.limits.tokens)
    let made = try await AdminToken.prepare(
      tokens, given: config.adminToken?.value, dataFolder: config.dataFolder)
    let server = makeServer(engine, tokens, masterKey, address, made, certificates)
    // What comes first ends last: the spans of the end are sent too.
    var services: [any Service] = exporter(engine, address) + [engine, StoreWatch(store: store)]
    if let certificates { services += [certificates, Hangup(certificates: certificates)] }
    try await serve(services + [server, managed, Bell(engine: engine)])
  }

  private func serve(_ services: [any Service]) async throws {
    var configuration = ServiceGroupConfiguration(
      services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
    configuration.maximumGracefulShutdownDuration = Self.grace
    let group = ServiceGroup(configuration: configuration)
    do { try await group.run() } catch let error as StartError {
      throw error
    } catch is CancellationError {
      logger.notice("what was still running after the grace was left to the next start")
    } catch {
      throw StartError(Self.sentence(for: error, config))
    }
  }

  /// How long a stopping server waits for what is under way.
  private static let grace = Duration.seconds(30)

  private var quiet: Logger {
    var logger = logger
    logger.logLevel = max(logger.logLevel, .warning)
    return logger
  }

  // MARK: Parts

  private func makeConnector(_ address: ServerAddress, _ secrets: SecretSource) -> HTTPConnector {
    var settings = HTTPConnector.Settings()
    settings.limits = config.limits
    settings.answerTimeout = config.answerTimeout
    return HTTPConnector(
      settings: settings, policy: OutboundPolicy(allowed: config.allowNet, server: address),
      server: address, world: world, logger: logger, secret: secrets.value)
  }

  private func openEngine(
    _ store: SQLiteStore, _ connector: HTTPConnector, _ vault: Vault, _ address: ServerAddress
  ) async throws -> Engine {
    var options = Engine.Options()
    options.limits = config.limits
    options.retention = Int64(config.limits.retentionDays) * 86_400_000
    options.ready = address.waitUntilListening
    options.spans = config.telemetry.map { SpanRecorder(sampler: $0.sampler) }
    let engine = try await Engine.open(
      store: store, world: world, connector: connector, vault: vault, options: options,
      logger: logger)
    for settings in config.types {
      _ = try await engine.set(settings.type) { type in
        type.limits = settings.limits
        type.perKey = settings.perKey
      }
    }
    return engine
  }

  private func exporter(_ engine: Engine, _ address: ServerAddress) -> [any Service] {
    guard let telemetry = config.telemetry, let spans = engine.tracing.spans else { return [] }
    let settings = TraceExporter.Settings(
      endpoint: telemetry.endpoint,
      headers: telemetry.headers.map { ($0.name, $0.value.value) },
      resource: TraceResource(attributes: telemetry.resource, version: Version.current))
    return [
      TraceExporter(
        settings: settings, spans: spans, server: address, world: world, logger: logger)
    ]
  }

  private func adoptAgents(
    _ engine: Engine, _ address: ServerAddress, _ secrets: SecretSource
  ) async throws -> ManagedAgents {
    let configured = try config.agents.map {
      try $0.configured(shared: config.callbackSecretName, secrets: secrets)
    }
    try await engine.adopt(configured)
    return ManagedAgents(
      agents: config.managedAgents, server: address, allowed: config.allowNet,
      caFile: caFile, environment: ProcessInfo.processInfo.environment,
      withheld: config.secretNames,
      world: world, logger: logger,
      secret: { id in
        guard let secret = engine.currentSecret(of: id) else {
          throw StartError("The agent \(id) has no secret.")
        }
        return secret
      })
  }

  /// With what managed agents check the server's certificate: the operator's CAs, else the
  /// certificate itself, which also makes one trusted that nobody else signed.
  private var caFile: String? {
    guard let tls = config.tls else { return nil }
    let given = ProcessInfo.processInfo.environment["ORRERY_CA_FILE"] ?? ""
    return URL(fileURLWithPath: given.isEmpty ? tls.certificate : given).path
  }

  private func makeServer(
    _ engine: Engine, _ tokens: TokenBook, _ masterKey: MasterKey, _ address: ServerAddress,
    _ made: AdminToken.Made, _ certificates: TLSCertificates?
  ) -> APIServer {
    let services = ControlServices(
      engine: engine, tokens: tokens,
      tasks: TaskParser(limits: config.limits, retry: config.retry),
      defaultRetry: config.retry, limits: config.limits,
      origins: OriginPolicy(allowed: config.allowOrigins),
      addresses: { address.callbacks }, allowsCompatSignatures: config.allowsCompatSignatures,
      version: Version.current, startedAt: world.now(), openAPI: OpenAPIDocument.bytes,
      logger: logger,
      rotateMasterKey: { () async throws(ControlError) in
        try await masterKey.rotate(engine, random: World.live.random)
      },
      backup: { name async throws(ControlError) in
        try await Backups(folder: config.dataFolder).write(engine, name: name)
      },
      notReady: { await engine.notReady() })
    let host = config.host
    let scheme = certificates == nil ? "http" : "https"
    return APIServer(
      services: services, host: host, port: config.port, certificates: certificates
    ) { port in
      address.listening(port: port)
      Announcement.print(scheme: scheme, host: host, port: port, made)
    }
  }

  /// What people are told when a service ends in an error.
  private static func sentence(for error: any Error, _ config: ServerConfig) -> String {
    let text = String(describing: error)
    if text.contains("Address already in use") {
      return
        "Port \(config.port) on \(config.host) is in use; "
        + "stop the other program or choose another --port."
    }
    if text.contains("Permission denied") {
      return "Port \(config.port) may not be used by this user; choose one above 1023."
    }
    if text.contains("Cannot assign requested address") || text.contains("getaddrinfo")
      || text.contains("SocketAddressError")
    {
      return "\(config.host) is not an address of this machine; choose another --host."
    }
    return text
  }
}

/// Values of secrets by name: an environment variable, else a named secret.
final class SecretSource: Sendable {
  let engine = Mutex<Engine?>(nil)

  @Sendable func value(_ name: String) -> String? {
    if let value = ProcessInfo.processInfo.environment[name], !value.isEmpty { return value }
    return engine.withLock { $0 }?.secret(name)
  }
}

/// Reads the certificate again at SIGHUP.
private struct Hangup: Service {
  let certificates: TLSCertificates

  func run() async throws {
    await cancelWhenGracefulShutdown {
      for await _ in await UnixSignalsSequence(trapping: .sighup) { certificates.reload() }
    }
    do { try await gracefulShutdown() } catch { return }
  }
}

/// Ends the server when nothing can be written any more: what was acknowledged is safe, and nothing
/// more may be.
private struct StoreWatch: Service {
  let store: SQLiteStore

  func run() async throws {
    let failure = await cancelWhenGracefulShutdown { await store.untilFailed() }
    if let failure {
      throw StartError(
        "The database cannot be written any more, so the server stops: \(failure)", code: 74)
    }
    await untilShutdown()
  }

  private func untilShutdown() async {
    do { try await gracefulShutdown() } catch { return }
  }
}

/// Rings first at shutdown: no more work is handed out, nobody waits any longer.
private struct Bell: Service {
  let engine: Engine

  func run() async throws {
    // Asked to stop or cancelled: the bell rings either way.
    defer { engine.close() }
    try await gracefulShutdown()
  }
}

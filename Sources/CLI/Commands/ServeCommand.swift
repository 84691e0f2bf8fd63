// SPDX-License-Identifier: Apache-2.0
// `orrery serve`: runs the server.
import ArgumentParser
import Domain
import Engine
import Foundation
import Logging

struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Run the control plane.",
    discussion: """
      Without options it listens on http://127.0.0.1:3000 and keeps everything in ./data. The line
      "listening on http://…" (https with --tls-cert) appears once it answers. Stop it with SIGTERM
      or Ctrl-C: it hands out nothing more, waits for what is under way, and ends with code 0.

      Flags win over ORRERY_… variables, those over the configuration file, that over defaults.
      OTEL_EXPORTER_OTLP_ENDPOINT names a collector that traces are sent to.
      """)

  @Option(help: "Address to listen on (default 127.0.0.1).") var host: String?
  @Option(help: "Port to listen on; 0 takes a free one (default 3000).") var port: Int?
  @Option(help: "Folder for the database, keys and backups (default ./data).") var data: String?
  @Option(help: "Configuration file (default config/agents.json, then DATA/agents.json).")
  var config: String?
  @Option(help: "sqlite:PATH; PostgreSQL comes later.") var database: String?
  @Option(
    name: .customLong("allow-net"),
    help: ArgumentHelp(
      "Network that agents and tasks may reach besides public addresses; repeatable.",
      valueName: "cidr"))
  var allowNet: [String] = []

  @Option(
    name: .customLong("allow-origin"),
    help: ArgumentHelp(
      "Let pages of this origin open live connections; repeatable.", valueName: "origin"))
  var allowOrigin: [String] = []
  @Option(
    name: .customLong("tls-cert"),
    help: "PEM file with the certificate chain: serve https. Read again when it changes.")
  var tlsCertificate: String?
  @Option(name: .customLong("tls-key"), help: "PEM file with the certificate's key.")
  var tlsKey: String?
  @Option(name: .customLong("public-url"), help: "How agents reach this server.")
  var publicURL: String?
  @Flag(
    name: .customLong("insecure-http"),
    help: "Allow listening beyond loopback without TLS.")
  var insecureHTTP = false
  @Flag(
    name: .customLong("no-compat-signatures"),
    help: "Refuse the compat signature scheme of agents.")
  var noCompatSignatures = false
  @Option(name: .customLong("log-level"), help: "trace, debug, info, notice, warning or error.")
  var logLevel: String?
  @Option(name: .customLong("log-format"), help: "text or json (default text).")
  var logFormat: String?
  @Option(name: .customLong("retention-days"), help: "Days that finished tasks are kept.")
  var retentionDays: Int?

  func run() async throws {
    let environment = ProcessInfo.processInfo.environment
    let config: ServerConfig
    do throws(ConfigError) {
      config = try ServerConfig.load(
        flags: flags, environment: environment,
        folder: FileManager.default.currentDirectoryPath, now: World.live.now())
    } catch {
      throw StartError(error.description)
    }
    let format = config.logFormat
    LoggingSystem.bootstrap { _ in LineLogHandler(format, now: World.live.now) }
    var logger = Logger(label: "orrery")
    logger.logLevel = config.logLevel
    for warning in config.warnings { logger.warning("\(warning)") }
    do {
      try await ControlPlane(config: config, logger: logger).run()
    } catch let error as StartError where error.code != 1 {
      FileHandle.standardError.write(Data("Error: \(error)\n".utf8))
      throw ExitCode(error.code)
    } catch let error as ControlError {
      throw StartError(error.message)
    } catch let error as StoreError {
      throw StartError(error.startSentence)
    } catch is Vault.Problem {
      throw StartError(
        "A secret in the database cannot be opened with the master key; "
          + "restore a backup of the data folder with its key."
      )
    }
  }

  private var flags: ServeFlags {
    ServeFlags(
      host: host, port: port, data: data, config: config, database: database,
      allowNet: allowNet, allowOrigin: allowOrigin, publicUrl: publicURL,
      tlsCertificate: tlsCertificate,
      tlsKey: tlsKey,
      insecureHTTP: insecureHTTP,
      noCompatSignatures: noCompatSignatures, logLevel: logLevel, logFormat: logFormat,
      retentionDays: retentionDays)
  }
}

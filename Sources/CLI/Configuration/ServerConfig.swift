// SPDX-License-Identifier: Apache-2.0
// Everything that the server is told at its start.
import Agents
import Domain
import Logging

/// All settings, checked and with their defaults. See `ConfigKey` for their names.
struct ServerConfig: Sendable {
  var host = "127.0.0.1"
  /// 0: the system chooses.
  var port = 3_000
  var dataFolder = "./data"
  /// The file that was read, if any.
  var configFile: String?
  /// A SQLite file elsewhere than in the data folder.
  var databaseFile: String?
  /// Without a slash at the end.
  var publicUrl: String?
  /// PEM files; both or none.
  var tls: (certificate: String, key: String)?
  var allowNet: [AddressRange] = []
  /// Pages that may open live connections.
  var allowOrigins: [String] = []
  var allowsCompatSignatures = true
  var logLevel = Logger.Level.info
  var logFormat = LogFormat.text
  /// Nil: nobody wants spans.
  var telemetry: TelemetryConfig?
  var adminToken: SecretText?
  /// Base64 of 32 bytes.
  var masterKey: SecretText?
  /// With `retentionDays`.
  var limits = Limits()
  /// Limits of task types that the file sets.
  var types: [TypeSettings] = []
  /// The retry policy of tasks that give none.
  var retry = RetryPolicy()
  var callbackUrl: String?
  /// How long a push agent may take to answer, milliseconds.
  var answerTimeout = Limits.answerTimeout
  /// Names the variable or named secret that all agents share.
  var callbackSecretName: String?
  var agents: [AgentEntry] = []
  /// Sentences about what was ignored.
  var warnings: [String] = []

  /// The names of variables and named secrets that the settings refer to.
  var secretNames: Set<String> {
    var names = Set(agents.compactMap(\.secretName))
    names.formUnion(agents.compactMap(\.authentication.keyName))
    if let callbackSecretName { names.insert(callbackSecretName) }
    return names
  }

  /// Managed agents, in the order of the file.
  var managedAgents: [ManagedAgent] {
    agents.compactMap { entry in
      entry.launch.map {
        ManagedAgent(
          id: entry.record.id, command: $0.command, environment: $0.environment,
          workingDirectory: $0.workingDirectory)
      }
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
// Finds the protocol secret that an entry of the configuration names.
import Domain
import Engine

extension AgentEntry {
  /// The entry for the engine. Its secret: the one that it names, else the one that all share, else
  /// one is made.
  func configured(shared: String?, secrets: SecretSource) throws -> ConfiguredAgent {
    guard let name = secretName ?? shared else {
      return ConfiguredAgent(record: record, secret: nil, isShared: false)
    }
    guard let text = secrets.value(name) else {
      throw StartError(
        "The agent \(record.id) needs the secret \(name): set the environment variable \(name).")
    }
    do {
      return ConfiguredAgent(
        record: record, secret: try AgentSecret(text), isShared: secretName == nil)
    } catch {
      throw StartError("The secret \(name) of the agent \(record.id) is empty or badly formed.")
    }
  }
}

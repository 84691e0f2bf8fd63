// SPDX-License-Identifier: Apache-2.0
// Who an agent is: its id and the secrets that it shares with the control plane.

import Domain

/// An agent's id and secret. Never shows the secret in descriptions.
public struct AgentIdentity: Sendable {
  public let id: String
  let agentID: AgentID
  /// What we sign with first, then what may still be in use while rotating.
  let secrets: [AgentSecret]

  /// - Parameters:
  ///   - secret: `whsec_…` as it was shown at registration, or a configured text.
  ///   - previousSecret: still accepted on what comes in, while a rotation lasts.
  /// - Throws: `OrreryError` with `invalidID` or `invalidSecret`.
  public init(id: String, secret: String, previousSecret: String? = nil) throws {
    guard let agentID = AgentID(id) else {
      throw OrreryError(
        .invalidID, "An agent's id has 1 to 128 letters, digits and the characters . _ : -.")
    }
    self.id = id
    self.agentID = agentID
    do {
      secrets = try [secret, previousSecret].compactMap { $0 }.map { try AgentSecret($0) }
    } catch {
      let why = "The agent's secret is empty or damaged; copy it as it was shown."
      throw OrreryError(.invalidSecret, why)
    }
  }

  /// The headers that sign `body` now.
  ///
  /// - Parameters:
  ///   - messageID: identifies the message; the same again when the same message is sent again.
  ///   - timestampSeconds: the time to sign.
  public func headers(
    signing body: [UInt8], messageID: String, timestampSeconds: Int64
  ) -> [(name: String, value: String)] {
    Signature.standardHeaders(
      agentID: agentID, id: messageID, timestampSeconds: timestampSeconds, body: body,
      secrets: Array(secrets.prefix(1))
    ).map { ($0.header.rawValue, $0.value) }
  }
}

extension AgentIdentity: CustomStringConvertible, CustomReflectable {
  public var description: String { "AgentIdentity(\(id), ***)" }
  public var customMirror: Mirror { Mirror(self, children: ["id": id]) }
}

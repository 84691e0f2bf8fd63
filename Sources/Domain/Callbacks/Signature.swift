// SPDX-License-Identifier: Apache-2.0
// Signing and verifying requests between the control plane and an agent.

/// Makes the values of signature headers.
package enum Signature {
  /// Bytes of one HMAC-SHA256.
  static let length = 32

  /// The value of `webhook-signature`: one signature per secret, separated by spaces.
  package static func standard(
    id: String, timestampSeconds: Int64, body: some Collection<UInt8>, secrets: [AgentSecret]
  ) -> String {
    let prefix = standardPrefix(id: id, timestamp: String(timestampSeconds))
    return secrets.map { secret in
      "v1," + Base64.encode(secret.key(.standard).code(prefix: prefix, body: body))
    }.joined(separator: " ")
  }

  /// The value of `x-agent-signature`.
  package static func compat(
    timestampMilliseconds: Int64, body: some Collection<UInt8>, secret: AgentSecret
  ) -> String {
    let prefix = Array(String(timestampMilliseconds).utf8)
    return Hex.encode(secret.key(.compat).code(prefix: prefix, body: body))
  }

  /// All headers of a request signed by the `standard` scheme, in wire order.
  package static func standardHeaders(
    agentID: AgentID, id: String, timestampSeconds: Int64, body: some Collection<UInt8>,
    secrets: [AgentSecret]
  ) -> [(header: SignatureHeader, value: String)] {
    [
      (.agentID, agentID.text),
      (.webhookID, id),
      (.webhookTimestamp, String(timestampSeconds)),
      (
        .webhookSignature,
        standard(id: id, timestampSeconds: timestampSeconds, body: body, secrets: secrets)
      ),
    ]
  }

  static func standardPrefix(id: String, timestamp: String) -> [UInt8] {
    var prefix: [UInt8] = []
    prefix.reserveCapacity(id.utf8.count + timestamp.utf8.count + 2)
    prefix.append(contentsOf: id.utf8)
    prefix.append(UInt8(ascii: "."))
    prefix.append(contentsOf: timestamp.utf8)
    prefix.append(UInt8(ascii: "."))
    return prefix
  }
}

/// What a verified signature proves.
package struct VerifiedSignature: Sendable, Hashable {
  package let scheme: SignatureScheme
  package let agentID: AgentID
  /// See `SignatureHeaders.signedID`.
  package let signedID: String
  package let timestampMilliseconds: Int64
  /// Which of the agent's secrets it was made with, as an index into those given.
  package let secretIndex: Int
}

/// Decides whether a request was signed by an agent.
package enum SignatureVerifier {
  /// Tries every secret against every signature, without an early end. Pass no secrets for an
  /// unknown agent: the answer is a refusal that takes as long as for a known one.
  package static func verify(
    _ headers: SignatureHeaders, body: some Collection<UInt8>, secrets: [AgentSecret]
  ) throws(SignatureRefusal) -> VerifiedSignature {
    var matching: Int?
    for (index, secret) in (secrets.isEmpty ? [AgentSecret.dummy] : secrets).enumerated() {
      let code = secret.key(headers.scheme).code(prefix: headers.signedPrefix, body: body)
      for candidate in headers.candidates where constantTimeEqual(code, candidate) {
        matching = matching ?? index
      }
    }
    guard let matching, !secrets.isEmpty else { throw .mismatch }
    return VerifiedSignature(
      scheme: headers.scheme, agentID: headers.agentID, signedID: headers.signedID,
      timestampMilliseconds: headers.timestampMilliseconds, secretIndex: matching)
  }

  /// Reads the headers and verifies in one step, for callers that know the secrets beforehand.
  package static func verify(
    body: some Collection<UInt8>, secrets: [AgentSecret], nowMilliseconds: Int64,
    allowCompat: Bool, values: (SignatureHeader) -> [String]
  ) -> Result<VerifiedSignature, SignatureRefusal> {
    Result { () throws(SignatureRefusal) in
      let headers = try SignatureHeaders(
        now: nowMilliseconds, allowCompat: allowCompat, values: values)
      return try verify(headers, body: body, secrets: secrets)
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
// An agent's secret: its text, the keys made of it, and a guard against showing it.

/// The secret that an agent and the control plane sign with.
///
/// Descriptions, debug descriptions and mirrors show `***`.
package struct AgentSecret: Sendable {
  package enum Problem: Error, Sendable, Hashable {
    /// The secret is empty.
    case empty
    /// Behind `whsec_` there is no padded standard base64 of 16 to 128 bytes.
    case badKey
  }

  /// What a secret made by us starts with; base64 of its key follows.
  package static let prefix = "whsec_"
  /// Bytes of the key of a secret made by us.
  package static let keyLength = 32
  private static let acceptedKeyLengths = 16...128

  /// The secret as printed; for sealing and for handing it out once, for nothing else.
  package let text: String
  /// The key of the `standard` scheme.
  package let standardKey: [UInt8]
  private let standard: SignatureKey
  private let compat: SignatureKey

  package init(_ text: String) throws(Problem) {
    guard !text.isEmpty else { throw .empty }
    try self.init(text: text, standardKey: Self.standardKey(of: text))
  }

  /// Makes a secret of `key`, which is `keyLength` random bytes except in tests.
  package init(key: [UInt8]) throws(Problem) {
    try self.init(Self.prefix + Base64.encode(key))
  }

  private init(text: String, standardKey: [UInt8]) {
    self.text = text
    self.standardKey = standardKey
    standard = SignatureKey(standardKey)
    compat = SignatureKey(Array(text.utf8))
  }

  /// The key of the `compat` scheme: the text as printed.
  package var compatKey: [UInt8] { Array(text.utf8) }

  /// The prepared key of `scheme`.
  func key(_ scheme: SignatureScheme) -> SignatureKey {
    switch scheme {
    case .standard: standard
    case .compat: compat
    }
  }

  private static func standardKey(of text: String) throws(Problem) -> [UInt8] {
    guard text.utf8.starts(with: prefix.utf8) else { return Array(text.utf8) }
    guard let key = Base64.decode(text.utf8.dropFirst(prefix.utf8.count)),
      acceptedKeyLengths.contains(key.count)
    else { throw .badKey }
    return key
  }

  /// Stands in for the secret of an unknown agent, so that its answer takes as long.
  static let dummy = AgentSecret(
    text: "no agent has this secret", standardKey: Array("no agent has this secret".utf8))
}

extension AgentSecret: Equatable {
  /// Takes the same time wherever the texts differ.
  package static func == (first: AgentSecret, second: AgentSecret) -> Bool {
    constantTimeEqual(Array(first.text.utf8), Array(second.text.utf8))
  }
}

extension AgentSecret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "***" }
  package var debugDescription: String { "***" }
  package var customMirror: Mirror { Mirror(self, children: [], displayStyle: .struct) }
}

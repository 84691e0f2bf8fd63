// SPDX-License-Identifier: Apache-2.0
// The headers of a signed request: their names, their form, and what they say.

/// How a request is signed.
package enum SignatureScheme: String, Sendable, CaseIterable {
  /// Standard Webhooks: what we send.
  case standard
  /// Hexadecimal over timestamp and body: accepted on reports unless switched off.
  case compat
}

/// The headers that signing uses; the raw value is the name on the wire.
package enum SignatureHeader: String, Sendable, CaseIterable {
  case agentID = "x-agent-id"
  case webhookID = "webhook-id"
  case webhookTimestamp = "webhook-timestamp"
  case webhookSignature = "webhook-signature"
  case agentTimestamp = "x-agent-timestamp"
  case agentSignature = "x-agent-signature"
}

/// Why a request's signature does not count. For logs: on the wire every one looks the same.
package enum SignatureRefusal: Error, Sendable, Hashable {
  case missing(SignatureHeader)
  case repeated(SignatureHeader)
  case malformed(SignatureHeader)
  case bothSchemes
  case compatNotAllowed
  case tooManySignatures
  /// The timestamp is this far from our clock; positive if it lies behind.
  case outsideWindow(milliseconds: Int64)
  /// No signature fits a secret, or there is no such agent.
  case mismatch
}

/// Well-formed headers of a signed request. Nothing is proven yet; `agentID` says whose secrets
/// to try.
package struct SignatureHeaders: Sendable, Hashable {
  package let scheme: SignatureScheme
  package let agentID: AgentID
  /// What identifies the signed message: `webhook-id`, or in `compat` the signature's text.
  package let signedID: String
  /// The signed time in milliseconds since the epoch.
  package let timestampMilliseconds: Int64
  /// The bytes signed ahead of the body.
  let signedPrefix: [UInt8]
  /// The signatures that have the form of this scheme, 32 bytes each.
  let candidates: [[UInt8]]

  /// Longest `webhook-id`, in bytes.
  static let longestID = 128
  static let longestTimestamp = 15

  /// Reads the headers and checks the form and the age.
  ///
  /// - Parameters:
  ///   - now: our clock, milliseconds since the epoch.
  ///   - values: every value of a header, in order; empty if it is absent.
  package init(
    now: Int64, allowCompat: Bool, values: (SignatureHeader) -> [String]
  ) throws(SignatureRefusal) {
    let usesStandard = Self.isAnyPresent(
      [.webhookID, .webhookTimestamp, .webhookSignature], values)
    let usesCompat = Self.isAnyPresent([.agentTimestamp, .agentSignature], values)
    if usesStandard, usesCompat { throw .bothSchemes }
    if usesCompat, !allowCompat { throw .compatNotAllowed }
    let agent = try Self.single(.agentID, values)
    guard let agentID = AgentID(agent) else { throw .malformed(.agentID) }
    self.agentID = agentID
    if usesCompat {
      scheme = .compat
      let timestamp = try Self.single(.agentTimestamp, values)
      timestampMilliseconds = try Self.number(timestamp, .agentTimestamp)
      signedID = try Self.single(.agentSignature, values)
      candidates = [try Self.compatSignature(signedID)]
      signedPrefix = Array(timestamp.utf8)
    } else {
      scheme = .standard
      signedID = try Self.single(.webhookID, values)
      guard Self.isID(signedID) else { throw .malformed(.webhookID) }
      let timestamp = try Self.single(.webhookTimestamp, values)
      timestampMilliseconds = try Self.number(timestamp, .webhookTimestamp) * 1_000
      candidates = try Self.standardSignatures(Self.single(.webhookSignature, values))
      signedPrefix = Signature.standardPrefix(id: signedID, timestamp: timestamp)
    }
    // The standard scheme counts whole seconds, ours too: exactly 300 s is accepted all second
    // long.
    let clock = scheme == .standard ? now - now % 1_000 : now
    try Self.checkAge(timestampMilliseconds, now: clock)
  }

  private static func isAnyPresent(
    _ headers: [SignatureHeader], _ values: (SignatureHeader) -> [String]
  ) -> Bool {
    headers.contains { !values($0).isEmpty }
  }

  private static func single(
    _ header: SignatureHeader, _ values: (SignatureHeader) -> [String]
  ) throws(SignatureRefusal) -> String {
    let found = values(header)
    guard let value = found.first else { throw .missing(header) }
    guard found.count == 1 else { throw .repeated(header) }
    return value
  }

  /// 1 to 15 ASCII digits without a leading zero, so a thousandfold still fits 64 bits.
  private static func number(
    _ text: String, _ header: SignatureHeader
  ) throws(SignatureRefusal) -> Int64 {
    let digits = text.utf8
    guard (1...longestTimestamp).contains(digits.count),
      digits.first != UInt8(ascii: "0") || digits.count == 1
    else { throw .malformed(header) }
    var value: Int64 = 0
    for byte in digits {
      let digit = byte &- UInt8(ascii: "0")
      guard digit < 10 else { throw .malformed(header) }
      value = value * 10 + Int64(digit)
    }
    return value
  }

  private static func isID(_ text: String) -> Bool {
    (1...longestID).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
  }

  /// The `v1` entries of a list separated by single spaces; others are skipped but counted.
  private static func standardSignatures(_ list: String) throws(SignatureRefusal) -> [[UInt8]] {
    let entries = list.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    guard entries.count <= Limits.signatures else { throw .tooManySignatures }
    var candidates: [[UInt8]] = []
    for entry in entries {
      if entry.isEmpty { throw .malformed(.webhookSignature) }
      guard entry.starts(with: "v1,".utf8), let code = Base64.decode(entry.dropFirst(3)),
        code.count == Signature.length
      else { continue }
      candidates.append(code)
    }
    return candidates
  }

  private static func compatSignature(_ text: String) throws(SignatureRefusal) -> [UInt8] {
    guard let code = Hex.decode(text), code.count == Signature.length else {
      throw .malformed(.agentSignature)
    }
    return code
  }

  private static func checkAge(_ timestamp: Int64, now: Int64) throws(SignatureRefusal) {
    let (age, overflow) = now.subtractingReportingOverflow(timestamp)
    let window = UInt64(Limits.signatureWindow) * 1_000
    if overflow || age.magnitude > window { throw .outsideWindow(milliseconds: age) }
  }
}

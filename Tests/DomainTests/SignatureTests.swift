// SPDX-License-Identifier: Apache-2.0
// Signing and verifying beyond the vectors: header forms, rotation, damage.

import Domain
import Foundation
import Testing

@Suite struct SignatureTests {
  static let now: Int64 = 1_768_323_600_000
  static let body = Array("{\"a\":1}".utf8)

  static func secret(_ fill: UInt8) throws -> AgentSecret {
    try AgentSecret(key: [UInt8](repeating: fill, count: AgentSecret.keyLength))
  }

  /// The headers of `body` signed with `secrets`, each name with its values.
  static func signed(_ secrets: [AgentSecret]) throws -> [SignatureHeader: [String]] {
    let agent = try #require(AgentID("agent-1"))
    let headers = Signature.standardHeaders(
      agentID: agent, id: "msg_1", timestampSeconds: now / 1_000, body: body, secrets: secrets)
    return Dictionary(uniqueKeysWithValues: headers.map { ($0.header, [$0.value]) })
  }

  static func outcome(
    _ headers: [SignatureHeader: [String]], _ secrets: [AgentSecret], body: [UInt8] = body,
    now: Int64 = now
  ) -> Result<VerifiedSignature, SignatureRefusal> {
    SignatureVerifier.verify(
      body: body, secrets: secrets, nowMilliseconds: now, allowCompat: true
    ) { headers[$0] ?? [] }
  }

  @Test func `rotation`() throws {
    let (old, new, other) = try (Self.secret(1), Self.secret(2), Self.secret(3))
    let both = try Self.signed([new, old])
    #expect(both[.webhookSignature]?.first?.split(separator: " ").count == 2)
    #expect(try Self.outcome(both, [old]).get().secretIndex == 0)
    #expect(try Self.outcome(both, [other, new]).get().secretIndex == 1)
    #expect(Self.outcome(both, [other]) == .failure(.mismatch))
    let verified = try Self.outcome(both, [new, old]).get()
    #expect(verified.secretIndex == 0)
    #expect(verified.signedID == "msg_1")
    #expect(verified.timestampMilliseconds == Self.now)
  }

  @Test(arguments: [SignatureHeader.agentID, .webhookID, .webhookTimestamp, .webhookSignature])
  func `each header exactly once`(header: SignatureHeader) throws {
    let secret = try Self.secret(1)
    var headers = try Self.signed([secret])
    let values = try #require(headers[header])
    headers[header] = values + values
    #expect(Self.outcome(headers, [secret]) == .failure(.repeated(header)))
    headers[header] = []
    #expect(Self.outcome(headers, [secret]) == .failure(.missing(header)))
  }

  @Test(arguments: [
    (SignatureHeader.agentID, ""), (.agentID, "a b"), (.agentID, "ä"), (.webhookID, ""),
    (.webhookID, "a b"), (.webhookID, "é"), (.webhookID, String(repeating: "m", count: 129)),
    (.webhookTimestamp, "0x1"), (.webhookTimestamp, "1768323600\n"), (.webhookTimestamp, "00"),
    (.webhookSignature, ""), (.webhookSignature, " "), (.webhookSignature, "v1,a  v1,b"),
  ])
  func `malformed headers`(header: SignatureHeader, value: String) throws {
    let secret = try Self.secret(1)
    var headers = try Self.signed([secret])
    headers[header] = [value]
    #expect(Self.outcome(headers, [secret]) == .failure(.malformed(header)))
  }

  @Test func `no signature at all`() {
    #expect(Self.outcome([.agentID: ["a"]], []) == .failure(.missing(.webhookID)))
    #expect(Self.outcome([:], []) == .failure(.missing(.agentID)))
  }

  /// The standard scheme counts whole seconds of both clocks.
  @Test func `the window, to the second, at any clock`() throws {
    let secret = try Self.secret(1)
    let headers = try Self.signed([secret])
    for offset in [300_000, 300_999, -300_000] as [Int64] {
      #expect(throws: Never.self) {
        _ = try Self.outcome(headers, [secret], now: Self.now + offset).get()
      }
    }
    for (offset, age) in [(301_000, 301_000), (-300_001, -301_000)] as [(Int64, Int64)] {
      let outcome = Self.outcome(headers, [secret], now: Self.now + offset)
      #expect(outcome == .failure(.outsideWindow(milliseconds: age)))
    }
    for clock in [Int64.min, .max, 0, -1] {
      #expect((try? Self.outcome(headers, [secret], now: clock).get()) == nil)
    }
    var zero = headers
    zero[.webhookTimestamp] = ["0"]
    #expect(
      Self.outcome(zero, [secret]) == .failure(.outsideWindow(milliseconds: Self.now)))
    zero[.webhookTimestamp] = ["999999999999999"]
    #expect((try? Self.outcome(zero, [secret]).get()) == nil)
  }

  @Test func `every changed bit is found`() throws {
    let secret = try Self.secret(1)
    let headers = try Self.signed([secret])
    for bit in 0..<Self.body.count * 8 {
      var body = Self.body
      body[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(Self.outcome(headers, [secret], body: body) == .failure(.mismatch))
    }
    let value = try #require(headers[.webhookSignature]?.first)
    let code = try #require(Base64.decode(String(value.dropFirst(3))))
    for bit in 0..<code.count * 8 {
      var damaged = code
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      var changed = headers
      changed[.webhookSignature] = ["v1," + Base64.encode(damaged)]
      #expect(Self.outcome(changed, [secret]) == .failure(.mismatch))
    }
  }

  @Test func `bodies need not be arrays`() throws {
    let secret = try Self.secret(1)
    let headers = try Self.signed([secret])
    let parsed = try SignatureHeaders(now: Self.now, allowCompat: false) { headers[$0] ?? [] }
    let padded = [0] + Self.body + [0]
    #expect(
      try SignatureVerifier.verify(parsed, body: padded[1...7], secrets: [secret]).secretIndex == 0)
    let lazy = Self.body.lazy.map { $0 }
    #expect(try SignatureVerifier.verify(parsed, body: lazy, secrets: [secret]).secretIndex == 0)
    #expect(
      try SignatureVerifier.verify(parsed, body: Data(Self.body), secrets: [secret]).secretIndex
        == 0)
  }
}

@Suite struct SignatureSecretTests {
  @Test func `keys`() throws {
    let key = [UInt8](0..<32)
    let made = try AgentSecret(key: key)
    #expect(made.text == "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
    #expect(made.standardKey == key)
    #expect(made.compatKey == Array(made.text.utf8))
    let plain = try AgentSecret("geheim-ß")
    #expect(plain.standardKey == Array("geheim-ß".utf8))
    #expect(plain.compatKey == plain.standardKey)
  }

  @Test(arguments: ["whsec_", "whsec_AAAA", "whsec_!!!!", "whsec_AAECAwQFBgcICQoLDA0ODxAREhM"])
  func `bad keys`(text: String) {
    #expect(throws: AgentSecret.Problem.badKey) { try AgentSecret(text) }
  }

  @Test func `is never shown`() throws {
    #expect(throws: AgentSecret.Problem.empty) { try AgentSecret("") }
    struct Holder { let secret: AgentSecret }
    let secret = try AgentSecret("correct horse battery")
    let holder = Holder(secret: secret)
    var dumped = ""
    dump(holder, to: &dumped)
    for shown in [
      "\(secret)", String(reflecting: secret), "\(holder)", String(reflecting: holder),
      "\([secret])", "\(Optional(secret) as Any)", dumped,
    ] {
      #expect(!shown.contains("horse"), "\(shown)")
    }
    #expect("\(secret)" == "***")
    #expect(secret == (try AgentSecret("correct horse battery")))
    #expect(secret != (try AgentSecret("correct horse batterz")))
  }
}

@Suite struct SignatureEncodingTests {
  @Test func `base64 and hex against Foundation`() {
    var generator = SeededGenerator(seed: 5)
    for length in 0..<200 {
      let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
      let encoded = Base64.encode(bytes)
      #expect(encoded == Data(bytes).base64EncodedString())
      #expect(Base64.decode(encoded) == bytes)
      #expect(Hex.decode(Hex.encode(bytes)) == bytes)
    }
  }

  @Test(arguments: [
    "A", "AA", "AAA", "AA=", "A===", "====", "=AAA", "AA=A", "AAAA=", "AA==AAAA", "AB==", "AAB=",
    "AA-_", " AAAA", "AAAA\n", "AA A", "ＡAAA", "AAAA====",
  ])
  func `strict base64`(text: String) {
    #expect(Base64.decode(text) == nil)
  }

  @Test(arguments: ["a", "0g", "AA", "0x", " 0", "00 "])
  func `strict hex`(text: String) {
    #expect(Hex.decode(text) == nil)
  }

  @Test func `random texts never trap, and what is decoded encodes back`() {
    var generator = SeededGenerator(seed: 6)
    let characters = Array("AQgw+/=== 9z".utf8)
    for _ in 0..<20_000 {
      let length = Int.random(in: 0...12, using: &generator)
      let text = String(
        decoding: (0..<length).map { _ in
          characters[Int.random(in: 0..<characters.count, using: &generator)]
        }, as: UTF8.self)
      if let bytes = Base64.decode(text) { #expect(Base64.encode(bytes) == text) }
    }
  }

  @Test func `known digests`() {
    #expect(
      Hex.encode(sha256(Array("abc".utf8)))
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(
      Hex.encode(sha256([]))
        == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
  }
}

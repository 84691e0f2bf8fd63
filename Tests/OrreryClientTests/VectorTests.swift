// SPDX-License-Identifier: Apache-2.0
// The protocol's vectors against the agent's side of this library.

import Foundation
import Testing

@testable import OrreryClient

struct SignatureVector: Decodable, Sendable, CustomTestStringConvertible {
  let name: String
  let scheme: String
  let clock: Int64
  let secrets: [String]
  let headers: [String: String]
  let bodyBase64: String
  let accept: Bool

  var testDescription: String { name }
  var body: [UInt8] { Array(Data(base64Encoded: bodyBase64) ?? Data()) }
  var pairs: [(name: String, value: String)] { headers.map { ($0.key, $0.value) } }

  func identity() throws -> AgentIdentity {
    try AgentIdentity(
      id: "agent-1", secret: secrets[0],
      previousSecret: secrets.count > 1 ? secrets[1] : nil)
  }

  static let all: [SignatureVector] = {
    struct File: Decodable { let vectors: [SignatureVector] }
    let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Vectors/vectors.json")
    do {
      return try JSONDecoder().decode(File.self, from: Data(contentsOf: url)).vectors
    } catch {
      Issue.record("vectors.json cannot be read: \(error)")
      return []
    }
  }()
}

@Suite struct VectorTests {
  @Test func `there are vectors`() {
    #expect(SignatureVector.all.count >= 49)
  }

  @Test(arguments: SignatureVector.all)
  func `is judged as the vectors say`(vector: SignatureVector) throws {
    var verifier = DispatchVerifier(try vector.identity())
    verifier.clock.now = { vector.clock * 1_000 }
    let isAccepted: Bool
    do {
      _ = try verifier.verify(headers: vector.pairs, body: vector.body, allowsCompat: true)
      isAccepted = true
    } catch {
      #expect(error.status == 401)
      isAccepted = false
    }
    #expect(isAccepted == vector.accept)
  }

  @Test(arguments: SignatureVector.all.filter { $0.scheme == "compat" })
  func `compat signatures count for nothing on dispatches`(vector: SignatureVector) throws {
    var verifier = DispatchVerifier(try vector.identity())
    verifier.clock.now = { vector.clock * 1_000 }
    #expect(throws: DispatchRefusal.self) {
      try verifier.verify(headers: vector.pairs, body: vector.body)
    }
  }

  @Test(arguments: SignatureVector.all.filter { $0.accept && $0.scheme == "standard" })
  func `signs as the vectors do`(vector: SignatureVector) throws {
    let id = try #require(vector.headers["webhook-id"])
    let timestamp = try #require(vector.headers["webhook-timestamp"].flatMap { Int64($0) })
    let known = try #require(vector.headers["webhook-signature"]).split(separator: " ")
    let signatures = try vector.secrets.map { secret in
      try AgentIdentity(id: "agent-1", secret: secret).headers(
        signing: vector.body, messageID: id, timestampSeconds: timestamp)
    }.compactMap { headers in headers.first { $0.name == "webhook-signature" }?.value }
    #expect(!Set(signatures).isDisjoint(with: known.map(String.init)))
  }

  @Test func `a dispatch for another agent is refused`() throws {
    let identity = try AgentIdentity(id: "agent-1", secret: "s")
    let other = try AgentIdentity(id: "agent-2", secret: "s")
    let body = Array("{}".utf8)
    var verifier = DispatchVerifier(identity)
    verifier.clock.now = { 1_000_000 }
    let headers = other.headers(signing: body, messageID: "m", timestampSeconds: 1_000)
    #expect(throws: DispatchRefusal.self) { try verifier.verify(headers: headers, body: body) }
  }

  @Test func `a verified dispatch is read`() throws {
    let identity = try AgentIdentity(id: "agent-1", secret: "s")
    let body = Array(
      """
      {"taskId":"T","attempt":2,"leaseToken":"L","type":"x","payload":{"a":1.50},"priority":7,
       "timeout":1000,"callbackUrl":"http://c","progressUrl":"http://p","more":[]}
      """.utf8)
    var verifier = DispatchVerifier(identity)
    verifier.clock.now = { 1_000_000 }
    let headers = identity.headers(signing: body, messageID: "m", timestampSeconds: 1_000)
    let dispatch = try verifier.dispatch(headers: headers, body: body)
    #expect(dispatch.taskID == "T" && dispatch.attempt == 2 && dispatch.priority == 7)
    #expect(dispatch.payload.text == #"{"a":1.50}"#)
    #expect(dispatch.timeout == .seconds(1))
  }

  @Test func `secrets are not shown`() throws {
    let identity = try AgentIdentity(id: "agent-1", secret: "very-secret")
    #expect(!"\(identity)".contains("very-secret"))
    var text = ""
    dump(identity, to: &text)
    #expect(!text.contains("very-secret"))
  }
}

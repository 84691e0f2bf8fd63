// SPDX-License-Identifier: Apache-2.0
// The shared signature vectors: the protocol's referee.

import Domain
import Foundation
import Testing

/// One signature vector of `Tests/Vectors/vectors.json`.
struct SignatureVector: Decodable, Sendable, CustomTestStringConvertible {
  let name: String
  let scheme: String
  let clock: Int64
  let secrets: [String]
  let headers: [String: String]
  let bodyBase64: String
  let accept: Bool

  var testDescription: String { name }

  private struct File: Decodable {
    let vectors: [SignatureVector]
  }

  static let all: [SignatureVector] = {
    let url = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Vectors/vectors.json")
    do {
      return try JSONDecoder().decode(File.self, from: Data(contentsOf: url)).vectors
    } catch {
      Issue.record("vectors.json cannot be read: \(error)")
      return []
    }
  }()

  func values(_ header: SignatureHeader) -> [String] {
    headers.filter { $0.key.lowercased() == header.rawValue }.map(\.value)
  }

  func body() throws -> [UInt8] {
    Array(try #require(Data(base64Encoded: bodyBase64)))
  }

  func verify(allowCompat: Bool = true) throws -> Result<VerifiedSignature, SignatureRefusal> {
    SignatureVerifier.verify(
      body: try body(), secrets: try secrets.map { try AgentSecret($0) },
      nowMilliseconds: clock * 1_000, allowCompat: allowCompat, values: values)
  }
}

@Suite struct SignatureVectorTests {
  @Test func `there are vectors`() {
    #expect(SignatureVector.all.count >= 49)
    #expect(SignatureVector.all.contains { $0.accept && $0.scheme == "compat" })
  }

  @Test(arguments: SignatureVector.all)
  func `is accepted or refused as the vector says`(vector: SignatureVector) throws {
    let outcome = try vector.verify()
    switch outcome {
    case .success(let verified):
      #expect(vector.accept)
      #expect(verified.scheme.rawValue == vector.scheme)
      #expect(verified.agentID.text == vector.headers["x-agent-id"])
      let id = vector.headers["webhook-id"] ?? vector.headers["x-agent-signature"]
      #expect(verified.signedID == id)
    case .failure(let refusal):
      #expect(!vector.accept, "\(refusal)")
    }
  }

  @Test(arguments: SignatureVector.all.filter { $0.accept && $0.scheme == "compat" })
  func `compat can be switched off`(vector: SignatureVector) throws {
    #expect(try vector.verify(allowCompat: false) == .failure(.compatNotAllowed))
  }

  @Test(arguments: SignatureVector.all.filter(\.accept))
  func `an unknown agent is refused`(vector: SignatureVector) throws {
    let outcome = SignatureVerifier.verify(
      body: try vector.body(), secrets: [], nowMilliseconds: vector.clock * 1_000,
      allowCompat: true, values: vector.values)
    #expect(outcome == .failure(.mismatch))
  }

  @Test(arguments: SignatureVector.all.filter(\.accept))
  func `our own signature is the vector's`(vector: SignatureVector) throws {
    let secrets = try vector.secrets.map { try AgentSecret($0) }
    let body = try vector.body()
    if let timestamp = vector.headers["x-agent-timestamp"].flatMap({ Int64($0) }) {
      let ours = secrets.map {
        Signature.compat(timestampMilliseconds: timestamp, body: body, secret: $0)
      }
      #expect(ours.contains(try #require(vector.headers["x-agent-signature"])))
      return
    }
    let timestamp = try #require(vector.headers["webhook-timestamp"].flatMap { Int64($0) })
    let id = try #require(vector.headers["webhook-id"])
    let ours = Signature.standard(
      id: id, timestampSeconds: timestamp, body: body, secrets: secrets
    ).split(separator: " ")
    let theirs = try #require(vector.headers["webhook-signature"]).split(separator: " ")
    #expect(!Set(ours).isDisjoint(with: theirs))
  }
}

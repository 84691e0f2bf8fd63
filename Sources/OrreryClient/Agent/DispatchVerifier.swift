// SPDX-License-Identifier: Apache-2.0
// Decides whether a request to a push agent comes from its control plane.

import Domain

/// Why a request was refused. For the agent's log: the answer is always the same 401.
public struct DispatchRefusal: Error, Sendable, Hashable, CustomStringConvertible {
  /// The HTTP status to answer with.
  public let status: Int
  public let description: String
}

/// Verifies what reaches a push agent, in whatever web framework it is received.
///
/// ```swift
/// let verifier = DispatchVerifier(try AgentIdentity(id: id, secret: secret))
/// let dispatch = try verifier.dispatch(headers: headers, body: body)
/// ```
///
/// Pass the body as the bytes that came in: the signature is over those.
public struct DispatchVerifier: Sendable {
  /// Bytes that a dispatch may have.
  public static let longestBody = 8 << 20

  private let identity: AgentIdentity
  var clock = SystemClock.live

  public init(_ identity: AgentIdentity) {
    self.identity = identity
  }

  /// The dispatch in a request.
  ///
  /// - Parameter headers: all of the request's, repeated ones repeated.
  /// - Throws: `DispatchRefusal`.
  public func dispatch(
    headers: [(name: String, value: String)], body: [UInt8]
  ) throws(DispatchRefusal) -> Dispatch {
    try read(headers, body) { node throws(OrreryError) in try Dispatch(node) }
  }

  /// The cancellation in a request to the agent's `cancelEndpoint`.
  ///
  /// - Throws: `DispatchRefusal`.
  public func cancellation(
    headers: [(name: String, value: String)], body: [UInt8]
  ) throws(DispatchRefusal) -> DispatchCancellation {
    try read(headers, body) { node throws(OrreryError) in try DispatchCancellation(node) }
  }

  /// Checks the signature alone; returns the signed message's id.
  ///
  /// - Throws: `DispatchRefusal`.
  @discardableResult
  public func verify(
    headers: [(name: String, value: String)], body: [UInt8]
  ) throws(DispatchRefusal) -> String {
    try verify(headers: headers, body: body, allowsCompat: false)
  }

  func verify(
    headers: [(name: String, value: String)], body: [UInt8], allowsCompat: Bool
  ) throws(DispatchRefusal) -> String {
    guard body.count <= Self.longestBody else {
      throw DispatchRefusal(status: 413, description: "The body is too large.")
    }
    let outcome = SignatureVerifier.verify(
      body: body, secrets: identity.secrets, nowMilliseconds: clock.now(),
      allowCompat: allowsCompat
    ) { header in
      headers.filter { $0.name.lowercased() == header.rawValue }.map(\.value)
    }
    switch outcome {
    case .success(let signature):
      guard signature.agentID == identity.agentID else {
        throw DispatchRefusal(status: 401, description: "Signed for another agent.")
      }
      return signature.signedID
    case .failure(let refusal):
      throw DispatchRefusal(status: 401, description: "Not verified: \(refusal).")
    }
  }

  private func read<Value>(
    _ headers: [(name: String, value: String)], _ body: [UInt8],
    _ make: (JSONNode) throws(OrreryError) -> Value
  ) throws(DispatchRefusal) -> Value {
    try verify(headers: headers, body: body)
    do {
      return try make(JSONText.scan(body).root)
    } catch let error as OrreryError {
      throw DispatchRefusal(status: 400, description: error.message)
    } catch {
      throw DispatchRefusal(status: 400, description: "Not understood.")
    }
  }
}

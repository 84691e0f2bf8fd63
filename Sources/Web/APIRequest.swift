// SPDX-License-Identifier: Apache-2.0
// A request as the routes see it: parameters, strict query, bounded body.
package import Domain
import Engine
import HummingbirdCore
import NIOCore
import NIOHTTP1

/// What a route gets. Nothing of it is trusted; every accessor checks.
package struct APIRequest {
  let request: EdgeRequest
  let uri: URI
  let parameters: [(name: String, value: Substring)]
  let limits: Limits
  let origins: OriginPolicy
  package let now: Timestamp
  /// In answers and in the log.
  let id: String
  let client: ClientConnection
  let share: BodyShare
  /// Nil if the client has no trace and none began here.
  let trace: Tracing.Request?

  /// A path parameter, percent-decoded.
  package func parameter(_ name: String) throws(ControlError) -> String {
    let found = parameters.first { $0.name == name }?.value
    guard let value = found.flatMap(PercentEncoding.decode) else {
      throw ControlError(.invalidID, "The path is not understood.", path: name)
    }
    return value
  }

  package func taskID() throws(ControlError) -> TaskID {
    let text = try parameter("id")
    if let id = TaskID(text) { return id }
    guard TaskID.isWellFormed(text) else {
      throw ControlError(
        .invalidID, "Task ids have 26 characters and are made by the server.", path: "id")
    }
    throw ControlError(.notFound, "There is no task with this id.")
  }

  package func agentID() throws(ControlError) -> AgentID {
    guard let id = AgentID(try parameter("id")) else {
      throw ControlError(
        .invalidID, "Agent ids are 1 to 128 of the characters A-Z a-z 0-9 . _ : -", path: "id")
    }
    return id
  }

  /// The values of every header of this name.
  package func headers(_ name: String) -> [String] { request.head.headers[name] }

  private func first(_ name: String) -> String? { request.head.headers.first(name: name) }

  /// Refuses query parameters that are not among these, so that a typing error is noticed.
  func checkQuery(_ allowed: Set<String>) throws(ControlError) {
    guard uri.query != nil, allowed != Route.anyQuery else { return }
    for (name, _) in uri.queryParameters where !allowed.contains(String(name)) {
      let known = allowed.isEmpty ? "none" : allowed.sorted().joined(separator: ", ")
      throw ControlError(
        .invalidQuery, "This query parameter is not known here. Known are: \(known).",
        path: String(name))
    }
  }

  /// The query's parameters; the route's known ones, as `checkQuery` saw to.
  package func query() -> [String: [String]] {
    guard uri.query != nil else { return [:] }
    var query: [String: [String]] = [:]
    for (name, value) in uri.queryParameters {
      query[String(name), default: []].append(String(value))
    }
    return query
  }

  /// Says of itself that it has one.
  var hasBody: Bool {
    first("transfer-encoding") != nil || !["0", nil].contains(first("content-length"))
  }

  /// Says of itself that its body is soon read.
  var isSmall: Bool {
    guard let length = first("content-length").flatMap({ Int($0) }) else {
      return first("transfer-encoding") == nil
    }
    return length <= 64 << 10
  }

  /// The body, up to `most` bytes.
  package func body(most: Int? = nil) async throws(ControlError) -> [UInt8] {
    let most = most ?? limits.body
    let tooLarge = ControlError(.payloadTooLarge, "The body is larger than \(most) bytes.")
    if let coding = first("content-encoding"), coding.lowercased() != "identity" {
      throw ControlError(.unsupportedMediaType, "Send the body without Content-Encoding.")
    }
    if let length = first("content-length").flatMap({ Int($0) }), length > most {
      throw tooLarge
    }
    func take(_ count: Int, after taken: Int) throws(ControlError) {
      guard taken + count <= most else { throw tooLarge }
      try share.take(count)
    }
    switch request.body {
    case .whole(nil): return []
    case .whole(let buffer?):
      try take(buffer.readableBytes, after: 0)
      return Array(buffer.readableBytesView)
    case .stream(let stream):
      // A buffer grows in place, where an array is copied each time.
      var bytes = ByteBuffer()
      while let buffer = try await next(of: stream) {
        try take(buffer.readableBytes, after: bytes.readableBytes)
        bytes.writeImmutableBuffer(buffer)
      }
      return Array(bytes.readableBytesView)
    }
  }

  private func next(of stream: BodyStream) async throws(ControlError) -> ByteBuffer? {
    do { return try await stream.next() } catch {
      throw ControlError(.invalidJSON, "The body did not arrive whole.")
    }
  }

  /// The body as a JSON document; an empty body counts as `{}` where `mayBeEmpty`.
  package func json(mayBeEmpty: Bool = false) async throws(ControlError) -> JSONDocument {
    let bytes = try await body()
    if bytes.isEmpty, mayBeEmpty { return try JSONDocument(Array("{}".utf8), limits: limits) }
    return try JSONDocument(bytes, limits: limits)
  }
}

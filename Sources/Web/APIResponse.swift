// SPDX-License-Identifier: Apache-2.0
// Answers: JSON, or a problem document.
import Domain
import NIOCore
import NIOHTTP1

/// What a route answers.
package struct APIResponse {
  enum Body {
    case bytes([UInt8])
    /// The same for everyone who asks: not copied, however many do not take it.
    case shared(ByteBuffer)
    /// Called on the event loop of the connection once the head is written, but not for HEAD.
    case stream(@Sendable (OpenStream) -> Void)
    /// Called on the event loop of the connection once it has become a WebSocket.
    case webSocket(@Sendable (WebSocket) -> Void)
  }

  var status: HTTPResponseStatus
  var body: Body
  var contentType = "application/json"
  var retryAfter: Int?
  /// The code of the error that it tells of.
  var problem: ControlError.Code?
  /// Besides those that follow from the rest.
  var headers: [(String, String)] = []
  /// As what it is counted, if it is a WebSocket.
  var socketKind = OpenSockets.Kind.webSocket

  static func json(
    _ status: HTTPResponseStatus = .ok, _ write: (inout JSONWriter) -> Void
  ) -> APIResponse {
    var writer = JSONWriter()
    write(&writer)
    return APIResponse(status: status, body: .bytes(writer.bytes))
  }

  static var noContent: APIResponse { APIResponse(status: .noContent, body: .bytes([])) }

  /// RFC 9457, with the stable `code`.
  static func problem(
    _ error: ControlError, requestID: String, extra: (inout JSONWriter) -> Void = { _ in }
  ) -> APIResponse {
    var writer = JSONWriter()
    writer.object {
      $0.field("type", "about:blank")
      $0.field("title", error.code.title)
      $0.field("status", error.code.status)
      $0.field("detail", error.message)
      $0.field("code", error.code.rawValue)
      $0.field(ifPresent: "path", error.path)
      $0.field("requestId", requestID)
      extra(&$0)
    }
    return APIResponse(
      status: HTTPResponseStatus(statusCode: error.code.status), body: .bytes(writer.bytes),
      contentType: "application/problem+json", retryAfter: error.retryAfter, problem: error.code)
  }

  var fields: HTTPHeaders {
    var fields = HTTPHeaders()
    fields.reserveCapacity(headers.count + 4)
    switch body {
    case .bytes(let bytes) where status != .noContent: describe(bytes.count, in: &fields)
    case .shared(let bytes): describe(bytes.readableBytes, in: &fields)
    case .stream: fields.add(name: "Content-Type", value: contentType)
    case .bytes, .webSocket: break
    }
    fields.add(name: "Cache-Control", value: "no-store")
    if let retryAfter { fields.add(name: "Retry-After", value: "\(retryAfter)") }
    for (name, value) in headers { fields.add(name: name, value: value) }
    return fields
  }

  private func describe(_ length: Int, in fields: inout HTTPHeaders) {
    fields.add(name: "Content-Type", value: contentType)
    fields.add(name: "Content-Length", value: "\(length)")
  }
}

// SPDX-License-Identifier: Apache-2.0
// Answers: JSON, or a problem document.
import Domain
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// What a route answers.
package struct APIResponse {
  var status: HTTPResponse.Status
  var body: [UInt8]
  var contentType = "application/json"
  var retryAfter: Int?

  static func json(
    _ status: HTTPResponse.Status = .ok, _ write: (inout JSONWriter) -> Void
  ) -> APIResponse {
    var writer = JSONWriter()
    write(&writer)
    return APIResponse(status: status, body: writer.bytes)
  }

  static var noContent: APIResponse { APIResponse(status: .noContent, body: []) }

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
      status: HTTPResponse.Status(code: error.code.status), body: writer.bytes,
      contentType: "application/problem+json", retryAfter: error.retryAfter)
  }

  func response() -> Response {
    var headers = HTTPFields()
    if status != .noContent { headers[.contentType] = contentType }
    headers[.cacheControl] = "no-store"
    if let retryAfter { headers[.retryAfter] = String(retryAfter) }
    return Response(
      status: status, headers: headers,
      body: body.isEmpty ? ResponseBody() : ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
  }
}

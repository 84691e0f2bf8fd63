// SPDX-License-Identifier: Apache-2.0
// Whether a request may become a WebSocket, RFC 6455 §4.2.
import Crypto
import Domain
import NIOHTTP1

enum WebSocketHandshake {
  private static let magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
  private static let keyLength = 16

  /// The answer 101, after which `open` is called on the event loop of the connection; it sets what
  /// the socket is to call. It is not called if the connection is gone by then, or if there are too
  /// many sockets. No subprotocol and no extension is agreed on.
  static func response(
    to request: APIRequest, kind: OpenSockets.Kind = .webSocket,
    open: @escaping @Sendable (WebSocket) -> Void
  ) throws(ControlError) -> APIResponse {
    try request.checkOrigin()
    let key = try key(of: request)
    let digest = Insecure.SHA1.hash(data: Array((key + magic).utf8))
    return APIResponse(
      status: .switchingProtocols, body: .webSocket(open),
      headers: [
        ("Upgrade", "websocket"), ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", Base64.encode(Array(digest))),
      ], socketKind: kind)
  }

  private static func key(of request: APIRequest) throws(ControlError) -> String {
    let head = request.request.head
    guard head.method == .GET, head.version == .http1_1, !request.hasBody else {
      throw ControlError(
        .invalidRequest, "A WebSocket begins with a GET of HTTP/1.1 without a body.")
    }
    guard has("upgrade", in: request.headers("connection")),
      has("websocket", in: request.headers("upgrade")),
      request.headers("sec-websocket-version") == ["13"]
    else {
      throw ControlError(
        .upgradeRequired, "This is for WebSockets: send Upgrade: websocket and version 13.")
    }
    let keys = request.headers("sec-websocket-key")
    guard keys.count == 1, let key = keys.first, Base64.decode(key.utf8)?.count == keyLength else {
      throw ControlError(.invalidRequest, "Sec-WebSocket-Key is the base64 of 16 bytes.")
    }
    return key
  }

  private static func has(_ token: String, in values: [String]) -> Bool {
    values.contains { value in
      value.split(separator: ",").contains { part in
        part.split { $0 == " " || $0 == "\t" }.map { $0.lowercased() } == [token]
      }
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
// One router with one GET, as the framework's own guide writes it; the answer is as large as ours.
import HTTPTypes
import Hummingbird

@main
struct HummingbirdPeer {
  static func main() async throws {
    guard CommandLine.arguments.count == 2, let port = Int(CommandLine.arguments[1]) else {
      throw PeerError.usage
    }
    let router = Router()
    router.get("/") { _, _ in health }
    let application = Application(
      router: router, configuration: .init(address: .hostname("127.0.0.1", port: port)))
    try await application.runService()
  }

  /// What `GET /healthz` answers: the same body and headers of the same length.
  private static let health = Response(
    status: .ok,
    headers: [
      .contentType: "application/json", .cacheControl: "no-store",
      requestID: "0123456789abcdef",
    ],
    body: ResponseBody(byteBuffer: ByteBuffer(string: #"{"status":"ok"}"#)))

  private static let requestID = HTTPField.Name("x-request-id") ?? .server
}

enum PeerError: Error, CustomStringConvertible {
  case usage
  var description: String { "usage: HummingbirdPeer PORT" }
}

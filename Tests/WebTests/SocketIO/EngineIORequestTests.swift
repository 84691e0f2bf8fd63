// SPDX-License-Identifier: Apache-2.0
// What requests to `/socket.io/` ask for, and how others are refused.
import Testing

@testable import Web

@Suite struct EngineIORequestTests {
  private static let id = "abcdefghijklmnopqrst"

  private func asked(_ method: String, _ query: String, isUpgrade: Bool = false) -> String {
    var values: [String: [String]] = [:]
    for pair in query.split(separator: "&") {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      values[String(parts[0]), default: []].append(String(parts.last ?? ""))
    }
    do throws(EngineIORefusal) {
      return "\(try EngineIORequest(method: method, query: values, isUpgrade: isUpgrade))"
    } catch {
      return "\(error.rawValue) \(error.message)"
    }
  }

  @Test(arguments: [
    ("GET", "EIO=4&transport=polling", "open"),
    ("GET", "EIO=4&transport=polling&sid=\(id)&t=x&b64=1", "poll(session: \"\(id)\")"),
    ("POST", "EIO=4&transport=polling&sid=\(id)", "post(session: \"\(id)\")"),
    ("POST", "EIO=4&transport=polling", "2 Bad handshake method"),
    ("PUT", "EIO=4&transport=polling&sid=\(id)", "2 Bad handshake method"),
    ("GET", "EIO=4", "0 Transport unknown"), ("GET", "EIO=4&transport=abc", "0 Transport unknown"),
    ("GET", "EIO=4&transport=polling&transport=websocket", "0 Transport unknown"),
    ("GET", "transport=polling", "5 Unsupported protocol version"),
    ("GET", "EIO=3&transport=polling", "5 Unsupported protocol version"),
    ("GET", "EIO=abc&transport=polling", "5 Unsupported protocol version"),
    ("GET", "EIO=4&transport=polling&sid=short", "1 Session ID unknown"),
    ("GET", "EIO=4&transport=polling&sid=\(id)&sid=\(id)", "3 Bad request"),
    ("GET", "EIO=4&transport=websocket", "3 Bad request"),
  ])
  func `a request is read`(method: String, query: String, expected: String) {
    #expect(asked(method, query) == expected)
  }

  @Test func `a WebSocket is a GET that upgrades`() {
    let query = "EIO=4&transport=websocket"
    #expect(asked("GET", query, isUpgrade: true) == "webSocket(session: nil)")
    #expect(
      asked("GET", "\(query)&sid=\(Self.id)", isUpgrade: true)
        == "webSocket(session: Optional(\"\(Self.id)\"))")
    #expect(asked("POST", query, isUpgrade: true) == "3 Bad request")
  }
}

// SPDX-License-Identifier: Apache-2.0
// One request on a connection of its own, signed if need be.
import Domain
import Engine
import Synchronization
import Testing

final class Box: Sendable { let text = Mutex("") }

extension Served {
  /// The whole answer to a request of the admin.
  func ask(_ request: String, body: String = "", _ headers: String...) async throws -> String {
    let lines = [
      "\(request) HTTP/1.1", "host: x", "connection: close", "authorization: Bearer \(token)",
      "content-length: \(body.utf8.count)",
    ]
    return try await exchange((lines + headers).joined(separator: "\r\n"), body)
  }

  /// Sends a request and reads until the server closes.
  func exchange(_ head: String, _ body: String = "") async throws -> String {
    let box = Box()
    try await RawClient.connect(port) { client in
      try await client.send(head, body: body)
      let all = try await client.readToEnd()
      box.text.withLock { $0 = all }
    }
    return box.text.withLock { $0 }
  }

  /// Header lines that sign a body as the agent.
  func signed(_ body: String) -> String {
    let headers = Signature.standardHeaders(
      agentID: agent, id: "msg-\(UInt64.random(in: 0...UInt64.max))",
      timestampSeconds: engine.world.now().milliseconds / 1_000, body: Array(body.utf8),
      secrets: [secret])
    return headers.map { "\($0.header.rawValue): \($0.value)" }.joined(separator: "\r\n")
  }
}

/// Awaits what another task or a client brings about.
func until(_ condition: () -> Bool) async throws {
  let end = ContinuousClock.now + .seconds(10)
  while !condition() {
    try #require(ContinuousClock.now < end)
    try await Task.sleep(for: .milliseconds(5))
  }
}

// SPDX-License-Identifier: Apache-2.0
// Autobahn's fuzzing client against a route that sends everything back.
import Domain
import Foundation
import NIOCore
import Testing

@testable import Web

/// Runs where `ORRERY_WSTEST` names the program; `make test-long` sees to that.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["ORRERY_WSTEST"] != nil))
struct AutobahnTests {
  private static let echo = Route("GET", "/echo", .open) { (request, _) throws(ControlError) in
    try WebSocketHandshake.response(to: request) { socket in
      socket.limits = WebSocket.Limits(
        message: 32 << 20, fragments: 1_000_000, messagesPerSecond: 1_000_000, burst: 1_000_000)
      socket.onText = { [weak socket] in socket?.send(text: $0) }
      socket.onBinary = { [weak socket] in socket?.send(binary: $0) }
    }
  }

  @Test(.timeLimit(.minutes(10))) func `every case of sections 1 to 7 and 10`() async throws {
    let program = try #require(ProcessInfo.processInfo.environment["ORRERY_WSTEST"])
    let folder = FileManager.default.temporaryDirectory.appending(path: "orrery-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer {
      do { try FileManager.default.removeItem(at: folder) } catch { Issue.record(error) }
    }
    try await Served.run(routes: [Self.echo]) { served in
      try Self.spec(served.port).write(
        to: folder.appending(path: "spec.json"), atomically: true, encoding: .utf8)
      #expect(try await Self.run(program, in: folder) == 0)
    }
    let results = try Self.results(in: folder)
    let wrong = results.filter { !["OK", "INFORMATIONAL"].contains($0.behavior) }
    #expect(wrong.isEmpty, "\(wrong)")
    #expect(results.allSatisfy { ["OK", "INFORMATIONAL"].contains($0.close) })
    #expect(results.count >= 240)
    let informational = results.filter { $0.behavior == "INFORMATIONAL" }.count
    print("Autobahn: \(results.count) cases, \(wrong.count) wrong, \(informational) informational")
  }

  private static func spec(_ port: Int) -> String {
    """
    {"outdir": "./reports", "servers": [{"agent": "orrery", "url": "ws://127.0.0.1:\(port)/echo"}],
     "cases": ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"],
     "exclude-cases": [], "exclude-agent-cases": {}}
    """
  }

  private static func run(_ program: String, in folder: URL) async throws -> Int32 {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = ["-m", "fuzzingclient", "-s", "spec.json"]
    process.currentDirectoryURL = folder
    process.standardOutput = FileHandle.nullDevice
    return try await withCheckedThrowingContinuation { waiting in
      process.terminationHandler = { waiting.resume(returning: $0.terminationStatus) }
      do { try process.run() } catch { waiting.resume(throwing: error) }
    }
  }

  private struct Result {
    var name: String
    var behavior: String
    var close: String
  }

  private static func results(in folder: URL) throws -> [Result] {
    let data = try Data(contentsOf: folder.appending(path: "reports/index.json"))
    let root = try JSONSerialization.jsonObject(with: data) as? [String: [String: [String: Any]]]
    return try #require(root?["orrery"]).map { name, fields in
      Result(
        name: name, behavior: fields["behavior"] as? String ?? "none",
        close: fields["behaviorClose"] as? String ?? "none")
    }
  }
}

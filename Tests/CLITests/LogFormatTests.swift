// SPDX-License-Identifier: Apache-2.0
// Log lines: one each, whatever is in them, and nothing that must not be.
import Domain
import Foundation
import Logging
import Synchronization
import Testing

@testable import CLI

@Suite struct LogFormatTests {
  private static let time = Timestamp(milliseconds: 1_767_225_600_123)
  private static let nasty = "a\nb\r\u{1B}[31m\u{7F}\u{85}\u{2028}\u{202E}\"\\ é"

  private func line(
    _ format: LogFormat, _ message: String, _ metadata: Logger.Metadata = [:]
  ) -> String {
    format.line(Self.time, .warning, message, metadata)
  }

  @Test func `text is for people`() {
    #expect(
      line(.text, "slow", ["zone": "eu west", "taskId": "T1", "requestId": "R1", "x": ""])
        == "2026-01-01T00:00:00.123Z warning orrery: slow requestId=R1 taskId=T1 x=\"\" "
        + "zone=\"eu west\"\n")
  }

  @Test func `JSON is for programs`() {
    #expect(
      line(.json, "request", ["status": "200", "ms": "1.5", "agentId": "7", "time": "x"])
        == #"{"time":"2026-01-01T00:00:00.123Z","level":"warning","message":"request","#
        + #""agentId":"7","ms":1.5,"status":200,"_time":"x"}"# + "\n")
  }

  @Test(arguments: LogFormat.allCases)
  func `nothing begins a line of its own`(format: LogFormat) throws {
    let text = line(format, Self.nasty, ["k\n": "\(Self.nasty)", "taskId": "\(Self.nasty)"])
    #expect(text.unicodeScalars.filter { $0.value < 0x20 } == ["\n"] && text.hasSuffix("\n"))
    #expect(!text.unicodeScalars.contains { [0x7F, 0x85, 0x2028, 0x202E].contains($0.value) })
    guard format == .json else { return }
    let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: String]
    #expect(object?["message"] == Self.nasty && object?["taskId"] == Self.nasty)
    #expect(object?["k\n"] == Self.nasty)
  }

  @Test(arguments: LogFormat.allCases)
  func `what looks like a secret of ours is not written`(format: LogFormat) {
    let secrets = ["orr_0123456789abcdefABCDEF_-", "whsec_9K3K+deU8aOkQr/4d4NmktEWpa3r59Qr="]
    let text = line(format, "token \(secrets[0])!", ["note": "\(secrets[1]) orr_short"])
    #expect(text.contains("orr_***!") && text.contains("whsec_*** orr_short"))
    #expect(!secrets.contains { text.contains($0.suffix(12)) })
  }

  @Test func `a logger's own metadata and that of a line are joined`() {
    let lines = Mutex<[String]>([])
    let keep: @Sendable (String) -> Void = { line in lines.withLock { $0.append(line) } }
    var logger = Logger(label: "x") { _ in
      LineLogHandler(.text, now: { Self.time }, write: keep)
    }
    logger[metadataKey: "agentId"] = "A"
    logger.info("one")
    logger.debug("not seen")
    logger.error("two", metadata: ["taskId": "T", "agentId": "B"])
    #expect(
      lines.withLock { $0 } == [
        "2026-01-01T00:00:00.123Z info orrery: one agentId=A\n",
        "2026-01-01T00:00:00.123Z error orrery: two taskId=T agentId=B\n",
      ])
  }
}

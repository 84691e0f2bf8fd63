// SPDX-License-Identifier: Apache-2.0
// Packets of Socket.IO: what is one, what is none, and that no bytes do harm.
import Domain
import Testing

@testable import Web

@Suite struct SocketIOPacketTests {
  private func described(_ text: String) -> String {
    do throws(SocketIOFault) {
      let packet = try SocketIOPacket(text.utf8)
      let json = packet.payload.map { String(decoding: $0.root.rawBytes, as: UTF8.self) }
      return [
        "\(packet.kind)", packet.namespace, packet.id.map { "\($0)" } ?? "-",
        "\(packet.attachments)", json ?? "-",
      ].joined(separator: " ")
    } catch {
      return "none"
    }
  }

  @Test(arguments: [
    ("0", "connect / - 0 -"), ("0{\"token\":\"t\"}", "connect / - 0 {\"token\":\"t\"}"),
    ("0/admin", "connect /admin - 0 -"), ("0/admin,", "connect /admin - 0 -"),
    ("0/admin,{}", "connect /admin - 0 {}"), ("0/a?b=c,{}", "connect /a - 0 {}"),
    ("1", "disconnect / - 0 -"), ("1/admin", "disconnect /admin - 0 -"),
    ("2[\"a\"]", "event / - 0 [\"a\"]"), ("2/n,7[\"a\",1]", "event /n 7 0 [\"a\",1]"),
    ("20[\"a\"]", "event / 0 0 [\"a\"]"),
    ("29007199254740992[\"a\"]", "event / 9007199254740992 0 [\"a\"]"),
    ("312[]", "ack / 12 0 []"), ("3/n,12[1]", "ack /n 12 0 [1]"),
    (
      "51-[\"a\",{\"_placeholder\":true,\"num\":0}]",
      "binaryEvent / - 1 [\"a\",{\"_placeholder\":true,\"num\":0}]"
    ),
    (
      "51-/n,14[\"a\",{\"x\":[{\"_placeholder\":true,\"num\":0}]}]",
      "binaryEvent /n 14 1 [\"a\",{\"x\":[{\"_placeholder\":true,\"num\":0}]}]"
    ),
    ("50-[\"a\"]", "binaryEvent / - 0 [\"a\"]"),
    (
      "61-3[{\"_placeholder\":true,\"num\":0}]",
      "binaryAck / 3 1 [{\"_placeholder\":true,\"num\":0}]"
    ),
  ])
  func `a packet is read`(text: String, expected: String) {
    #expect(described(text) == expected)
  }

  @Test(arguments: [
    "", "7", "abc", "x[\"a\"]", "0[]", "0\"t\"", "0{", "01", "1{}", "1[]", "2", "2{}", "2[]",
    "2[1]", "2[null,\"a\"]", "2\"a\"", "2[\"a\"", "2[\"a\"]x", "2abc[\"a\"]", "2-1[\"a\"]",
    "29007199254740993[\"a\"]", "299999999999999999999[\"a\"]", "2[\"connect\"]",
    "2[\"disconnect\"]", "2[\"connect_error\"]", "2[\"newListener\"]", "2[\"\\ud800\"]",
    "2[\"a\",{\"b\":1,\"b\":2}]", "3[]", "3", "37{}", "4{\"message\":\"x\"}", "4\"x\"",
    "5[\"a\"]", "51[\"a\"]", "5-[\"a\"]", "511-[\"a\"]", "51-[\"a\"]", "599999999999-[\"a\"]",
    "51-[\"a\",{\"_placeholder\":true,\"num\":1}]", "51-[\"a\",{\"_placeholder\":true,\"num\":-1}]",
    "51-[\"a\",{\"_placeholder\":true,\"num\":\"0\"}]", "51-[\"a\",{\"_placeholder\":true}]",
    "50-[\"a\",{\"_placeholder\":true,\"num\":0}]",
    "52-[\"a\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":0}]",
    "0/a\u{1}b,", "61-[{\"_placeholder\":true,\"num\":0}]",
  ])
  func `what breaks a rule is none`(text: String) {
    #expect(described(text) == "none")
  }

  @Test func `names, depth and length have bounds`() {
    #expect(described("0/" + String(repeating: "n", count: 127)).hasPrefix("connect"))
    #expect(described("0/" + String(repeating: "n", count: 128)) == "none")
    let deep = String(repeating: "[", count: 40) + String(repeating: "]", count: 40)
    #expect(described("2[\"a\",\(deep)]") == "none")
    let many = String(repeating: "1,", count: 10_000)
    #expect(described("2[\"a\",\(many)1]") == "none")
  }

  @Test func `bytes are counted`() throws {
    var decoder = SocketIODecoder()
    let header = "52-[\"a\",{\"_placeholder\":true,\"num\":1},{\"_placeholder\":true,\"num\":0}]"
    #expect(try decoder.decode(text: header.utf8) == nil)
    #expect(try decoder.decodeAttachment() == nil)
    #expect(try decoder.decodeAttachment()?.kind == .binaryEvent)
    #expect(throws: SocketIOFault.self) { try decoder.decodeAttachment() }
    #expect(try decoder.decode(text: header.utf8) == nil)
    #expect(throws: SocketIOFault.self) { try decoder.decode(text: "2[\"a\"]".utf8) }
  }

  @Test func `events have a name and arguments`() throws {
    let event = try #require(try SocketIOPacket("2[\"a\",{\"b\":1},[2]]".utf8).event)
    #expect(event.name == "a" && event.arguments.count == 2)
    #expect(try SocketIOPacket("31[]".utf8).event == nil)
  }

  @Test func `no bytes do harm`() {
    var random = SeededBytes(seed: 5)
    var understood = 0
    for _ in 0..<40_000 {
      let bytes = random.bytes(alphabet: "0123456-/,[]{}\"a:é\u{1}", most: 24)
      do throws(SocketIOFault) {
        _ = try SocketIOPacket(bytes)
        understood += 1
      } catch { #expect(!error.reason.isEmpty) }
    }
    #expect(understood > 0)
  }

  @Test func `packets are cut and changed anywhere without harm`() {
    var random = SeededBytes(seed: 6)
    let good = Array("51-/n,14[\"a\",{\"x\":[{\"_placeholder\":true,\"num\":0}]}]".utf8)
    for length in 0...good.count {
      for _ in 0..<200 {
        var bytes = Array(good.prefix(length))
        if !bytes.isEmpty {
          bytes[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.next())
        }
        do throws(SocketIOFault) { _ = try SocketIOPacket(bytes) } catch { continue }
      }
    }
  }
}

@Suite struct SocketIOTextTests {
  private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  @Test func `packets are written as clients read them`() {
    #expect(
      text(SocketIOText.connected(id: "a", privateID: "b")) == #"0{"sid":"a","pid":"b"}"#)
    #expect(text(SocketIOText.refused("Not authorized")) == #"4{"message":"Not authorized"}"#)
    #expect(
      text(SocketIOText.refused("Invalid namespace", namespace: "/x"))
        == #"4/x,{"message":"Invalid namespace"}"#)
    #expect(text(SocketIOText.disconnected) == "1")
    #expect(text(SocketIOText.ack(7) { $0.field("ok", true) }) == #"37[{"ok":true}]"#)
    #expect(
      text(SocketIOText.event("resync") { $0.field("cursor", "1") })
        == #"2["resync",{"cursor":"1"}]"#)
  }
}

@Suite struct SocketIOCommandTests {
  private func command(_ json: String) throws -> SocketIOCommand? {
    let packet = try SocketIOPacket("2\(json)".utf8)
    let event = try #require(packet.event)
    return try SocketIOCommand(event.name, event.arguments)
  }

  @Test func `subscribe takes names, lists and a cursor`() throws {
    #expect(try command(#"["subscribe"]"#) == .subscribe(.everything, since: nil))
    #expect(try command(#"["subscribe",{}]"#) == .subscribe(.everything, since: nil))
    let wanted = SocketIOInterest(criteria: [
      .init(name: "id", value: "1"), .init(name: "id", value: "2"),
      .init(name: "type", value: "scrape"),
    ])
    #expect(
      try command(#"["subscribe",{"taskIds":["1","2"],"type":"scrape","since":"9"}]"#)
        == .subscribe(wanted, since: "9"))
    #expect(try command(#"["unsubscribe"]"#) == .unsubscribe)
    #expect(try command(#"["other",1]"#) == nil)
  }

  @Test(arguments: [
    #"["subscribe",1]"#, #"["subscribe",null]"#, #"["subscribe",{"x":"1"}]"#,
    #"["subscribe",{"type":1}]"#, #"["subscribe",{"type":[]}]"#, #"["subscribe",{"type":""}]"#,
    #"["subscribe",{"since":1}]"#, #"["subscribe",{"taskIds":[["1"]]}]"#,
  ])
  func `what is not understood is refused`(json: String) {
    #expect(throws: ControlError.self) { try command(json) }
  }

  @Test func `64 values fit`() throws {
    let most = Array(repeating: "\"a\"", count: 64).joined(separator: ",")
    _ = try command("[\"subscribe\",{\"type\":[\(most)]}]")
    #expect(throws: ControlError.self) {
      try command("[\"subscribe\",{\"type\":[\(most),\"a\"]}]")
    }
  }
}

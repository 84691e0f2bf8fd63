// SPDX-License-Identifier: Apache-2.0
// The rules of an Engine.IO session, with time that the tests move.
import NIOCore
import NIOEmbedded
import Testing

@testable import Web

@Suite struct EngineIOPollingTests {
  @Test func `a session begins with its handshake`() throws {
    let settings = EngineIOSettings()
    let sessions = EngineIOSessions(settings: settings) { 1 }
    let session = try #require(sessions.open(on: EmbeddedEventLoop()))
    var answer: EngineIOSession.Answer?
    _ = session.poll { answer = $0 }
    let expected =
      #"0{"sid":"\#(session.id)","upgrades":["websocket"],"pingInterval":25000,"#
      + #""pingTimeout":20000,"maxPayload":1000000}"#
    #expect(answer == .payload(Array(expected.utf8)))
    #expect(session.id.utf8.count == 20)
  }

  @Test func `messages go both ways`() throws {
    let bench = try SessionBench()
    #expect(bench.post("4a\u{1e}4b\u{1e}bAQID") == "ok")
    bench.poll()
    #expect(bench.taken() == ["4a\u{1e}4b\u{1e}bAQID"])
    bench.poll()
    #expect(bench.taken() == [])
    #expect(bench.post("4c\u{1e}4d") == "ok")
    #expect(bench.taken() == ["4c\u{1e}4d"])
  }

  @Test func `a waiting poll asks for events`() throws {
    let bench = try SessionBench()
    #expect(!bench.session.isWritable)
    bench.poll()
    #expect(bench.session.isWritable && bench.application.notices.last == "writable")
    bench.session.write(ByteBuffer(string: "42[1]\u{1e}42[2]"))
    #expect(bench.taken() == ["42[1]\u{1e}42[2]"] && !bench.session.isWritable)
  }

  @Test func `an answer has 16 packets at most`() throws {
    let bench = try SessionBench()
    bench.poll()
    let packets = (0..<40).map { "42[\($0)]" }
    bench.session.write(ByteBuffer(string: packets.joined(separator: "\u{1e}")))
    for _ in 0..<2 {
      #expect(!bench.session.isWritable)
      bench.poll()
    }
    let parts = [packets[..<16], packets[16..<32], packets[32...]]
    #expect(bench.taken() == parts.map { $0.joined(separator: "\u{1e}") })
    bench.poll()
    #expect(bench.session.isWritable)
  }

  @Test func `a second poll ends the session`() throws {
    let bench = try SessionBench()
    bench.poll()
    bench.poll()
    #expect(bench.taken() == ["1", "refused 3"])
    bench.poll()
    #expect(bench.taken() == ["refused 1"] && bench.post("4a") == "refused 1")
  }

  @Test func `a poll whose client left ends the session`() throws {
    let bench = try SessionBench()
    let number = try #require(bench.poll())
    bench.session.abandon(number + 1)
    #expect(bench.session.isOpen)
    bench.session.abandon(number)
    #expect(bench.session.closeReason == .aborted)
    bench.poll()
    #expect(bench.taken().last == "refused 1")
  }

  @Test func `a second post at the same time ends the session`() throws {
    let bench = try SessionBench()
    #expect(bench.session.beginPost() == nil)
    #expect(bench.session.beginPost() == .badRequest)
    #expect(bench.session.closeReason == .overlap)
    #expect(bench.session.endPost(Array("4a".utf8)) == .refused(.unknownSession))
  }

  @Test(arguments: ["abc", "", "4a\u{1e}x", "2", "2probe"])
  func `a bad packet ends the session`(body: String) throws {
    let bench = try SessionBench()
    bench.poll()
    #expect(bench.post(body) == "refused 3")
    #expect(bench.taken().last?.hasSuffix("1") == true && !bench.session.isOpen)
  }

  @Test(arguments: ["3", "6", "5", "0"])
  func `packets without a meaning here are passed over`(body: String) throws {
    let bench = try SessionBench()
    #expect(bench.post(body) == "ok" && bench.session.isOpen)
  }

  @Test func `a body that did not come ends the session`() throws {
    let bench = try SessionBench()
    #expect(bench.session.beginPost() == nil)
    #expect(bench.session.endPost(nil) == .refused(.badRequest))
    #expect(!bench.session.isOpen)
  }

  @Test func `a client's close answers the waiting poll`() throws {
    let bench = try SessionBench()
    bench.poll()
    #expect(bench.post("1") == "ok")
    #expect(bench.taken() == ["6"])
    bench.poll()
    #expect(bench.taken() == ["refused 1"])
  }

  @Test func `a poll that meets the client's close is answered, once and for a moment`() throws {
    let bench = try SessionBench()
    #expect(bench.post("1") == "ok")
    bench.poll()
    bench.poll()
    #expect(bench.taken() == ["6", "refused 1"])
    #expect(bench.sessions[bench.session.id] != nil)
    bench.wait(1_000)
    #expect(bench.sessions[bench.session.id] == nil)
  }

  @Test func `a message that is too large ends the session`() throws {
    let bench = try SessionBench()
    #expect(bench.post("4" + String(repeating: "a", count: 64 << 10)) == "ok")
    let large = "4" + String(repeating: "a", count: (64 << 10) + 1)
    #expect(bench.post(large) == "refused 3" && bench.session.closeReason == .tooMany)
  }

  @Test func `a client that never polls is cut off when too much waits`() throws {
    var settings = EngineIOSettings()
    settings.mostQueued = 200
    let bench = try SessionBench(settings: settings)
    #expect(bench.post("4" + String(repeating: "a", count: 199)) == "ok")
    #expect(bench.post("4a") == "refused 3" && bench.session.closeReason == .tooSlow)
  }

  @Test func `events that wait are not what cuts a client off`() throws {
    var settings = EngineIOSettings()
    settings.mostQueued = 200
    let bench = try SessionBench(settings: settings)
    let long = String(repeating: "a", count: 100)
    let events = (0..<20).map { "42[\($0),\"\(long)\"]" }
    bench.session.write(ByteBuffer(string: events.joined(separator: "\u{1e}")))
    #expect(bench.post("4a\u{1e}4b") == "ok")
    for round in 0..<20 {
      bench.poll()
      #expect(bench.post("4\(round)\(long)") == "ok")
    }
    #expect(bench.session.isOpen && bench.taken().last?.hasSuffix(long) == true)
    #expect(bench.post("4\(long)") == "refused 3")
    #expect(bench.session.closeReason == .tooSlow)
  }

  @Test func `a payload has so many packets`() throws {
    let bench = try SessionBench()
    let body = [String](repeating: "6", count: 1_001).joined(separator: "\u{1e}")
    #expect(bench.post(body) == "refused 3" && bench.session.closeReason == .tooMany)
  }

  @Test(arguments: ["3", "6", "5", "0"])
  func `packets without a meaning have a rate`(packet: String) throws {
    let bench = try SessionBench()
    let body = [String](repeating: packet, count: 40).joined(separator: "\u{1e}")
    #expect(bench.post(body) == "ok")
    bench.wait(2_000)
    #expect(bench.post(body) == "ok")
    #expect(bench.post(packet) == "refused 3" && bench.session.closeReason == .tooMany)
  }
}

@Suite struct EngineIOHeartbeatTests {
  @Test func `a ping comes after the interval, the next one after its pong`() throws {
    let bench = try SessionBench()
    bench.poll()
    bench.wait(24_999)
    #expect(bench.taken() == [])
    bench.wait(1)
    #expect(bench.taken() == ["2"])
    bench.wait(10_000)
    #expect(bench.post("3") == "ok")
    bench.poll()
    bench.wait(24_999)
    #expect(bench.taken() == [])
    bench.wait(1)
    #expect(bench.taken() == ["2"])
    #expect(
      bench.application.notices.filter { $0 != "writable" } == ["pinged", "ponged", "pinged"])
  }

  @Test func `no pong, no session`() throws {
    let bench = try SessionBench()
    bench.poll()
    bench.wait(25_000)
    bench.poll()
    bench.wait(19_999)
    #expect(bench.session.isOpen)
    bench.wait(1)
    #expect(bench.taken() == ["2", "1"] && bench.session.closeReason == .silent)
    #expect(bench.application.notices.last == "closed")
  }

  @Test func `a pong that nobody asked for counts for nothing`() throws {
    let bench = try SessionBench()
    bench.wait(20_000)
    _ = bench.post("3")
    bench.wait(5_000)
    bench.poll()
    #expect(bench.taken() == ["2"])
  }

  @Test func `a WebSocket is pinged too, and closed`() throws {
    let link = FakeLink()
    let bench = try SessionBench(link: link)
    #expect(link.sent.first?.contains(#""upgrades":[]"#) == true)
    bench.wait(25_000)
    #expect(link.sent.last == "2")
    bench.wait(20_000)
    #expect(link.closedWith == 1_008 && bench.session.closeReason == .silent)
  }

  @Test func `a machine that slept gives the whole time for the pong`() {
    let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
    var beat = PingClock(now: start, interval: .seconds(25), timeout: .seconds(20))
    #expect(beat.due(start + .seconds(24)) == nil)
    #expect(beat.due(start + .seconds(100)) == .ping)
    #expect(beat.due(start + .seconds(119)) == nil)
    #expect(beat.due(start + .seconds(120)) == .timeout)
  }
}

@Suite struct EngineIOUpgradeTests {
  @Test func `a WebSocket takes over`() throws {
    let bench = try SessionBench()
    bench.poll()
    let link = FakeLink()
    bench.session.offer(link)
    #expect(bench.taken() == [])
    bench.session.received(text: Array("2probe".utf8), from: link)
    #expect(link.sent == ["3probe"] && bench.taken() == ["6"])
    bench.session.received(text: Array("5".utf8), from: link)
    bench.session.received(text: Array("4a".utf8), from: link)
    bench.session.received(binary: [1, 2], from: link)
    #expect(link.sent == ["3probe", "4a", "[1, 2]"])
    #expect(bench.application.notices.suffix(2) == ["upgraded", "writable"])
    bench.poll()
    #expect(bench.taken() == ["refused 3"] && bench.post("4a") == "refused 3")
    #expect(bench.session.isOpen)
  }

  @Test func `what waited goes first`() throws {
    let bench = try SessionBench()
    #expect(bench.post("4a\u{1e}bAQI=") == "ok")
    let link = FakeLink()
    bench.session.offer(link)
    bench.session.received(text: Array("2probe".utf8), from: link)
    bench.session.received(text: Array("5".utf8), from: link)
    #expect(link.sent == ["3probe", "4a", "[1, 2]"])
  }

  @Test func `a poll behind the probe waits for a moment`() throws {
    let bench = try SessionBench()
    let link = FakeLink()
    bench.session.offer(link)
    bench.session.received(text: Array("2probe".utf8), from: link)
    bench.poll()
    bench.wait(99)
    #expect(bench.taken() == [])
    bench.wait(1)
    #expect(bench.taken() == ["6"])
    bench.poll()
    bench.session.received(text: Array("5".utf8), from: link)
    #expect(bench.taken() == ["refused 3"])
  }

  @Test func `many packets that waited go first, too`() throws {
    let bench = try SessionBench()
    bench.poll()
    let packets = (0..<40).map { "42[\($0)]" }
    bench.session.write(ByteBuffer(string: packets.joined(separator: "\u{1e}")))
    let link = FakeLink()
    bench.session.offer(link)
    bench.session.received(text: Array("5".utf8), from: link)
    #expect(link.sent == Array(packets[16...]))
  }

  @Test func `a second WebSocket is closed`() throws {
    let bench = try SessionBench()
    let link = bench.upgraded()
    let second = FakeLink()
    bench.session.offer(second)
    #expect(second.closedWith != nil && link.closedWith == nil)
    bench.session.received(text: Array("4a".utf8), from: second)
    bench.session.closed(second)
    bench.session.received(text: Array("4b".utf8), from: link)
    #expect(link.sent == ["4b"] && bench.session.isOpen)
  }

  @Test func `a second candidate is closed`() throws {
    let bench = try SessionBench()
    let (first, second) = (FakeLink(), FakeLink())
    bench.session.offer(first)
    bench.session.offer(second)
    #expect(second.closedWith != nil && first.closedWith == nil)
  }

  @Test func `an upgrade that is not finished in time is given up`() throws {
    let bench = try SessionBench()
    let link = FakeLink()
    bench.session.offer(link)
    bench.session.received(text: Array("2probe".utf8), from: link)
    bench.wait(10_000)
    #expect(link.closedWith != nil && bench.session.isOpen)
    #expect(bench.post("4a") == "ok")
    bench.poll()
    #expect(bench.taken() == ["4a"])
  }

  @Test(arguments: ["4a", "2", "x", "3probe"])
  func `anything else than a probe is no upgrade`(text: String) throws {
    let bench = try SessionBench()
    let link = FakeLink()
    bench.session.offer(link)
    bench.session.received(text: Array(text.utf8), from: link)
    #expect(link.closedWith != nil && bench.session.isOpen && bench.session.candidate == nil)
  }

  @Test func `a candidate that closes changes nothing`() throws {
    let bench = try SessionBench()
    let link = FakeLink()
    bench.session.offer(link)
    bench.session.closed(link)
    #expect(bench.session.isOpen && bench.session.candidate == nil)
  }

  @Test func `a session that closes takes its candidate with it`() throws {
    let bench = try SessionBench()
    let link = FakeLink()
    bench.session.offer(link)
    #expect(bench.post("1") == "ok")
    #expect(link.closedWith != nil)
  }

  @Test func `a WebSocket's session ends with it`() throws {
    let bench = try SessionBench()
    let link = bench.upgraded()
    bench.session.closed(link)
    #expect(bench.session.closeReason == .linkClosed)
    bench.poll()
    #expect(bench.taken() == ["refused 1"])
  }

  @Test(arguments: ["abc", "", "2", "9"])
  func `a bad packet closes the WebSocket`(text: String) throws {
    let link = FakeLink()
    let bench = try SessionBench(link: link)
    bench.session.received(text: Array(text.utf8), from: link)
    #expect(link.closedWith == 1_008 && !bench.session.isOpen)
  }

  @Test func `a client's close closes the WebSocket`() throws {
    let link = FakeLink()
    let bench = try SessionBench(link: link)
    bench.session.received(text: Array("1".utf8), from: link)
    #expect(link.closedWith == 1_000 && bench.session.closeReason == .client)
  }

  @Test func `sessions are bounded and counted`() throws {
    var settings = EngineIOSettings()
    settings.mostSessions = 2
    let (loop, numbers) = (EmbeddedEventLoop(), Counter())
    let sessions = EngineIOSessions(settings: settings) { numbers.next() }
    let first = try #require(sessions.open(on: loop))
    _ = try #require(sessions.open(on: loop))
    #expect(sessions.open(on: loop) == nil && sessions.openCount == 2)
    first.close(.client)
    #expect(sessions.openCount == 1 && sessions.open(on: loop) != nil)
    #expect(sessions.all.count == 3)
  }

  @Test func `sessions that have not signed in have a bound of their own`() throws {
    var settings = EngineIOSettings()
    settings.mostStrangers = 1
    let (loop, numbers) = (EmbeddedEventLoop(), Counter())
    let sessions = EngineIOSessions(settings: settings) { numbers.next() }
    let first = try #require(sessions.open(on: loop))
    #expect(sessions.open(on: loop) == nil && !sessions.hasRoom)
    first.signedIn()
    first.signedIn()
    let second = try #require(sessions.open(on: loop))
    first.close(.client)
    #expect(sessions.open(on: loop) == nil && sessions.openCount == 1)
    second.close(.client)
    #expect(sessions.open(on: loop) != nil)
  }
}

// SPDX-License-Identifier: Apache-2.0
// The rules of Socket.IO on a session, with a feed that does as it is told.
import Domain
import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import Web

/// Knows the token `good` and remembers its subscriptions.
final class FakeFeed: SocketIOFeed {
  private let made = Mutex<[FakeSubscription]>([])

  var all: [FakeSubscription] { made.withLock { $0 } }
  var last: FakeSubscription? { all.last }

  func subscribe(
    _ sink: any SocketIOSink, token: [UInt8], on loop: any EventLoop
  ) -> (any SocketIOSubscription)? {
    guard token == Array("good".utf8) else { return nil }
    let subscription = FakeSubscription(sink)
    made.withLock { $0.append(subscription) }
    return subscription
  }
}

/// Used on one thread, the test's event loop.
final class FakeSubscription: SocketIOSubscription, @unchecked Sendable {
  private(set) weak var sink: (any SocketIOSink)?
  private(set) var notices: [String] = []
  var cursor = "100"
  var handedOver = "100"

  init(_ sink: any SocketIOSink) { self.sink = sink }

  func prepare(_ interest: SocketIOInterest?) throws(ControlError) {
    if interest?.criteria.contains(where: { $0.value == "bad" }) ?? false {
      throw ControlError(.invalidField, "bad")
    }
  }

  func watch(_ interest: SocketIOInterest?, since: String) throws(ControlError) {
    let wanted = interest?.criteria.map { "\($0.name)=\($0.value)" }.joined(separator: "&")
    notices.append("watch \(wanted ?? "nothing") since \(since)")
  }

  func becameWritable() { notices.append("writable") }
  func progressed() {}
  func formatChanged() { notices.append("format") }
  func leave() { notices.append("leave") }
}

final class ConnectionBench {
  let loop: EmbeddedEventLoop
  let link = FakeLink()
  let session: EngineIOSession
  let feed: FakeFeed
  let services: SocketIOConnection.Services

  convenience init(token: String? = nil) throws {
    let (feed, numbers) = (FakeFeed(), Counter())
    let services = SocketIOConnection.Services(
      feed: feed, recovery: SocketIORecovery(most: 10), random: { numbers.next() })
    try self.init(services, feed, EmbeddedEventLoop(), token: token)
  }

  init(
    _ services: SocketIOConnection.Services, _ feed: FakeFeed, _ loop: EmbeddedEventLoop,
    token: String? = nil
  ) throws {
    self.feed = feed
    self.services = services
    self.loop = loop
    let sessions = EngineIOSessions(settings: EngineIOSettings(), random: services.random)
    session = try #require(sessions.open(on: loop, link: link))
    session.application = SocketIOConnection(session, services, token: token.map { Array($0.utf8) })
    link.sent.removeAll()
  }

  /// Another connection to the same server.
  func another() throws -> ConnectionBench { try ConnectionBench(services, feed, loop) }

  func say(_ text: String) { session.received(text: Array(text.utf8), from: link) }

  func taken() -> [String] {
    defer { link.sent.removeAll() }
    return link.sent
  }

  /// Connects; the client's private id.
  @discardableResult func connect(_ more: String = "") throws -> String {
    say(#"40{"token":"good"\#(more)}"#)
    let answer = try #require(taken().first)
    #expect(answer.hasPrefix("40{"), "\(answer)")
    return String(try #require(answer.firstMatch(of: /"pid":"([^"]{20})"/)).1)
  }
}

@Suite struct SocketIOConnectTests {
  @Test func `a token lets in`() throws {
    let bench = try ConnectionBench()
    try bench.connect()
    #expect(bench.feed.last?.notices == ["watch  since 100"])
    bench.loop.advanceTime(by: .seconds(6))
    #expect(bench.session.isOpen)
  }

  @Test func `the request's token lets in`() throws {
    let bench = try ConnectionBench(token: "good")
    bench.say("40")
    #expect(bench.taken().first?.hasPrefix("40{\"sid\":") == true)
  }

  @Test func `a token in the packet goes before the request's`() throws {
    let bench = try ConnectionBench(token: "good")
    bench.say(#"40{"token":"other"}"#)
    #expect(bench.taken() == [#"44{"message":"Not authorized"}"#])
  }

  @Test(arguments: ["40", "40{}", #"40{"token":"other"}"#, #"40{"token":5}"#])
  func `without one there is a refusal, and later an end`(packet: String) throws {
    let bench = try ConnectionBench()
    bench.say(packet)
    #expect(bench.taken() == [#"44{"message":"Not authorized"}"#])
    bench.loop.advanceTime(by: .milliseconds(4_999))
    #expect(bench.session.isOpen)
    bench.loop.advanceTime(by: .milliseconds(1))
    #expect(bench.session.closeReason == .notSignedIn)
  }

  @Test func `a refused client may try again`() throws {
    let bench = try ConnectionBench()
    bench.say("40")
    _ = bench.taken()
    try bench.connect()
  }

  @Test(arguments: [("40/x", "/x"), ("40/x,{\"token\":\"good\"}", "/x"), ("40/a/b,", "/a/b")])
  func `there is one namespace`(packet: String, name: String) throws {
    let bench = try ConnectionBench()
    bench.say(packet)
    #expect(bench.taken() == [#"44\#(name),{"message":"Invalid namespace"}"#])
    #expect(bench.session.isOpen)
  }

  @Test(arguments: [
    "4abc", "42{}", #"42abc["x"]"#, #"42["x"]"#, "4", #"44{"message":"x"}"#, "43[]",
  ])
  func `what is no packet, or comes too early, ends the session`(packet: String) throws {
    let bench = try ConnectionBench()
    bench.say(packet)
    #expect(bench.session.closeReason == .badPacket)
  }

  @Test func `connecting twice ends the session`() throws {
    let bench = try ConnectionBench()
    try bench.connect()
    bench.say(#"40{"token":"good"}"#)
    #expect(!bench.session.isOpen && bench.feed.last?.notices.last == "leave")
  }

  @Test func `disconnecting leaves the line open, for a while`() throws {
    let bench = try ConnectionBench()
    try bench.connect()
    bench.say("41")
    #expect(bench.session.isOpen && bench.feed.last?.notices.last == "leave")
    bench.say("41")
    try bench.connect()
    bench.say("41")
    bench.loop.advanceTime(by: .seconds(5))
    #expect(!bench.session.isOpen)
  }

  @Test func `a token that is gone ends it for good`() throws {
    let bench = try ConnectionBench()
    let privateID = try bench.connect()
    bench.feed.last?.sink?.close(.unauthorized)
    #expect(bench.taken() == ["41"] && bench.link.closedWith == 1_008)
    let next = try bench.another()
    #expect(try next.connect(#","pid":"\#(privateID)""#) != privateID)
  }
}

@Suite struct SocketIOCommandsTests {
  @Test func `subscribing is acknowledged`() throws {
    let bench = try ConnectionBench()
    try bench.connect()
    bench.say(#"420["subscribe",{"taskId":"T","since":"7"}]"#)
    bench.say(#"421["unsubscribe"]"#)
    bench.say(#"42["subscribe",{}]"#)
    #expect(bench.taken() == (0...1).map { #"43\#($0)[{"ok":true,"cursor":"100"}]"# })
    #expect(
      bench.feed.last?.notices.dropFirst() == [
        "watch id=T since 7", "watch nothing since 100", "watch  since 100",
      ])
  }

  @Test(arguments: [
    (#"["hello"]"#, "unknown_event"), (#"["subscribe",{"x":"1"}]"#, "unknown_field"),
    (#"["subscribe",{"type":"bad"}]"#, "invalid_field"), (#"["subscribe",5]"#, "invalid_field"),
  ])
  func `a refusal is acknowledged if it was asked for`(event: String, code: String) throws {
    let bench = try ConnectionBench()
    try bench.connect()
    bench.say("42\(event)")
    #expect(bench.taken() == [])
    bench.say("427\(event)")
    let answer = try #require(bench.taken().first)
    #expect(answer.hasPrefix(#"437[{"ok":false,"code":"\#(code)","detail":""#), "\(answer)")
    #expect(bench.session.isOpen)
  }

  @Test func `bytes are taken with their event`() throws {
    let bench = try ConnectionBench()
    try bench.connect()
    bench.say(#"451-7["x",{"_placeholder":true,"num":0}]"#)
    #expect(bench.taken() == [])
    bench.session.received(binary: [1], from: bench.link)
    #expect(bench.taken().first?.contains("unknown_event") == true)
    bench.session.received(binary: [1], from: bench.link)
    #expect(bench.session.closeReason == .badPacket)
  }

  @Test func `messages have a rate`() throws {
    let bench = try ConnectionBench()
    try bench.connect()
    for _ in 0..<39 { bench.say(#"42["x"]"#) }
    #expect(bench.session.isOpen)
    bench.loop.advanceTime(by: .milliseconds(100))
    for _ in 0..<2 { bench.say(#"42["x"]"#) }
    #expect(bench.session.isOpen)
    bench.say(#"42["x"]"#)
    #expect(bench.session.closeReason == .tooMany)
  }
}

@Suite struct SocketIORecoveryTests {
  @Test func `a client that comes back goes on where it surely was`() throws {
    let bench = try ConnectionBench()
    let privateID = try bench.connect()
    bench.say(#"42["subscribe",{"type":"t"}]"#)
    bench.feed.last?.handedOver = "200"
    bench.loop.advanceTime(by: .seconds(25))
    bench.feed.last?.handedOver = "300"
    bench.say("3")
    bench.session.closed(bench.link)
    let next = try bench.another()
    #expect(try next.connect(#","pid":"\#(privateID)""#) == privateID)
    #expect(next.feed.last?.notices == ["watch type=t since 200"])
  }

  @Test func `a client that came back is pinged soon`() throws {
    let bench = try ConnectionBench()
    let privateID = try bench.connect()
    bench.session.closed(bench.link)
    let next = try bench.another()
    try next.connect(#","pid":"\#(privateID)""#)
    next.feed.last?.handedOver = "300"
    next.loop.advanceTime(by: .seconds(1))
    #expect(next.taken() == ["2"])
    next.say("3")
    next.session.closed(next.link)
    let third = try bench.another()
    try third.connect(#","pid":"\#(privateID)""#)
    #expect(third.feed.last?.notices == ["watch  since 300"])
  }

  @Test func `without a pong it begins where it began`() throws {
    let bench = try ConnectionBench()
    let privateID = try bench.connect()
    bench.feed.last?.handedOver = "200"
    bench.loop.advanceTime(by: .seconds(25))
    bench.session.closed(bench.link)
    let next = try bench.another()
    try next.connect(#","pid":"\#(privateID)""#)
    #expect(next.feed.last?.notices == ["watch  since 100"])
  }

  @Test func `the next poll says that the last answer arrived`() throws {
    let services = try ConnectionBench().services
    let feed = FakeFeed()
    let polled = SocketIOConnection.Services(
      feed: feed, recovery: services.recovery, random: services.random)
    let loop = EmbeddedEventLoop()
    let sessions = EngineIOSessions(settings: EngineIOSettings(), random: services.random)
    let session = try #require(sessions.open(on: loop))
    session.application = SocketIOConnection(session, polled, token: Array("good".utf8))
    var answers: [EngineIOSession.Answer] = []
    _ = session.poll { answers.append($0) }
    #expect(session.beginPost() == nil)
    #expect(session.endPost(Array("40".utf8)) == .payload(Array("ok".utf8)))
    feed.last?.handedOver = "200"
    _ = session.poll { answers.append($0) }
    _ = session.poll { answers.append($0) }
    #expect(!session.isOpen || answers.count == 2)
    guard case .payload(let bytes) = answers.last else { return }
    let text = String(decoding: bytes, as: UTF8.self)
    let privateID = String(try #require(text.firstMatch(of: /"pid":"([^"]{20})"/)).1)
    session.close(.aborted)
    #expect(polled.recovery.take(privateID, now: loop.now)?.cursor == "200")
  }

  @Test func `a client's own cursor wins`() throws {
    let bench = try ConnectionBench()
    let privateID = try bench.connect()
    bench.session.closed(bench.link)
    let next = try bench.another()
    try next.connect(#","pid":"\#(privateID)","since":"150""#)
    #expect(next.feed.last?.notices == ["watch  since 150"])
  }

  @Test func `a line that still seems to be open is ended`() throws {
    let bench = try ConnectionBench()
    let privateID = try bench.connect()
    let next = try bench.another()
    #expect(try next.connect(#","pid":"\#(privateID)""#) == privateID)
    bench.loop.run()
    #expect(!bench.session.isOpen && next.session.isOpen)
    next.session.closed(next.link)
    let third = try bench.another()
    #expect(try third.connect(#","pid":"\#(privateID)""#) == privateID)
  }

  @Test func `who left, or comes too late, begins anew`() throws {
    let bench = try ConnectionBench()
    let left = try bench.connect()
    bench.say("41")
    let second = try bench.connect()
    bench.session.closed(bench.link)
    let next = try bench.another()
    #expect(try next.connect(#","pid":"\#(left)""#) != left)
    bench.loop.advanceTime(by: .seconds(121))
    let late = try bench.another()
    #expect(try late.connect(#","pid":"\#(second)""#) != second)
  }

  @Test func `places are bounded`() {
    let recovery = SocketIORecovery(most: 2)
    let place = SocketIORecovery.Place(id: "a", interest: nil, cursor: "1")
    for name in ["a", "b", "c"] {
      let holder = recovery.hold(name, place) {}
      recovery.end(name, holder: holder, mayReturn: true, now: .uptimeNanoseconds(0))
    }
    #expect(recovery.count == 2 && recovery.take("a", now: .uptimeNanoseconds(0)) == nil)
    #expect(recovery.take("c", now: .uptimeNanoseconds(0)) == place)
  }
}

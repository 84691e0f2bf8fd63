// SPDX-License-Identifier: Apache-2.0
// Socket.IO clients at the hub: their events on the wire, slow ones, and those that change over.
import Domain
import Engine
import Logging
import NIOCore
import NIOEmbedded
import Simulation
import Testing

@testable import Web

@Suite struct SocketIOEventsTests {
  private func event(_ change: TaskChange) -> LiveEvent {
    LiveEvent(number: 7, time: Timestamp(milliseconds: 0), body: .task(change))
  }

  private func payload(_ change: TaskChange) -> [String] {
    String(buffer: SocketIOEvents.payload([event(change)])).split(separator: "\u{1e}")
      .map(String.init)
  }

  private let id = TaskID(rawValue: 5)

  @Test func `a task that waits is an update`() {
    let texts = payload(TaskChange(id: id, type: "t", state: .queued, attempt: 0))
    let expected =
      #"42["task:update",{"taskId":"\#(id)","status":"queued","type":"t","attempt":0,"#
      + #""agentId":null,"progress":null,"message":null,"at":"1970-01-01T00:00:00.000Z","#
      + #""cursor":"7"}]"#
    #expect(texts == [expected])
  }

  @Test func `a report is the agent's status as well`() {
    let change = TaskChange(
      id: id, type: "t", state: .running, attempt: 2, agent: AgentID(stored: "a"), progress: 40,
      message: "half")
    let texts = payload(change)
    let expected =
      #"42["agent:status",{"taskId":"\#(id)","status":"running","progress":40.0,"message":"half","#
      + #""agentId":"a","attempt":2,"cursor":"7"}]"#
    #expect(texts.count == 2 && texts.first == expected)
  }

  @Test func `an end is told apart`() {
    var change = TaskChange(id: id, type: "t", state: .completed)
    change.end = TaskEnd(status: .partial, results: Array("{\"a\":1}".utf8))
    let expected =
      #"42["task:\#(id):complete",{"taskId":"\#(id)","status":"partial","results":{"a":1},"#
      + #""error":null,"cursor":"7"}]"#
    #expect(payload(change).last == expected)
    let large = [UInt8](repeating: UInt8(ascii: "1"), count: SocketIOEvents.mostResults + 1)
    change.end = TaskEnd(status: .success, results: large)
    #expect(payload(change).last?.contains(#""results":null,"error":null,"omitted":true"#) == true)
  }

  @Test func `frames carry one event each`() {
    var frames = SocketIOEvents.frames([
      event(TaskChange(id: id, type: "t", state: .queued)),
      event(TaskChange(id: id, type: "t", state: .cancelled)),
    ])
    for _ in 0..<2 {
      let head = frames.readBytes(length: 2)
      let length = frames.readInteger(as: UInt16.self) ?? 0
      let text = frames.readString(length: Int(length)) ?? ""
      #expect(head == [0x81, 126] && text.hasPrefix("42[\"task:update\""))
    }
    #expect(frames.readableBytes == 0)
  }

  @Test func `other events are not for these clients`() {
    let overview = LiveEvent(number: 1, time: Timestamp(milliseconds: 0), body: .overview([]))
    #expect(SocketIOEvents.payload([overview]).readableBytes == 0)
    #expect(String(buffer: SocketIOEvents.resyncPayload("9")) == #"42["resync",{"cursor":"9"}]"#)
  }
}

@Suite(.timeLimit(.minutes(1))) struct LiveFeedTests {
  @Test func `only a known token is let in`() async throws {
    let bench = try await FeedBench()
    let sink = FakeSink()
    #expect(bench.feed.subscribe(sink, token: Array("x".utf8), on: bench.loop) == nil)
    #expect(bench.feed.subscribe(sink, token: bench.token, on: bench.loop) != nil)
  }

  @Test func `a filter that cannot be changes nothing`() async throws {
    let bench = try await FeedBench()
    let client = try bench.client()
    let wrong = SocketIOInterest(criteria: [.init(name: "state", value: "done")])
    #expect(throws: ControlError.self) { try client.prepare(wrong) }
    bench.happen(1)
    #expect(bench.sink.tasks == [1])
  }

  @Test func `what was wanted comes before the change, and nothing is lost with it`() async throws {
    let bench = try await FeedBench()
    let client = try bench.client()
    bench.happen(1)
    bench.add(2)
    try client.prepare(nil)
    #expect(bench.sink.tasks == [1, 2])
    let cursor = client.cursor
    bench.add(3)
    try client.watch(.everything, since: cursor)
    bench.happen(4)
    #expect(bench.sink.tasks == [1, 2, 3, 4])
  }

  @Test func `what is handed over is what a client took`() async throws {
    let bench = try await FeedBench()
    let client = try bench.client()
    bench.happen(1)
    let first = client.cursor
    #expect(client.handedOver == first)
    bench.sink.isWritable = false
    bench.happen(2)
    #expect(client.handedOver == first && client.cursor != first)
    bench.sink.isWritable = true
    client.becameWritable()
    #expect(client.handedOver == client.cursor && bench.sink.tasks == [1, 2])
  }

  @Test func `what waits changes over to frames`() async throws {
    let bench = try await FeedBench()
    let client = try bench.client()
    bench.sink.isWritable = false
    bench.happen(1)
    bench.add(2)
    bench.sink.wantsFrames = true
    bench.sink.isWritable = true
    client.formatChanged()
    #expect(bench.sink.tasks == [1, 2] && bench.sink.written.allSatisfy { $0.first == 0x81 })
    bench.happen(3)
    #expect(bench.sink.tasks == [1, 2, 3] && bench.sink.written.last?.first == 0x81)
  }

  @Test func `a slow client is closed unless it goes on reading`() async throws {
    let bench = try await FeedBench()
    let client = try bench.client()
    bench.sink.isWritable = false
    bench.happen(1)
    bench.loop.advanceTime(by: .seconds(9))
    client.progressed()
    bench.loop.advanceTime(by: .seconds(9))
    #expect(bench.sink.closed == nil)
    bench.loop.advanceTime(by: .seconds(3))
    #expect(bench.sink.closed == .tooSlow)
  }

  @Test func `a token that goes ends it, whatever is watched`() async throws {
    let bench = try await FeedBench()
    let client = try bench.client()
    try client.prepare(nil)
    let id = try #require(bench.hub.tokens.all.first?.id)
    try await bench.hub.tokens.remove(id)
    bench.loop.advanceTime(by: .seconds(1))
    #expect(bench.sink.closed == .unauthorized)
  }
}

/// A hub on an event loop whose time stands still until it is moved.
private final class FeedBench {
  let loop = EmbeddedEventLoop()
  let hub: LiveHub
  let token: [UInt8]
  let sink = FakeSink()
  var feed: LiveFeed { LiveFeed(hub: hub) }

  init() async throws {
    let store = MemoryStore(limits: Limits())
    let world = World.live
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let engine = try await Engine.open(
      store: store, world: world, connector: QuietConnector(),
      vault: try Vault(key: [UInt8](repeating: 7, count: 32)), options: Engine.Options(),
      logger: logger)
    let tokens = try await TokenBook(store: store, world: world, most: 10)
    let text = tokens.newText()
    _ = try await tokens.add(text, name: "test", role: .viewer)
    token = Array(text.utf8)
    hub = LiveHub(engine: engine, tokens: tokens, logger: logger)
    loop.advanceTime(by: .seconds(1))
  }

  /// Watches everything.
  func client() throws -> any SocketIOSubscription {
    let client = try #require(feed.subscribe(sink, token: token, on: loop))
    try client.watch(.everything, since: client.cursor)
    return client
  }

  func add(_ task: Int64) {
    let change = TaskChange(id: TaskID(rawValue: task), type: "work", state: .queued)
    hub.log.append(.task(change), at: Timestamp(milliseconds: 0))
  }

  func happen(_ task: Int64) {
    add(task)
    loop.run()
    loop.advanceTime(by: .milliseconds(50))
  }
}

private final class FakeSink: SocketIOSink {
  var isWritable = true
  var wantsFrames = false
  private(set) var written: [[UInt8]] = []
  private(set) var closed: SocketIOCloseReason?

  var tasks: [Int64] {
    written.flatMap { bytes in
      String(decoding: bytes, as: UTF8.self).matches(of: /"taskId":"([0-9A-Z]+)"/)
        .compactMap { TaskID(String($0.1))?.rawValue }
    }
  }

  func write(_ bytes: ByteBuffer) { written.append(Array(bytes.readableBytesView)) }
  func close(_ reason: SocketIOCloseReason) { closed = reason }
}

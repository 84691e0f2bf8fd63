// SPDX-License-Identifier: Apache-2.0
// Batches, slow clients, lost events, tokens that go, with time moved by hand.
import Domain
import Engine
import Logging
import NIOCore
import NIOEmbedded
import Simulation
import Testing

@testable import Web

@Suite(.timeLimit(.minutes(1))) struct ShardTests {
  @Test func `what happens within a moment is one batch`() async throws {
    let test = try await ShardCase()
    let client = test.client("tasks")
    test.happen(1)
    test.pass(milliseconds: 0)
    #expect(client.written == ["[1]"], "the first goes out at once")
    for id in 2...5 { test.happen(Int64(id)) }
    test.pass(milliseconds: 0)
    #expect(client.written == ["[1]"])
    test.pass(milliseconds: 50)
    #expect(client.written == ["[1]", "[2 3 4 5]"])
  }

  @Test func `everyone gets their own`() async throws {
    let test = try await ShardCase()
    let all = test.client("tasks")
    let one = test.client("task:\(TaskID(rawValue: 2))")
    let both = test.client("task:\(TaskID(rawValue: 2))", "tasks?state=running")
    for id in 1...3 { test.happen(Int64(id)) }
    test.pass(milliseconds: 50)
    #expect(all.written == ["[1 2 3]"] && both.written == ["[1 2 3]"] && one.written == ["[2]"])
    one.subscriber?.leave()
    test.happen(2)
    test.pass(milliseconds: 50)
    #expect(one.written == ["[2]"] && all.written.last == "[2]")
  }

  @Test func `a client that does not read gets the newest later`() async throws {
    let test = try await ShardCase()
    let slow = test.client("tasks")
    let good = test.client("tasks")
    slow.isWritable = false
    for id in [1, 2, 1, 1] { test.happen(Int64(id)) }
    test.pass(milliseconds: 50)
    test.happen(3)
    test.pass(milliseconds: 50)
    #expect(slow.written.isEmpty && good.written == ["[1 2 1 1]", "[3]"])
    slow.isWritable = true
    slow.subscriber?.becameWritable()
    test.pass(milliseconds: 0)
    #expect(slow.written == ["[2 1 3]"])
    test.happen(4)
    test.pass(milliseconds: 50)
    #expect(slow.written.last == "[4]" && slow.closed == nil)
  }

  @Test func `one that takes nothing for long is closed, others are not`() async throws {
    let test = try await ShardCase()
    let stuck = test.client("tasks")
    let good = test.client("tasks")
    stuck.isWritable = false
    test.happen(1)
    test.pass(milliseconds: 9_000)
    #expect(stuck.closed == nil)
    test.pass(milliseconds: 3_000)
    #expect(stuck.closed == .tooSlow && good.closed == nil)
  }

  @Test func `more than fits is a resync`() async throws {
    let test = try await ShardCase(events: 100)
    let slow = test.client("tasks")
    slow.isWritable = false
    for round in 0..<3 {
      for id in 0..<60 { test.happen(Int64(round * 60 + id)) }
      test.pass(milliseconds: 50)
    }
    slow.isWritable = true
    slow.subscriber?.becameWritable()
    test.pass(milliseconds: 50)
    #expect(slow.written == ["resync"])
    test.happen(7)
    test.pass(milliseconds: 50)
    #expect(slow.written.last == "[7]")
  }

  @Test func `a log that went faster than it was read`() async throws {
    let test = try await ShardCase(events: 100)
    let client = test.client("tasks")
    for id in 1...500 { test.happen(Int64(id)) }
    test.pass(milliseconds: 50)
    #expect(client.written == ["resync"])
    test.happen(501)
    test.pass(milliseconds: 50)
    #expect(client.written.last == "[501]")
  }

  @Test func `coming back with a cursor`() async throws {
    let test = try await ShardCase()
    let place = test.hub.log.last
    for id in 1...3 { test.happen(Int64(id)) }
    let client = test.client("tasks", since: place + 1)
    test.pass(milliseconds: 0)
    #expect(client.written == ["[2 3]"])
    test.happen(4)
    test.pass(milliseconds: 50)
    #expect(client.written == ["[2 3]", "[4]"])
    for strange in [7, UInt64.max] {
      let lost = test.client("tasks", since: strange)
      test.pass(milliseconds: 0)
      #expect(lost.written == ["resync"])
    }
  }

  @Test func `a long way back is gone in pages, as fast as the client reads`() async throws {
    let test = try await ShardCase()
    _ = test.client("agents")
    let place = test.hub.log.last
    for id in 1...5_000 { test.happen(Int64(id)) }
    test.pass(milliseconds: 50)
    let client = test.client("tasks", since: place)
    #expect(client.written.count == 1)
    client.isWritable = false
    test.pass(milliseconds: 50)
    #expect(client.written.count == 1, "nothing is written to one that does not read")
    client.isWritable = true
    client.subscriber?.becameWritable()
    test.happen(5_001)
    test.pass(milliseconds: 50)
    let ids = client.written.flatMap { $0.split { !$0.isNumber } }.compactMap { Int($0) }
    #expect(ids == Array(1...5_001))
  }

  @Test func `other topics lose nothing and repeat nothing`() async throws {
    let test = try await ShardCase()
    let client = test.client("tasks")
    var id: Int64 = 0
    for round in 0..<20 {
      for _ in 0..<10 {
        id += 1
        test.happen(id)
      }
      if round.isMultiple(of: 3) { test.pass(milliseconds: 10) }
      let topics: Set<Topic> = [.tasks(.everything), round.isMultiple(of: 2) ? .agents : .overview]
      client.subscriber?.change(to: TopicSet(topics))
    }
    test.pass(milliseconds: 100)
    let ids = client.written.flatMap { $0.split { !$0.isNumber } }.compactMap { Int64($0) }
    #expect(ids == Array(1...id))
  }

  @Test func `one that left is not served any more`() async throws {
    let test = try await ShardCase()
    let client = test.client("tasks")
    client.subscriber?.leave()
    client.subscriber?.change(to: TopicSet([.agents]))
    client.subscriber?.receive([])
    client.subscriber?.leave()
    test.happen(1)
    test.pass(milliseconds: 50)
    #expect(client.written.isEmpty)
  }

  @Test func `a token that goes takes its clients along`() async throws {
    let test = try await ShardCase()
    let client = test.client("tasks")
    let id = try #require(test.hub.tokens.all.first?.id)
    try await test.hub.tokens.remove(id)
    test.pass(milliseconds: 1_000)
    #expect(client.closed == .unauthorized)
  }

  @Test func `a thousand clients are served in rounds`() async throws {
    let test = try await ShardCase()
    let clients = (0..<1_000).map { _ in test.client("tasks") }
    test.happen(1)
    test.pass(milliseconds: 50)
    #expect(clients.allSatisfy { $0.written == ["[1]"] })
  }
}

/// One shard on an event loop whose time stands still until it is moved.
private final class ShardCase {
  let loop = EmbeddedEventLoop()
  let hub: LiveHub
  let shard: LiveShard
  let holder: TokenHolder

  init(events: Int = Limits.events) async throws {
    let store = MemoryStore(limits: Limits())
    let world = World.live
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    var options = Engine.Options()
    options.events = events
    let engine = try await Engine.open(
      store: store, world: world, connector: QuietConnector(),
      vault: try Vault(key: [UInt8](repeating: 7, count: 32)), options: options, logger: logger)
    let tokens = try await TokenBook(store: store, world: world, most: 10)
    let token = tokens.newText()
    _ = try await tokens.add(token, name: "test", role: .viewer)
    hub = LiveHub(engine: engine, tokens: tokens, logger: logger)
    shard = LiveShard(loop, hub)
    holder = try #require(tokens.holder(of: token.utf8))
    loop.advanceTime(by: .seconds(1))
  }

  func client(_ topics: String..., since: UInt64? = nil) -> FakeClient {
    let client = FakeClient()
    let subscriber = shard.subscribe(client, .webSocket, holder)
    client.subscriber = subscriber
    do {
      subscriber.change(to: TopicSet(Set(try topics.map { try Topic($0) })), since: since)
    } catch {
      Issue.record(error)
    }
    return client
  }

  func happen(_ task: Int64) {
    let change = TaskChange(
      id: TaskID(rawValue: task), type: "work", state: .running, attempt: 1)
    hub.log.append(.task(change), at: Timestamp(milliseconds: 0))
  }

  func pass(milliseconds: Int64) {
    loop.advanceTime(by: .milliseconds(milliseconds))
    loop.run()
  }
}

/// Keeps what it gets, as the numbers of tasks.
private final class FakeClient: LiveSink {
  var isWritable = true
  var written: [String] = []
  var closed: LiveCloseReason?
  var subscriber: LiveSubscriber?

  func write(_ bytes: ByteBuffer) {
    let text = String(buffer: bytes)
    if text.contains("resync") { return written.append("resync") }
    let ids = text.matches(of: /"id":"([0-9A-Z]+)"/).compactMap { TaskID(String($0.1))?.rawValue }
    written.append("[\(ids.map(String.init).joined(separator: " "))]")
  }

  func close(_ reason: LiveCloseReason) { closed = reason }
}

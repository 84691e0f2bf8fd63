// SPDX-License-Identifier: Apache-2.0
// Spans of tasks and attempts: their ids, their places, and when there are none.
import Domain
import Engine
import Simulation
import Testing

@Suite(.timeLimit(.minutes(1))) struct TracingTests {
  private static let caller = TraceContext(
    stored: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 congo=t61rcWkgMzE")
  private static let unsampled = TraceContext(
    stored: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")

  private static func value(_ span: Span, _ name: String) -> Span.Value? {
    span.attributes.first { $0.name == name }?.value
  }

  // MARK: Ids

  @Test func `an attempt is in its caller's trace and has a span of its own`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      let dispatch = try await test.dispatched { $0.trace = Self.caller }
      #expect(dispatch.trace.traceID == Self.caller?.traceID)
      #expect(dispatch.trace.spanID != Self.caller?.spanID)
      #expect(dispatch.trace.isSampled && dispatch.trace.state == "congo=t61rcWkgMzE")
    }
  }

  @Test func `without a caller's trace one begins, the same for all attempts`() async throws {
    try await EngineCase.run { test in
      try await test.agent("a")
      let first = try await test.dispatched()
      try await test.report(first.task.running, .failure)
      await test.pass(60_000)
      let second = try await test.dispatch(of: first.task.running.id, attempt: 2)
      #expect(second.trace.traceID == first.trace.traceID)
      #expect(second.trace.spanID != first.trace.spanID)
      #expect(try await test.dispatched().trace.traceID != first.trace.traceID)
    }
  }

  @Test func `ids are the same after a restart, and others in another installation`() async throws {
    let store = FaultyStore()
    let engine = try await EngineCase.open(store: store).engine
    let again = try await EngineCase.open(store: store, world: .init(seed: 2)).engine
    let other = try await EngineCase.open(world: .init(seed: 3)).engine
    let id = TaskID.first(at: 1_800_000_000_000)
    #expect(engine.tracing.task(id, in: nil) == again.tracing.task(id, in: nil))
    #expect(engine.tracing.task(id, in: nil) != other.tracing.task(id, in: nil))
  }

  @Test func `a manual retry stays in the trace unless it comes with one`() async throws {
    try await EngineCase.run { test in
      let id = try await test.submit { $0.trace = Self.caller }
      try await test.engine.cancel(id)
      for (given, expected) in [(nil, Self.caller), (Self.unsampled, Self.unsampled)] {
        guard case .newTask(let new) = try await test.engine.retry(id, in: given) else {
          Issue.record("no new task")
          return
        }
        #expect(try await test.record(new).trace == expected)
      }
    }
  }

  // MARK: Spans

  @Test func `a task and its attempts become spans`() async throws {
    let spans = SpanRecorder()
    try await EngineCase.run({ $0.spans = spans }) { test in
      let agent = try await test.agent("a")
      let first = try await test.dispatched { $0.trace = Self.caller }
      let id = first.task.running.id
      try await test.report(first.task.running, .failure) { $0.report.errorCode = "ODD" }
      await test.pass(60_000)
      let second = try await test.dispatch(of: id, attempt: 2)
      test.world.advance(250)
      try await test.report(second.task.running)
      let all = spans.take()
      try #require(all.map(\.name) == ["process work", "process work", "send work"])
      #expect(all.map(\.kind) == [.consumer, .consumer, .producer])
      #expect(all.allSatisfy { $0.context.traceID == Self.caller?.traceID })
      #expect(all[2].parent == Self.caller?.spanID)
      #expect(all[0].parent == all[2].context.spanID && all[1].parent == all[2].context.spanID)
      #expect(all[0].context == first.trace && all[1].context == second.trace)
      #expect(all[0].failure == "ODD" && all[1].failure == nil && all[2].failure == nil)
      #expect(Self.value(all[0], "orrery.status") == .text("failure"))
      #expect(Self.value(all[1], "orrery.attempt") == .int(2))
      #expect(Self.value(all[1], "orrery.agent.id") == .text(agent.text))
      #expect(Self.value(all[2], "messaging.message.id") == .text(id.description))
      #expect(Self.value(all[2], "orrery.state") == .text("completed"))
      #expect(all[1].end - all[1].start == 250_000_000)
      #expect(all[2].start == id.createdAt.nanoseconds && all[2].end == all[1].end)
    }
  }

  @Test func `ends without a report become spans`() async throws {
    let spans = SpanRecorder()
    try await EngineCase.run({ $0.spans = spans }) { test in
      let queued = try await test.submit("nobody") { $0.trace = Self.caller }
      try await test.engine.cancel(queued)
      var found: [Span] = []
      try await test.until("the end in the queue is traced") {
        found += spans.take()
        return !found.isEmpty
      }
      #expect(found.map(\.name) == ["send nobody"] && found[0].parent == Self.caller?.spanID)
      try await test.agent("a")
      let dispatch = try await test.dispatched()
      try await test.engine.cancel(dispatch.task.running.id)
      let running = spans.take()
      #expect(running.map(\.name) == ["process work", "send work"])
      #expect(running.last?.parent == nil && running.last?.failure == nil)
    }
  }

  @Test func `a recorder that is full costs no look into the store`() async throws {
    let spans = SpanRecorder()
    try await EngineCase.run({ $0.spans = spans }) { test in
      let (first, second) = (try await test.submit("nobody"), try await test.submit("nobody"))
      try await test.engine.cancel(first)
      var found: [Span] = []
      try await test.until("the end in the queue is traced") {
        found += spans.take()
        return !found.isEmpty
      }
      for _ in 0..<SpanRecorder.most { spans.record(found[0]) }
      let dropped = spans.dropped
      try await test.engine.cancel(second)
      #expect(spans.dropped == dropped + 1)
    }
  }

  @Test func `ends in the queue are bounded and have one reader`() {
    let ends = QueueEnds()
    let request = EndRequest(
      id: TaskID(rawValue: 1), state: .cancelled, now: Timestamp(milliseconds: 0))
    for _ in 0..<QueueEnds.most { #expect(ends.add(request)) }
    #expect(!ends.add(request))
    #expect(ends.begin() && !ends.begin())
    for _ in 0..<QueueEnds.most { #expect(ends.next() != nil) }
    #expect(ends.next() == nil && ends.begin())
  }

  @Test func `what is not sampled is not recorded`() async throws {
    let spans = SpanRecorder()
    try await EngineCase.run({ $0.spans = spans }) { test in
      try await test.agent("a")
      let dispatch = try await test.dispatched { $0.trace = Self.unsampled }
      #expect(!dispatch.trace.isSampled)
      try await test.report(dispatch.task.running)
      #expect(spans.take().isEmpty)
    }
  }

  // MARK: Samplers and queue

  @Test func `samplers decide as their names say`() {
    let low = TraceID(drawn: 1, 0x0FFF_FFFF_FFFF_FFFF)
    let high = TraceID(drawn: 1, 0xF000_0000_0000_0000)
    for (root, decisions) in [
      (TraceSampler.Root.always, [true, true]), (.never, [false, false]),
      (.ratio(0.5), [true, false]), (.ratio(0), [false, false]), (.ratio(1), [true, true]),
    ] {
      let sampler = TraceSampler(root: root)
      #expect([low, high].map { sampler.isSampled($0, parent: nil) } == decisions)
      #expect(sampler.isSampled(high, parent: true) && !sampler.isSampled(low, parent: false))
      let strict = TraceSampler(root: root, followsParent: false)
      #expect([low, high].map { strict.isSampled($0, parent: true) } == decisions)
    }
  }

  @Test func `the queue is bounded and counts what it loses`() {
    let spans = SpanRecorder()
    let context = TraceContext(
      traceID: TraceID(drawn: 1, 2), spanID: SpanID(drawn: 3), isSampled: true)
    for number in 0..<(SpanRecorder.most + 5) {
      spans.record(
        Span("\(number)", .server, context: context, parent: nil, start: 1, end: 0))
    }
    #expect(spans.dropped == 5)
    let batch = spans.take()
    #expect(batch.count == SpanRecorder.batch && batch.first?.name == "0" && batch[0].end == 1)
    for _ in 1..<4 { #expect(spans.take().count == SpanRecorder.batch) }
    #expect(spans.take().isEmpty)
  }
}

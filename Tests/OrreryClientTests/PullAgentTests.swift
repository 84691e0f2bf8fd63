// SPDX-License-Identifier: Apache-2.0
// The pull agent against a control plane on a real server.

import Foundation
import Logging
import Synchronization
import Testing

@testable import OrreryClient

@Suite(.timeLimit(.minutes(1))) struct PullAgentTests {
  struct Order: Codable { let n: Int }

  /// Runs an agent with `handlers` beside `body`, then drains it.
  static func running(
    _ plane: FakeControlPlane, _ handlers: TaskHandlers,
    configure: (inout PullAgent.Options) -> Void = { _ in },
    _ body: @Sendable (LoopbackServer, PullAgent) async throws -> Void
  ) async throws {
    var options = PullAgent.Options()
    options.leaseSeconds = 1
    configure(&options)
    let chosen = options
    try await LoopbackServer.serving({ await plane.answer($0) }) { server in
      let agent = try PullAgent(
        url: server.url, identity: FakeControlPlane.identity(), handlers: handlers,
        options: chosen, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      async let end: Void = agent.run()
      do {
        try await body(server, agent)
      } catch {
        agent.drain()
        throw error
      }
      agent.drain()
      try await end
    }
    #expect(plane.badSignatures == 0)
  }

  static func doubling() -> TaskHandlers {
    var handlers = TaskHandlers()
    handlers.on("work") { (context, order: Order) in
      context.log("started", metadata: .emptyObject)
      context.progress(50, "half")
      return Order(n: order.n * 2)
    }
    return handlers
  }

  @Test func `a task is done and reported`() async throws {
    let plane = FakeControlPlane()
    plane.change { $0.waiting = [FakeControlPlane.dispatch("T1", payload: #"{"n":21}"#)] }
    try await Self.running(plane, Self.doubling()) { server, _ in
      let callback = try #require(await server.next("/agent-callback"))
      #expect(callback.text.contains(#""results":{"data":{"n":42}}"#))
      #expect(callback.field("status") == "success" && callback.field("leaseToken") == "L-T1")
      #expect(server.hasSeen("/api/tasks/T1/progress", containing: #""progress":50"#))
      #expect(server.hasSeen("/api/tasks/T1/progress", containing: #""message":"started""#))
    }
  }

  @Test func `the trace goes to the handler and back`() async throws {
    let plane = FakeControlPlane()
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    plane.change { state in
      state.waiting = [("T1", trace), ("T2", "a: b")].map { id, trace in
        FakeControlPlane.dispatch(id)
          .replacing(#""attempt":1"#, with: #""attempt":1,"traceparent":"\#(trace)""#)
      }
    }
    var handlers = TaskHandlers()
    handlers.on("work") { (context, _: [String: String]) in ["trace": context.traceparent] }
    try await Self.running(plane, handlers) { server, _ in
      for _ in 0..<2 {
        let callback = try #require(await server.next("/agent-callback"))
        let isFirst = callback.field("taskId") == "T1"
        #expect(callback.text.contains(#"{"trace":"\#(isFirst ? trace : "a: b")"}"#))
        #expect(callback.header("traceparent") == (isFirst ? trace : nil))
      }
    }
  }

  @Test func `a report is sent until it is acknowledged, as the same message`() async throws {
    let plane = FakeControlPlane()
    plane.change {
      $0.waiting = [FakeControlPlane.dispatch("T1", payload: #"{"n":1}"#)]
      $0.callbackReplies = [.problem(503, "store_unavailable"), .hangUp]
    }
    try await Self.running(plane, Self.doubling()) { server, _ in
      var ids: Set<String?> = []
      for _ in 0..<3 {
        ids.insert(try #require(await server.next("/agent-callback")).header("webhook-id"))
      }
      #expect(ids.count == 1)
    }
  }

  @Test func `a refused result is reported as a failure`() async throws {
    let plane = FakeControlPlane()
    plane.change {
      $0.waiting = [FakeControlPlane.dispatch("T1", payload: #"{"n":1}"#)]
      $0.callbackReplies = [.problem(413, "payload_too_large")]
    }
    try await Self.running(plane, Self.doubling()) { server, _ in
      _ = await server.next("/agent-callback")
      let second = try #require(await server.next("/agent-callback"))
      #expect(second.text.contains("RESULT_REFUSED") && second.field("status") == "failure")
    }
  }

  @Test(arguments: [
    ("unknown", "{}", "UNKNOWN_TASK_TYPE", "false"), ("work", "[]", "INVALID_PAYLOAD", "false"),
    ("throws", "{}", "AGENT_ERROR", "true"), ("fails", "{}", "NOT_THERE", "false"),
  ])
  func `failures say what they are`(
    type: String, payload: String, code: String, retryable: String
  ) async throws {
    let plane = FakeControlPlane()
    plane.change { $0.waiting = [FakeControlPlane.dispatch("T1", type: type, payload: payload)] }
    var handlers = Self.doubling()
    handlers.on("throws", json: { _, _ in throw OrreryError(.notFound, "x") })
    handlers.on("fails", json: { _, _ in throw TaskFailure("NOT_THERE", "x", isRetryable: false) })
    try await Self.running(plane, handlers) { server, _ in
      let callback = try #require(await server.next("/agent-callback"))
      #expect(callback.field("status") == "failure")
      #expect(callback.text.contains(#""code":"\#(code)""#))
      #expect(callback.text.contains(#""retryable":\#(retryable)"#))
    }
  }

  @Test func `a partial result carries its shortfall`() async throws {
    let plane = FakeControlPlane()
    plane.change { $0.waiting = [FakeControlPlane.dispatch("T1")] }
    var handlers = TaskHandlers()
    handlers.on(
      "work",
      json: { _, _ in
        var result = TaskResult(data: try JSONText("[1]"))
        result.artifacts = [.init(name: "a.txt", mediaType: "text/plain", bytes: Array("hi".utf8))]
        result.metrics = try JSONText(#"{"ms":3}"#)
        result.shortfall = TaskFailure("SOME_MISSING", "1 of 2")
        return result
      })
    try await Self.running(plane, handlers) { server, _ in
      let callback = try #require(await server.next("/agent-callback"))
      #expect(callback.field("status") == "partial")
      #expect(callback.text.contains(#""base64":"aGk=""#))
      #expect(callback.text.contains(#""metrics":{"ms":3}"#))
      #expect(callback.text.contains("SOME_MISSING"))
    }
  }

  /// A handler that waits until it is called off, and tells why.
  static func endless(_ reasons: Reasons) -> TaskHandlers {
    var handlers = TaskHandlers()
    handlers.on(
      "work",
      json: { context, _ in
        await Signal().wait()
        reasons.add(context.callOff)
        throw CancellationError()
      })
    return handlers
  }

  final class Reasons: Sendable {
    private let values = Mutex<[CallOff?]>([])
    var all: [CallOff?] { values.withLock { $0 } }
    func add(_ value: CallOff?) { values.withLock { $0.append(value) } }
  }

  @Test(arguments: [CallOff.cancelled, .lost])
  func `a heartbeat calls off what is cancelled or lost`(reason: CallOff) async throws {
    let plane = FakeControlPlane()
    let reasons = Reasons()
    plane.change {
      $0.waiting = [FakeControlPlane.dispatch("T1")]
      $0.callbackReplies = [FakeControlPlane.late]
      if reason == .cancelled { $0.cancelled = ["T1"] } else { $0.lost = ["T1"] }
    }
    try await Self.running(plane, Self.endless(reasons)) { server, _ in
      let callback = try #require(await server.next("/agent-callback"))
      #expect(callback.field("status") == "failure")
      #expect(reasons.all == [reason])
      #expect(server.hasSeen("/heartbeat", containing: #"{"taskId":"T1","leaseToken":"L-T1"}"#))
    }
  }

  @Test func `an attempt ends with its time`() async throws {
    let plane = FakeControlPlane()
    let reasons = Reasons()
    let dispatch = FakeControlPlane.dispatch("T1").replacing("60000", with: "50")
    plane.change { $0.waiting = [dispatch] }
    try await Self.running(plane, Self.endless(reasons)) { server, _ in
      let callback = try #require(await server.next("/agent-callback"))
      #expect(callback.text.contains(#""code":"TIMEOUT""#) && reasons.all == [.timeout])
    }
  }

  @Test func `no more is taken than there is room for`() async throws {
    let plane = FakeControlPlane()
    let gate = Signal()
    var handlers = TaskHandlers()
    handlers.on(
      "work",
      json: { _, _ in
        await gate.wait()
        return TaskResult()
      })
    plane.change { $0.waiting = ["A", "B"].map { FakeControlPlane.dispatch($0) } }
    try await Self.running(plane, handlers, configure: { $0.concurrency = 2 }) { server, _ in
      let first = try #require(await server.next("/lease"))
      #expect(first.field("max") == "2" && first.field("waitSeconds") == "1")
      // Leases are renewed while both run, and no more work is asked for.
      _ = await server.next("/heartbeat")
      #expect(server.count("/lease") == 1)
      gate.set()
      _ = await server.next("/agent-callback")
      _ = await server.next("/lease")
    }
  }

  @Test func `draining finishes what runs and takes nothing new`() async throws {
    let plane = FakeControlPlane()
    let gate = Signal()
    var handlers = TaskHandlers()
    handlers.on(
      "work",
      json: { _, _ in
        await gate.wait()
        return TaskResult()
      })
    plane.change { $0.waiting = [FakeControlPlane.dispatch("A")] }
    try await Self.running(plane, handlers) { server, agent in
      _ = await server.next("/heartbeat")
      agent.drain()
      let beat = await server.next("/heartbeat", containing: "draining")
      #expect(beat?.path == "/api/agents/agent-1/heartbeat")
      gate.set()
      #expect(await server.next("/agent-callback")?.field("status") == "success")
    }
  }

  @Test func `what does not end in time while draining is given back`() async throws {
    let plane = FakeControlPlane()
    let reasons = Reasons()
    plane.change { $0.waiting = [FakeControlPlane.dispatch("A")] }
    try await Self.running(
      plane, Self.endless(reasons), configure: { $0.drainTime = .milliseconds(50) }
    ) { server, agent in
      _ = await server.next("/heartbeat")
      agent.drain()
      let callback = try #require(await server.next("/agent-callback"))
      #expect(callback.text.contains(#""code":"AGENT_STOPPED""#))
      #expect(callback.text.contains(#""retryable":true"#) && reasons.all == [.stopping])
    }
  }

  @Test func `an unreachable control plane is asked again`() async throws {
    let plane = FakeControlPlane()
    plane.change {
      $0.leaseReplies = [.hangUp, .problem(503, "store_unavailable"), .problem(409, "replayed")]
      $0.waiting = [FakeControlPlane.dispatch("T1", payload: #"{"n":1}"#)]
    }
    try await Self.running(plane, Self.doubling()) { server, _ in
      let callback = await server.next("/agent-callback")
      #expect(callback?.field("status") == "success")
    }
  }

  @Test func `a refused agent stops with the refusal`() async throws {
    let plane = FakeControlPlane()
    plane.change { $0.leaseReplies = [.problem(401, "unauthorized")] }
    let error = try await #require(throws: OrreryError.self) {
      try await Self.running(plane, Self.doubling()) { server, _ in
        _ = await server.next("/lease")
      }
    }
    #expect(error.code == .unauthorized)
  }
}

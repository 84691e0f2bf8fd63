// SPDX-License-Identifier: Apache-2.0
// The ids of traces and spans: drawn for requests, derived for tasks and attempts.
package import Domain

/// What is needed to place something in a trace.
///
/// The spans of a task and its attempts have ids that follow from the task's, so nothing of them
/// is stored, and an attempt that is handed over again after a restart is the same in every field.
package struct Tracing: Sendable {
  /// Where finished spans go; nil if nobody wants them.
  package let spans: SpanRecorder?
  /// Tells installations apart whose tasks have the same ids.
  private let salt: UInt64

  package init(spans: SpanRecorder?, salt: UInt64) {
    self.spans = spans
    self.salt = salt
  }

  // MARK: Requests

  /// The trace of a request, and below which span it was made.
  package struct Request: Sendable {
    /// For what belongs to the request: its own span if that is recorded, else the caller's.
    package var context: TraceContext
    package var parent: SpanID?
    /// Whether the caller began the trace.
    package var isRemote: Bool
    package var isRecorded: Bool
  }

  /// Nil if the caller has no trace and nobody wants one to begin.
  package func request(from caller: TraceContext?, random: () -> UInt64) -> Request? {
    guard var context = caller else { return spans.flatMap { begin($0.sampler, random) } }
    guard let spans else {
      return Request(context: context, parent: nil, isRemote: true, isRecorded: false)
    }
    let parent = context.spanID
    context.isSampled = spans.sampler.isSampled(context.traceID, parent: context.isSampled)
    if context.isSampled { context.spanID = SpanID(drawn: random()) }
    return Request(
      context: context, parent: parent, isRemote: true, isRecorded: context.isSampled)
  }

  private func begin(_ sampler: TraceSampler, _ random: () -> UInt64) -> Request {
    let traceID = TraceID(drawn: random(), random())
    let isSampled = sampler.isSampled(traceID, parent: nil)
    let context = TraceContext(
      traceID: traceID, spanID: SpanID(drawn: random()), isSampled: isSampled)
    return Request(context: context, parent: nil, isRemote: false, isRecorded: isSampled)
  }

  // MARK: Tasks

  /// The task's own span.
  package func task(_ id: TaskID, in given: TraceContext?) -> TraceContext {
    let span = SpanID(drawn: number(id, 0))
    guard var context = given else {
      let traceID = TraceID(drawn: number(id, .max), number(id, .max - 1))
      let isSampled = spans?.sampler.isSampled(traceID, parent: nil) ?? true
      return TraceContext(traceID: traceID, spanID: span, isSampled: isSampled)
    }
    if let spans {
      context.isSampled = spans.sampler.isSampled(context.traceID, parent: context.isSampled)
    }
    return context.child(span)
  }

  /// The attempt's own span: what its agent does belongs below it.
  package func attempt(_ task: RunningTask) -> TraceContext {
    self.task(task.id, in: task.trace)
      .child(SpanID(drawn: number(task.id, UInt64(clamping: task.attempt))))
  }

  /// Different for every task and purpose, and no hint at either: the SplitMix64 finaliser, twice.
  private func number(_ id: TaskID, _ purpose: UInt64) -> UInt64 {
    Self.mix(Self.mix(UInt64(bitPattern: id.rawValue) ^ salt) ^ Self.mix(purpose))
  }

  private static func mix(_ value: UInt64) -> UInt64 {
    var z = value &+ 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

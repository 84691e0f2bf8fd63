// SPDX-License-Identifier: Apache-2.0
// Where finished spans wait to be sent.
private import DequeModule
private import Synchronization

/// A bounded queue between those who finish spans and the one who sends them. Never blocks: what
/// does not fit is dropped and counted.
package final class SpanRecorder: Sendable {
  /// Spans that wait at most.
  package static let most = 2_048
  /// Spans of one message to the collector.
  package static let batch = 512

  private struct State {
    var waiting: Deque<Span> = []
    var dropped: UInt64 = 0
  }

  package let sampler: TraceSampler
  /// Something when a batch is full; ends with `close`.
  package let fullBatches: AsyncStream<Void>
  private let signal: AsyncStream<Void>.Continuation
  private let state = Mutex(State())

  package init(sampler: TraceSampler = TraceSampler()) {
    self.sampler = sampler
    (fullBatches, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  package func record(_ span: Span) {
    let isFull = state.withLock { state in
      guard state.waiting.count < Self.most else {
        state.dropped += 1
        return false
      }
      state.waiting.append(span)
      return state.waiting.count.isMultiple(of: Self.batch)
    }
    if isFull { signal.yield() }
  }

  /// A span would not be dropped now.
  package var hasRoom: Bool { state.withLock { $0.waiting.count < Self.most } }

  /// Takes the oldest spans out, a batch at most.
  package func take() -> [Span] {
    state.withLock { state in
      let taken = Array(state.waiting.prefix(Self.batch))
      state.waiting.removeFirst(taken.count)
      return taken
    }
  }

  /// Spans that could not be sent.
  package func drop(_ count: Int) { state.withLock { $0.dropped += UInt64(count) } }

  /// Spans that were lost since the start.
  package var dropped: UInt64 { state.withLock { $0.dropped } }

  /// Looks at the queue as if a batch were full.
  package func wake() { signal.yield() }

  /// Nothing more is awaited.
  package func close() { signal.finish() }
}

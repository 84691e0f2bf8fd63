// SPDX-License-Identifier: Apache-2.0
// Which traces are recorded, by the names that OpenTelemetry gives its samplers.
package import Domain

/// Decides by the trace's id and what the caller decided, so that every part of a trace, here and
/// after a restart, comes to the same answer.
package struct TraceSampler: Sendable, Hashable {
  package enum Root: Sendable, Hashable {
    case always
    case never
    /// The share of traces, 0 … 1.
    case ratio(Double)
  }

  /// What counts for traces that begin here.
  package var root: Root
  /// Whether a caller's decision counts for its trace.
  package var followsParent: Bool

  package init(root: Root = .always, followsParent: Bool = true) {
    self.root = root
    self.followsParent = followsParent
  }

  /// False if no trace is, whatever its caller decided.
  package var samplesAny: Bool { followsParent || root != .never && root != .ratio(0) }

  /// - Parameter parent: What the caller decided; nil if the trace begins here.
  package func isSampled(_ trace: TraceID, parent: Bool?) -> Bool {
    if followsParent, let parent { return parent }
    switch root {
    case .always: return true
    case .never: return false
    case .ratio(let share):
      // 53 of the random bits, the lowest left out: all that a Double can tell apart.
      return Double(trace.low >> 11) * 0x1p-53 < share
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
// What an operator set for a type of task.

/// Limits of one type, or of each key within it. Nil is unlimited.
package struct TypeLimits: Sendable, Hashable {
  package var concurrency: Int?
  package var ratePerSecond: Double?

  package init(concurrency: Int? = nil, ratePerSecond: Double? = nil) {
    self.concurrency = concurrency
    self.ratePerSecond = ratePerSecond
  }
}

/// The settings of one type of task.
package struct TypeSettings: Sendable, Hashable {
  package var type: String
  package var paused = false
  package var limits = TypeLimits()
  package var perKey = TypeLimits()

  package init(type: String) { self.type = type }
}

/// Tasks of one type by state; maintained with every change, never counted.
package struct TypeCounts: Sendable, Hashable {
  package var queued: Int64 = 0
  package var running: Int64 = 0
  package var completed: Int64 = 0
  package var failed: Int64 = 0
  package var cancelled: Int64 = 0

  package init() {}

  package subscript(state: TaskState) -> Int64 {
    get {
      switch state {
      case .queued: queued
      case .running: running
      case .completed: completed
      case .failed: failed
      case .cancelled: cancelled
      }
    }
    set {
      switch state {
      case .queued: queued = newValue
      case .running: running = newValue
      case .completed: completed = newValue
      case .failed: failed = newValue
      case .cancelled: cancelled = newValue
      }
    }
  }
}

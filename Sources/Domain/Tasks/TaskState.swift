// SPDX-License-Identifier: Apache-2.0
// The states of a task and the one table of legal moves.

/// Where a task is in its life. Raw values are stored; never renumber them.
public enum TaskState: Int, Sendable, CaseIterable {
  case queued = 0
  case running = 1
  case completed = 2
  case failed = 3
  case cancelled = 4

  public var name: String {
    switch self {
    case .queued: "queued"
    case .running: "running"
    case .completed: "completed"
    case .failed: "failed"
    case .cancelled: "cancelled"
    }
  }

  public init?(name: String) {
    guard let state = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = state
  }

  /// An end is final: nothing leaves it. A manual retry is a new task.
  public var isEnd: Bool { self == .completed || self == .failed || self == .cancelled }

  /// The legal moves; every store and the simulation hold to this table.
  package func mayBecome(_ next: TaskState) -> Bool {
    switch (self, next) {
    case (.queued, .running), (.queued, .cancelled), (.queued, .failed): true
    case (.running, .queued), (.running, .completed), (.running, .failed),
      (.running, .cancelled):
      true
    default: false
    }
  }
}

/// Why a queued task is not running yet.
public enum WaitingReason: String, Sendable, CaseIterable {
  case noAgent = "no_agent"
  case agentsBusy = "agents_busy"
  case agentsUnhealthy = "agents_unhealthy"
  case typePaused = "type_paused"
  case rateLimited = "rate_limited"
  case keyLimited = "key_limited"
  case scheduled
  case backoff
}

// SPDX-License-Identifier: Apache-2.0
// What the control plane counts of itself.
import Domain
private import Synchronization

/// A bound that somebody ran into. The label values of one metric: a closed set.
package enum LimitHit: String, CaseIterable, Sendable {
  case connections, connectionsPerAddress, sockets, messageSize, messageRate, slowReader, handshake
  case bodies, answers, waiters
}

/// Counters and histograms since the start. Gauges are read from the scheduler and the store when
/// somebody asks.
package final class Meters: Sendable {
  /// A call of the store that is timed, the wait for its turn included.
  enum StoreCall: String {
    case submit, stage, publish, claim, settle, renew, release, end
  }

  package struct Values: Sendable {
    package fileprivate(set) var submissions = Family<UInt64>()
    package fileprivate(set) var claims = Family<UInt64>()
    package fileprivate(set) var waits = Family<Histogram>()
    package fileprivate(set) var durations = Family<Histogram>()
    package fileprivate(set) var completions = Family<UInt64>()
    package fileprivate(set) var retries: UInt64 = 0
    package fileprivate(set) var lateReports: UInt64 = 0
    package fileprivate(set) var agentTasks = Family<UInt64>()
    package fileprivate(set) var agentResponses = Family<Histogram>()
    package fileprivate(set) var healthChecks = Family<HealthChecks>(zero: HealthChecks())
    package fileprivate(set) var callbacks = Histogram()
    package fileprivate(set) var storeCalls = Family<Histogram>()
    package fileprivate(set) var requests = Family<Histogram>()
    package fileprivate(set) var problems = Family<UInt64>()
    package fileprivate(set) var limits: [LimitHit: UInt64] = [:]
  }

  package struct HealthChecks: Sendable {
    package fileprivate(set) var all: UInt64 = 0
    package fileprivate(set) var good: UInt64 = 0
    /// The share of checks that found the agent healthy.
    package var ratio: Double { all == 0 ? 1 : Double(good) / Double(all) }
  }

  private let values = Mutex(Values())

  package init() {}

  package var snapshot: Values { values.withLock { $0 } }

  // MARK: Tasks

  func submitted(_ type: String, _ count: Int) {
    values.withLock { $0.submissions.add(UInt64(count), type) }
  }

  /// - Parameter tasks: the type of each task, and the milliseconds since it was submitted.
  func claimed(_ tasks: [(type: String, waited: Int64)]) {
    guard !tasks.isEmpty else { return }
    values.withLock { values in
      for task in tasks {
        values.claims.add(1, task.type)
        values.waits.observe(Double(task.waited) / 1_000, task.type)
      }
    }
  }

  struct Settled {
    var type: String
    var agent: AgentID
    var status: String
    /// Milliseconds since the attempt began.
    var took: Int64
    var isEnd: Bool
  }

  func settled(_ attempts: [Settled]) {
    guard !attempts.isEmpty else { return }
    values.withLock { values in
      for attempt in attempts {
        values.agentTasks.add(1, attempt.agent.text, attempt.status)
        values.durations.observe(Double(attempt.took) / 1_000, attempt.type, attempt.status)
        if attempt.isEnd {
          values.completions.add(1, attempt.status)
        } else {
          values.retries += 1
        }
      }
    }
  }

  /// A task ended without a report.
  func ended(_ state: TaskState) {
    values.withLock { $0.completions.add(1, state == .cancelled ? "cancelled" : "failure") }
  }

  func lateReport() { values.withLock { $0.lateReports += 1 } }

  // MARK: Agents

  /// - Parameter seconds: from the dispatch to its answer.
  func answered(_ agent: AgentID, seconds: Double) {
    values.withLock { $0.agentResponses.observe(seconds, agent.text) }
  }

  func checked(_ agents: [(id: AgentID, isHealthy: Bool)]) {
    values.withLock { values in
      for agent in agents {
        values.healthChecks.update(LabelValues(agent.id.text)) { checks in
          checks.all += 1
          if agent.isHealthy { checks.good += 1 }
        }
      }
    }
  }

  /// An agent was removed: what was counted of it goes too.
  func forget(_ agent: AgentID) {
    values.withLock { values in
      let isGone = { (labels: LabelValues) in labels.first == agent.text }
      values.agentTasks.remove(where: isGone)
      values.agentResponses.remove(where: isGone)
      values.healthChecks.remove(where: isGone)
    }
  }

  // MARK: Store and HTTP

  func stored(_ call: StoreCall, seconds: Double) {
    values.withLock { $0.storeCalls.observe(seconds, call.rawValue) }
  }

  /// - Parameters:
  ///   - route: Method and pattern, never the path that came.
  ///   - problem: The stable code of an error.
  package func served(_ route: String, _ status: Int, seconds: Double, problem: String?) {
    values.withLock { values in
      values.requests.observe(seconds, route, "\(status)")
      if let problem { values.problems.add(1, problem) }
    }
  }

  package func limitHit(_ limit: LimitHit) {
    values.withLock { $0.limits[limit, default: 0] &+= 1 }
  }

  package func callback(seconds: Double) { values.withLock { $0.callbacks.observe(seconds) } }
}

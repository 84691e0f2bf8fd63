// SPDX-License-Identifier: Apache-2.0
// Numbers of the whole installation; all of them maintained, none counted.
package import Domain
import Synchronization

extension Engine {
  package struct Stats: Sendable {
    package var total = TypeCounts()
    package var types: [String: TypeCounts] = [:]
    package var agents: [AgentState: Int] = [:]
    package var storeBytes: Int64 = 0
  }

  package func stats() async throws(ControlError) -> Stats {
    var stats = Stats()
    stats.types = try await stored { () throws(StoreError) in try await store.counts() }
    stats.storeBytes = try await stored { () throws(StoreError) in try await store.size() }
    for counts in stats.types.values {
      for state in TaskState.allCases { stats.total[state] += counts[state] }
    }
    let now = world.now()
    core.withLock { core in
      for record in core.agentRecords {
        if let state = core.state(of: record.id, now: now) { stats.agents[state, default: 0] += 1 }
      }
    }
    return stats
  }
}

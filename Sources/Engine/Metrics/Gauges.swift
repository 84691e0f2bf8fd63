// SPDX-License-Identifier: Apache-2.0
// The state of the installation as numbers of this moment.
package import Domain
import Synchronization

extension Engine {
  package struct Gauges: Sendable {
    package struct Agent: Sendable {
      package var id: AgentID
      package var isHealthy: Bool
      package var inUse: Int
    }

    package var types: [(type: String, counts: TypeCounts)] = []
    package var agents: [Agent] = []
    package var storeBytes: Int64 = 0
  }

  /// Types and agents of one page; what is beyond is left out, as its label would be `_other`.
  private static let shown = 1_000

  package func gauges() async throws(ControlError) -> Gauges {
    let stats = try await stats()
    var gauges = Gauges()
    gauges.storeBytes = stats.storeBytes
    gauges.types = stats.types.sorted { $0.key < $1.key }.prefix(Self.shown).map {
      ($0.key, $0.value)
    }
    let now = world.now()
    core.withLock { core in
      for record in core.agentRecords.prefix(Self.shown) {
        let state = core.state(of: record.id, now: now)
        gauges.agents.append(
          Gauges.Agent(
            id: record.id, isHealthy: state == .active || state == .draining,
            inUse: core.vitals(of: record.id)?.inUse ?? 0))
      }
    }
    return gauges
  }
}

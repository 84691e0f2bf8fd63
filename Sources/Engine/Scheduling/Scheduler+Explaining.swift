// SPDX-License-Identifier: Apache-2.0
// Why a queued task waits.
package import Domain

extension Scheduler {
  /// The reason for a queued task; nil only in the moment before it is claimed.
  package mutating func reason(
    demand: Demand, key: String?, notBefore: Timestamp?, failures: Int, now: Timestamp
  ) -> WaitingReason {
    if let notBefore, notBefore > now { return failures > 0 ? .backoff : .scheduled }
    let type = typeNumber(demand.type, now: now)
    if types[type].settings.paused { return .typePaused }
    let able = agents.compactMap { $0 }.filter {
      $0.record.state == .active && !$0.isDraining
        && demand.isMet(
          kind: $0.record.kind, capabilities: Set($0.record.capabilities),
          labels: $0.record.labels)
    }
    if able.isEmpty { return .noAgent }
    if able.allSatisfy({ $0.isImpaired(now: now) }) { return .agentsUnhealthy }
    if !types[type].mayStart(now: now) { return .rateLimited }
    if let key, !types[type].mayStart(key: key, now: now) { return .keyLimited }
    return .agentsBusy
  }
}

// SPDX-License-Identifier: Apache-2.0
// Why a queued task waits.
package import Domain

extension Scheduler {
  /// The reason for a queued task.
  package func reason(
    demand: Demand, key: String?, notBefore: Timestamp?, failures: Int, now: Timestamp
  ) -> WaitingReason {
    if let notBefore, notBefore > now { return failures > 0 ? .backoff : .scheduled }
    let type = typeIndex[demand.type]
    if let type, types[type].settings.paused { return .typePaused }
    var isAble = false
    var isWell = false
    for index in able(demand) where agents[index]?.takesWork == true {
      isAble = true
      guard agents[index]?.isImpaired(now: now) == false else { continue }
      isWell = true
      break
    }
    guard isAble else { return .noAgent }
    guard isWell else { return .agentsUnhealthy }
    guard let type else { return .agentsBusy }
    if !types[type].canStart(now: now) { return .rateLimited }
    if let key, !types[type].canStart(key: key, now: now) { return .keyLimited }
    return .agentsBusy
  }

  private func able(_ demand: Demand) -> [Int] {
    if let index = demandIndex[demand] { return demands[index]?.eligible ?? [] }
    return agents.indices.filter { agents[$0]?.meets(demand) == true }
  }
}

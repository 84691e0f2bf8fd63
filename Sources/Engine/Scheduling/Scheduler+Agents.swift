// SPDX-License-Identifier: Apache-2.0
// Agents come, go, answer, fall silent and recover.
package import Domain
import HeapModule

extension Scheduler {
  /// Adds an agent or takes over its changed entry.
  package mutating func upsert(_ record: AgentRecord, now: Timestamp) {
    if let index = agentIndex[record.id] {
      agents[index]?.record = record
      agents[index]?.isHealthy = true
      agents[index]?.answered()
      rematch(index)
    } else {
      let index = agents.firstIndex { $0 == nil } ?? agents.count
      if index == agents.count { agents.append(nil) }
      agents[index] = AgentSlots(record: record, now: now)
      agentIndex[record.id] = index
      adopt(index, id: record.id)
      rematch(index)
    }
  }

  /// Running tasks whose agent was not known when they were loaded.
  private mutating func adopt(_ index: Int, id: AgentID) {
    for (task, entry) in running where entry.agent < 0 && entry.task.agent == id {
      running[task]?.agent = index
      agents[index]?.inUse += 1
    }
  }

  /// Removes an agent; its running tasks are the caller's to put back.
  package mutating func remove(_ id: AgentID) {
    guard let index = agentIndex.removeValue(forKey: id) else { return }
    for demand in agents[index]?.demands ?? [] {
      demands[demand]?.eligible.removeAll { $0 == index }
    }
    agents[index] = nil
    for (task, entry) in running where entry.agent == index { running[task]?.agent = -1 }
    for (task, claim) in claiming where claim.agent == index { claiming[task]?.agent = -1 }
    ghosts = ghosts.filter { $0.value.agent != index }
    freedAgents.remove(index)
  }

  package func agent(_ id: AgentID) -> AgentRecord? {
    agentIndex[id].flatMap { agents[$0]?.record }
  }

  package var agentRecords: [AgentRecord] {
    agents.compactMap { $0?.record }.sorted { $0.id < $1.id }
  }

  /// The state that people see: the entry's, unless it is active and cannot be reached.
  package func state(of id: AgentID, now: Timestamp) -> AgentState? {
    guard let index = agentIndex[id], let agent = agents[index] else { return nil }
    guard agent.record.state == .active else { return agent.record.state }
    return agent.isHealthy ? (agent.isDraining ? .draining : .active) : .unhealthy
  }

  package func vitals(of id: AgentID) -> (inUse: Int, latency: Double, lastSeen: Timestamp)? {
    guard let index = agentIndex[id], let agent = agents[index] else { return nil }
    return (agent.inUse, agent.latency, agent.lastSeen)
  }

  private mutating func rematch(_ agent: Int) {
    for demand in agents[agent]?.demands ?? [] {
      demands[demand]?.eligible.removeAll { $0 == agent }
    }
    agents[agent]?.demands = []
    for demand in demands.indices { match(agent: agent, demand: demand) }
    freedAgents.insert(agent)
  }

  mutating func match(agent: Int, demand: Int) {
    guard let wanted = demands[demand]?.demand, agents[agent]?.meets(wanted) == true else { return }
    demands[demand]?.eligible.append(agent)
    agents[agent]?.demands.append(demand)
  }

  // MARK: Signs of life

  /// A signed request of the agent's own, or a probe that succeeded.
  package mutating func seen(_ id: AgentID, now: Timestamp) {
    guard let index = agentIndex[id] else { return }
    agents[index]?.heard(now: now)
    if agents[index]?.isHealthy == false {
      agents[index]?.isHealthy = true
      agents[index]?.answered()
      freedAgents.insert(index)
    }
  }

  package mutating func probeFailed(_ id: AgentID) {
    guard let index = agentIndex[id] else { return }
    agents[index]?.isHealthy = false
  }

  /// What came of handing work to a push agent.
  package mutating func answered(_ id: AgentID, _ answer: DispatchAnswer, now: Timestamp) {
    guard let index = agentIndex[id] else { return }
    switch answer {
    case .accepted, .report:
      agents[index]?.breaker.succeeded()
      agents[index]?.answered()
      agents[index]?.heard(now: now)
      freedAgents.insert(index)
    case .failed(_, _, let counts):
      if counts { trip(index, now: now) } else { agents[index]?.breaker.succeeded() }
      freedAgents.insert(index)
    case .undelivered(_, let counts, let retryAfter, let unhealthy):
      if counts { trip(index, now: now) } else { agents[index]?.breaker.undecided(now: now) }
      if unhealthy { agents[index]?.isHealthy = false }
      if let until = agents[index]?.pushBack(retryAfter: retryAfter, now: now) {
        timers.insert(Timer(at: until.milliseconds, id: Int64(index), kind: .agent))
      }
    }
    wakeBreaker(index)
  }

  private mutating func trip(_ index: Int, now: Timestamp) {
    agents[index]?.breaker.failed(now: now)
  }

  mutating func wakeBreaker(_ index: Int) {
    guard let at = agents[index]?.breaker.opensAt else { return }
    timers.insert(Timer(at: at.milliseconds, id: Int64(index), kind: .agent))
  }

  /// Pull agents silent for three leases are unhealthy until they speak; a waiting poll is a sign
  /// of life.
  package mutating func sweepSilent(now: Timestamp) {
    for index in agents.indices {
      guard let agent = agents[index], !agent.record.isPush, agent.isHealthy else { continue }
      guard agent.polled == 0 else {
        agents[index]?.heard(now: now)
        continue
      }
      let lease = agent.record.lease(timeout: Limits.defaultTimeout)
      if now.milliseconds(since: agent.silentSince) > 3 * lease { agents[index]?.isHealthy = false }
    }
  }

  /// An agent says that it drains, or asks for work again.
  package mutating func setDraining(_ id: AgentID, _ isDraining: Bool) {
    guard let index = agentIndex[id] else { return }
    agents[index]?.isDraining = isDraining
    if !isDraining { freedAgents.insert(index) }
  }

  // MARK: Polls

  /// A waiting lease request would take `count` more tasks (negative: it no longer does).
  package mutating func polled(_ id: AgentID, _ count: Int) {
    guard let index = agentIndex[id] else { return }
    agents[index]?.poll(count)
    if count > 0 { freedAgents.insert(index) }
  }
}

// SPDX-License-Identifier: Apache-2.0
// Which task goes to which agent next.
package import Domain
import HeapModule

extension Scheduler {
  /// Chooses up to `limit` tasks for free agents: highest priority, then oldest; among eligible agents
  /// the one with most free slots, then the one with the lowest recent latency. The slots are taken at
  /// once; `claimed` or `claimFailed` follows for each.
  package mutating func plan(
    limit: Int, now: Timestamp, random: () -> UInt64
  ) -> [ClaimRequest] {
    wakeFreed()
    var plan: [ClaimRequest] = []
    while plan.count < limit, let pick = nextPick(now: now) {
      demands[pick.demand]?.ready.take(pick.head)
      if dead.remove(pick.head.id) != nil { continue }
      plan.append(assign(pick, now: now, token: Int64(bitPattern: random())))
    }
    return plan
  }

  struct Pick {
    var demand: Int
    var head: ReadyQueue.Head
    var agent: Int
  }

  private mutating func wakeFreed() {
    for agent in freedAgents.sorted() {
      for demand in agents[agent]?.demands ?? [] { addCandidate(demand) }
    }
    freedAgents.removeAll(keepingCapacity: true)
    for type in freedTypes.sorted() {
      for demand in demandsOfType[type] { addCandidate(demand) }
    }
    freedTypes.removeAll(keepingCapacity: true)
  }

  /// The best candidate; demands that cannot go on leave the list until something frees them.
  private mutating func nextPick(now: Timestamp) -> Pick? {
    var best: Pick?
    var index = 0
    while index < candidates.count {
      let demand = candidates[index]
      guard let pick = look(demand, now: now) else {
        demands[demand]?.isCandidate = false
        candidates.swapAt(index, candidates.count - 1)
        candidates.removeLast()
        continue
      }
      if best.map({ Self.isBefore(pick.head, $0.head) }) ?? true { best = pick }
      index += 1
    }
    return best
  }

  private static func isBefore(_ a: ReadyQueue.Head, _ b: ReadyQueue.Head) -> Bool {
    a.priority != b.priority ? a.priority > b.priority : a.id < b.id
  }

  private mutating func look(_ demand: Int, now: Timestamp) -> Pick? {
    guard let slots = demands[demand], slots.ready.count > 0 else { return nil }
    let type = slots.type
    guard let agent = bestAgent(slots.eligible, now: now) else { return nil }
    guard types[type].mayStart(now: now) else {
      if let at = types[type].nextToken(now: now) { wake(type: type, at: at) }
      return nil
    }
    var parked: [String] = []
    let head = Self.head(
      of: &demands[demand], type: &types[type], demand: demand, now: now, parked: &parked)
    for key in parked {
      if let at = types[type].nextToken(key: key, now: now) { wake(type: type, at: at) }
    }
    return head.map { Pick(demand: demand, head: $0, agent: agent) }
  }

  private static func head(
    of slots: inout DemandSlots?, type: inout TypeSlots, demand: Int, now: Timestamp,
    parked: inout [String]
  ) -> ReadyQueue.Head? {
    slots?.ready.head { key in
      if type.mayStart(key: key, now: now) { return false }
      type.parked(key: key, in: demand)
      parked.append(key)
      return true
    }
  }

  private func bestAgent(_ eligible: [Int], now: Timestamp) -> Int? {
    var best: (index: Int, free: Int, latency: Double)?
    for index in eligible {
      guard let agent = agents[index] else { continue }
      let free = agent.capacity(now: now)
      guard free > 0 else { continue }
      if let best, (best.free, -best.latency) >= (free, -agent.latency) { continue }
      best = (index, free, agent.latency)
    }
    return best?.index
  }

  private mutating func assign(_ pick: Pick, now: Timestamp, token: Int64) -> ClaimRequest {
    let id = TaskID(rawValue: pick.head.id)
    let key = demands[pick.demand]?.ready.key(of: pick.head)
    if let type = demands[pick.demand]?.type { types[type].started(key: key) }
    claiming[id] = Claiming(
      agent: pick.agent, demand: pick.demand, key: key, priority: pick.head.priority)
    agents[pick.agent]?.inUse += 1
    agents[pick.agent]?.breaker.started(now: now)
    let record = agents[pick.agent]?.record
    if record?.isPush == false { agents[pick.agent]?.polled -= 1 }
    return ClaimRequest(
      id: id, agent: record?.id ?? AgentID(stored: ""), token: token, now: now,
      defaultTimeout: record?.timeout ?? Limits.defaultTimeout,
      lease: record?.leaseSeconds.map { Int64($0) * 1_000 }
        ?? (record?.isPush == true ? nil : 30_000))
  }

  /// Agents with a claim on its way to the store.
  var agentsBeingServed: Set<AgentID> {
    Set(claiming.values.compactMap { $0.agent >= 0 ? agents[$0.agent]?.record.id : nil })
  }

  // MARK: Claims, after their commit

  /// The store's answer to a claim. Returns the task to hand over, or nil if there is nothing to do.
  package mutating func claimed(_ id: TaskID, _ result: ClaimedTask?) -> ClaimedTask? {
    guard let claim = claiming.removeValue(forKey: id) else { return nil }
    guard let result, !claim.endedEarly else {
      if !claim.endedEarly { forgetQueued(id) }
      free(agent: claim.agent, undecided: true)
      finishType(of: claim.demand, key: claim.key, neverRan: true)
      return nil
    }
    queued -= 1
    watch(result.running, agent: claim.agent, demand: claim.demand)
    return result
  }

  /// The claim could not be written: the task stands in the queue again.
  package mutating func claimFailed(_ id: TaskID) {
    guard let claim = claiming.removeValue(forKey: id) else { return }
    free(agent: claim.agent, undecided: true)
    finishType(of: claim.demand, key: claim.key, neverRan: true)
    guard !claim.endedEarly else { return }
    makeReady(id, demand: claim.demand, key: claim.key, priority: claim.priority)
  }

  // MARK: Slots

  mutating func free(agent: Int, undecided: Bool = false) {
    guard agents.indices.contains(agent), agents[agent] != nil else { return }
    agents[agent]?.free()
    freedAgents.insert(agent)
  }

  mutating func finishType(of demand: Int, key: String?, neverRan: Bool = false) {
    guard let type = demands[demand]?.type else { return }
    types[type].finished(key: key, neverRan: neverRan)
    if types[type].settings.limits.concurrency != nil { freedTypes.insert(type) }
    if let key { unpark(key, of: type) }
  }

  mutating func unpark(_ key: String, of type: Int) {
    for demand in types[type].unpark(key: key).sorted() {
      demands[demand]?.ready.unpark(key)
      addCandidate(demand)
    }
  }

  mutating func unparkAll(of type: Int) {
    for key in types[type].parkedKeys.sorted() { unpark(key, of: type) }
  }

  mutating func wake(type: Int, at: Timestamp) {
    if let pending = types[type].wakeAt, pending <= at { return }
    types[type].wakeAt = at
    timers.insert(Timer(at: at.milliseconds, id: Int64(type), kind: .type))
  }
}

// SPDX-License-Identifier: Apache-2.0
// Which task goes to which agent next.
package import Domain
import HeapModule

extension Scheduler {
  /// Chooses up to `limit` tasks for free agents: highest priority, then oldest; among eligible
  /// agents
  /// the one with most free slots, then the one with the lowest recent latency. The slots are taken
  /// at
  /// once; `claimed` or `claimFailed` follows for each.
  package mutating func plan(
    limit: Int, now: Timestamp, random: () -> UInt64
  ) -> [ClaimRequest] {
    wakeFreed()
    var plan: [ClaimRequest] = []
    var picks = firstPicks(now: now)
    while plan.count < limit, var pick = picks.popMin() {
      if pick.age != plan.count {
        guard let fresh = look(pick.demand, age: plan.count, now: now) else { continue }
        if let next = picks.min, next < fresh {
          picks.insert(fresh)
          continue
        }
        pick = fresh
      }
      demands[pick.demand]?.ready.take(pick.head)
      if dead.isEmpty || dead.remove(pick.head.id) == nil {
        plan.append(assign(pick, now: now, token: Int64(bitPattern: random())))
      }
      if let next = look(pick.demand, age: plan.count, now: now) { picks.insert(next) }
    }
    for pick in picks.unordered { candidates.append(pick.demand) }
    return plan
  }

  /// What a demand would start next. An assignment can only make other demands' picks worse, so one
  /// that is older than the last assignment is looked at again when its turn comes.
  struct Pick: Comparable {
    var demand: Int
    var head: ReadyQueue.Head
    var agent: Int
    /// How many assignments were made before it.
    var age: Int

    static func < (a: Pick, b: Pick) -> Bool {
      a.head.priority != b.head.priority
        ? a.head.priority > b.head.priority : a.head.id < b.head.id
    }
    static func == (a: Pick, b: Pick) -> Bool { a.head.id == b.head.id }
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

  /// Looks at all candidates; the list is empty then until the plan is made.
  private mutating func firstPicks(now: Timestamp) -> Heap<Pick> {
    var picks = Heap<Pick>()
    for demand in candidates {
      if let pick = look(demand, age: 0, now: now) { picks.insert(pick) }
    }
    candidates.removeAll(keepingCapacity: true)
    return picks
  }

  /// A demand that cannot go on is no candidate until something frees it.
  private mutating func look(_ demand: Int, age: Int, now: Timestamp) -> Pick? {
    let pick = pick(of: demand, age: age, now: now)
    if pick == nil { demands[demand]?.isCandidate = false }
    return pick
  }

  private mutating func pick(of demand: Int, age: Int, now: Timestamp) -> Pick? {
    guard let type = demands[demand]?.type, demands[demand]?.ready.isEmpty == false,
      let agent = bestAgent(of: demand, now: now)
    else { return nil }
    guard types[type].mayStart(now: now) else {
      if let at = types[type].nextToken(now: now) { wake(type: type, at: at) }
      return nil
    }
    var parked: [String] = []
    let head = Self.head(
      of: &demands[demand], type: &types[type], demand: demand, now: now, parked: &parked)
    for key in parked {
      guard let at = types[type].nextToken(key: key, now: now) else { continue }
      types[type].wakes(key: key, at: at)
      wake(type: type, at: at)
    }
    return head.map { Pick(demand: demand, head: $0, agent: agent, age: age) }
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

  private func bestAgent(of demand: Int, now: Timestamp) -> Int? {
    guard let eligible = demands[demand]?.eligible else { return nil }
    var best: (index: Int, free: Int, latency: Double)?
    for index in eligible {
      guard let free = agents[index]?.capacity(now: now), free > 0,
        let latency = agents[index]?.latency
      else { continue }
      if let best, (best.free, -best.latency) >= (free, -latency) { continue }
      best = (index, free, latency)
    }
    return best?.index
  }

  private mutating func assign(_ pick: Pick, now: Timestamp, token: Int64) -> ClaimRequest {
    assign(
      TaskID(rawValue: pick.head.id), demand: pick.demand,
      key: demands[pick.demand]?.ready.key(of: pick.head), priority: pick.head.priority,
      to: pick.agent, now: now, token: token)
  }

  private mutating func assign(
    _ id: TaskID, demand: Int, key: String?, priority: Int, to agent: Int, now: Timestamp,
    token: Int64
  ) -> ClaimRequest {
    if let type = demands[demand]?.type { types[type].started(key: key, now: now) }
    let isTrial = agents[agent]?.assigned(now: now) ?? false
    claiming[id] = Claiming(
      agent: agent, demand: demand, key: key, priority: priority, at: now, isTrial: isTrial)
    let record = agents[agent]?.record
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

  // MARK: Claims ahead of the commit

  /// Gives a task out that is just being stored, so that one commit serves both; nil if it must
  /// take its place in the queue. Nobody may stand before it: nothing is there to be planned, and
  /// its own kind has a free agent. `claimed` or `claimAheadFailed` follows.
  package mutating func claimAhead(
    _ insert: TaskInsert, now: Timestamp, random: () -> UInt64
  ) -> ClaimRequest? {
    let task = insert.task
    guard candidates.isEmpty, freedAgents.isEmpty, freedTypes.isEmpty,
      let index = demandIndex[task.demand], let slots = demands[index], slots.ready.isEmpty,
      task.runAt.map({ $0 <= now }) ?? true, types[slots.type].mayStart(now: now),
      task.key.map({ types[slots.type].mayStart(key: $0, now: now) }) ?? true,
      let agent = bestAgent(of: index, now: now)
    else { return nil }
    queued += 1
    return assign(
      insert.id, demand: index, key: task.key, priority: task.priority, to: agent, now: now,
      token: Int64(bitPattern: random()))
  }

  /// The task was not stored, or an older one stands for it.
  package mutating func claimAheadFailed(_ id: TaskID) {
    guard let claim = claiming.removeValue(forKey: id) else { return }
    queued -= 1
    abandon(claim)
  }

  // MARK: Claims, after their commit

  /// The store's answer to a claim. Returns the task to hand over, or nil if there is nothing to
  /// do.
  package mutating func claimed(_ id: TaskID, _ result: ClaimedTask?) -> ClaimedTask? {
    guard let claim = claiming.removeValue(forKey: id) else { return nil }
    guard let result, !claim.endedEarly else {
      if !claim.endedEarly { forgetQueued(id) }
      abandon(claim)
      return nil
    }
    if agents.indices.contains(claim.agent) { agents[claim.agent]?.claimEnded(served: true) }
    queued -= 1
    watch(result.running, agent: claim.agent, demand: claim.demand)
    return result
  }

  /// The claim could not be written: the task stands in the queue again.
  package mutating func claimFailed(_ id: TaskID) {
    guard let claim = claiming.removeValue(forKey: id) else { return }
    abandon(claim)
    guard !claim.endedEarly else { return }
    makeReady(id, demand: claim.demand, key: claim.key, priority: claim.priority)
  }

  /// A claim came to nothing: its slot is free, its lease request waits on, its trial told nothing.
  private mutating func abandon(_ claim: Claiming) {
    finishType(of: claim.demand, key: claim.key, neverRan: true)
    guard agents.indices.contains(claim.agent) else { return }
    agents[claim.agent]?.claimEnded(served: false)
    free(agent: claim.agent)
    guard claim.isTrial else { return }
    agents[claim.agent]?.breaker.undecided(now: claim.at)
    wakeBreaker(claim.agent)
  }

  // MARK: Slots

  mutating func free(agent: Int) {
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

// SPDX-License-Identifier: Apache-2.0
// The pure heart of dispatching: what is ready, who is free, what runs, what is due.
package import Domain
import HeapModule

/// Decides which task goes to which agent, and notices what has run out. A value: no I/O, no clock,
/// no
/// randomness of its own; the shell (`Engine`) tells it what was committed and performs what it
/// asks.
/// It holds only what is unfinished and is rebuilt from the store at the start; the store stays the
/// truth, and its fenced operations have the last word.
package struct Scheduler: Sendable {
  /// Tasks with one demand.
  struct DemandSlots {
    var demand: Demand
    var type: Int
    var ready = ReadyQueue()
    /// Agents that can do it, by index.
    var eligible: [Int] = []
    var isCandidate = false
  }

  struct Running {
    var task: RunningTask
    var agent: Int
    var demand: Int
    /// The store ended it while a report of it was on its way.
    var endedEarly = false
    /// Its end by time was handed to the shell.
    var isExpiring = false
    /// Its backoff was ended before the news of its failure came here.
    var isHastened = false
  }

  /// A claim on its way to the store.
  struct Claiming {
    var agent: Int
    var demand: Int
    var key: String?
    var priority: Int
    /// When it was chosen.
    var at: Timestamp
    /// It is the trial of its agent's breaker.
    var isTrial: Bool
    var endedEarly = false
  }

  /// A queued task that waits for its time.
  struct Delayed {
    var demand: Int
    var key: String?
    var priority: Int
    var notBefore: Timestamp
  }

  /// An attempt that is over here while its agent still works on it: its slot stays taken.
  struct Ghost {
    var agent: Int
    var attempt: Int
    var token: Int64
    var until: Timestamp
    var isCancelled: Bool
  }

  struct Timer: Comparable {
    enum Kind: UInt8 { case lease, delayed, deadline, type, agent, ghost }
    var at: Int64
    var id: Int64
    var kind: Kind
    static func < (a: Timer, b: Timer) -> Bool { (a.at, a.id) < (b.at, b.id) }
  }

  var demands: [DemandSlots?] = []
  var demandIndex: [Demand: Int] = [:]
  var types: [TypeSlots] = []
  var typeIndex: [String: Int] = [:]
  var demandsOfType: [[Int]] = []
  var agents: [AgentSlots?] = []
  var agentIndex: [AgentID: Int] = [:]
  var running: [TaskID: Running] = [:]
  var claiming: [TaskID: Claiming] = [:]
  var delayed: [TaskID: Delayed] = [:]
  var ghosts: [TaskID: Ghost] = [:]
  /// Tasks whose own deadline has a timer: all queued ones that have a deadline.
  var deadlines: Set<TaskID> = []
  /// Tasks that ended while they stood in a ready queue, or on their way into it; dropped when met
  /// or swept.
  var dead: Set<Int64> = []
  /// Tasks whose claim found them ended before the news of their end came here.
  var missed: Set<TaskID> = []
  var timers = Heap<Timer>()
  var candidates: [Int] = []
  var freedAgents: Set<Int> = []
  var freedTypes: Set<Int> = []
  package internal(set) var queued = 0

  package init() {}

  // MARK: Demands and types

  package mutating func add(_ id: DemandID, _ demand: Demand, now: Timestamp) {
    let index = Int(id.rawValue)
    while demands.count <= index { demands.append(nil) }
    guard demands[index] == nil else { return }
    let type = typeNumber(demand.type, now: now)
    demands[index] = DemandSlots(demand: demand, type: type)
    demandIndex[demand] = index
    demandsOfType[type].append(index)
    for agent in agents.indices { match(agent: agent, demand: index) }
  }

  package func knows(_ id: DemandID) -> Bool {
    demands.indices.contains(Int(id.rawValue)) && demands[Int(id.rawValue)] != nil
  }

  package func demand(_ id: DemandID) -> Demand? {
    knows(id) ? demands[Int(id.rawValue)]?.demand : nil
  }

  package mutating func apply(_ settings: TypeSettings, now: Timestamp) {
    let type = typeNumber(settings.type, now: now)
    let knewKeys = types[type].limitsKeys
    types[type].apply(settings, now: now)
    if !knewKeys, types[type].limitsKeys { types[type].recount(runningKeys(of: type)) }
    freedTypes.insert(type)
    unparkAll(of: type)
  }

  private func runningKeys(of type: Int) -> [String] {
    let keys =
      running.values.map { (demand: $0.demand, key: $0.task.key) }
      + claiming.values.map { (demand: $0.demand, key: $0.key) }
    return keys.compactMap { demands[$0.demand]?.type == type ? $0.key : nil }
  }

  package func settings(of type: String) -> TypeSettings? {
    typeIndex[type].map { types[$0].settings }
  }

  package var typeNames: [String] { types.map(\.settings.type) }

  mutating func typeNumber(_ name: String, now: Timestamp) -> Int {
    if let known = typeIndex[name] { return known }
    typeIndex[name] = types.count
    types.append(TypeSlots(settings: TypeSettings(type: name)))
    demandsOfType.append([])
    return types.count - 1
  }

  // MARK: Tasks that come in

  /// New or requeued tasks, after their commit.
  package mutating func enqueue(
    _ id: TaskID, demand: DemandID, key: String?, priority: Int, notBefore: Timestamp?,
    deadline: Timestamp?, now: Timestamp
  ) {
    queued += 1
    // The news of its end was faster than that of its coming.
    if !dead.isEmpty, dead.remove(id.rawValue) != nil { return }
    if let deadline, deadlines.insert(id).inserted {
      timers.insert(Timer(at: deadline.milliseconds, id: id.rawValue, kind: .deadline))
    }
    let index = Int(demand.rawValue)
    if let notBefore, notBefore > now {
      delayed[id] = Delayed(demand: index, key: key, priority: priority, notBefore: notBefore)
      timers.insert(Timer(at: notBefore.milliseconds, id: id.rawValue, kind: .delayed))
    } else {
      makeReady(id, demand: index, key: key, priority: priority)
    }
  }

  /// A running task found in the store at the start.
  package mutating func resume(_ task: RunningTask, now: Timestamp) {
    let demand = Int(task.demand.rawValue)
    guard let type = demands[demand]?.type else { return }
    var task = task
    let longest = task.timeoutAt.milliseconds(since: task.startedAt)
    task.timeoutAt = min(task.timeoutAt, now.adding(milliseconds: longest))
    task.leaseUntil = min(task.leaseUntil, task.timeoutAt)
    let agent = agentIndex[task.agent] ?? -1
    types[type].resumed(key: task.key)
    watch(task, agent: agent, demand: demand)
    if agent >= 0 { agents[agent]?.inUse += 1 }
  }

  mutating func watch(_ task: RunningTask, agent: Int, demand: Int) {
    running[task.id] = Running(task: task, agent: agent, demand: demand)
    timers.insert(Timer(at: task.due.milliseconds, id: task.id.rawValue, kind: .lease))
    compactTimers()
  }

  mutating func makeReady(_ id: TaskID, demand: Int, key: String?, priority: Int) {
    demands[demand]?.ready.push(id, key: key, priority: min(max(priority, 0), 9))
    addCandidate(demand)
  }

  mutating func addCandidate(_ demand: Int) {
    guard let slots = demands[demand], !slots.isCandidate, slots.ready.count > 0 else { return }
    demands[demand]?.isCandidate = true
    candidates.append(demand)
  }
}

extension RunningTask {
  /// When its lease, its timeout or its deadline ends, whichever is first.
  var due: Timestamp { min(leaseUntil, endsAt) }
}

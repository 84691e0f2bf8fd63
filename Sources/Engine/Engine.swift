// SPDX-License-Identifier: Apache-2.0
// The control plane's engine: a pure scheduler in a lock, and the loops that perform what it
// decides.
package import Domain
package import Logging
import ServiceLifecycle
import Synchronization

/// Takes tasks from submit to their end. Every promise is kept by an order: first the store
/// commits,
/// then the scheduler learns of it, then callers are answered.
package final class Engine: Service {
  package let store: any Store
  package let world: World
  package let limits: Limits
  package let meters = Meters()
  /// Appended to with `core` held, so that events are in the order in which it learned.
  package let events: EventLog
  package let tracing: Tracing
  let queueEnds = QueueEnds()
  let connector: any AgentConnector
  let logger: Logger
  let core: Mutex<Scheduler>
  let ids: TaskIDs
  let waiters: Waiters<TaskID, Void>
  let polls: LeasePolls
  let replays: ReplayMemory
  let acceptances = Acceptances()
  package let vault: Vault
  let agentSecrets: AgentSecrets
  let namedSecrets: NamedSecrets
  private let isClosing = Atomic(false)
  /// The dispatcher runs, and what an earlier life left behind has been looked at.
  private let isDispatching = Atomic(false)
  let seen = Mutex<[AgentID: Timestamp]>([:])
  /// Held by every change of agents, types and secrets, from its first look to its last write.
  let registry = AsyncLock()
  /// Agents that are gone from the configuration and still at work.
  let retiring = Mutex<Set<AgentID>>([])
  /// Every demand of the scheduler. Taken inside `core`, never the other way round.
  let knownDemands: Mutex<Set<Demand>>
  /// Claimed in the commit that stored them; the dispatcher has not seen them yet.
  let claimedAhead = Mutex<[ClaimedTask]>([])
  let kicks = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
  let jobs = AsyncStream<Job>.makeStream(bufferingPolicy: .bufferingOldest(Engine.waitingJobs))
  private static let waitingJobs = 10_000
  private static let jobsAtOnce = 256
  /// Warnings that strangers or a slow agent could otherwise repeat without end.
  let refusals = LogBudget()
  private let droppedJobs = LogBudget()
  let retention: Int64
  private let ready: @Sendable () async throws -> Void

  typealias Job = @Sendable () async -> Void

  package struct Options: Sendable {
    package var limits = Limits()
    /// Milliseconds that finished tasks are kept.
    package var retention: Int64 = 30 * 86_400_000
    /// How many events are kept for those who come back.
    package var events = Limits.events
    /// Returns once agents can reach the server; nothing is handed out before.
    package var ready: @Sendable () async throws -> Void = {}
    /// Where finished spans go; nil if nobody wants them.
    package var spans: SpanRecorder?

    package init() {}
  }

  private init(
    store: any Store, world: World, connector: any AgentConnector, vault: Vault,
    options: Options, logger: Logger, core: Scheduler, ids: TaskIDs, secrets: AgentSecrets,
    named: NamedSecrets, tracing: Tracing
  ) {
    self.store = store
    self.world = world
    events = EventLog(now: world.now(), most: options.events)
    limits = options.limits
    retention = options.retention
    ready = options.ready
    self.tracing = tracing
    self.connector = connector
    self.vault = vault
    self.logger = logger
    knownDemands = Mutex(Set(core.demands.compactMap { $0?.demand }))
    self.core = Mutex(core)
    self.ids = ids
    agentSecrets = secrets
    namedSecrets = named
    waiters = Waiters(most: options.limits.waiters)
    polls = LeasePolls(most: options.limits.waiters)
    replays = ReplayMemory()
  }

  /// Rebuilds the scheduler from the store.
  package static func open(
    store: any Store, world: World, connector: any AgentConnector, vault: Vault,
    options: Options, logger: Logger
  ) async throws -> Engine {
    let now = world.now()
    let core = Mutex(Scheduler())
    let agents = try await store.agents()
    let secrets = AgentSecrets()
    let named = NamedSecrets()
    try named.load(try await store.secrets(), vault: vault)
    for (id, demand) in try await store.demands() {
      core.withLock { $0.add(id, demand, now: now) }
    }
    for settings in try await store.types() { core.withLock { $0.apply(settings, now: now) } }
    for agent in agents {
      core.withLock { $0.upsert(agent.record, now: now) }
      try secrets.load(agent, vault: vault)
    }
    try await store.unfinished { batch in core.withLock { $0.load(batch, now: now) } }
    let last = try await store.lastTaskID()
    return Engine(
      store: store, world: world, connector: connector, vault: vault, options: options,
      logger: logger, core: core.withLock { $0 }, ids: TaskIDs(after: last), secrets: secrets,
      named: named,
      tracing: Tracing(spans: options.spans, salt: try await Self.traceSalt(store, world)))
  }

  /// Runs until shutdown: dispatching, time, health, retention and background jobs.
  package func run() async throws {
    do {
      try await cancelWhenGracefulShutdown { try await self.ready() }
    } catch is CancellationError {
      return close()
    }
    await putBackUnanswered()
    let unanswered = heldByAsyncAgents()
    isDispatching.store(true, ordering: .releasing)
    kick()
    await withGracefulShutdownHandler {
      await withDiscardingTaskGroup { group in
        group.addTask { await self.dispatchLoop() }
        group.addTask { await self.resend(unanswered) }
        group.addTask { await self.jobLoop() }
        group.addTask { await self.untilShutdown(self.tickLoop) }
        group.addTask { await self.untilShutdown(self.healthLoop) }
        group.addTask { await self.untilShutdown(self.housekeepingLoop) }
      }
    } onGracefulShutdown: {
      self.close()
      self.jobs.continuation.finish()
    }
    await markAccepted(before: .max)
    await flushSeen()
  }

  /// Hands out nothing more and lets nobody wait any longer; what runs may still report.
  package func close() {
    isClosing.store(true, ordering: .relaxed)
    kicks.continuation.finish()
    waiters.dismissAll()
    for (agent, poll) in polls.expired(now: Timestamp(milliseconds: .max)) {
      dismiss(poll, of: agent)
    }
  }

  var isOpen: Bool { !isClosing.load(ordering: .relaxed) }
  var mayDispatch: Bool { isOpen && isDispatching.load(ordering: .acquiring) }

  private func untilShutdown(_ loop: @Sendable @escaping () async -> Void) async {
    await cancelWhenGracefulShutdown(loop)
  }

  /// Work that nobody waits for, like telling an agent that a task was cancelled.
  private func jobLoop() async {
    await withTaskGroup(of: Void.self) { group in
      var running = 0
      for await job in jobs.stream {
        if running == Self.jobsAtOnce { await group.next() } else { running += 1 }
        group.addTask { await job() }
      }
    }
  }

  /// What requests wait by: it goes on evenly when the wall clock is set.
  var steadyNow: Timestamp { Timestamp(milliseconds: world.uptime()) }

  /// Something may be ready or free.
  func kick() { kicks.continuation.yield() }

  /// - Returns: whether it will run.
  @discardableResult func inBackground(_ job: @escaping Job) -> Bool {
    let outcome = jobs.continuation.yield(job)
    if case .enqueued = outcome { return true }
    guard case .dropped = outcome else { return false }
    droppedJobs.spend(now: world.uptime()) { unsaid in
      logger.warning(
        "too much waits to be told to agents; something was left out",
        metadata: ["unsaid": "\(unsaid)"])
    }
    return false
  }
}

extension Scheduler {
  /// Takes in unfinished tasks from the store.
  package mutating func load(_ batch: [UnfinishedTask], now: Timestamp) {
    for task in batch {
      if let running = task.running {
        resume(running, now: now)
      } else {
        enqueue(
          task.id, demand: task.demand, key: task.key, priority: task.priority,
          notBefore: task.notBefore, deadline: task.deadline, now: now)
      }
    }
  }
}

extension StoreError {
  /// What a caller of the API sees.
  package var asControlError: ControlError {
    switch self {
    case .diskFull:
      ControlError(
        .diskFull, "The server's disk is full; nothing was stored. Free space, then retry.")
    case .unavailable:
      ControlError(
        .storeUnavailable, "The server's database cannot be used at the moment.", retryAfter: 5)
    case .overloaded:
      ControlError(
        .limitReached, "Too many writes are waiting; slow down and retry.", retryAfter: 1)
    }
  }
}

/// Runs a store call and turns its errors into those that callers see.
func stored<Value>(
  _ body: () async throws(StoreError) -> Value
) async throws(ControlError) -> Value {
  do { return try await body() } catch { throw error.asControlError }
}

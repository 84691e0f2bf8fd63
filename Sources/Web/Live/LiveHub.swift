// SPDX-License-Identifier: Apache-2.0
// Everyone who watches, one shard for each event loop; and what has to be looked at to be seen.
import Domain
package import Engine
package import Logging
import NIOCore
import Synchronization

/// Made once by the wiring. `run` watches agents and counters while somebody wants to know.
package final class LiveHub: Sendable {
  private static let agentsInterval: Int64 = 250
  /// Between two looks at the counters, in looks at the agents.
  private static let overviewEvery = 4
  /// Milliseconds for which the counters are not read again.
  private static let overviewAge: Int64 = 500

  let engine: Engine
  let tokens: TokenBook
  private let logger: Logger
  private let shards = Mutex<[ObjectIdentifier: LiveShard]>([:])
  private let overviewWatchers = Atomic(0)
  private let agentWatchers = Atomic(0)
  /// With the time at which it was read, by the steady clock.
  private let latestOverview = Mutex<(json: [UInt8], at: Int64)?>(nil)

  package init(engine: Engine, tokens: TokenBook, logger: Logger) {
    self.engine = engine
    self.tokens = tokens
    self.logger = logger
  }

  var log: EventLog { engine.events }

  /// Called on the loop.
  func shard(for loop: any EventLoop) -> LiveShard {
    shards.withLock { shards in
      if let shard = shards[ObjectIdentifier(loop)] { return shard }
      let shard = LiveShard(loop, self)
      shards[ObjectIdentifier(loop)] = shard
      return shard
    }
  }

  func watch(_ topics: TopicSet, by count: Int) {
    if topics.hasOverview { overviewWatchers.add(count, ordering: .relaxed) }
    if topics.hasAgents { agentWatchers.add(count, ordering: .relaxed) }
  }

  func newSessionID() -> String {
    withUnsafeBytes(of: (engine.world.random(), engine.world.random())) { Hex.encode(Array($0)) }
  }

  // MARK: What is true now

  /// The state of topics that have one, as events. Fails for tasks that do not exist.
  func snapshot(of topics: Set<Topic>) async throws(ControlError) -> [LiveEvent] {
    let number = log.last
    let now = engine.world.now()
    var bodies: [LiveEvent.Body] = []
    for topic in topics {
      switch topic {
      case .overview: bodies.append(.overview(try await overview()))
      case .agents: bodies += engine.agents().map { .agent(AgentChange($0)) }
      case .task(let id): bodies.append(.task(TaskChange(try await engine.task(id))))
      case .logs(let id): _ = try await engine.task(id)
      case .tasks: break
      }
    }
    return bodies.map { LiveEvent(number: number, time: now, body: $0) }
  }

  private func overview() async throws(ControlError) -> [UInt8] {
    let now = engine.world.uptime()
    if let latest = latestOverview.withLock({ $0 }), now - latest.at < Self.overviewAge {
      return latest.json
    }
    return try await readOverview()
  }

  private func readOverview() async throws(ControlError) -> [UInt8] {
    let now = engine.world.uptime()
    let json = StatusRoutes.overview(try await engine.stats())
    latestOverview.withLock { $0 = (json, now) }
    return json
  }

  // MARK: Looking

  /// Until cancelled.
  func run() async {
    var agents: [AgentID: AgentChange] = [:]
    var round = 0
    while true {
      do { try await engine.world.sleep(Self.agentsInterval) } catch { return }
      round += 1
      if agentWatchers.load(ordering: .relaxed) > 0 { tellOfAgents(&agents) }
      guard round.isMultiple(of: Self.overviewEvery),
        overviewWatchers.load(ordering: .relaxed) > 0
      else { continue }
      await tellOfCounters()
    }
  }

  private func tellOfAgents(_ known: inout [AgentID: AgentChange]) {
    var now: [AgentID: AgentChange] = [:]
    for view in engine.agents() { now[view.record.id] = AgentChange(view) }
    var changes = now.values.filter { known[$0.id] != $0 }
    for (id, var gone) in known where now[id] == nil {
      gone.state = nil
      changes.append(gone)
    }
    known = now
    log.append(changes.map { .agent($0) }, at: engine.world.now())
  }

  private func tellOfCounters() async {
    let before = latestOverview.withLock { $0?.json }
    do throws(ControlError) {
      let json = try await readOverview()
      if json != before { log.append(.overview(json), at: engine.world.now()) }
    } catch {
      logger.warning("the counters could not be read", metadata: ["error": "\(error.message)"])
    }
  }
}

extension TaskChange {
  /// All that is known of a task now.
  fileprivate init(_ task: TaskRecord) {
    self.init(
      id: task.id, type: task.demand.type, state: task.state, attempt: task.attempt,
      agent: task.agent, progress: task.progress, message: task.message, end: TaskEnd(task),
      labels: task.labels)
  }
}

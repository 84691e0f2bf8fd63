// SPDX-License-Identifier: Apache-2.0
// A running engine on a store in memory, with time moved by hand and agents that follow a script.
import Domain
import Engine
import Logging
import Simulation
import Testing

struct EngineCase: Sendable {
  let world: ManualWorld
  let store: FaultyStore
  let connector: ScriptedConnector
  let engine: Engine

  static let key = [UInt8](repeating: 7, count: 32)

  /// An engine that is open and not running.
  static func open(
    store: FaultyStore = FaultyStore(), world: ManualWorld = ManualWorld(),
    connector: ScriptedConnector = ScriptedConnector(), key: [UInt8] = key,
    _ change: (inout Engine.Options) -> Void = { _ in }
  ) async throws -> EngineCase {
    var options = Engine.Options()
    change(&options)
    let engine = try await Engine.open(
      store: store, world: world.world, connector: connector, vault: try Vault(key: key),
      options: options, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    return EngineCase(world: world, store: store, connector: connector, engine: engine)
  }

  /// Runs a case against a running engine.
  static func run(
    store: FaultyStore = FaultyStore(), _ change: (inout Engine.Options) -> Void = { _ in },
    _ body: (EngineCase) async throws -> Void
  ) async throws {
    let test = try await open(store: store, change)
    try await test.whileRunning { try await body(test) }
  }

  func whileRunning(_ body: () async throws -> Void) async throws {
    let engine = engine
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await engine.run() }
      do { try await body() } catch {
        group.cancelAll()
        throw error
      }
      group.cancelAll()
    }
  }

  // MARK: Time

  /// Lets time pass, then looks what is due.
  func pass(_ milliseconds: Int64) async {
    world.advance(milliseconds)
    await engine.tick()
  }

  /// Waits until something holds; time stands still meanwhile.
  func until(
    _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
  ) async throws {
    for _ in 0..<200_000 {
      if try await condition() { return }
      await Task.yield()
    }
    Issue.record(what, sourceLocation: sourceLocation)
    throw NeverHeld()
  }

  struct NeverHeld: Error {}

  // MARK: Agents

  /// Registers a push agent for `work`, unless the change says otherwise.
  @discardableResult
  func agent(
    _ name: String, concurrency: Int = 4, _ change: (inout AgentRecord) -> Void = { _ in }
  ) async throws -> AgentID {
    let record = Self.record(name, concurrency: concurrency, now: world.now, change)
    _ = try await engine.register(record)
    return record.id
  }

  static func record(
    _ name: String, concurrency: Int = 4, now: Timestamp,
    _ change: (inout AgentRecord) -> Void = { _ in }
  ) -> AgentRecord {
    var record = AgentRecord(
      id: AgentID(stored: name), name: name, kind: .http, capabilities: ["work"], createdAt: now)
    record.endpoint = "http://agent.example"
    record.concurrency = concurrency
    change(&record)
    return record
  }

  @discardableResult
  func pullAgent(
    _ name: String, concurrency: Int = 4, _ change: (inout AgentRecord) -> Void = { _ in }
  ) async throws -> AgentID {
    try await agent(name, concurrency: concurrency) {
      $0.endpoint = nil
      change(&$0)
    }
  }

  // MARK: Tasks

  @discardableResult
  func submit(
    _ type: String = "work", _ change: (inout NewTask) -> Void = { _ in }
  ) async throws -> TaskID {
    var task = NewTask(demand: Demand(type: type), payload: Array("{}".utf8))
    change(&task)
    let submitted = try await engine.submit([Engine.Submission(task: task, bodyHash: nil)])
    return try #require(submitted.first).id
  }

  /// Submits a task and waits until its agent has it.
  func dispatched(
    _ change: (inout NewTask) -> Void = { _ in }
  ) async throws -> Dispatch {
    let id = try await submit("work", change)
    return try await dispatch(of: id)
  }

  /// Waits until an attempt is with its push agent.
  func dispatch(of id: TaskID, attempt: Int = 1) async throws -> Dispatch {
    try await until("attempt \(attempt) is dispatched") {
      connector.started(id, attempt: attempt) != nil
    }
    return try #require(connector.started(id, attempt: attempt))
  }

  func record(_ id: TaskID) async throws -> TaskRecord { try await engine.task(id) }

  func untilState(
    _ id: TaskID, _ state: TaskState, sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    try await until("\(id) is \(state.name)", sourceLocation: sourceLocation) {
      try await record(id).state == state
    }
  }

  // MARK: Reports

  /// A callback of the agent that holds the attempt.
  func callback(
    _ task: RunningTask, _ status: ReportStatus = .success, signedID: String? = nil,
    _ change: (inout Callback) -> Void = { _ in }
  ) -> Callback {
    var callback = Callback(
      agent: task.agent, signedID: signedID ?? "\(task.id)-\(task.attempt)", task: task.id,
      attempt: task.attempt, leaseToken: LeaseToken.text(task.token),
      report: Report(status: status))
    change(&callback)
    return callback
  }

  /// A progress report as its JSON says.
  func progress(_ text: String) throws(ControlError) -> ProgressReport {
    try ProgressParser(limits: Limits()).parse(Array(text.utf8), receivedAt: world.now)
  }

  @discardableResult
  func report(
    _ task: RunningTask, _ status: ReportStatus = .success, signedID: String? = nil,
    _ change: (inout Callback) -> Void = { _ in }
  ) async throws -> CallbackAnswer {
    try await engine.report(callback(task, status, signedID: signedID, change))
  }
}

/// The code of the error that `body` throws; nil if it throws none.
func refusal<Value>(
  _ body: () async throws(ControlError) -> Value
) async -> ControlError.Code? {
  do {
    _ = try await body()
    return nil
  } catch { return error.code }
}

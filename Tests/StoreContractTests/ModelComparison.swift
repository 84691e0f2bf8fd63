// SPDX-License-Identifier: Apache-2.0
// Random operations on the database and on the model: every answer and every state is the same.
import Domain
import Engine
import Simulation
import StoreSQLite
import Testing

/// SplitMix64: the same seed, the same run, on every machine.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
}

@Suite struct ModelComparison {
  static let seeds: Range<UInt64> = 1..<9

  @Test(arguments: seeds)
  func `the database answers what the model answers`(seed: UInt64) async throws {
    var limits = Limits()
    limits.logLinesPerTask = 6
    try await TemporaryFolder.with { folder in
      var run = try ComparedRun(seed: seed, folder: folder, limits: limits)
      for step in 0..<500 {
        try await run.step()
        if step.isMultiple(of: 50) { try await run.compareStates() }
        if step.isMultiple(of: 170) { try await run.reopen() }
      }
      try await run.compareStates()
      await run.store.close()
    }
  }
}

/// One seeded run: the store, the model, and what the operations may name.
struct ComparedRun {
  private(set) var store: SQLiteStore
  private var model: StoreModel
  private var random: SeededGenerator
  private let folder: String
  private let limits: Limits
  private let ids = TaskIDs(after: nil)
  private var known: [TaskID] = []
  private var now = StoreCase.start

  init(seed: UInt64, folder: String, limits: Limits) throws {
    self.folder = folder
    self.limits = limits
    random = SeededGenerator(seed: seed)
    model = StoreModel(limits: limits)
    store = try SQLiteStore.open(folder: folder, limits: limits)
  }

  mutating func reopen() async throws {
    await store.close()
    store = try SQLiteStore.open(folder: folder, limits: limits)
    try await compareStates()
  }

  mutating func step() async throws {
    now = now.adding(milliseconds: Int64.random(in: 0..<400_000, using: &random))
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<22: try await submit()
    case 22..<48: try await claim()
    case 48..<68: try await settle()
    case 68..<76: try await renew()
    case 76..<82: try await release()
    case 82..<88: try await end()
    case 88..<91: try await touchTask()
    case 91..<97: try await list()
    default: try await purge()
    }
  }

  // MARK: Operations

  private mutating func submit() async throws {
    let count = Int.random(in: 1..<6, using: &random)
    let batch = ids.next(count, now: now).map { newTask(TaskID(rawValue: $0)) }
    known += batch.map(\.id)
    let mine = model.submit(batch)
    #expect(try await store.submit(batch) == mine)
  }

  private mutating func newTask(_ id: TaskID) -> TaskInsert {
    let type = pick(["scrape", "render", "check"])
    var task = NewTask(
      demand: Demand(type: type, requires: random.chance(20) ? ["js"] : []),
      payload: Array(#"{"id":\#(id.rawValue)}"#.utf8))
    if random.chance(30) { task.key = pick(["k1", "k2", ""]) }
    if random.chance(30) { task.labels = [Label("env", pick(["prod", "test"]))] }
    if random.chance(20) { task.runAt = now.adding(milliseconds: 60_000) }
    if random.chance(20) { task.deadline = now.adding(milliseconds: 600_000) }
    if random.chance(20) { task.timeout = 5_000 }
    if random.chance(20) { task.trace = StoreCase.trace }
    if random.chance(20) {
      task.retry = RetryPolicy()
      task.retry?.maxAttempts = Int.random(in: 1..<4, using: &random)
    }
    guard random.chance(30) else { return TaskInsert(id: id, task: task) }
    task.idempotencyKey = "key-\(Int.random(in: 0..<40, using: &random))"
    return TaskInsert(id: id, task: task, bodyHash: [random.chance(85) ? 1 : 2])
  }

  private mutating func claim() async throws {
    let requests = someIDs().map { id in
      ClaimRequest(
        id: id, agent: AgentID(stored: pick(["one", "two"])),
        token: Int64(bitPattern: random.next()), now: now, defaultTimeout: 60_000,
        lease: random.chance(50) ? 30_000 : nil)
    }
    let mine = model.claim(requests)
    #expect(try await store.claim(requests).map { "\($0 as Any)" } == mine.map { "\($0 as Any)" })
  }

  private mutating func settle() async throws {
    var requests: [SettleRequest] = []
    for id in someIDs() {
      let running = model.running(id)
      let attempt = (running?.attempt ?? 1) - (random.chance(10) ? 1 : 0)
      var report = Report(status: pick([.success, .success, .partial, .failure, .failure]))
      if report.status != .failure { report.results = Array(#"{"ok":true}"#.utf8) }
      if random.chance(50) { report.error = Array(#"{"code":"e"}"#.utf8) }
      if random.chance(30) { report.logs = [line(), line()] }
      let settlement = Settlement.decide(
        status: report.status, retryable: random.chance(20) ? false : nil, retryAfter: nil,
        failures: running?.failures ?? 0, retry: running?.retry ?? RetryPolicy(), now: now,
        chance: 0.25)
      requests.append(
        SettleRequest(
          id: id, attempt: attempt, settlement: settlement, report: report,
          reporter: random.chance(80) ? running?.agent : nil,
          signedID: random.chance(80) ? "msg-\(random.next())" : nil, now: now))
    }
    let mine = model.settle(requests)
    #expect(try await store.settle(requests) == mine)
  }

  private mutating func renew() async throws {
    let requests = someIDs().map { id in
      RenewRequest(
        id: id, attempt: model.running(id)?.attempt ?? 1,
        leaseUntil: now.adding(milliseconds: random.chance(80) ? 30_000 : -900_000),
        progress: random.chance(50) ? 42.5 : nil, message: random.chance(50) ? "half" : nil,
        logs: random.chance(50) ? [line(), line(), line()] : [])
    }
    let mine = model.renew(requests)
    #expect(try await store.renew(requests) == mine)
  }

  private mutating func release() async throws {
    let requests = someIDs().map { id in
      ReleaseRequest(
        id: id, attempt: model.running(id)?.attempt ?? 1,
        notBefore: random.chance(50) ? now.adding(milliseconds: 5_000) : nil)
    }
    let mine = model.release(requests)
    #expect(try await store.release(requests) == mine)
  }

  private mutating func end() async throws {
    let requests = someIDs().prefix(2).map { id in
      EndRequest(
        id: id, state: random.chance(70) ? .cancelled : .failed,
        error: random.chance(50) ? Array("{}".utf8) : nil, now: now)
    }
    let mine = model.end(requests)
    #expect(try await store.end(requests).map { "\($0)" } == mine.map { "\($0)" })
  }

  private mutating func touchTask() async throws {
    guard let id = known.randomElement(using: &random) else { return }
    let hastened = model.hasten(id, at: now)
    #expect(try await store.hasten(id, at: now) == hastened)
    let acknowledged = model.acknowledge(id)
    #expect(try await store.acknowledge(id) == acknowledged)
    let lines = [line()]
    model.appendLogs(id, lines)
    try await store.appendLogs(id, lines)
  }

  private mutating func purge() async throws {
    let time = now.adding(milliseconds: -Int64.random(in: 0..<100_000_000, using: &random))
    let mine = model.purge(endedBefore: time, limit: .max)
    #expect(try await store.purge(endedBefore: time, limit: 1_000_000) == mine)
  }

  private mutating func list() async throws {
    var query = TaskQuery()
    query.limit = Int.random(in: 1..<20, using: &random)
    if random.chance(60) {
      query.states = TaskState.allCases.filter { _ in random.chance(40) }
    }
    if random.chance(30) { query.type = pick(["scrape", "none"]) }
    if random.chance(20) { query.agent = AgentID(stored: "one") }
    if random.chance(20) { query.labels = [Label("env", "prod")] }
    if random.chance(20) { query.needsAttention = random.chance(50) }
    if random.chance(20) { query.since = now.adding(milliseconds: -10_000_000) }
    if random.chance(20) { query.until = now.adding(milliseconds: -5_000_000) }
    let theirs = try await StoreCase(store: store).all(query).map { "\($0)" }
    let all = known.sorted(by: >).compactMap { id -> TaskRecord? in
      var record = model.task(id)
      record?.payload = nil
      record?.results = nil
      record?.trace = nil
      return record
    }
    #expect(theirs == all.filter(query.accepts).map { "\($0)" })
  }

  // MARK: States

  func compareStates() async throws {
    for id in known {
      #expect("\(try await store.task(id) as Any)" == "\(model.task(id) as Any)")
      #expect("\(try await store.running(id) as Any)" == "\(model.running(id) as Any)")
      #expect(try await store.settledAttempts(id) == model.settledAttempts(id))
      let logs = try await store.logs(id, after: 0, limit: 100)
      #expect("\(logs)" == "\(model.logs(id, after: 0, limit: 100))")
    }
    let test = StoreCase(store: store)
    #expect(try await test.unfinished().map { "\($0)" } == model.unfinished.map { "\($0)" })
    #expect(try await store.counts() == model.counts)
    #expect(try await store.lastTaskID() == model.lastTaskID)
    #expect(try await store.demands().map(\.demand) == model.demands.map(\.demand))
    try await test.checkCounts()
  }

  // MARK: Chance

  private mutating func someIDs() -> [TaskID] {
    let count = Int.random(in: 1..<8, using: &random)
    let running = model.unfinished.filter { $0.running != nil }.map(\.id)
    return (0..<count).compactMap { _ in
      random.chance(50) ? known.suffix(60).randomElement(using: &random) : nil
    } + running.shuffled(using: &random).prefix(count)
  }

  private mutating func line() -> TaskLog {
    TaskLog(time: now, level: pick(LogLevel.allCases), message: "line \(random.next())")
  }

  private mutating func pick<Value>(_ values: [Value]) -> Value {
    values[Int.random(in: 0..<values.count, using: &random)]
  }
}

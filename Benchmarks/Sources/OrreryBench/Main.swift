// SPDX-License-Identifier: Apache-2.0
// The engine's loop without HTTP, measured; prints one JSON object a line.
import ArgumentParser
import Domain
import Engine
import Foundation
import Logging
import StoreSQLite

@main
struct OrreryBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "OrreryBench",
    abstract: "Submits, claims and settles no-op tasks in process, durably, and prints the rate.")

  @Option(help: "How long to measure.") var seconds: Double = 5
  @Option(help: "Tasks per call.") var batch: Int = 500
  @Option(help: "An empty folder for the database.") var data: String
  @Option(help: "Queued tasks for the claim measurement; 0 leaves it out.") var queued: Int = 0

  func run() async throws {
    let engine = try await BenchEngine.open(data: data)
    if queued > 0 {
      try await ClaimLatency(engine: engine, queued: queued).run()
    } else {
      try await EngineLoop(engine: engine, batch: batch, seconds: seconds).run()
    }
    await engine.store.close()
  }
}

/// An engine on an empty store with one pull agent, its loops running.
enum BenchEngine {
  static let agent = AgentID(stored: "bench")
  static let type = "noop"

  static func open(data: String) async throws -> Engine {
    let store = try SQLiteStore.open(folder: data)
    let world = World.live
    var logger = Logger(label: "bench")
    logger.logLevel = .error
    let vault = try Vault(key: Array(repeating: 7, count: 32))
    let engine = try await Engine.open(
      store: store, world: world, connector: NoConnector(), vault: vault,
      options: Engine.Options(), logger: logger)
    var record = AgentRecord(
      id: agent, name: "bench", kind: .http, capabilities: [type], createdAt: world.now())
    record.concurrency = 10_000
    _ = try await engine.register(record)
    return engine
  }

  static func submission() -> Engine.Submission {
    Engine.Submission(
      task: NewTask(demand: Demand(type: type), payload: Array(payload.utf8)), bodyHash: nil)
  }

  private static let payload = """
    {"url":"https://example.com/articles/2026/11/an-article-with-a-rather-long-name.html",\
    "depth":2,"tags":["news","science","long-read"],"render":false,"locale":"en-GB",\
    "note":"as in the submit path"}
    """

  static func print(_ name: String, _ value: Double, _ unit: String, _ rest: [String: Any]) {
    var line: [String: Any] = rest
    line["name"] = name
    line["value"] = value
    line["unit"] = unit
    do {
      let data = try JSONSerialization.data(withJSONObject: line, options: [.sortedKeys])
      Swift.print(String(decoding: data, as: UTF8.self))
    } catch {
      Swift.print("{\"name\":\"error\"}")
    }
  }
}

/// Pull agents need none.
struct NoConnector: AgentConnector {
  func start(
    _ dispatch: Dispatch, on agent: AgentRecord, secrets: [AgentSecret]
  ) async -> DispatchAnswer {
    .failed(code: "NO_ENDPOINT", message: "no endpoint", countsForBreaker: false)
  }
  func cancel(
    _ task: RunningTask, reason: CancelReason, on agent: AgentRecord, secrets: [AgentSecret]
  ) async {}
  func isHealthy(_ agent: AgentRecord) async -> Bool { true }
  func check(url: String, path: String, isEndpoint: Bool) async throws(ControlError) {}
}

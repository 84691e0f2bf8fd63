// SPDX-License-Identifier: Apache-2.0
// A connector, an agent and an attempt for tests.

import Agents
import Domain
import Engine
import Logging
import Testing

enum Fixture {
  static let secret = "whsec_9K3K+deU8aOkQr/4d4NmktEWpa3r59QrjCAMvE+2Q84="
  static let taskID = TaskID.first(at: 1_800_000_000_000)

  static var trace: TraceContext {
    get throws {
      try #require(
        TraceContext(
          stored: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 congo=t61rcWkgMzE"))
    }
  }

  /// Runs `body` with a connector and shuts it down afterwards.
  static func withConnector<Value>(
    host: String = "127.0.0.1", ownPort: Int = 1, allow: [String] = [],
    answerTimeout: Int64 = 1_000, world: World = .live, secrets: [String: String] = [:],
    _ body: (HTTPConnector) async throws -> Value
  ) async throws -> Value {
    let server = ServerAddress(host: host, port: ownPort)
    let policy = OutboundPolicy(
      allowed: try allow.map { try #require(AddressRange($0)) }, server: server)
    var settings = HTTPConnector.Settings()
    settings.answerTimeout = answerTimeout
    let connector = HTTPConnector(
      settings: settings, policy: policy, server: server, world: world,
      logger: Logger(label: "test"), secret: { secrets[$0] })
    do {
      let value = try await body(connector)
      await connector.shutdown()
      return value
    } catch {
      await connector.shutdown()
      throw error
    }
  }

  static func agent(
    _ endpoint: String, answers: AnswerMode = .async, options: String? = nil
  ) throws -> AgentRecord {
    var agent = AgentRecord(
      id: try #require(AgentID("agent-1")), name: "agent-1", kind: .http, capabilities: ["work"],
      createdAt: .epoch)
    agent.endpoint = endpoint
    agent.answers = answers
    agent.options = options.map { Array($0.utf8) }
    return agent
  }

  /// An attempt that ends `timeout` milliseconds from now.
  static func dispatch(payload: String = "{}", timeout: Int64 = 60_000) throws -> Dispatch {
    let now = World.live.now()
    let running = RunningTask(
      id: taskID, demand: DemandID(rawValue: 1), key: nil, priority: 5,
      agent: try #require(AgentID("agent-1")), attempt: 3, token: 0x0123_4567_89AB_CDEF,
      failures: 0, retry: RetryPolicy(), startedAt: now,
      leaseUntil: now.adding(milliseconds: timeout), timeoutAt: now.adding(milliseconds: timeout),
      deadline: nil)
    return Dispatch(
      task: ClaimedTask(running: running, payload: Array(payload.utf8), timeout: timeout),
      type: "work", trace: try trace)
  }

  /// Dispatches to a server that answers as scripted.
  static func answer(
    to script: Scripted, answers: AnswerMode = .async, timeout: Int64 = 60_000,
    answerTimeout: Int64 = 1_000
  ) async throws -> DispatchAnswer {
    try await ScriptedAgent.with({ _ in script }) { agent in
      try await withConnector(answerTimeout: answerTimeout) { connector in
        await connector.start(
          try dispatch(timeout: timeout), on: try self.agent(agent.url, answers: answers),
          secrets: [try AgentSecret(secret)])
      }
    }
  }
}

extension DispatchAnswer {
  /// A short text for comparisons: what it is, its code and its flags.
  var summary: String {
    switch self {
    case .accepted: "accepted"
    case .report(let report): "report \(report.status.name)"
    case .failed(let code, _, let countsForBreaker):
      "failed \(code)\(countsForBreaker ? " breaker" : "")"
    case .undelivered(_, let countsForBreaker, let retryAfter, let unhealthy):
      "undelivered\(countsForBreaker ? " breaker" : "")\(unhealthy ? " unhealthy" : "")"
        + (retryAfter.map { " after \($0)" } ?? "")
    }
  }
}

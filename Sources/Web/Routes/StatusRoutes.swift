// SPDX-License-Identifier: Apache-2.0
// How the server is: health, readiness, numbers, contract.
import Domain
import Engine
import NIOHTTP1

enum StatusRoutes {
  static func stats(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let stats = try await services.engine.stats()
    let uptime = request.now.milliseconds(since: services.startedAt) / 1_000
    return .json {
      $0.object {
        $0.field("version", services.version)
        $0.field("uptimeSeconds", uptime)
        $0.numbers(stats)
      }
    }
  }

  /// The counters alone, as those who watch get them.
  static func overview(_ stats: Engine.Stats) -> [UInt8] {
    var writer = JSONWriter()
    writer.object { $0.numbers(stats) }
    return writer.bytes
  }

  static func healthz(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    .json { $0.object { $0.field("status", "ok") } }
  }

  static func readyz(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    if let reason = await services.notReady() {
      throw ControlError(.storeUnavailable, reason, retryAfter: 1)
    }
    return .json { $0.object { $0.field("status", "ready") } }
  }

  static func openAPI(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    APIResponse(status: .ok, body: .shared(services.openAPI))
  }
}

extension JSONWriter {
  fileprivate mutating func numbers(_ stats: Engine.Stats) {
    key(literal: "tasks")
    counts(stats.total)
    key(literal: "types")
    object {
      for (type, counts) in stats.types.sorted(by: { $0.key < $1.key }) {
        $0.key(type)
        $0.counts(counts)
      }
    }
    key(literal: "agents")
    object {
      for state in AgentState.allCases {
        $0.key(state.rawValue)
        $0.int(stats.agents[state] ?? 0)
      }
    }
    field("storeBytes", stats.storeBytes)
  }
}

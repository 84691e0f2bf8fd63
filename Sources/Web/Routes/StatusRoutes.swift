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
        $0.key(literal: "tasks")
        $0.counts(stats.total)
        $0.key(literal: "types")
        $0.object {
          for (type, counts) in stats.types.sorted(by: { $0.key < $1.key }) {
            $0.key(type)
            $0.counts(counts)
          }
        }
        $0.key(literal: "agents")
        $0.object {
          for state in AgentState.allCases {
            $0.key(state.rawValue)
            $0.int(stats.agents[state] ?? 0)
          }
        }
        $0.field("storeBytes", stats.storeBytes)
      }
    }
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
    APIResponse(status: .ok, body: services.openAPI)
  }
}

// SPDX-License-Identifier: Apache-2.0
// Pull agents: leases and heartbeats.
import Domain
import Engine

enum PullRoutes {
  static func lease(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let (body, signedIn) = try await request.signedBody(services)
    try signedIn.check(request.agentID())
    let query = try LeaseQuery(body, limits: services.limits)
    try services.engine.admitLease()
    try services.engine.refuseReplay(signedIn)
    guard try services.engine.agent(signedIn.agent).record.endpoint == nil else {
      throw ControlError(.conflict, "This agent has an endpoint; work is pushed to it.")
    }
    let dispatches = try await request.client.whileThere { () throws(ControlError) in
      await services.engine.lease(
        signedIn.agent, max: query.max, wait: Int64(query.waitSeconds) * 1_000)
    }
    return .json {
      $0.object {
        $0.key(literal: "dispatches")
        $0.array {
          for dispatch in dispatches {
            dispatch.body.write(to: &$0, addresses: services.addresses())
          }
        }
      }
    }
  }

  static func heartbeat(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let (body, signedIn) = try await request.signedBody(services)
    try signedIn.check(request.agentID())
    let beat = try Heartbeat(body, limits: services.limits)
    var running: [(task: TaskID, leaseToken: String?)] = []
    var unknown: [String] = []
    for entry in beat.running {
      if let id = TaskID(entry.taskID) {
        running.append((id, entry.leaseToken))
      } else {
        unknown.append(entry.taskID)
      }
    }
    let answer = try await services.engine.heartbeat(
      signedIn.agent, isDraining: beat.isDraining, running: running)
    return .json {
      $0.object {
        $0.field("acknowledged", true)
        $0.field("cancelled", answer.cancelled.map(\.description))
        $0.field("lost", answer.lost.map(\.description) + unknown)
      }
    }
  }
}

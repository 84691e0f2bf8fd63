// SPDX-License-Identifier: Apache-2.0
// The operator's calls about agents.

import Domain

extension OrreryClient {
  /// All agents.
  public func agents() async throws -> [AgentSnapshot] {
    try await agentList().elements
  }

  /// All agents, with the answer as it came.
  public func agentList() async throws -> Page<AgentSnapshot> {
    try Page(await send(Call(path: ["api", "agents"])), "agents", AgentSnapshot.init)
  }

  /// One agent.
  public func agent(_ id: String) async throws -> AgentSnapshot {
    try AgentSnapshot(await send(Call(path: ["api", "agents", id])).object())
  }

  /// Registers an agent and returns its secret, which is shown once.
  public func register(_ agent: AgentRegistration) async throws -> AgentCredentials {
    var call = Call(method: "POST", path: ["api", "agents"], body: agent.bytes)
    call.isRepeatable = false
    return try AgentCredentials(await send(call).object())
  }

  /// Registers a worker by a join token; joining again under a name renews its secret.
  public func join(_ agent: AgentRegistration) async throws -> AgentCredentials {
    let call = Call(method: "POST", path: ["api", "agents", "join"], body: agent.bytes)
    return try AgentCredentials(await send(call).object())
  }

  /// Changes an agent.
  ///
  /// - Throws: `managedByConfig` if it stands in the server's configuration file.
  @discardableResult
  public func change(agent id: String, _ change: AgentChange) async throws -> AgentSnapshot {
    let call = Call(method: "PATCH", path: ["api", "agents", id], body: change.bytes)
    return try AgentSnapshot(await send(call).object())
  }

  /// Gives an agent a new secret.
  ///
  /// - Parameter grace: how long the old one still counts; zero revokes it at once, nil is a day.
  public func rotateSecret(
    ofAgent id: String, grace: Duration? = nil
  ) async throws -> AgentCredentials {
    var writer = JSONWriter()
    writer.object { writer in
      if let grace { writer.field("graceSeconds", (grace.wholeMilliseconds + 999) / 1_000) }
    }
    var call = Call(
      method: "POST", path: ["api", "agents", id, "rotate-secret"], body: writer.bytes)
    call.isRepeatable = false
    return try AgentCredentials(await send(call).object(), id: id)
  }

  /// Removes an agent: its secret is revoked and its tasks go back to the queue at once.
  public func remove(agent id: String) async throws {
    _ = try await send(Call(method: "DELETE", path: ["api", "agents", id]))
  }
}

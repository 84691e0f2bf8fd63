// SPDX-License-Identifier: Apache-2.0
// The kinds and states of agents.

/// The kind of an agent, `type` on the wire.
public enum AgentKind: String, Sendable, Hashable, CaseIterable {
  case http, browser, cloud, wasm
}

/// What an operator, a probe or the agent itself made of an agent.
public enum AgentState: String, Sendable, CaseIterable {
  /// Gets work.
  case active
  /// Finishes what it has, gets nothing new.
  case draining
  /// Gets nothing until a probe, a change of its entry or a signed request of its own succeeds.
  case unhealthy
  /// Gets nothing until an operator says so.
  case disabled
}

// SPDX-License-Identifier: Apache-2.0
// What a task asks of the agent that may run it.

/// The part of a task that decides which agents are eligible. Tasks with equal demands share one
/// ready queue, so matching is done once per demand and not once per task.
public struct Demand: Hashable, Sendable {
  public var type: String
  public var agentType: AgentKind?
  /// Sorted, without repeats.
  public var requires: [String]
  public var selector: [Label]

  public init(
    type: String, agentType: AgentKind? = nil, requires: [String] = [], selector: [Label] = []
  ) {
    self.type = type
    self.agentType = agentType
    self.requires = Array(Set(requires)).sorted()
    self.selector = selector.sorted()
  }

  /// `type` ∈ capabilities, `requires` ⊆ capabilities, `agentType` equal if given, every
  /// `selector` pair among the labels.
  package func isMet(kind: AgentKind, capabilities: Set<String>, labels: [Label]) -> Bool {
    guard capabilities.contains(type), agentType.map({ $0 == kind }) ?? true else { return false }
    return requires.allSatisfy(capabilities.contains) && selector.allSatisfy(labels.contains)
  }
}

/// A `name=value` pair on a task or an agent.
public struct Label: Hashable, Sendable, Comparable {
  public var name: String
  public var value: String

  public init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }

  public static func < (a: Label, b: Label) -> Bool { (a.name, a.value) < (b.name, b.value) }
}

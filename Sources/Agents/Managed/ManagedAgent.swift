// SPDX-License-Identifier: Apache-2.0
// An agent that the server starts itself.
package import Domain

/// What to start for an entry with `launch`.
package struct ManagedAgent: Sendable, Hashable {
  package var id: AgentID
  /// The program and its arguments; the program is looked up in `PATH` unless it holds a slash.
  package var command: [String]
  package var environment: [String: String]
  /// Nil is the server's own.
  package var workingDirectory: String?

  package init(
    id: AgentID, command: [String], environment: [String: String] = [:],
    workingDirectory: String? = nil
  ) {
    self.id = id
    self.command = command
    self.environment = environment
    self.workingDirectory = workingDirectory
  }
}

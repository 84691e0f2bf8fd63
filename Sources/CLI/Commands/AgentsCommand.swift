// SPDX-License-Identifier: Apache-2.0
// `orrery agents`: see, register and steer agents.

import ArgumentParser
import OrreryClient

struct AgentsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "agents", abstract: "See, register and steer agents.",
    subcommands: [
      List.self, Register.self, Rotate.self, Drain.self, Activate.self, Remove.self,
    ])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List agents.")
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      let page = try await connection.client().agentList()
      let output = connection.output
      if output.isJSON { return output.json(page.json) }
      var table = Table([
        .init(title: "ID", isFlexible: true), .init(title: "NAME", isFlexible: true),
        .init(title: "TYPE"), .init(title: "STATE", isState: true),
        .init(title: "BUSY", alignment: .right), .init(title: "SEEN", alignment: .right),
        .init(title: "BY"), .init(title: "CAPABILITIES", isFlexible: true),
        .init(title: "ENDPOINT", isFlexible: true),
      ])
      for agent in page.elements {
        table.add([
          agent.id, agent.name, agent.type, agent.state,
          "\(agent.running)/\(agent.concurrency)", Figure.age(agent.lastSeenAt),
          agent.managedBy, agent.capabilities.joined(separator: ","),
          agent.endpoint ?? "(pulls)",
        ])
      }
      output.table(table, ifEmpty: "No agents are registered.")
    }
  }

  struct Register: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Register an agent; its secret is shown once.",
      discussion: """
        orrery agents register pdf-1 --capability pdf --endpoint https://pdf.example.com/run
        Without --endpoint the agent pulls its work.
        """)

    @Argument(help: "The agent's name.") var name: String
    @Option(help: "http, browser, cloud or wasm.") var type = "http"
    @Option(help: "A type of task that it does, or what tasks may require; may be repeated.")
    var capability: [String] = []
    @Option(help: "Push: dispatches are sent here.") var endpoint: String?
    @Option(help: "Push: cancellations are sent here.") var cancelEndpoint: String?
    @Option(help: "Probed every 15 s.") var healthUrl: String?
    @Flag(help: "The answer to a dispatch is the result.") var sync = false
    @Option(help: "Tasks at a time.") var concurrency: Int?
    @Option(help: "How long a lease lasts.") var leaseSeconds: Int?
    @Option(help: "A label, name=value; may be repeated.") var label: [PairArgument] = []
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      var agent = AgentRegistration(name: name, capabilities: capability)
      agent.type = type
      agent.endpoint = endpoint
      agent.cancelEndpoint = cancelEndpoint
      agent.healthURL = healthUrl
      agent.answersSynchronously = sync
      agent.concurrency = concurrency
      agent.leaseSeconds = leaseSeconds
      agent.labels = label.map
      connection.output.credentials(try await connection.client().register(agent))
    }
  }

  struct Rotate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Give an agent a new secret, shown once.")
    @Argument(help: "The agent's id.") var id: String
    @Option(help: "How long the old secret still counts, as 1h; 0 revokes it at once.")
    var grace: DurationArgument?
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      let client = try connection.client()
      connection.output.credentials(
        try await client.rotateSecret(ofAgent: id, grace: grace?.duration))
    }
  }

  struct Drain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Give an agent nothing new; it finishes what it has.")
    @Argument(help: "The agent's id.") var id: String
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      try await connection.set(agent: id, state: "draining", "takes nothing new")
    }
  }

  struct Activate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Give a drained or disabled agent work again.")
    @Argument(help: "The agent's id.") var id: String
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      try await connection.set(agent: id, state: "active", "takes work")
    }
  }

  struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Remove an agent: its secret is revoked, its tasks go back to the queue.")
    @Argument(help: "The agent's id.") var id: String
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      try await connection.client().remove(agent: id)
      connection.output.done("\(id) is removed.")
    }
  }
}

extension ConnectionOptions {
  fileprivate func set(agent id: String, state: String, _ words: String) async throws {
    let agent = try await client().change(agent: id, AgentChange(state: state))
    if json { return output.json(agent.json) }
    output.line(TerminalText.escaped("\(id) is \(agent.state): it \(words)."))
  }
}

extension Output {
  fileprivate func credentials(_ credentials: AgentCredentials) {
    if isJSON { return json(credentials.json) }
    fields([("id", credentials.id), ("secret", credentials.secret)])
    Terminal.error.write("Keep the secret: it is not shown again.\n")
  }

  /// The end of a call that answers nothing.
  func done(_ sentence: String) {
    if !isJSON { line(TerminalText.escaped(sentence)) }
  }
}

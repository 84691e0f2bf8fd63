// SPDX-License-Identifier: Apache-2.0
// `orrery tokens`, `secrets`, `keys`, `stats` and `backup`.

import ArgumentParser
import OrreryClient

struct TokensCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokens", abstract: "Make, list and revoke tokens.",
    subcommands: [Create.self, List.self, Remove.self])

  struct Create: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a token, shown once.")
    @Argument(help: "A name for people.") var name: String
    @Option(help: "viewer, operator, admin, or join for agents that register themselves.")
    var role: RoleArgument
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      let token = try await connection.client().createToken(name: name, role: role.role)
      let output = connection.output
      if output.isJSON { return output.json(token.json) }
      output.fields([
        ("id", token.id), ("name", token.name), ("role", token.role), ("token", token.token),
      ])
      Terminal.error.write("Keep the token: it is not shown again.\n")
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List tokens.")
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      let page = try await connection.client().tokens()
      let output = connection.output
      if output.isJSON { return output.json(page.json) }
      var table = Table([
        .init(title: "ID"), .init(title: "NAME", isFlexible: true), .init(title: "ROLE"),
        .init(title: "AGE", alignment: .right), .init(title: "USED", alignment: .right),
      ])
      for token in page.elements {
        table.add([
          token.id, token.name, token.role, Figure.age(token.createdAt),
          Figure.age(token.lastUsedAt),
        ])
      }
      output.table(table, ifEmpty: "There are no tokens.")
    }
  }

  struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Revoke a token at once.")
    @Argument(help: "The token's id.") var id: String
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      try await connection.client().remove(token: id)
      connection.output.done("\(id) is revoked.")
    }
  }
}

struct SecretsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "secrets", abstract: "Store, list and remove named secrets.",
    subcommands: [Set.self, List.self, Remove.self])

  struct Set: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Store a secret; its value comes from standard input or is asked for.",
      discussion: "orrery secrets set BROWSER_AGENT_TOKEN < token.txt")
    @Argument(help: "The secret's name.") var name: String
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      let client = try connection.client()
      try await client.setSecret(name, to: HiddenPrompt.read("Value of \(name): "))
      connection.output.done("\(name) is stored.")
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the names of secrets.")
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      let page = try await connection.client().secrets()
      let output = connection.output
      if output.isJSON { return output.json(page.json) }
      var table = Table([
        .init(title: "NAME", isFlexible: true), .init(title: "CREATED"),
        .init(title: "CHANGED"),
      ])
      for secret in page.elements {
        table.add([
          secret.name, Figure.time(secret.createdAt), Figure.time(secret.updatedAt),
        ])
      }
      output.table(table, ifEmpty: "There are no secrets.")
    }
  }

  struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Remove a secret.")
    @Argument(help: "The secret's name.") var name: String
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      try await connection.client().remove(secret: name)
      connection.output.done("\(name) is removed.")
    }
  }
}

struct KeysCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys", abstract: "The key that seals secrets.", subcommands: [Rotate.self])

  struct Rotate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a new key and seal all secrets again.")
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      let answer = try await connection.client().rotateKeys()
      let output = connection.output
      if output.isJSON { return output.json(answer.json) }
      output.line(TerminalText.escaped("The new key is \(answer.keyID)."))
    }
  }
}

struct StatsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stats", abstract: "Show figures of the server.")
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let stats = try await connection.client().stats()
    let output = connection.output
    if output.isJSON { return output.json(stats.json) }
    let agents = stats.agents.sorted { $0.key < $1.key }.filter { $0.value > 0 }
      .map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    output.fields([
      ("version", stats.version), ("up", Figure.span(stats.uptimeSeconds)),
      ("store", Figure.bytes(stats.storeBytes)), ("agents", agents.isEmpty ? "none" : agents),
    ])
    output.line()
    var table = Table([
      .init(title: "TYPE", isFlexible: true), .init(title: "QUEUED", alignment: .right),
      .init(title: "RUNNING", alignment: .right), .init(title: "COMPLETED", alignment: .right),
      .init(title: "FAILED", alignment: .right), .init(title: "CANCELLED", alignment: .right),
    ])
    let rows = stats.types.sorted { $0.key < $1.key } + [("(all)", stats.tasks)]
    for (type, counts) in rows {
      table.add([
        type, String(counts.queued), String(counts.running), String(counts.completed),
        String(counts.failed), String(counts.cancelled),
      ])
    }
    output.table(table, ifEmpty: "")
  }
}

struct BackupCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup",
    abstract: "Copy the store of a running server, consistently; keys are not in it.")
  @Option(help: "A file name in the server's backups folder; made from the time if left out.")
  var path: String?
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let receipt = try await connection.client().backup(path: path)
    let output = connection.output
    if output.isJSON { return output.json(receipt.json) }
    output.line(TerminalText.escaped("\(receipt.path)  \(Figure.bytes(receipt.bytes))"))
  }
}

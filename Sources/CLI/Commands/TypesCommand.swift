// SPDX-License-Identifier: Apache-2.0
// `orrery types`: see, pause and limit types of tasks.

import ArgumentParser
import OrreryClient

struct TypesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "types", abstract: "See, pause and limit types of tasks.",
    subcommands: [List.self, Pause.self, Resume.self, Limit.self])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List types.")
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      let page = try await connection.client().typeList()
      let output = connection.output
      if output.isJSON { output.json(page.json) } else { output.types(page.elements) }
    }
  }

  struct Pause: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Start nothing of a type; what runs goes on.")
    @Argument(help: "The type.") var type: String
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      try await connection.change(type, TypeChange(isPaused: true))
    }
  }

  struct Resume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Start a paused type again.")
    @Argument(help: "The type.") var type: String
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      try await connection.change(type, TypeChange(isPaused: false))
    }
  }

  struct Limit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Limit a type; none lifts a limit.")
    @Argument(help: "The type.") var type: String
    @Option(help: "Running at a time, or none.") var concurrency: LimitArgument<Int>?
    @Option(help: "Claims per second, or none.") var rate: LimitArgument<Double>?
    @Option(help: "Running at a time per key, or none.") var keyConcurrency: LimitArgument<Int>?
    @Option(help: "Claims per second per key, or none.") var keyRate: LimitArgument<Double>?
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
      if concurrency == nil, rate == nil, keyConcurrency == nil, keyRate == nil {
        throw ValidationError("Name a limit: --concurrency, --rate, --key-concurrency, --key-rate.")
      }
    }

    func run() async throws {
      var change = TypeChange()
      if let concurrency { change.concurrency = concurrency.limit }
      if let rate { change.ratePerSecond = rate.limit }
      if let keyConcurrency { change.concurrencyPerKey = keyConcurrency.limit }
      if let keyRate { change.ratePerSecondPerKey = keyRate.limit }
      try await connection.change(type, change)
    }
  }
}

extension ConnectionOptions {
  fileprivate func change(_ type: String, _ change: TypeChange) async throws {
    let answer = try await client().change(type: type, change)
    if json { output.json(answer.json) } else { output.types([answer]) }
  }
}

extension Output {
  fileprivate func types(_ types: [TypeSnapshot]) {
    var table = Table([
      .init(title: "TYPE", isFlexible: true), .init(title: "STATE", isState: true),
      .init(title: "QUEUED", alignment: .right), .init(title: "RUNNING", alignment: .right),
      .init(title: "COMPLETED", alignment: .right), .init(title: "FAILED", alignment: .right),
      .init(title: "CANCELLED", alignment: .right), .init(title: "LIMITS", isFlexible: true),
    ])
    for type in types {
      let counts = type.counts
      table.add([
        type.type, type.isPaused ? "paused" : "active", String(counts.queued),
        String(counts.running), String(counts.completed), String(counts.failed),
        String(counts.cancelled), limits(type),
      ])
    }
    self.table(table, ifEmpty: "No types have tasks or settings yet.")
  }

  private func limits(_ type: TypeSnapshot) -> String? {
    let parts = [
      type.limits.concurrency.map { "\($0) at a time" },
      Figure.number(type.limits.ratePerSecond).map { "\($0)/s" },
      type.perKey.concurrency.map { "\($0) at a time per key" },
      Figure.number(type.perKey.ratePerSecond).map { "\($0)/s per key" },
    ].compactMap { $0 }
    return parts.isEmpty ? nil : parts.joined(separator: ", ")
  }
}

// SPDX-License-Identifier: Apache-2.0
// Calls that do not belong in the sources, or only with a reason beside them.

import Foundation
import Testing

@Suite struct BannedCalls {
  /// One call that is refused, with where and how it is allowed all the same.
  struct Ban: Sendable, CustomTestStringConvertible {
    let call: String
    let instead: String
    var allowedIn: @Sendable (SourceFile) -> Bool = { _ in false }
    var allowedWithReason = false

    var testDescription: String { call }
  }

  /// The clock, chance and identity come through one door per target.
  static let isDoor: @Sendable (SourceFile) -> Bool = { file in
    ["World.swift", "LiveWorld.swift", "SystemClock.swift"].contains(file.name)
  }

  /// Programs talk to people on standard output.
  static let isProgram: @Sendable (SourceFile) -> Bool = { file in
    ["CLI", "Simulate", "OrreryBench"].contains(file.target)
  }

  static let bans: [Ban] = [
    Ban(call: "Date()", instead: "world.now()", allowedIn: isDoor),
    Ban(call: "Date.now", instead: "world.now()", allowedIn: isDoor),
    Ban(call: "UUID()", instead: "world.newID()", allowedIn: isDoor),
    Ban(call: "Task.sleep", instead: "world.sleep or a condition", allowedIn: isDoor),
    Ban(call: ".random(in", instead: "world.random", allowedIn: isDoor),
    Ban(call: ".randomElement(", instead: "world.random", allowedIn: isDoor),
    Ban(call: "SystemRandomNumberGenerator", instead: "world.random", allowedIn: isDoor),
    Ban(call: "try!", instead: "a thrown error"),
    Ban(call: "as!", instead: "as? with an answer for nil"),
    Ban(call: "fatalError(", instead: "a thrown error; precondition for a bug of ours"),
    Ban(call: "Task.detached", instead: "a task group"),
    Ban(call: "usleep(", instead: "a condition"),
    Ban(
      call: "catch {}", instead: "an answer to the error, or a comment that says why",
      allowedWithReason: true),
    Ban(call: "print(", instead: "the logger", allowedIn: isProgram),
    Ban(call: "try?", instead: "do/catch, or a comment that says why", allowedWithReason: true),
  ]

  @Test(arguments: bans)
  func `is not called`(ban: Ban) {
    for file in SourceFile.sources where !ban.allowedIn(file) {
      for (index, line) in file.codeLines.enumerated() where Self.calls(ban.call, in: line) {
        if ban.allowedWithReason, file.hasReason(at: index) { continue }
        // A generator that is passed in is seeded by whoever passes it.
        if ban.call.hasPrefix(".random"), line.contains("using:") { continue }
        Issue.record("\(file.path):\(index + 1): \(ban.call) – use \(ban.instead)")
      }
    }
  }

  /// Words of a comment that name what keeps an unchecked value safe.
  static let guards = [
    "lock", "mutex", "queue", "thread", "loop", "serial", "confined", "immutable", "atomic",
    "actor", "guard", "once",
  ]

  @Test(arguments: ["@unchecked Sendable", "nonisolated(unsafe)"])
  func `names its guard`(mark: String) {
    for file in SourceFile.sources {
      for (index, line) in file.codeLines.enumerated() where line.contains(mark) {
        let comment = file.comment(at: index).lowercased()
        if Self.guards.contains(where: comment.contains) { continue }
        Issue.record("\(file.path):\(index + 1): \(mark) – a comment names the guard")
      }
    }
  }

  /// True where `call` stands alone: `sprint(` is not `print(`.
  static func calls(_ call: String, in line: String) -> Bool {
    var rest = Substring(line)
    while let range = rest.range(of: call) {
      let before =
        range.lowerBound == line.startIndex ? nil : line[line.index(before: range.lowerBound)]
      let isOwnWord = before.map { !$0.isLetter && !$0.isNumber && $0 != "_" && $0 != "." } ?? true
      if isOwnWord || call.hasPrefix(".") { return true }
      rest = rest[range.upperBound...]
    }
    return false
  }
}

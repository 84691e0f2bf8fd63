// SPDX-License-Identifier: Apache-2.0
// Values of arguments: pairs, durations, times, priorities, limits.

import ArgumentParser
import Foundation
import OrreryClient

/// `name=value`
struct PairArgument: ExpressibleByArgument {
  let name: String
  let value: String

  init?(argument: String) {
    guard let sign = argument.firstIndex(of: "="), sign > argument.startIndex else { return nil }
    name = String(argument[..<sign])
    value = String(argument[argument.index(after: sign)...])
  }
}

extension [PairArgument] {
  /// The pairs; the last of a name counts.
  var map: [String: String] {
    reduce(into: [:]) { $0[$1.name] = $1.value }
  }
}

/// `500ms`, `30s`, `10m`, `2h`, `1d`; a bare number is milliseconds, as in the API.
struct DurationArgument: ExpressibleByArgument {
  let duration: Duration

  init?(argument: String) {
    let digits = argument.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    guard let value = Double(digits), value >= 0, value < 1e15,
      let unit = Self.units[String(argument[digits.endIndex...])]
    else { return nil }
    let milliseconds = (value * unit).rounded()
    guard milliseconds < 9e15 else { return nil }
    duration = .milliseconds(Int64(milliseconds))
  }

  private static let units: [String: Double] = [
    "": 1, "ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000,
  ]
}

/// An RFC 3339 time, or a duration from now.
struct TimeArgument: ExpressibleByArgument {
  let date: Date

  init?(argument: String) {
    let relative = argument.hasPrefix("+") ? String(argument.dropFirst()) : argument
    if let delay = DurationArgument(argument: relative) {
      let milliseconds = Double(SystemClock.live.now()) + delay.duration / .milliseconds(1)
      date = Date(timeIntervalSince1970: milliseconds / 1_000)
      return
    }
    do {
      date = try JSONText(encoding: argument).decode(as: Date.self)
    } catch {
      return nil
    }
  }
}

/// 0 to 9, or a name.
struct PriorityArgument: ExpressibleByArgument {
  let priority: Priority

  init?(argument: String) {
    switch argument.lowercased() {
    case "critical": priority = .critical
    case "high": priority = .high
    case "medium": priority = .medium
    case "low": priority = .low
    default:
      guard let number = Int(argument), (0...9).contains(number) else { return nil }
      priority = Priority(rawValue: number)
    }
  }

  static let allValueStrings =
    ["critical", "high", "medium", "low"] + (0...9).map(String.init)
}

/// A number, or `none` to lift a limit.
struct LimitArgument<Value: LosslessStringConvertible & Sendable>: ExpressibleByArgument {
  let limit: TypeChange.Limit<Value>

  init?(argument: String) {
    if argument == "none" {
      limit = .lift
    } else if let value = Value(argument) {
      limit = .set(value)
    } else {
      return nil
    }
  }
}

/// A task's state.
enum StateArgument: String, ExpressibleByArgument, CaseIterable {
  case queued
  case running
  case completed
  case failed
  case cancelled
}

/// What a token may do.
enum RoleArgument: String, ExpressibleByArgument, CaseIterable {
  case viewer
  case `operator`
  case admin
  case join

  var role: TokenRole {
    switch self {
    case .viewer: .viewer
    case .operator: .operator
    case .admin: .admin
    case .join: .join
    }
  }
}

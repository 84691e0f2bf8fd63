// SPDX-License-Identifier: Apache-2.0
// The one table of exit codes, and what a person can do about each error.

import Domain
import OrreryClient

/// What the process ends with. Scripts may rely on the numbers.
enum ExitStatus: Int32, CaseIterable {
  case ok = 0
  case taskFailed = 1
  case usage = 2
  case denied = 3
  case notFound = 4
  case conflict = 5
  case invalidInput = 6
  case limit = 7
  case unavailable = 8
  case unexpected = 9

  /// For the help text.
  var meaning: String {
    switch self {
    case .ok: "done"
    case .taskFailed: "the task failed or was cancelled; doctor found a failure"
    case .usage: "the command line is not understood"
    case .denied: "the token is missing, unknown or may not do this"
    case .notFound: "no such task, agent, token or secret"
    case .conflict: "the task has ended, or something else stands against it"
    case .invalidInput: "the server, or a check before it, refuses the input"
    case .limit: "a limit is reached: too many or too large"
    case .unavailable: "the server is not reachable, not ready, or its disk is full"
    case .unexpected: "something else; the message says what"
    }
  }

  /// The table as text.
  static var table: String {
    allCases.map { "  \($0.rawValue)  \($0.meaning)" }.joined(separator: "\n")
  }

  /// The status of an error code of the server or the client.
  init(_ code: OrreryError.Code) {
    self =
      switch code {
      case .unauthorized, .forbidden, .originRefused, .insecure: .denied
      case .notFound: .notFound
      case .taskEnded, .staleAttempt, .replayed, .conflict, .idempotencyConflict,
        .managedByConfig:
        .conflict
      case .invalidRequest, .invalidJSON, .invalidField, .unknownField, .missingField,
        .invalidQuery,
        .invalidCursor, .invalidID, .unsupportedMediaType, .methodNotAllowed, .artifactUnknown,
        .addressNotAllowed, .notBuilt, .upgradeRequired, .invalidURL:
        .invalidInput
      case .limitReached, .payloadTooLarge: .limit
      case .unreachable, .timedOut, .storeUnavailable, .diskFull: .unavailable
      default: .unexpected
      }
  }
}

extension OrreryError.Code {
  /// The next step, as a sentence; nil where the message says it all.
  var nextStep: String? {
    switch self {
    case .unreachable:
      "Start it with `orrery serve`, or name another with --server or ORRERY_URL."
    case .timedOut: "Try again; `orrery doctor` says more."
    case .unauthorized:
      "Set ORRERY_TOKEN, or point --data to the server's data folder with its admin-token."
    case .forbidden: "Ask for a token with a higher role: `orrery tokens create`."
    case .insecure: "Use an https address, or say --insecure-http."
    case .invalidURL: "Give --server an address like http://127.0.0.1:3000."
    case .notFound: "The `list` commands show what there is."
    case .taskEnded: "An end is final; `orrery tasks retry` makes a new task of it."
    case .managedByConfig: "Change it in the server's configuration file and restart."
    case .storeUnavailable, .diskFull: "See `orrery doctor` on the server's machine."
    case .limitReached: "Wait a moment and try again."
    case .badAnswer: "Check --server: perhaps another program answers there."
    default: nil
    }
  }
}

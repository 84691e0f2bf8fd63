// SPDX-License-Identifier: Apache-2.0
// The one error of this library: the server's problem, or why there was no answer.

import Domain

/// Why a call failed.
///
/// `code` is for programs and stable; `message` is one sentence for people. Errors of the server
/// (`application/problem+json`) keep everything it said.
public struct OrreryError: Error, Sendable, Hashable {
  /// What went wrong.
  public var code: Code
  /// One sentence for people.
  public var message: String
  /// The path of the field that is wrong, as `retry.maxAttempts`.
  public var path: String?
  /// The HTTP status; nil where there was no answer.
  public var status: Int?
  /// What to look for in the server's log.
  public var requestID: String?
  /// Seconds after which the server wants to be asked again.
  public var retryAfter: Int?
  /// The problem as the server sent it.
  public var problem: JSONText?

  /// An error without an answer.
  public init(_ code: Code, _ message: String, path: String? = nil) {
    self.code = code
    self.message = message
    self.path = path
  }

  /// A stable code. The server may know codes that this version does not; they are kept as text.
  public struct Code: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    // The server's codes.
    public static let invalidRequest = Code(.invalidRequest)
    public static let invalidJSON = Code(.invalidJSON)
    public static let invalidField = Code(.invalidField)
    public static let unknownField = Code(.unknownField)
    public static let missingField = Code(.missingField)
    public static let invalidQuery = Code(.invalidQuery)
    public static let invalidCursor = Code(.invalidCursor)
    public static let invalidID = Code(.invalidID)
    public static let payloadTooLarge = Code(.payloadTooLarge)
    public static let unauthorized = Code(.unauthorized)
    public static let forbidden = Code(.forbidden)
    public static let originRefused = Code(.originRefused)
    public static let notFound = Code(.notFound)
    public static let methodNotAllowed = Code(.methodNotAllowed)
    public static let unsupportedMediaType = Code(.unsupportedMediaType)
    public static let taskEnded = Code(.taskEnded)
    public static let staleAttempt = Code(.staleAttempt)
    public static let replayed = Code(.replayed)
    public static let conflict = Code(.conflict)
    public static let idempotencyConflict = Code(.idempotencyConflict)
    public static let managedByConfig = Code(.managedByConfig)
    public static let artifactUnknown = Code(.artifactUnknown)
    public static let addressNotAllowed = Code(.addressNotAllowed)
    public static let notBuilt = Code(.notBuilt)
    public static let upgradeRequired = Code(.upgradeRequired)
    public static let limitReached = Code(.limitReached)
    public static let storeUnavailable = Code(.storeUnavailable)
    public static let diskFull = Code(.diskFull)
    public static let `internal` = Code(.internalError)

    // This library's own.
    /// The server could not be reached, or the connection was lost.
    public static let unreachable = Code(rawValue: "unreachable")
    /// No answer in time.
    public static let timedOut = Code(rawValue: "timed_out")
    /// The answer is not what the contract says; perhaps the address is another server's.
    public static let badAnswer = Code(rawValue: "bad_answer")
    /// The address is not an `http` or `https` address.
    public static let invalidURL = Code(rawValue: "invalid_url")
    /// A token or payload would go out unencrypted to another machine.
    public static let insecure = Code(rawValue: "insecure_http")
    /// The agent's id or secret cannot be used.
    public static let invalidSecret = Code(rawValue: "invalid_secret")

    private init(_ code: ControlError.Code) { rawValue = code.rawValue }
  }
}

extension OrreryError: CustomStringConvertible {
  public var description: String {
    var text = path.map { "\($0): \(message)" } ?? message
    text += " (\(code)"
    if let requestID { text += ", request \(requestID)" }
    return text + ")"
  }
}

extension OrreryError {
  /// Reads a problem answer; any other answer becomes an error by its status.
  init(_ answer: Answer) {
    let problem = answer.problem
    let code = problem?["code"]?.stringValue.map(Code.init(rawValue:))
    self.init(
      code ?? Code(status: answer.status),
      problem?["detail"]?.stringValue ?? problem?["title"]?.stringValue
        ?? "The server answered with status \(answer.status).",
      path: problem?["path"]?.stringValue)
    status = answer.status
    requestID = problem?["requestId"]?.stringValue ?? answer.header("x-request-id")
    retryAfter = answer.retryAfter
    self.problem = problem.map(JSONText.init)
  }
}

extension OrreryError.Code {
  /// For answers without a problem, as a proxy in between gives them.
  init(status: Int) {
    self =
      switch status {
      case 401: .unauthorized
      case 403: .forbidden
      case 404: .notFound
      case 405: .methodNotAllowed
      case 413: .payloadTooLarge
      case 415: .unsupportedMediaType
      case 429: .limitReached
      case 502...504: .storeUnavailable
      case 507: .diskFull
      default: .badAnswer
      }
  }
}

// SPDX-License-Identifier: Apache-2.0
// The error that users see: a stable code, a sentence, the field, the HTTP status.

/// An error for a caller. `code` is stable and for programs, `message` is for people and says what
/// to do; neither ever holds a secret or a foreign server's words.
public struct ControlError: Error, Sendable, Equatable {
  public enum Code: String, Sendable, CaseIterable {
    case invalidRequest = "invalid_request"
    case invalidJSON = "invalid_json"
    case invalidField = "invalid_field"
    case unknownField = "unknown_field"
    case missingField = "missing_field"
    case invalidQuery = "invalid_query"
    case invalidCursor = "invalid_cursor"
    case invalidID = "invalid_id"
    case payloadTooLarge = "payload_too_large"
    case unauthorized
    case forbidden
    case originRefused = "origin_refused"
    case notFound = "not_found"
    case methodNotAllowed = "method_not_allowed"
    case unsupportedMediaType = "unsupported_media_type"
    case taskEnded = "task_ended"
    case staleAttempt = "stale_attempt"
    case replayed
    case conflict
    case idempotencyConflict = "idempotency_conflict"
    case managedByConfig = "managed_by_config"
    case artifactUnknown = "artifact_unknown"
    case addressNotAllowed = "address_not_allowed"
    case notBuilt = "not_built"
    case upgradeRequired = "upgrade_required"
    case limitReached = "limit_reached"
    case storeUnavailable = "store_unavailable"
    case diskFull = "disk_full"
    case internalError = "internal"

    /// The HTTP status that goes with the code.
    public var status: Int {
      switch self {
      case .invalidRequest, .invalidJSON, .invalidID, .invalidQuery, .invalidCursor: 400
      case .unauthorized: 401
      case .forbidden, .originRefused: 403
      case .notFound: 404
      case .methodNotAllowed: 405
      case .taskEnded, .staleAttempt, .replayed, .conflict, .managedByConfig: 409
      case .payloadTooLarge: 413
      case .unsupportedMediaType: 415
      case .invalidField, .unknownField, .missingField, .idempotencyConflict, .artifactUnknown,
        .addressNotAllowed, .notBuilt:
        422
      case .upgradeRequired: 426
      case .limitReached: 429
      case .internalError: 500
      case .storeUnavailable: 503
      case .diskFull: 507
      }
    }

    /// A short title, the same for every error of this code.
    public var title: String { rawValue.replacing("_" as Character, with: " ") }
  }

  public var code: Code
  public var message: String
  /// The path of the field that is wrong, like `retry.maxAttempts`.
  public var path: String?
  /// Seconds after which to try again.
  public var retryAfter: Int?

  public init(_ code: Code, _ message: String, path: String? = nil, retryAfter: Int? = nil) {
    self.code = code
    self.message = message
    self.path = path
    self.retryAfter = retryAfter
  }
}

extension String {
  fileprivate func replacing(_ a: Character, with b: Character) -> String {
    String(map { $0 == a ? b : $0 })
  }
}

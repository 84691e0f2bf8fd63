// SPDX-License-Identifier: Apache-2.0
// What came of one request to an agent, before anybody decides what it means.

/// The outcome of one request.
enum Exchange: Sendable {
  case answer(status: Int, retryAfter: String?, body: Body)
  /// The request never left this machine.
  case unsent(Obstacle)
  /// The request was sent, and no answer came.
  case noAnswer(isLate: Bool)

  enum Body: Sendable {
    case bytes([UInt8])
    case tooLarge
    /// The connection broke inside the body, or the body took too long.
    case incomplete
  }

  enum Obstacle: Sendable {
    case refused(OutboundPolicy.Refusal)
    case unresolvable
    case noConnection
    case noTLS
    case timeout
    case cancelled

    /// What to tell an operator.
    var sentence: String {
      switch self {
      case .refused(let refusal): refusal.sentence
      case .unresolvable: "The agent's host name does not resolve."
      case .noConnection: "The agent's address does not accept connections."
      case .noTLS: "No TLS connection to the agent could be made."
      case .timeout: "The agent's address did not accept a connection in time."
      case .cancelled: "The request was given up before it was sent."
      }
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
// Lets agents in: verifies the signature of a request before anything in it is read.
package import Domain
import Logging
import Synchronization

extension Engine {
  /// An agent whose signature was verified.
  package struct SignedIn: Sendable {
    package var agent: AgentID
    package var signedID: String
    /// Its secret is shared with others: the body must name it.
    package var mustNameItself: Bool
  }

  /// Verifies a request of an agent; every failure is the same 401.
  package func verify(
    body: [UInt8], allowCompat: Bool, requestID: String = "",
    values: (SignatureHeader) -> [String]
  ) throws(ControlError) -> SignedIn {
    let now = world.now()
    do throws(SignatureRefusal) {
      let headers = try SignatureHeaders(
        now: now.milliseconds, allowCompat: allowCompat, values: values)
      let entry = agentSecrets.entry(headers.agentID)
      let verified = try SignatureVerifier.verify(
        headers, body: body, secrets: entry?.active(now: now) ?? [])
      guard core.withLock({ $0.agent(verified.agentID) })?.state != .disabled else {
        throw SignatureRefusal.mismatch
      }
      noteSeen(verified.agentID)
      let isShared = verified.secretIndex == 0 ? entry?.isShared : entry?.isPreviousShared
      return SignedIn(
        agent: verified.agentID, signedID: verified.signedID, mustNameItself: isShared ?? false)
    } catch {
      refusals.spend(now: world.uptime()) { unsaid in
        logger.notice(
          "an agent's request was refused",
          metadata: [
            "requestId": "\(requestID)", "code": "unauthorized", "reason": "\(error)",
            "unsaid": "\(unsaid)",
          ])
      }
      throw Engine.badSignature
    }
  }

  package static var badSignature: ControlError {
    ControlError(
      .unauthorized,
      "The request is not signed by a known agent, or its timestamp is more than 300 s off.")
  }

  /// Lease requests count once.
  package func refuseReplay(_ signedIn: SignedIn) throws(ControlError) {
    guard replays.isFirst(signedIn.agent, signedIn.signedID, now: world.now()) else {
      throw ControlError(.replayed, "A request with this signed id was answered before.")
    }
  }
}

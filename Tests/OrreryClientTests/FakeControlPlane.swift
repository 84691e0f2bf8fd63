// SPDX-License-Identifier: Apache-2.0
// A control plane for one pull agent, reduced to what the agent sees, on a real server.

import Foundation
import Synchronization
import Testing

@testable import OrreryClient

/// Hands out dispatches, checks every signature, and answers reports as a test says.
final class FakeControlPlane: Sendable {
  struct State {
    var waiting: [String] = []
    var callbackReplies: [Reply] = []
    var leaseReplies: [Reply] = []
    var cancelled: Set<String> = []
    var lost: Set<String> = []
    var badSignatures = 0
    var messageIDs: [String] = []
  }

  static let secret = "whsec_9K3K+deU8aOkQr/4d4NmktEWpa3r59QrjCAMvE+2Q84="
  static let acknowledged = Reply.json(
    #"{"acknowledged":true,"nextAction":"none","metadata":{"state":"completed","attempt":1}}"#)
  static let late = Reply.json(#"{"acknowledged":false,"nextAction":"none"}"#, status: 409)

  private let state = Mutex(State())
  /// Set when the next long poll shall return.
  private let poll = Mutex(Signal())

  static func identity() throws -> AgentIdentity {
    try AgentIdentity(id: "agent-1", secret: secret)
  }

  func change(_ body: (inout State) -> Void) {
    state.withLock { body(&$0) }
    poll.withLock { signal in
      signal.set()
      signal = Signal()
    }
  }

  var badSignatures: Int { state.withLock { $0.badSignatures } }

  static func dispatch(_ id: String, type: String = "work", payload: String = "{}") -> String {
    """
    {"taskId":"\(id)","attempt":1,"leaseToken":"L-\(id)","type":"\(type)","payload":\(payload),\
    "priority":5,"timeout":60000,"callbackUrl":"http://x/","progressUrl":"http://x/"}
    """
  }

  func answer(_ seen: Seen) async -> Reply {
    check(seen)
    switch seen.path {
    case "/api/agents/agent-1/lease": return await lease()
    case "/api/agents/agent-1/heartbeat":
      let (cancelled, lost) = state.withLock { ($0.cancelled.sorted(), $0.lost.sorted()) }
      return .json(#"{"acknowledged":true,"cancelled":\#(cancelled),"lost":\#(lost)}"#)
    case "/api/agent-callback":
      return state.withLock { state in
        state.callbackReplies.isEmpty ? Self.acknowledged : state.callbackReplies.removeFirst()
      }
    default:
      let isCancelled = state.withLock { $0.cancelled.contains { seen.path.contains($0) } }
      return .json(#"{"acknowledged":true,"cancelled":\#(isCancelled)}"#)
    }
  }

  private func lease() async -> Reply {
    while true {
      let signal = poll.withLock { $0 }
      let reply = state.withLock { state -> Reply? in
        if !state.leaseReplies.isEmpty { return state.leaseReplies.removeFirst() }
        guard !state.waiting.isEmpty else { return nil }
        defer { state.waiting = [] }
        return .json(#"{"dispatches":[\#(state.waiting.joined(separator: ","))]}"#)
      }
      if let reply { return reply }
      await signal.wait()
    }
  }

  private func check(_ seen: Seen) {
    do {
      let verifier = DispatchVerifier(try Self.identity())
      let id = try verifier.verify(headers: seen.headers, body: seen.body)
      state.withLock { $0.messageIDs.append(id) }
    } catch {
      state.withLock { $0.badSignatures += 1 }
    }
  }
}

extension Seen {
  /// A member of the JSON body, as text.
  func field(_ key: String) -> String? {
    do {
      let object = try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any]
      return object?[key].map { "\($0)" }
    } catch {
      return nil
    }
  }
}

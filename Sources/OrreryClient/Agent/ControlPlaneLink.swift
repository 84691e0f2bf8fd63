// SPDX-License-Identifier: Apache-2.0
// The control plane as an agent sees it: signed calls, one method each.

import Domain
import Foundation

/// Makes signed calls in the name of one agent.
struct ControlPlaneLink: Sendable {
  let address: ServerAddress
  let identity: AgentIdentity
  /// Report to the addresses in a dispatch, not to `address`.
  var usesDispatchURLs = false
  var clock = SystemClock.live

  private static let callMilliseconds: Int64 = 15_000

  /// The answer to a heartbeat: ids of tasks.
  struct Beat: Sendable {
    let cancelled: [String]
    let lost: [String]
  }

  /// Waits for dispatches. Each that cannot be read is left to its lease.
  func lease(most: Int, waitSeconds: Int) async throws -> [Dispatch] {
    var writer = JSONWriter()
    writer.object { writer in
      writer.field("max", most)
      writer.field("waitSeconds", waitSeconds)
    }
    let url = try address.url(path: ["api", "agents", identity.id, "lease"])
    let answer = try await call(url, writer.bytes, wait: Int64(waitSeconds) * 1_000)
    guard let list = answer["dispatches"], list.kind == .array else {
      throw OrreryError(.badAnswer, "The server's answer has no \"dispatches\".")
    }
    return list.elements.compactMap { node in
      do { return try Dispatch(node) } catch { return nil }
    }
  }

  func heartbeat(isDraining: Bool, running: [Dispatch]) async throws -> Beat {
    var writer = JSONWriter()
    writer.object { writer in
      writer.field("status", isDraining ? "draining" : "active")
      writer.key(literal: "running")
      writer.array { writer in
        for dispatch in running {
          writer.object { writer in
            writer.field("taskId", dispatch.taskID)
            writer.field("leaseToken", dispatch.leaseToken)
          }
        }
      }
    }
    let url = try address.url(path: ["api", "agents", identity.id, "heartbeat"])
    let answer = try await call(url, writer.bytes)
    return Beat(cancelled: answer.strings("cancelled"), lost: answer.strings("lost"))
  }

  /// Reports progress; returns whether the task was cancelled.
  func progress(_ dispatch: Dispatch, _ news: ProgressNews) async throws -> Bool {
    let named = usesDispatchURLs ? dispatch.progressURL : nil
    let url = try named ?? address.url(path: ["api", "tasks", dispatch.taskID, "progress"])
    let answer = try await call(url, news.body(for: dispatch), trace: dispatch.traceparent)
    return answer["cancelled"]?.boolValue ?? false
  }

  /// Sends a report once. A message that is sent again keeps its id.
  func report(
    _ body: [UInt8], for dispatch: Dispatch, messageID: String
  ) async throws -> ReportReceipt {
    let named = usesDispatchURLs ? dispatch.callbackURL : nil
    let url = try named ?? address.url(path: ["api", "agent-callback"])
    let answer = try await post(
      url, body, messageID: messageID, trace: dispatch.traceparent)
    if answer.status == 409, let node = answer.problem, node["acknowledged"] != nil {
      return ReportReceipt(node)
    }
    guard answer.isSuccess else { throw OrreryError(answer) }
    let receipt = ReportReceipt(try answer.object())
    guard receipt.isAcknowledged else { throw answer.badAnswer("no acknowledgement") }
    return receipt
  }

  // MARK: Parts

  private func call(
    _ url: String, _ body: [UInt8], wait: Int64 = 0, trace: String? = nil
  ) async throws -> JSONNode {
    let answer = try await post(
      url, body, messageID: clock.messageID(), wait: wait, trace: trace)
    guard answer.isSuccess else { throw OrreryError(answer) }
    return try answer.object()
  }

  private func post(
    _ url: String, _ body: [UInt8], messageID: String, wait: Int64 = 0, trace: String? = nil
  ) async throws -> Answer {
    var request = Outgoing(method: "POST", url: url, body: body)
    request.headers = identity.headers(
      signing: body, messageID: messageID, timestampSeconds: clock.now() / 1_000)
    // What is not of the form does not go into a header.
    if let trace, TraceContext(traceparent: trace) != nil {
      request.headers.append(("traceparent", trace))
    }
    request.timeout = Self.callMilliseconds + wait
    do {
      return try await Transport.send(request)
    } catch let failure as TransportFailure {
      throw OrreryError(
        failure.isTimeout ? .timedOut : .unreachable,
        "No answer from \(address.text): \(failure.reason).")
    }
  }
}

extension OrreryError {
  /// Whether the same signed call may succeed later.
  var isPassing: Bool {
    guard let status else { return code == .unreachable || code == .timedOut }
    return status >= 500 || status == 408 || status == 425 || status == 429 || isOddSuccess
  }

  /// A success whose body is not ours, as a proxy's page.
  private var isOddSuccess: Bool { status.map { (200..<300).contains($0) } ?? false }

  /// What was asked for by `Retry-After`, in milliseconds.
  var askedDelay: Int64? { retryAfter.map { Int64($0) * 1_000 } }
}

// SPDX-License-Identifier: Apache-2.0
// What agents report: results and progress. Signed requests, verified before they are read.
import Domain
import Engine
import Logging
import NIOHTTP1

enum ReportRoutes {
  static func callback(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let began = services.engine.world.nanoseconds()
    defer { services.engine.meters.callback(seconds: services.engine.seconds(since: began)) }
    let (body, signedIn) = try await request.signedBody(services)
    let parsed = try ReportParser(limits: services.limits).parse(body, receivedAt: request.now)
    try signedIn.checkName(parsed.agentID)
    guard let task = parsed.taskID else {
      throw ControlError(.missingField, "This field is required.", path: "taskId")
    }
    let answer = try await services.engine.report(
      Callback(
        agent: signedIn.agent, signedID: signedIn.signedID, task: task,
        attempt: parsed.attempt, leaseToken: parsed.leaseToken, report: parsed.report))
    return respond(answer, request.id)
  }

  private static func respond(_ answer: CallbackAnswer, _ id: String) -> APIResponse {
    guard answer.isAcknowledged else {
      let error = ControlError(
        .staleAttempt,
        "This attempt is not current: the task is \(answer.state.name), attempt \(answer.attempt).")
      return .problem(error, requestID: id) { $0.callback(answer) }
    }
    return .json { writer in writer.object { $0.callback(answer) } }
  }

  static func progress(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let (body, signedIn) = try await request.signedBody(services)
    let report = try ProgressParser(limits: services.limits).parse(body, receivedAt: request.now)
    try signedIn.checkName(report.agentID)
    let id = try request.taskID()
    guard report.taskID == nil || report.taskID == id else {
      throw ControlError(.invalidField, "The path names another task.", path: "taskId")
    }
    let answer = try await services.engine.progress(of: id, by: signedIn.agent, report)
    return .json {
      $0.object {
        $0.field("acknowledged", answer.isAcknowledged)
        $0.field("cancelled", answer.isCancelled)
        $0.field(ifPresent: "leaseExpiresAt", answer.leaseExpiresAt)
      }
    }
  }
}

extension JSONWriter {
  fileprivate mutating func callback(_ answer: CallbackAnswer) {
    field("acknowledged", answer.isAcknowledged)
    field("nextAction", answer.nextAction.rawValue)
    key(literal: "metadata")
    object {
      $0.field("state", answer.state.name)
      $0.field("attempt", answer.attempt)
    }
  }
}

extension APIRequest {
  /// The body, once its signature is verified; every failure is the same 401.
  func signedBody(
    _ services: ControlServices
  ) async throws(ControlError) -> (body: [UInt8], signedIn: Engine.SignedIn) {
    if !isSmall { try checkSignatureForm(services) }
    let body = try await body()
    let signedIn = try services.engine.verify(
      body: body, allowCompat: services.allowsCompatSignatures, requestID: id,
      values: signatureValues)
    return (body, signedIn)
  }

  /// Refuses what cannot verify whatever the body is, before a large one is read.
  private func checkSignatureForm(_ services: ControlServices) throws(ControlError) {
    do throws(SignatureRefusal) {
      _ = try SignatureHeaders(
        now: now.milliseconds, allowCompat: services.allowsCompatSignatures,
        values: signatureValues)
    } catch {
      services.logger.notice(
        "an agent's request was refused",
        metadata: ["requestId": "\(id)", "code": "unauthorized", "reason": "\(error)"])
      throw Engine.badSignature
    }
  }

  private func signatureValues(_ header: SignatureHeader) -> [String] {
    headers(header.rawValue)
  }
}

extension Engine.SignedIn {
  /// A body that names an agent names the one that signed; under a shared secret it has to.
  func checkName(_ name: String?) throws(ControlError) {
    guard name == agent.text || (name == nil && !mustNameItself) else {
      throw Engine.badSignature
    }
  }

  /// The agent of the path is the one that signed.
  func check(_ path: AgentID) throws(ControlError) {
    guard path == agent else { throw Engine.badSignature }
  }
}

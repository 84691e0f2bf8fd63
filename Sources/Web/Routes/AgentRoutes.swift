// SPDX-License-Identifier: Apache-2.0
// Agents: register, join, read, change, remove, rotate.
import Domain
import Engine
import NIOHTTP1

enum AgentRoutes {
  /// No agent's id: its path is the one for joining.
  static let reservedID = "join"

  static func list(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    return .json {
      $0.object {
        $0.key(literal: "agents")
        $0.array { for agent in services.engine.agents() { $0.agent(agent) } }
      }
    }
  }

  static func get(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let agent = try services.engine.agent(request.agentID())
    return .json { $0.agent(agent) }
  }

  static func register(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let record = try await entry(request, services)
    let secret = try await services.engine.register(record)
    return created(record.id, secret)
  }

  static func join(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let (id, secret) = try await services.engine.join(entry(request, services))
    return created(id, secret)
  }

  private static func entry(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> AgentRecord {
    let document = try await request.json()
    let engine = services.engine
    let record = try AgentEntryParser(limits: services.limits).registration(
      document.root, now: request.now
    ) { engine.newAgentID(named: $0 == reservedID ? "\(reservedID) agent" : $0) }
    guard record.id.text != reservedID else {
      throw ControlError(.invalidField, "The id \(reservedID) is reserved.", path: "id")
    }
    return record
  }

  private static func created(_ id: AgentID, _ secret: AgentSecret) -> APIResponse {
    .json(.created) {
      $0.object {
        $0.field("id", id.text)
        $0.field("secret", secret.text)
      }
    }
  }

  static func change(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let id = try request.agentID()
    let document = try await request.json()
    let parser = AgentEntryParser(limits: services.limits)
    let agent = try await services.engine.change(id) { record throws(ControlError) in
      try parser.apply(document.root, to: &record)
    }
    return .json { $0.agent(agent) }
  }

  static func remove(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    try await services.engine.removeAgent(request.agentID())
    return .noContent
  }

  static func rotate(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let id = try request.agentID()
    let document = try await request.json(mayBeEmpty: true)
    let grace = try ControlError.field { () throws(FieldError) in
      try JSONFields(document.root, allowed: ["graceSeconds"])
        .optionalInt("graceSeconds", in: 0...(30 * 86_400)) ?? 86_400
    }
    let secret = try await services.engine.rotateSecret(of: id, graceSeconds: grace)
    return .json {
      $0.object {
        $0.field("id", id.text)
        $0.field("secret", secret.text)
      }
    }
  }
}

extension JSONWriter {
  fileprivate mutating func agent(_ view: AgentView) {
    let record = view.record
    beginObject()
    field("id", record.id.text)
    field("name", record.name)
    field("type", record.kind.rawValue)
    field("state", view.state.rawValue)
    field(ifPresent: "endpoint", record.endpoint)
    field(ifPresent: "cancelEndpoint", record.cancelEndpoint)
    field(ifPresent: "healthUrl", record.healthUrl)
    field("answers", record.answers.rawValue)
    field("capabilities", record.capabilities)
    field("concurrency", record.concurrency)
    field("running", view.running)
    field(ifPresent: "leaseSeconds", record.leaseSeconds)
    labels("labels", record.labels)
    field("managedBy", record.origin.name)
    field("lastSeenAt", view.lastSeen)
    field("createdAt", record.createdAt)
    endObject()
  }
}

extension AgentOrigin {
  fileprivate var name: String {
    switch self {
    case .api: "api"
    case .config: "config"
    case .joined: "join"
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
// Reads what operators, workers and the configuration say of an agent.

/// The fields that registration (agent protocol, §7), PATCH and the configuration file share. Each
/// is
/// checked here, once.
package struct AgentEntryParser: Sendable {
  private let limits: Limits

  package static let registrationFields: [StaticString] = [
    "name", "type", "endpoint", "cancelEndpoint", "healthUrl", "answers", "capabilities",
    "concurrency", "leaseSeconds", "labels",
  ]
  private static let patchFields: [StaticString] = [
    "state", "concurrency", "labels", "capabilities",
  ]

  package init(limits: Limits) { self.limits = limits }

  /// The body of POST /api/agents and /api/agents/join.
  ///
  /// - Parameter id: makes the agent's id from its name.
  package func registration(
    _ node: JSONNode, now: Timestamp, id: (String) -> AgentID
  ) throws(ControlError) -> AgentRecord {
    let (record, isBuilt) = try ControlError.field { () throws(FieldError) in
      let fields = try JSONFields(node, allowed: Self.registrationFields)
      let name = try fields.string("name", bytes: 1...limits.identifier)
      let kind = try fields.choice("type", of: AgentKind.self)
      var record = AgentRecord(
        id: id(name), name: name, kind: kind, capabilities: [], createdAt: now)
      try readCommon(fields, into: &record)
      record.endpoint = try url(fields, "endpoint")
      return (record, kind != .wasm)
    }
    guard isBuilt else {
      throw ControlError(
        .notBuilt, "WebAssembly agents are not built yet; use http, browser or cloud.", path: "type"
      )
    }
    return record
  }

  /// Reads capabilities, concurrency, lease, labels, answers and the addresses besides the
  /// endpoint.
  package func readCommon(
    _ fields: JSONFields, into record: inout AgentRecord
  ) throws(FieldError) {
    record.capabilities = try capabilities(fields) ?? []
    record.concurrency =
      try fields.optionalInt("concurrency", in: 1...limits.concurrency) ?? record.concurrency
    record.leaseSeconds = try fields.optionalInt("leaseSeconds", in: Limits.leaseSecondsRange)
    record.labels = try labels(fields) ?? []
    record.answers = try fields.optionalChoice("answers") ?? .async
    record.cancelEndpoint = try url(fields, "cancelEndpoint")
    record.healthUrl = try url(fields, "healthUrl")
  }

  /// Applies the body of PATCH /api/agents/{id}; what is absent stays.
  package func apply(_ node: JSONNode, to record: inout AgentRecord) throws(ControlError) {
    record = try ControlError.field { () throws(FieldError) in
      let fields = try JSONFields(node, allowed: Self.patchFields)
      var changed = record
      if let state = try fields.optionalChoice("state", of: Settable.self) {
        changed.state = state.state
      }
      changed.concurrency =
        try fields.optionalInt("concurrency", in: 1...limits.concurrency) ?? record.concurrency
      changed.labels = try labels(fields) ?? record.labels
      changed.capabilities = try capabilities(fields) ?? record.capabilities
      return changed
    }
  }

  private enum Settable: String, CaseIterable {
    case active, draining, disabled
    var state: AgentState {
      switch self {
      case .active: .active
      case .draining: .draining
      case .disabled: .disabled
      }
    }
  }

  private func capabilities(_ fields: JSONFields) throws(FieldError) -> [String]? {
    let names = try fields.optionalStrings(
      "capabilities", count: 0...limits.capabilities, bytes: 1...limits.identifier)
    guard let names else { return nil }
    guard names.allSatisfy(TaskParser.isName) else {
      throw fields.error("capabilities", .invalid, "Use printable ASCII characters without spaces.")
    }
    return names
  }

  private func labels(_ fields: JSONFields) throws(FieldError) -> [Label]? {
    let map = try fields.optionalStringMap(
      "labels", count: 0...limits.labels, bytes: 0...limits.label)
    return map?.map { Label($0.key, $0.value) }.sorted()
  }

  package func url(_ fields: JSONFields, _ name: StaticString) throws(FieldError) -> String? {
    guard let text = try fields.optionalString(name) else { return nil }
    do throws(EndpointURL.Problem) { _ = try EndpointURL(text) } catch {
      throw fields.error(name, .invalid, error.rawValue)
    }
    return text
  }
}

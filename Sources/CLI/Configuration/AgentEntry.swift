// SPDX-License-Identifier: Apache-2.0
// One entry of `agents` in the configuration file.
import Domain

/// An agent as the file describes it.
struct AgentEntry: Sendable {
  /// How a managed agent is started.
  struct Launch: Sendable, Hashable {
    var command: [String]
    var environment: [String: String] = [:]
    var workingDirectory: String?
  }

  var record: AgentRecord
  var authentication: AgentAuthentication = .signatureOnly
  var launch: Launch?
  /// Names a variable or named secret that holds the protocol secret.
  var secretName: String?

  private static let settings: [StaticString] = [
    "provider", "engine", "region", "runtime", "browser", "viewport", "options",
  ]
  private static let fields: [StaticString] =
    [
      "id", "name", "type", "endpoint", "cancelEndpoint", "healthUrl", "answers", "capabilities",
      "concurrency", "timeout", "leaseSeconds", "labels", "authentication", "launch", "secretName",
    ] + settings

  /// The member `agents` of the file.
  static func list(_ file: JSONFields, now: Timestamp) throws(FieldError) -> [AgentEntry] {
    let limits = Limits()
    guard let array = try file.optionalArray("agents", count: 0...limits.agents) else { return [] }
    var entries: [AgentEntry] = []
    var known: Set<AgentID> = []
    for (position, element) in array.elements.enumerated() {
      let path = JSONPath.element(position, of: file.path("agents"))
      let fields = try JSONFields(element, path: path, allowed: fields)
      let entry = try AgentEntry(fields, limits: limits, now: now)
      guard known.insert(entry.record.id).inserted else {
        throw fields.error("id", .invalid, "Another entry has this id already.")
      }
      entries.append(entry)
    }
    return entries
  }

  private init(_ fields: JSONFields, limits: Limits, now: Timestamp) throws(FieldError) {
    guard let id = AgentID(try fields.string("id")) else {
      throw fields.error("id", .invalid, "Must be 1 to 128 of the characters A-Z a-z 0-9 . _ : -.")
    }
    let parser = AgentEntryParser(limits: limits)
    record = AgentRecord(
      id: id, name: try fields.optionalString("name", bytes: 1...limits.identifier) ?? id.text,
      kind: try fields.choice("type", of: AgentKind.self), capabilities: [], createdAt: now)
    try parser.readCommon(fields, into: &record)
    record.endpoint = try parser.url(fields, "endpoint")
    record.origin = .config
    record.timeout = try fields.optionalInt(
      "timeout", in: Int(Limits.timeoutRange.lowerBound)...Int(Limits.timeoutRange.upperBound)
    ).map(Int64.init)
    if let node = fields.optional("authentication") {
      authentication = try AgentAuthentication(node, path: fields.path("authentication"))
    }
    launch = try Self.launch(fields)
    secretName = try Self.name(fields, "secretName")
    record.options = Self.options(fields)
    try checkKind(fields)
  }

  private func checkKind(_ fields: JSONFields) throws(FieldError) {
    if record.kind == .wasm {
      throw fields.error(
        "type", .invalid, "WebAssembly agents are not built yet; use http, browser or cloud.")
    }
    if record.endpoint != nil, launch != nil {
      throw fields.error(
        "launch", .invalid, "An entry has an endpoint or is launched by the server, not both.")
    }
    if record.kind == .cloud, fields.optional("provider") != nil, record.endpoint == nil,
      launch == nil
    {
      throw fields.error(
        "provider", .invalid,
        "Calling a cloud provider's own interface is not built yet; give the function's endpoint.")
    }
  }

  // MARK: Parts

  private static func launch(_ fields: JSONFields) throws(FieldError) -> Launch? {
    let launch = try fields.optionalFields("launch", allowed: ["command", "env", "cwd"])
    guard let launch else { return nil }
    guard let command = try launch.optionalStrings("command", count: 1...256, bytes: 0...4_096),
      let program = command.first, !program.isEmpty
    else {
      throw launch.error("command", .missing, "A program and its arguments are required.")
    }
    let environment = try launch.optionalStringMap("env", count: 0...256, bytes: 0...32_768) ?? [:]
    for name in environment.keys.sorted() where !isVariable(name) {
      throw FieldError(
        kind: .invalid, path: JSONPath.member(name, of: launch.path("env")),
        message: "Must be the name of a variable that does not start with ORRERY_.")
    }
    return Launch(
      command: command, environment: environment,
      workingDirectory: try launch.optionalString("cwd", bytes: 1...4_096))
  }

  private static func isVariable(_ name: String) -> Bool {
    guard let first = name.utf8.first, !(0x30...0x39).contains(first), !name.hasPrefix("ORRERY_")
    else { return false }
    return name.utf8.allSatisfy { byte in
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"): true
      default: false
      }
    }
  }

  static func name(_ fields: JSONFields, _ field: StaticString) throws(FieldError) -> String? {
    guard let name = try fields.optionalString(field) else { return nil }
    guard Identifier.isValid(name) else {
      throw fields.error(
        field, .invalid, "Must be the name of an environment variable or a named secret.")
    }
    return name
  }

  /// What the connector gets besides, as one JSON object; nil if there is nothing.
  private static func options(_ fields: JSONFields) -> [UInt8]? {
    var writer = JSONWriter()
    var isEmpty = true
    writer.beginObject()
    for name in ["authentication"] + settings {
      guard let value = fields.optional(name) else { continue }
      writer.field(name, raw: value.rawSlice)
      isEmpty = false
    }
    writer.endObject()
    return isEmpty ? nil : writer.bytes
  }
}

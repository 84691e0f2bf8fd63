// SPDX-License-Identifier: Apache-2.0
// The configuration file, read strictly: unknown keys and wrong types are refused with their path.
import Domain
import Foundation

/// What the file says.
struct ConfigFile: Sendable {
  /// The file's name as given, for errors.
  let name: String
  /// Settings that flags and variables may override, as text.
  private(set) var scalars: [ConfigKey: String] = [:]
  private(set) var agents: [AgentEntry] = []
  private(set) var types: [TypeSettings] = []

  private static let longest = 8 << 20

  /// Reads the file `name`, looked up from `folder`.
  init(name: String, in folder: String, now: Timestamp) throws(ConfigError) {
    let path = name.hasPrefix("/") ? name : "\(folder)/\(name)"
    let bytes: [UInt8]
    do {
      bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    } catch {
      throw ConfigError(name, "This file cannot be read.")
    }
    guard bytes.count <= Self.longest else {
      throw ConfigError(name, "A configuration has at most \(Self.longest) bytes.")
    }
    try self.init(bytes, name: name, now: now)
  }

  init(_ bytes: [UInt8], name: String, now: Timestamp) throws(ConfigError) {
    self.name = name
    let root: JSONNode
    do throws(JSONError) { root = try JSONDocument(bytes).root } catch {
      throw ConfigError(file: name, error)
    }
    do throws(FieldError) { try read(root, now: now) } catch {
      throw ConfigError(file: name, error)
    }
  }

  private mutating func read(_ root: JSONNode, now: Timestamp) throws(FieldError) {
    let fields = try JSONFields(
      root,
      allowed: [
        "agents", "queue", "callbacks", "network", "limits", "retention", "server", "log",
        "tls", "telemetry",
      ])
    try readQueue(fields)
    try readCallbacks(fields)
    try readSmall(fields)
    try readLimits(fields)
    agents = try AgentEntry.list(fields, now: now)
  }

  // MARK: Sections

  private mutating func readQueue(_ fields: JSONFields) throws(FieldError) {
    let queue = try fields.optionalFields("queue", allowed: ["type", "maxRetries", "retryDelay"])
    guard let queue else { return }
    set(.queueType, try queue.optionalString("type"))
    set(.maxRetries, try queue.optionalInt("maxRetries"))
    set(.retryDelay, try queue.optionalInt("retryDelay"))
  }

  private enum CallbackAuthentication: String, CaseIterable { case hmac = "hmac-sha256" }

  private mutating func readCallbacks(_ fields: JSONFields) throws(FieldError) {
    let callbacks = try fields.optionalFields(
      "callbacks", allowed: ["url", "authentication", "timeout"])
    guard let callbacks else { return }
    set(.callbackUrl, try callbacks.optionalString("url"))
    set(.callbackTimeout, try callbacks.optionalInt("timeout"))
    let authentication = try callbacks.optionalFields(
      "authentication", allowed: ["type", "secretKey"])
    guard let authentication else { return }
    _ = try authentication.choice("type", of: CallbackAuthentication.self)
    set(.callbackSecret, try authentication.string("secretKey"))
  }

  private mutating func readSmall(_ fields: JSONFields) throws(FieldError) {
    let network = try fields.optionalFields("network", allowed: ["allow"])
    set(.allowNet, try network?.optionalStrings("allow", bytes: 1...64)?.joined(separator: ","))
    let retention = try fields.optionalFields("retention", allowed: ["days"])
    set(.retentionDays, try retention?.optionalInt("days"))
    let log = try fields.optionalFields("log", allowed: ["level", "format"])
    set(.logLevel, try log?.optionalString("level"))
    let tls = try fields.optionalFields("tls", allowed: ["cert", "key", "clientCA"])
    set(.tlsCertificate, try tls?.optionalString("cert"))
    set(.tlsKey, try tls?.optionalString("key"))
    set(.tlsClientCA, try tls?.optionalString("clientCA"))
    set(.logFormat, try log?.optionalString("format"))
    let telemetry = try fields.optionalFields("telemetry", allowed: ["otlp"])
    let otlp = try telemetry?.optionalFields("otlp", allowed: ["endpoint"])
    set(.otlpEndpoint, try otlp?.optionalString("endpoint"))
    let server = try fields.optionalFields(
      "server", allowed: ["host", "port", "publicUrl", "allowOrigins"])
    set(.host, try server?.optionalString("host"))
    set(.port, try server?.optionalInt("port"))
    set(.publicUrl, try server?.optionalString("publicUrl"))
    set(
      .allowOrigin,
      try server?.optionalStrings("allowOrigins", bytes: 1...1_024)?.joined(separator: ","))
  }

  private mutating func readLimits(_ fields: JSONFields) throws(FieldError) {
    guard let limits = try fields.optionalObject("limits") else { return }
    for member in limits.members where member.key != "types" {
      let path = JSONPath.member(member.key, of: fields.path("limits"))
      guard let limit = LimitKey.all.first(where: { $0.name == member.key }) else {
        let known = (["types"] + LimitKey.all.map(\.name)).joined(separator: ", ")
        throw FieldError(
          kind: .unknown, path: path, message: "This field is not known here. Known are: \(known).")
      }
      guard member.value.isInteger else {
        throw FieldError(kind: .wrongType, path: path, message: "A whole number was expected.")
      }
      scalars[limit.key] = String(decoding: member.value.rawSlice, as: UTF8.self)
    }
    let typed = try JSONFields(
      limits, path: fields.path("limits"), allowed: ["types"], unknown: .ignore)
    types = try TypeSettings.list(typed)
  }

  private mutating func set(_ key: ConfigKey, _ text: String?) {
    if let text { scalars[key] = text }
  }

  private mutating func set(_ key: ConfigKey, _ number: Int?) {
    if let number { scalars[key] = String(number) }
  }
}

extension TypeSettings {
  private static let rates = 0.000_1...1_000_000.0
  private static let counts = 1...1_000_000

  /// The member `types`: limits by type.
  fileprivate static func list(_ limits: JSONFields) throws(FieldError) -> [TypeSettings] {
    guard let types = try limits.optionalObject("types") else { return [] }
    var list: [TypeSettings] = []
    for member in types.members {
      let path = JSONPath.member(member.key, of: limits.path("types"))
      guard (1...Limits().identifier).contains(member.key.utf8.count),
        TaskParser.isName(member.key)
      else {
        throw FieldError(
          kind: .invalid, path: path, message: "A task type is printable ASCII without spaces.")
      }
      let fields = try JSONFields(
        member.value, path: path, allowed: ["concurrency", "ratePerSecond", "perKey"])
      var settings = TypeSettings(type: member.key)
      settings.limits = try TypeLimits(fields)
      if let perKey = try fields.optionalFields(
        "perKey", allowed: ["concurrency", "ratePerSecond"])
      {
        settings.perKey = try TypeLimits(perKey)
      }
      list.append(settings)
    }
    return list
  }

  fileprivate static func limits(_ fields: JSONFields) throws(FieldError) -> TypeLimits {
    TypeLimits(
      concurrency: try fields.optionalInt("concurrency", in: counts),
      ratePerSecond: try fields.optionalDouble("ratePerSecond", in: rates))
  }
}

extension TypeLimits {
  fileprivate init(_ fields: JSONFields) throws(FieldError) {
    self = try TypeSettings.limits(fields)
  }
}

// SPDX-License-Identifier: Apache-2.0
// Types of task: pausing and limiting them.
import Domain
import Engine

enum TypeRoutes {
  static func list(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let types = try await services.engine.types()
    return .json {
      $0.object {
        $0.key(literal: "types")
        $0.array { for type in types { $0.type(type) } }
      }
    }
  }

  static func get(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let type = try await services.engine.type(name(request))
    return .json { $0.type(type) }
  }

  private static func name(_ request: APIRequest) throws(ControlError) -> String {
    let name = try request.parameter("type")
    guard (1...request.limits.identifier).contains(name.utf8.count), TaskParser.isName(name) else {
      throw ControlError(.invalidID, "This cannot be the name of a type.", path: "type")
    }
    return name
  }

  static func change(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let name = try name(request)
    let document = try await request.json()
    let patch = try ControlError.field { () throws(FieldError) in try TypePatch(document.root) }
    let type = try await services.engine.set(name) { patch.apply(to: &$0) }
    return .json { $0.type(type) }
  }
}

/// The body of PATCH /api/types/{type}: what is absent stays, null lifts a limit.
private struct TypePatch: Sendable {
  enum Change<Value: Sendable>: Sendable {
    case keep
    case to(Value?)
  }

  var paused: Bool?
  var concurrency = Change<Int>.keep
  var rate = Change<Double>.keep
  var keyConcurrency = Change<Int>.keep
  var keyRate = Change<Double>.keep

  init(_ node: JSONNode) throws(FieldError) {
    let fields = try JSONFields(
      node, allowed: ["paused", "concurrency", "ratePerSecond", "perKey"])
    paused = try fields.optionalBool("paused")
    concurrency = try Self.count(fields)
    rate = try Self.rate(fields)
    guard let key = fields.node("perKey") else { return }
    guard !key.isNull else {
      (keyConcurrency, keyRate) = (.to(nil), .to(nil))
      return
    }
    let perKey = try JSONFields(key, path: "perKey", allowed: ["concurrency", "ratePerSecond"])
    keyConcurrency = try Self.count(perKey)
    keyRate = try Self.rate(perKey)
  }

  private static func count(_ fields: JSONFields) throws(FieldError) -> Change<Int> {
    guard fields.node("concurrency") != nil else { return .keep }
    return .to(try fields.optionalInt("concurrency", in: 1...1_000_000))
  }

  private static func rate(_ fields: JSONFields) throws(FieldError) -> Change<Double> {
    guard fields.node("ratePerSecond") != nil else { return .keep }
    return .to(try fields.optionalDouble("ratePerSecond", in: 0.001...1_000_000))
  }

  func apply(to settings: inout TypeSettings) {
    if let paused { settings.paused = paused }
    if case .to(let value) = concurrency { settings.limits.concurrency = value }
    if case .to(let value) = rate { settings.limits.ratePerSecond = value }
    if case .to(let value) = keyConcurrency { settings.perKey.concurrency = value }
    if case .to(let value) = keyRate { settings.perKey.ratePerSecond = value }
  }
}

extension JSONWriter {
  fileprivate mutating func type(_ view: Engine.TypeView) {
    beginObject()
    field("type", view.settings.type)
    field("paused", view.settings.paused)
    limits(view.settings.limits)
    key(literal: "perKey")
    object { $0.limits(view.settings.perKey) }
    key(literal: "counts")
    counts(view.counts)
    endObject()
  }

  private mutating func limits(_ limits: TypeLimits) {
    key(literal: "concurrency")
    if let most = limits.concurrency { int(most) } else { null() }
    key(literal: "ratePerSecond")
    if let rate = limits.ratePerSecond { double(rate) } else { null() }
  }

  mutating func counts(_ counts: TypeCounts) {
    object {
      for state in TaskState.allCases {
        $0.key(state.name)
        $0.int(counts[state])
      }
    }
  }
}

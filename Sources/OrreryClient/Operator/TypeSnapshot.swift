// SPDX-License-Identifier: Apache-2.0
// Types of tasks with their limits and counts.

import Domain

/// Tasks by state.
public struct TaskCounts: Sendable, Hashable {
  public let queued: Int
  public let running: Int
  public let completed: Int
  public let failed: Int
  public let cancelled: Int

  init(_ node: JSONNode?) {
    queued = node?.int("queued") ?? 0
    running = node?.int("running") ?? 0
    completed = node?.int("completed") ?? 0
    failed = node?.int("failed") ?? 0
    cancelled = node?.int("cancelled") ?? 0
  }
}

/// Limits; nil is unlimited.
public struct TypeLimits: Sendable, Hashable {
  /// Running at a time.
  public let concurrency: Int?
  /// Claims per second.
  public let ratePerSecond: Double?

  init(_ node: JSONNode?) {
    concurrency = node?.int("concurrency")
    ratePerSecond = node?["ratePerSecond"]?.doubleValue
  }
}

/// A type of task at one moment.
public struct TypeSnapshot: Sendable {
  public let type: String
  /// Nothing of a paused type is started.
  public let isPaused: Bool
  public let limits: TypeLimits
  /// The limits of each key within the type.
  public let perKey: TypeLimits
  public let counts: TaskCounts
  public let json: JSONText

  init(_ node: JSONNode) throws(OrreryError) {
    type = try node.text("type")
    isPaused = node["paused"]?.boolValue ?? false
    limits = TypeLimits(node)
    perKey = TypeLimits(node["perKey"])
    counts = TaskCounts(node["counts"])
    json = JSONText(node)
  }
}

/// What to change of a type.
public struct TypeChange: Sendable {
  /// What to do with one limit.
  public enum Limit<Value: Sendable>: Sendable {
    case keep
    case lift
    case set(Value)
  }

  public var isPaused: Bool?
  public var concurrency: Limit<Int> = .keep
  public var ratePerSecond: Limit<Double> = .keep
  public var concurrencyPerKey: Limit<Int> = .keep
  public var ratePerSecondPerKey: Limit<Double> = .keep

  public init(isPaused: Bool? = nil) {
    self.isPaused = isPaused
  }

  var bytes: [UInt8] {
    var writer = JSONWriter()
    writer.object { writer in
      if let isPaused { writer.field("paused", isPaused) }
      Self.write(concurrency, ratePerSecond, to: &writer)
      if concurrencyPerKey.isChange || ratePerSecondPerKey.isChange {
        writer.key(literal: "perKey")
        writer.object { Self.write(concurrencyPerKey, ratePerSecondPerKey, to: &$0) }
      }
    }
    return writer.bytes
  }

  private static func write(
    _ concurrency: Limit<Int>, _ rate: Limit<Double>, to writer: inout JSONWriter
  ) {
    switch concurrency {
    case .keep: break
    case .lift: writer.field("concurrency", raw: JSONText.null.bytes)
    case .set(let value): writer.field("concurrency", value)
    }
    switch rate {
    case .keep: break
    case .lift: writer.field("ratePerSecond", raw: JSONText.null.bytes)
    case .set(let value): writer.field("ratePerSecond", value)
    }
  }
}

extension TypeChange.Limit {
  var isChange: Bool {
    if case .keep = self { false } else { true }
  }
}

extension OrreryClient {
  /// All types that have tasks or settings.
  public func types() async throws -> [TypeSnapshot] {
    try await typeList().elements
  }

  /// All types, with the answer as it came.
  public func typeList() async throws -> Page<TypeSnapshot> {
    try Page(await send(Call(path: ["api", "types"])), "types", TypeSnapshot.init)
  }

  /// One type.
  public func type(_ name: String) async throws -> TypeSnapshot {
    try TypeSnapshot(await send(Call(path: ["api", "types", name])).object())
  }

  /// Pauses, resumes or limits a type.
  @discardableResult
  public func change(type name: String, _ change: TypeChange) async throws -> TypeSnapshot {
    let call = Call(method: "PATCH", path: ["api", "types", name], body: change.bytes)
    return try TypeSnapshot(await send(call).object())
  }
}

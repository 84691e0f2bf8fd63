// SPDX-License-Identifier: Apache-2.0
// How lists, labels and retry policies stand in a column.
internal import Domain
internal import Engine

/// Texts of columns that hold more than one value. What was not written by us is refused.
enum Encoding {
  /// A JSON array of strings.
  static func text(_ strings: [String]) -> [UInt8] {
    var writer = JSONWriter(reservingCapacity: 64)
    writer.array { for string in strings { $0.string(string) } }
    return writer.bytes
  }

  /// A JSON array: name, value, name, value, …
  static func text(_ labels: [Label]) -> [UInt8] {
    text(labels.flatMap { [$0.name, $0.value] })
  }

  static func strings(_ text: [UInt8]) throws(StoreError) -> [String] {
    do {
      return try JSONDocument(text).root.elements.map { $0.stringValue ?? "" }
    } catch {
      throw .unavailable("A list in the database is damaged: \(error).")
    }
  }

  static func labels(_ text: [UInt8]) throws(StoreError) -> [Label] {
    let parts = try strings(text)
    guard parts.count.isMultiple(of: 2) else {
      throw .unavailable("Labels in the database are damaged.")
    }
    return stride(from: 0, to: parts.count, by: 2).map { Label(parts[$0], parts[$0 + 1]) }
  }

  /// Attempts, kind of backoff, base, factor, cap and jitter; nil for the default policy.
  static func text(_ retry: RetryPolicy?) -> String? {
    guard let retry, retry != RetryPolicy() else { return nil }
    return "\(retry.maxAttempts) \(retry.backoff.rawValue) \(retry.base) \(retry.factor)"
      + " \(retry.cap) \(retry.jitter)"
  }

  static func retry(_ text: String?) throws(StoreError) -> RetryPolicy {
    var retry = RetryPolicy()
    guard let text else { return retry }
    let parts = text.split(separator: " ")
    guard parts.count == 6, let attempts = Int(parts[0]),
      let backoff = RetryPolicy.Backoff(rawValue: String(parts[1])), let base = Int64(parts[2]),
      let factor = Double(parts[3]), let cap = Int64(parts[4]), let jitter = Double(parts[5])
    else { throw .unavailable("A retry policy in the database is damaged.") }
    retry.maxAttempts = attempts
    retry.backoff = backoff
    retry.base = base
    retry.factor = factor
    retry.cap = cap
    retry.jitter = jitter
    return retry
  }
}

extension Statement {
  /// The state in a column; refuses numbers that no state has.
  func state(_ column: Int32) throws(StoreError) -> TaskState {
    guard let state = TaskState(rawValue: int(column)) else {
      throw .unavailable("A task in the database has an unknown state.")
    }
    return state
  }

  func optionalTime(_ column: Int32) -> Timestamp? {
    optionalInt64(column).map(Timestamp.init(milliseconds:))
  }

  func time(_ column: Int32) -> Timestamp { Timestamp(milliseconds: int64(column)) }

  func optionalAgent(_ column: Int32) -> AgentID? {
    optionalText(column).map(AgentID.init(stored:))
  }

  /// A trace that cannot be read is not worth failing for: the task has none then.
  func trace(_ column: Int32) -> TraceContext? {
    optionalText(column).flatMap(TraceContext.init(stored:))
  }

  /// None where the column is null, as it mostly is.
  func labels(_ column: Int32) throws(StoreError) -> [Label] {
    guard let text = optionalBytes(column) else { return [] }
    return try Encoding.labels(text)
  }

  func demand(_ column: Int32) -> DemandID {
    DemandID(rawValue: Int32(truncatingIfNeeded: int64(column)))
  }

  func bind(_ index: Int32, _ time: Timestamp?) throws(StoreError) {
    try bind(index, time?.milliseconds)
  }
}

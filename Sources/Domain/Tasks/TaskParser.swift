// SPDX-License-Identifier: Apache-2.0
// Reads a submitted task: known fields only, within limits, with defaults.

/// Turns the JSON of a task into a `NewTask`. What it refuses names the field; nothing is stored
/// then.
package struct TaskParser: Sendable {
  private let limits: Limits
  /// For tasks that say nothing about retries.
  private let retry: RetryPolicy

  private static let fields: [StaticString] = [
    "type", "payload", "agentType", "requires", "selector", "labels", "priority", "key",
    "idempotencyKey", "runAt", "deadline", "timeout", "retry",
  ]
  private static let retryFields: [StaticString] = [
    "maxAttempts", "backoff", "base", "factor", "cap", "jitter",
  ]

  package init(limits: Limits, retry: RetryPolicy = RetryPolicy()) {
    self.limits = limits
    self.retry = retry
  }

  /// - Parameters:
  ///   - path: Where the task stands in the body, as `[3]`; empty for the top level.
  ///   - idempotencyKey: The header's; the body may repeat it, not contradict it.
  package func parse(
    _ node: JSONNode, path: String = "", idempotencyKey: String? = nil, now: Timestamp
  ) throws(ControlError) -> NewTask {
    do throws(FieldError) {
      let fields = try JSONFields(node, path: path, allowed: Self.fields)
      var task = NewTask(demand: try demand(fields), payload: Self.noPayload)
      if let payload = fields.node("payload") { task.payload = payload.rawBytes }
      if hasOptions(fields) { try readOptions(fields, into: &task) }
      task.idempotencyKey = try key(fields, header: idempotencyKey)
      try checkTimes(task, fields, now: now)
      return try checked(task, path: fields.path("payload"))
    } catch {
      throw ControlError(error)
    }
  }

  private static let noPayload = Array("{}".utf8)

  private func checked(_ task: NewTask, path: String) throws(FieldError) -> NewTask {
    guard task.payload.count <= limits.payload else {
      throw FieldError(
        kind: .tooLarge, path: path, message: "The payload is larger than \(limits.payload) bytes.")
    }
    return task
  }

  /// Most tasks are a type and a payload; they are spared a dozen look-ups.
  private func hasOptions(_ fields: JSONFields) -> Bool {
    fields.node.count > (fields.node("payload") == nil ? 1 : 2)
  }

  private func demand(_ fields: JSONFields) throws(FieldError) -> Demand {
    let type = try fields.string("type", bytes: 1...limits.identifier)
    guard Self.isName(type) else {
      throw fields.error("type", .invalid, "Use printable ASCII characters without spaces.")
    }
    guard hasOptions(fields) else { return Demand(type: type) }
    return Demand(
      type: type, agentType: try fields.optionalChoice("agentType"),
      requires: try fields.optionalStrings(
        "requires", count: 0...limits.capabilities, bytes: 1...limits.identifier) ?? [],
      selector: try labels(fields, "selector"))
  }

  private func readOptions(_ fields: JSONFields, into task: inout NewTask) throws(FieldError) {
    task.labels = try labels(fields, "labels")
    task.priority = try priority(fields)
    task.key = try text(fields, "key")
    task.runAt = try fields.optionalTimestamp("runAt")
    task.deadline = try fields.optionalTimestamp("deadline")
    task.timeout = try fields.optionalInt(
      "timeout", in: Int(Limits.timeoutRange.lowerBound)...Int(Limits.timeoutRange.upperBound)
    ).map(Int64.init)
    task.retry = try retry(fields)
  }

  private func text(_ fields: JSONFields, _ name: StaticString) throws(FieldError) -> String? {
    guard let text = try fields.optionalString(name, bytes: 1...limits.identifier) else {
      return nil
    }
    guard !text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else {
      throw fields.error(name, .invalid, "Control characters are not allowed here.")
    }
    return text
  }

  private func key(_ fields: JSONFields, header: String?) throws(FieldError) -> String? {
    guard let key = try text(fields, "idempotencyKey") else { return header }
    guard header == nil || header == key else {
      throw fields.error(
        "idempotencyKey", .invalid, "The header Idempotency-Key says something else.")
    }
    return key
  }

  private func labels(_ fields: JSONFields, _ name: StaticString) throws(FieldError) -> [Label] {
    let map = try fields.optionalStringMap(
      name, count: 0...limits.labels, bytes: 0...limits.label)
    return (map ?? [:]).map { Label($0.key, $0.value) }.sorted()
  }

  private enum PriorityName: String, CaseIterable { case critical, high, medium, low }

  private func priority(_ fields: JSONFields) throws(FieldError) -> Int {
    guard let value = fields.optional("priority") else { return 5 }
    guard value.kind == .string else { return try fields.int("priority", in: 0...9) }
    return switch try fields.choice("priority", of: PriorityName.self) {
    case .critical: 9
    case .high: 7
    case .medium: 5
    case .low: 2
    }
  }

  private func retry(_ fields: JSONFields) throws(FieldError) -> RetryPolicy? {
    guard let given = try fields.optionalFields("retry", allowed: Self.retryFields) else {
      return nil
    }
    let delays = Int(Limits.delayRange.lowerBound)...Int(Limits.delayRange.upperBound)
    var policy = retry
    policy.maxAttempts =
      try given.optionalInt("maxAttempts", in: Limits.attemptsRange) ?? policy.maxAttempts
    policy.backoff = try given.optionalChoice("backoff") ?? policy.backoff
    policy.base = try given.optionalInt("base", in: delays).map(Int64.init) ?? policy.base
    policy.factor = try given.optionalDouble("factor", in: 1...100) ?? policy.factor
    policy.cap = try given.optionalInt("cap", in: delays).map(Int64.init) ?? policy.cap
    policy.jitter = try given.optionalDouble("jitter", in: 0...1) ?? policy.jitter
    return policy
  }

  private func checkTimes(
    _ task: NewTask, _ fields: JSONFields, now: Timestamp
  ) throws(FieldError) {
    guard let deadline = task.deadline else { return }
    guard deadline > now else {
      throw fields.error("deadline", .invalid, "The deadline has passed already.")
    }
    if let runAt = task.runAt, runAt >= deadline {
      throw fields.error("runAt", .invalid, "The task would start after its deadline.")
    }
  }

  /// Printable ASCII without spaces, so that no two names look alike.
  package static func isName(_ text: String) -> Bool {
    text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
  }
}

extension NewTask {
  /// SHA-256 of the task with its defaults, the same for every way to write it.
  package func bodyHash(defaultRetry: RetryPolicy) throws(JSONError) -> [UInt8] {
    var writer = JSONWriter(reservingCapacity: payload.count + 256)
    let retry = retry ?? defaultRetry
    var canonical: [UInt8] = []
    try JSONDocument(payload).root.appendCanonical(to: &canonical)
    writer.beginArray()
    writer.string(demand.type)
    writer.string(demand.agentType?.rawValue ?? "")
    writer.array { for name in demand.requires { $0.string(name) } }
    for list in [demand.selector, labels] {
      writer.array {
        for label in list {
          $0.array {
            $0.string(label.name)
            $0.string(label.value)
          }
        }
      }
    }
    writer.int(priority)
    writer.string(key ?? "")
    writer.int(runAt?.milliseconds ?? -1)
    writer.int(deadline?.milliseconds ?? -1)
    writer.int(timeout ?? Limits.defaultTimeout)
    writer.int(retry.maxAttempts)
    writer.string(retry.backoff.rawValue)
    writer.int(retry.base)
    writer.double(retry.factor)
    writer.int(retry.cap)
    writer.double(retry.jitter)
    writer.raw(canonical)
    writer.endArray()
    return sha256(writer.bytes)
  }
}

// SPDX-License-Identifier: Apache-2.0
// A task as JSON, for whoever asks.

extension JSONWriter {
  /// Writes a task as the operator's API shows it. Lists leave out payload and results.
  package mutating func task(_ task: TaskRecord, waitingFor: WaitingReason?, isListed: Bool = false)
  {
    beginObject()
    field("id", task.id.description)
    field("type", task.demand.type)
    field("state", task.state.name)
    if !isListed { field("payload", raw: task.payload ?? Array("{}".utf8)) }
    submitted(task)
    key(literal: "attempt")
    int(task.attempt)
    key(literal: "failures")
    int(task.failures)
    field(orNull: "agentId", task.agent?.text)
    key(literal: "progress")
    if let progress = task.progress { double(progress) } else { null() }
    field(orNull: "message", task.message)
    if !isListed { field(orNull: "results", raw: task.results) }
    field("partial", task.partial)
    field(orNull: "error", raw: task.error)
    field(orNull: "waitingFor", waitingFor?.rawValue)
    field("needsAttention", task.needsAttention)
    field(orNull: "retryOf", task.retryOf?.description)
    field("createdAt", task.createdAt)
    field(orNull: "startedAt", task.startedAt)
    field(orNull: "completedAt", task.completedAt)
    endObject()
  }

  private mutating func submitted(_ task: TaskRecord) {
    field(orNull: "agentType", task.demand.agentType?.rawValue)
    field("requires", task.demand.requires)
    labels("selector", task.demand.selector)
    labels("labels", task.labels)
    field("priority", task.priority)
    field(orNull: "key", task.key)
    field(orNull: "idempotencyKey", task.idempotencyKey)
    field(orNull: "runAt", task.notBefore ?? task.runAt)
    field(orNull: "deadline", task.deadline)
    field("timeout", task.timeout ?? Limits.defaultTimeout)
    key(literal: "retry")
    retry(task.retry)
  }

  package mutating func labels(_ name: StaticString, _ labels: [Label]) {
    key(literal: name)
    beginObject()
    for label in labels {
      key(label.name)
      string(label.value)
    }
    endObject()
  }

  private mutating func retry(_ policy: RetryPolicy) {
    beginObject()
    field("maxAttempts", policy.maxAttempts)
    field("backoff", policy.backoff.rawValue)
    field("base", policy.base)
    field("factor", policy.factor)
    field("cap", policy.cap)
    field("jitter", policy.jitter)
    endObject()
  }

  package mutating func log(_ line: TaskLog) {
    beginObject()
    field("timestamp", line.time)
    field("level", line.level.rawValue)
    field("message", line.message)
    field(ifPresent: "metadata", raw: line.metadata)
    endObject()
  }
}

extension JSONWriter {
  package mutating func field(orNull name: StaticString, _ value: String?) {
    key(literal: name)
    if let value { string(value) } else { null() }
  }

  package mutating func field(orNull name: StaticString, _ value: Timestamp?) {
    key(literal: name)
    if let value { timestamp(value) } else { null() }
  }

  package mutating func field(orNull name: StaticString, raw json: [UInt8]?) {
    key(literal: name)
    if let json { raw(json) } else { null() }
  }
}

// SPDX-License-Identifier: Apache-2.0
// The JSON of a dispatch, for a push and as an element of a lease answer.

/// Where agents send their reports.
package struct CallbackAddresses: Sendable, Hashable {
  /// The full address of the callback.
  package var callbackUrl: String
  /// Scheme, host and port of the progress addresses, without a slash at the end.
  package var progressOrigin: String

  package init(callbackUrl: String, progressOrigin: String) {
    self.callbackUrl = callbackUrl
    self.progressOrigin = progressOrigin
  }
}

/// One attempt as the agent protocol writes it, §3.
package struct DispatchBody: Sendable {
  package var taskID: TaskID
  package var attempt: Int
  package var leaseToken: Int64
  package var type: String
  /// JSON text, written as it is.
  package var payload: [UInt8]
  package var priority: Int
  /// Milliseconds.
  package var timeout: Int64
  package var deadline: Timestamp
  /// The attempt's own span.
  package var trace: TraceContext

  package init(
    taskID: TaskID, attempt: Int, leaseToken: Int64, type: String, payload: [UInt8],
    priority: Int, timeout: Int64, deadline: Timestamp, trace: TraceContext
  ) {
    self.taskID = taskID
    self.attempt = attempt
    self.leaseToken = leaseToken
    self.type = type
    self.payload = payload
    self.priority = priority
    self.timeout = timeout
    self.deadline = deadline
    self.trace = trace
  }

  package func write(to writer: inout JSONWriter, addresses: CallbackAddresses) {
    let id = taskID.description
    writer.beginObject()
    writer.field("taskId", id)
    writer.field("attempt", attempt)
    writer.field("leaseToken", LeaseToken.text(leaseToken))
    writer.field("type", type)
    writer.field("payload", raw: payload)
    writer.field("priority", priority)
    writer.field("timeout", timeout)
    writer.field("deadline", deadline)
    writer.field("callbackUrl", addresses.callbackUrl)
    writer.field("progressUrl", "\(addresses.progressOrigin)/api/tasks/\(id)/progress")
    writer.field("traceparent", trace.traceparent)
    writer.field(ifPresent: "tracestate", trace.state)
    writer.endObject()
  }

  /// The JSON object as new bytes.
  package func bytes(addresses: CallbackAddresses) -> [UInt8] {
    var writer = JSONWriter(reservingCapacity: payload.count + 512)
    write(to: &writer, addresses: addresses)
    return writer.bytes
  }
}

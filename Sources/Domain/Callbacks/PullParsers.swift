// SPDX-License-Identifier: Apache-2.0
// Reads what pull agents send: requests for work, and heartbeats.

/// How much work a pull agent asks for, and how long it waits for it.
package struct LeaseQuery: Sendable, Hashable {
  package var max: Int
  package var waitSeconds: Int

  /// Reads the body of the agent protocol, §6; one dispatch and no wait if it is empty.
  package init(_ body: [UInt8], limits: Limits) throws(ControlError) {
    guard !body.isEmpty else {
      (max, waitSeconds) = (1, 0)
      return
    }
    let root = try JSONDocument(body, limits: limits).root
    (max, waitSeconds) = try ControlError.field { () throws(FieldError) in
      let fields = try JSONFields(root, allowed: [], unknown: .ignore)
      return (
        try fields.optionalInt("max", in: Limits.leaseBatchRange) ?? 1,
        try fields.optionalInt("waitSeconds", in: Limits.waitSecondsRange) ?? 0
      )
    }
  }
}

/// A sign of life, with the attempts that the agent works on.
package struct Heartbeat: Sendable, Hashable {
  package struct Running: Sendable, Hashable {
    /// As written; an id that cannot be one of ours is lost to the agent.
    package var taskID: String
    /// As written; see `LeaseToken.matches`.
    package var leaseToken: String
  }

  package var isDraining: Bool
  package var running: [Running]

  private enum Status: String, CaseIterable { case active, draining }

  /// Reads the body of the agent protocol, §6.
  package init(_ body: [UInt8], limits: Limits) throws(ControlError) {
    let root = try JSONDocument(body, limits: limits).root
    (isDraining, running) = try ControlError.field { () throws(FieldError) in
      let fields = try JSONFields(root, allowed: [], unknown: .ignore)
      let status = try fields.optionalChoice("status", of: Status.self)
      let array = try fields.optionalArray("running", count: 0...limits.concurrency)
      return (status == .draining, try Self.running(array, fields))
    }
  }

  private static func running(
    _ array: JSONNode?, _ fields: JSONFields
  ) throws(FieldError) -> [Running] {
    guard let array else { return [] }
    var running: [Running] = []
    running.reserveCapacity(array.count)
    for (position, element) in array.elements.enumerated() {
      let path = JSONPath.element(position, of: fields.path("running"))
      let entry = try JSONFields(element, path: path, allowed: [], unknown: .ignore)
      running.append(
        Running(
          taskID: try entry.string("taskId", bytes: 1...128),
          leaseToken: try entry.string("leaseToken", bytes: 1...128)))
    }
    return running
  }
}

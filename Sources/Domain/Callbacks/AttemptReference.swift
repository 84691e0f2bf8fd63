// SPDX-License-Identifier: Apache-2.0
// The fields by which an agent's request says which attempt it is about.

/// What an agent's body says of its attempt besides the task.
struct AttemptReference {
  var agentID: String?
  var attempt: Int?
  var leaseToken: String?

  init(_ fields: JSONFields) throws(FieldError) {
    agentID = try fields.optionalString("agentId")
    attempt = try fields.optionalInt("attempt", in: 1...Int.max)
    leaseToken = try fields.optionalString("leaseToken")
  }

  /// The body's `taskId`; a text that cannot be an id is refused as one, and somebody else's ULID
  /// gets
  /// the answer of a task that another agent has.
  static func taskID(
    of fields: JSONFields, isRequired: Bool
  ) throws(ControlError) -> TaskID? {
    let text = try ControlError.field { () throws(FieldError) in
      isRequired ? try fields.string("taskId") : try fields.optionalString("taskId")
    }
    guard let text else { return nil }
    guard let id = TaskID(text) else {
      guard !TaskID.isWellFormed(text) else {
        throw ControlError(.notFound, "There is no such task for this agent.")
      }
      throw ControlError(.invalidID, "This is not the id of a task.", path: fields.path("taskId"))
    }
    return id
  }
}

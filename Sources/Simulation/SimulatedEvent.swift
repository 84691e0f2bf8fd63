// SPDX-License-Identifier: Apache-2.0
// What can happen in a simulated run, and when.
import Domain
import Engine

/// A report on its way from an agent.
struct SimulatedReport {
  var agent: AgentID
  var task: TaskID
  /// What the report says; may be left out, or be a lie.
  var attempt: Int?
  var leaseToken: String?
  /// The attempt that the agent was really given: a settled attempt must have been this one.
  var truth: Int
  var status: ReportStatus
  var retryable = true
  var signedID: String
}

enum SimulatedAction {
  case submit
  /// A client that got no answer asks again with its key.
  case resubmit(key: String)
  case cancel
  case commit(plane: Int)
  case deliver(ClaimedTask)
  case answer(plane: Int, ClaimedTask, DispatchAnswer)
  case report(SimulatedReport)
  case beat(ClaimedTask)
  case poll(AgentID)
  case tick(plane: Int)
  case crash
  case restart
  case heal
}

struct SimulatedEvent: Comparable {
  var at: Int64
  var order: Int
  var action: SimulatedAction
  static func < (a: SimulatedEvent, b: SimulatedEvent) -> Bool { (a.at, a.order) < (b.at, b.order) }
  static func == (a: SimulatedEvent, b: SimulatedEvent) -> Bool { a.order == b.order }
}

/// A write on its way to the simulated disk, with what happens after its commit.
struct SimulatedWrite {
  enum Operation {
    case submit([TaskInsert], claiming: [ClaimRequest])
    case claim([ClaimRequest])
    case settle(SettleRequest, task: RunningTask, report: SimulatedReport?)
    case release(RunningTask, notBefore: Timestamp?)
    case renew(RenewRequest)
    case end(EndRequest)
  }
  var operation: Operation
}

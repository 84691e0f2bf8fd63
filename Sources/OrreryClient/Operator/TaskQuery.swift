// SPDX-License-Identifier: Apache-2.0
// Which tasks a list shall have.

import Domain
public import Foundation

/// Filters of a list of tasks; all that are set must match.
public struct TaskQuery: Sendable {
  public var state: TaskSnapshot.State?
  public var type: String?
  /// Tasks that this agent holds or held last.
  public var agentID: String?
  public var labels: [String: String] = [:]
  /// Created at or after.
  public var since: Date?
  /// Created before.
  public var until: Date?
  /// Failed for good and not acknowledged.
  public var needsAttention: Bool?

  public init(state: TaskSnapshot.State? = nil, type: String? = nil) {
    self.state = state
    self.type = type
  }

  func items(limit: Int?, cursor: String?) -> [(String, String)] {
    var items: [(String, String)] = []
    if let limit { items.append(("limit", String(limit))) }
    if let cursor { items.append(("cursor", cursor)) }
    if let state { items.append(("state", state.rawValue)) }
    if let type { items.append(("type", type)) }
    if let agentID { items.append(("agent", agentID)) }
    for (name, value) in labels.sorted(by: { $0.key < $1.key }) {
      items.append(("label", "\(name):\(value)"))
    }
    if let since { items.append(("since", Timestamp(since).description)) }
    if let until { items.append(("until", Timestamp(until).description)) }
    if let needsAttention { items.append(("needsAttention", String(needsAttention))) }
    return items
  }
}

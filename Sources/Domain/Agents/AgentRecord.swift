// SPDX-License-Identifier: Apache-2.0
// A registered agent as it is stored.

/// `[A-Za-z0-9._:-]{1,128}`, ASCII.
public struct AgentID: Hashable, Sendable, Comparable, CustomStringConvertible {
  public let text: String

  /// Nil if the text does not follow the grammar.
  public init?(_ text: String) {
    guard Identifier.isValid(text) else { return nil }
    self.text = text
  }

  /// For ids that were checked when they were stored.
  package init(stored text: String) { self.text = text }

  public var description: String { text }
  public static func < (a: AgentID, b: AgentID) -> Bool { a.text < b.text }
}

/// The grammar that ids share; compared as bytes, so that no two spellings look alike.
package enum Identifier {
  package static func isValid(_ text: String, most: Int = 128) -> Bool {
    (1...most).contains(text.utf8.count) && text.utf8.allSatisfy(isAllowed)
  }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "-"): true
    default: false
    }
  }
}

/// How an agent answers a dispatch: by callback, or with the result itself.
package enum AnswerMode: String, Sendable, CaseIterable { case async, sync }

/// Where an entry came from decides who may change it.
package enum AgentOrigin: Int, Sendable {
  case api = 0
  case config = 1
  case joined = 2
}

/// A registered agent. Its secrets are kept apart, sealed.
package struct AgentRecord: Sendable, Equatable {
  package var id: AgentID
  package var name: String
  package var kind: AgentKind
  /// Push agents have one; pull agents do not.
  package var endpoint: String?
  package var cancelEndpoint: String?
  package var healthUrl: String?
  package var answers: AnswerMode = .async
  package var capabilities: [String]
  package var concurrency: Int = 4
  /// Nil: 30 s for pull agents, the task's timeout for push agents.
  package var leaseSeconds: Int?
  package var labels: [Label] = []
  /// `active`, `draining` or `disabled`; `unhealthy` is found out at run time.
  package var state: AgentState = .active
  package var origin: AgentOrigin = .api
  /// The default timeout for tasks that it runs, milliseconds.
  package var timeout: Int64?
  /// What its connector gets besides: authentication, provider, engine, options (a JSON object).
  package var options: [UInt8]?
  package var createdAt: Timestamp
  package var lastSeen: Timestamp?

  package init(
    id: AgentID, name: String, kind: AgentKind, capabilities: [String], createdAt: Timestamp
  ) {
    self.id = id
    self.name = name
    self.kind = kind
    self.capabilities = capabilities
    self.createdAt = createdAt
  }

  package var isPush: Bool { endpoint != nil }

  /// How long a lease lasts, in milliseconds, for an attempt with this timeout.
  package func lease(timeout: Int64) -> Int64 {
    if let leaseSeconds { return Int64(leaseSeconds) * 1_000 }
    return isPush ? timeout : 30_000
  }
}

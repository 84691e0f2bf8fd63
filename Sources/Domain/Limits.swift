// SPDX-License-Identifier: Apache-2.0
// Every bound of the system, named once.

/// Bounds on what is accepted and kept. Defaults are the contract's; an operator may change those
/// that are variables through the configuration (`limits.…`). Sizes are bytes, times milliseconds.
public struct Limits: Sendable, Hashable {
  public var body = 8 << 20
  public var bulkBody = 64 << 20
  public var bulkTasks = 10_000
  public var payload = 1 << 20
  public var results = 4 << 20
  public var artifact = 1 << 20
  public var jsonDepth = 64
  public var jsonValues = 100_000
  public var identifier = 128
  public var labels = 32
  public var label = 128
  public var message = 4 << 10
  public var logLinesPerReport = 100
  public var logLinesPerTask = 10_000
  /// That speak HTTP.
  public var connections = 8_192
  /// WebSockets and event streams.
  public var sockets = 16_384
  /// Loopback does not count, unless an operator says how many there may be.
  public var connectionsPerAddress = 1_024 {
    didSet { countsLoopbackConnections = true }
  }
  public private(set) var countsLoopbackConnections = false
  /// Between the pings of a Socket.IO session, and from a ping to the end of the wait for its pong.
  public var pingInterval = 25_000
  public var pingTimeout = 20_000
  /// For a Socket.IO session to connect with a valid token.
  public var signInTime = 5_000
  public var agents = 10_000
  public var capabilities = 128
  public var concurrency = 10_000
  public var tokens = 1_000
  public var secrets = 1_000
  public var secretValue = 64 << 10
  public var types = 10_000
  /// Distinct combinations of type, agentType, requires and selector.
  public var demands = 50_000
  public var queuedTasks = 10_000_000
  /// Requests waiting for the store at one time before new ones are refused with 429.
  public var pendingWrites = 100_000
  public var waiters = 10_000
  public var pageSize = 200
  /// Rows that one page of a filtered list looks at before it hands back a cursor.
  public var pageScan = 50_000
  public var retentionDays = 30

  public init() {}

  public static let defaultTimeout: Int64 = 300_000
  public static let timeoutRange: ClosedRange<Int64> = 1...(7 * 86_400_000)
  public static let attemptsRange = 1...1_000
  public static let delayRange: ClosedRange<Int64> = 0...(7 * 86_400_000)
  public static let leaseSecondsRange = 1...86_400
  public static let waitSecondsRange = 0...60
  public static let leaseBatchRange = 1...1_000
  public static let signatures = 4
  /// How far a signed timestamp may be from our clock, in seconds, both ends included.
  public static let signatureWindow: Int64 = 300
  public static let replayMemory: Int64 = 600_000
  public static let dispatchAnswer = 4 << 20
  public static let connectTimeout: Int64 = 5_000
  public static let answerTimeout: Int64 = 10_000
  public static let breakerFailures = 5
  public static let pushBackFirst: Int64 = 5_000
  public static let pushBackMost: Int64 = 60_000
  public static let healthInterval: Int64 = 15_000
  public static let joinedAgentSilence: Int64 = 86_400_000
  public static let idempotencyMemory: Int64 = 86_400_000
  public static let claimBatch = 512
  /// Events that are kept for those who come back, and the bytes that they may hold.
  public static let events = 65_536
  public static let eventBytes = 32 << 20
  /// Topics that one client may watch.
  public static let topics = 64
}

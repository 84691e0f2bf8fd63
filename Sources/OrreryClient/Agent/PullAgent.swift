// SPDX-License-Identifier: Apache-2.0
// An agent that fetches its work: leases tasks, runs their handlers, keeps the leases, reports.

import Domain
public import Foundation
public import Logging

/// A pull agent.
///
/// ```swift
/// let agent = try PullAgent(url: url, identity: identity, handlers: handlers)
/// try await agent.run()
/// ```
///
/// `drain()` ends it in good order: nothing new is taken, what runs is finished and reported.
/// Cancelling the task that runs it stops at once and leaves tasks to their leases.
public final class PullAgent: Sendable {
  /// How an agent behaves.
  public struct Options: Sendable {
    /// Tasks at a time.
    public var concurrency = 4
    /// What the agent was registered with; leases are renewed at a third of it.
    public var leaseSeconds = 30
    /// How long one request for work waits at the server; never longer than a lease, since an
    /// agent that is silent for three leases counts as unhealthy.
    public var waitSeconds = 30
    /// How long tasks may go on after `drain()`; then they are called off and reported.
    public var drainTime: Duration = .seconds(60)
    /// Report to the addresses in the dispatches instead of the control plane's own.
    public var usesDispatchURLs = false
    /// Allows `http` to other machines than this one.
    public var allowsInsecureHTTP = false

    public init() {}
  }

  private let link: ControlPlaneLink
  private let handlers: TaskHandlers
  private let options: Options
  private let logger: Logger
  private let table: ExecutionTable
  private let draining = Signal()

  /// - Throws: `OrreryError` for an address that cannot be used.
  public convenience init(
    url: String, identity: AgentIdentity, handlers: TaskHandlers, options: Options = Options(),
    logger: Logger = Logger(label: "orrery.agent")
  ) throws {
    try self.init(
      url: url, identity: identity, handlers: handlers, options: options, logger: logger,
      clock: .live)
  }

  /// An agent that the server started: address, id and secret come from `ORRERY_URL`,
  /// `ORRERY_AGENT_ID` and `ORRERY_AGENT_SECRET`.
  public static func managed(
    handlers: TaskHandlers, options: Options = Options(),
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws -> PullAgent {
    guard let url = environment["ORRERY_URL"], let id = environment["ORRERY_AGENT_ID"],
      let secret = environment["ORRERY_AGENT_SECRET"]
    else {
      throw OrreryError(
        .invalidSecret, "ORRERY_URL, ORRERY_AGENT_ID and ORRERY_AGENT_SECRET must be set.")
    }
    let identity = try AgentIdentity(id: id, secret: secret)
    return try PullAgent(url: url, identity: identity, handlers: handlers, options: options)
  }

  package init(
    url: String, identity: AgentIdentity, handlers: TaskHandlers, options: Options,
    logger: Logger, clock: SystemClock
  ) throws {
    let address = try ServerAddress(url)
    try address.requireProtection(allowsInsecureHTTP: options.allowsInsecureHTTP)
    link = ControlPlaneLink(
      address: address, identity: identity, usesDispatchURLs: options.usesDispatchURLs,
      clock: clock)
    self.handlers = handlers
    self.options = options
    self.logger = logger
    table = ExecutionTable(concurrency: options.concurrency)
  }

  /// Takes nothing new from now on; `run` returns when what runs is reported.
  public func drain() {
    draining.set()
    table.wakeUp()
  }

  /// Works until `drain` is called. Call it once.
  ///
  /// - Throws: `OrreryError` when the control plane does not know the agent (any more); an
  ///   unreachable control plane is tried again for ever.
  public func run() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await self.keepLeases() }
      group.addTask { await self.endDrain() }
      defer { group.cancelAll() }
      try await self.work()
    }
  }

  // MARK: Leasing

  private func work() async throws {
    let sender = CallbackSender(link: link, logger: logger)
    let refusal = try await withThrowingDiscardingTaskGroup { group -> OrreryError? in
      var failures = 0
      var changes = table.changes.makeAsyncIterator()
      while !draining.isSet {
        try Task.checkCancellation()
        guard table.free > 0 else {
          await changes.next()
          continue
        }
        do {
          for dispatch in try await lease() {
            let attempt = AttemptProgress(dispatch: dispatch, link: link, logger: logger)
            guard table.add(attempt) else { continue }
            group.addTask {
              await TaskExecution(attempt: attempt, handlers: self.handlers, sender: sender).run()
              self.table.remove(attempt)
            }
          }
          failures = 0
        } catch let error as OrreryError {
          failures += 1
          guard try await mayGoOn(after: error, failures) else { return error }
        }
      }
      return nil
    }
    if let refusal { throw refusal }
  }

  /// Waits for work, or until the agent drains.
  private func lease() async throws -> [Dispatch] {
    try await withThrowingTaskGroup(of: [Dispatch]?.self) { group in
      group.addTask {
        try await self.link.lease(
          most: self.table.free,
          waitSeconds: min(self.options.waitSeconds, max(self.options.leaseSeconds, 1)))
      }
      group.addTask {
        await self.draining.wait()
        try Task.checkCancellation()
        await self.beat()
        // Nothing more is handed out now; what is already on its way gets a moment to arrive.
        try await self.link.clock.sleep(Self.lastAnswer)
        return nil
      }
      defer { group.cancelAll() }
      return try await group.next().flatMap { $0 } ?? []
    }
  }

  private static let lastAnswer: Int64 = 1_000

  /// Waits after a failed call for work. Returns whether to try again.
  private func mayGoOn(after error: OrreryError, _ failures: Int) async throws -> Bool {
    guard error.isPassing || error.code == .replayed else {
      logger.error("the control plane refuses this agent", metadata: ["error": "\(error)"])
      return false
    }
    let delay = link.clock.backoff(
      afterFailures: failures, base: 500, cap: 30_000, asked: error.askedDelay)
    logger.warning("no work", metadata: ["error": "\(error)", "again": "\(delay) ms"])
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await self.link.clock.sleep(delay) }
      group.addTask { await self.draining.wait() }
      defer { group.cancelAll() }
      try await group.next()
    }
    return true
  }

  // MARK: Keeping leases

  private func keepLeases() async {
    let interval = max(Int64(options.leaseSeconds) * 1_000 / 3, 100)
    do {
      while true {
        try await link.clock.sleep(interval)
        if !table.running.isEmpty { await beat() }
      }
    } catch {
      return  // Cancelled: the agent has ended.
    }
  }

  /// One heartbeat: renews the leases, and calls off what was cancelled or lost.
  private func beat() async {
    let running = table.running.map(\.dispatch)
    let tokens = Set(running.map(\.leaseToken))
    do {
      let beat = try await link.heartbeat(isDraining: draining.isSet, running: running)
      for (ids, reason) in [(beat.cancelled, CallOff.cancelled), (beat.lost, .lost)] {
        table.callOff(reason) { ids.contains($0.taskID) && tokens.contains($0.leaseToken) }
      }
    } catch {
      logger.warning("heartbeat failed", metadata: ["error": "\(error)"])
    }
  }

  /// Calls off what does not end in time after `drain`.
  private func endDrain() async {
    await draining.wait()
    do {
      try await link.clock.sleep(options.drainTime.wholeMilliseconds)
      table.callOff(.stopping)
    } catch {
      return  // Cancelled: everything has ended.
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
// Reaches agents that have an endpoint: dispatches, cancellations and health probes over HTTP.
package import Domain
package import Engine
package import Logging
private import NIOCore
private import NIOHTTP1
private import Synchronization

/// The connector of every kind of agent with an endpoint.
///
/// Each request is signed by the `standard` scheme; what the agent's entry asks for besides is
/// added to it. `shutdown` must be called before the last reference goes.
package final class HTTPConnector: AgentConnector {
  /// What the connector needs to know.
  package struct Settings: Sendable {
    package var limits = Limits()
    /// How long an agent may take to answer a dispatch, in milliseconds.
    package var answerTimeout = Limits.answerTimeout

    package init() {}
  }

  private let settings: Settings
  private let policy: OutboundPolicy
  private let server: ServerAddress
  private let world: World
  private let logger: Logger
  private let authenticator: Authenticator
  /// For answers that come at once.
  private let quick: OutboundClient
  /// For synchronous agents, whose answers take as long as their work.
  private let patient: OutboundClient
  /// For token servers, which are no endpoints of agents.
  private let outside: OutboundClient
  private let urls = Mutex<[String: EndpointURL]>([:])

  private static let quickConnections = 128
  private static let outsideConnections = 8
  private static let knownURLs = 20_000

  /// - Parameters:
  ///   - server: Where reports go.
  ///   - secret: The value of an environment variable or named secret; called for each dispatch of
  ///     an agent with extra authentication.
  package init(
    settings: Settings, policy: OutboundPolicy, server: ServerAddress, world: World,
    logger: Logger, secret: @escaping @Sendable (String) -> String?
  ) {
    self.settings = settings
    self.policy = policy
    self.server = server
    self.world = world
    self.logger = logger
    quick = OutboundClient(
      policy: policy, isEndpoint: true, connections: Self.quickConnections,
      answerTimeout: .milliseconds(settings.answerTimeout))
    patient = OutboundClient(
      policy: policy, isEndpoint: true, connections: settings.limits.concurrency,
      answerTimeout: nil)
    outside = OutboundClient(
      policy: policy, isEndpoint: false, connections: Self.outsideConnections,
      answerTimeout: .milliseconds(Limits.answerTimeout))
    authenticator = Authenticator(
      tokens: OAuthTokens(client: outside, world: world), secret: secret)
  }

  /// Closes every connection; requests under way fail.
  package func shutdown() async {
    for client in [quick, patient, outside] {
      do { try await client.shutdown() } catch {
        logger.error("HTTP client shutdown", metadata: ["error": "\(error)"])
      }
    }
  }

  package func check(
    url: String, path: String, isEndpoint: Bool
  ) async throws(ControlError) {
    try await policy.check(url: url, path: path, isEndpoint: isEndpoint)
  }

  // MARK: Dispatch

  package func start(
    _ dispatch: Dispatch, on agent: AgentRecord, secrets: [AgentSecret]
  ) async -> DispatchAnswer {
    let running = dispatch.task.running
    guard let url = agent.endpoint.flatMap(url) else {
      return .undelivered(
        message: "The agent has no endpoint.", countsForBreaker: false, retryAfter: nil,
        unhealthy: true)
    }
    let body = dispatch.body.bytes(addresses: server.callbacks)
    let exchange: Exchange
    do throws(Authenticator.Missing) {
      exchange = try await send(
        body, to: url, agent: agent, secrets: secrets,
        id: "msg_\(running.id)_\(running.attempt)", deadline: deadline(running, agent),
        trace: dispatch.trace)
    } catch {
      return .undelivered(
        message: error.sentence, countsForBreaker: false, retryAfter: nil, unhealthy: false)
    }
    let now = world.now()
    return DispatchAnswerReader(
      taskID: running.id, attempt: running.attempt, leaseToken: running.token,
      limits: settings.limits, now: now, isAttemptOver: now >= running.endsAt
    ).answer(to: exchange)
  }

  /// Sends a signed POST with the agent's extra authentication. A token that is refused is fetched
  /// anew once.
  private func send(
    _ body: [UInt8], to url: EndpointURL, agent: AgentRecord, secrets: [AgentSecret],
    id: String, deadline: NIODeadline, trace: TraceContext? = nil
  ) async throws(Authenticator.Missing) -> Exchange {
    let client = agent.answers == .sync ? patient : quick
    var request = OutboundClient.Request(
      method: .POST, url: url, headers: signed(body, agent: agent, secrets: secrets, id: id),
      body: body, deadline: deadline, answerLimit: Limits.dispatchAnswer)
    if let trace { request.headers.add(trace) }
    guard let extra = try await authenticator.header(for: agent) else {
      return await client.send(request)
    }
    request.headers.replaceOrAdd(name: extra.name, value: extra.value)
    let exchange = await client.send(request)
    guard case .answer(401, _, _) = exchange, let token = extra.token else { return exchange }
    await authenticator.discard(token)
    guard let extra = try await authenticator.header(for: agent) else { return exchange }
    request.headers.replaceOrAdd(name: extra.name, value: extra.value)
    return await client.send(request)
  }

  private func signed(
    _ body: [UInt8], agent: AgentRecord, secrets: [AgentSecret], id: String
  ) -> HTTPHeaders {
    let lines = Signature.standardHeaders(
      agentID: agent.id, id: id, timestampSeconds: world.now().milliseconds / 1_000, body: body,
      secrets: secrets)
    var headers = HTTPHeaders()
    headers.reserveCapacity(lines.count + 4)
    headers.add(name: "content-type", value: "application/json")
    headers.add(name: "user-agent", value: "orrery")
    for line in lines { headers.add(name: line.header.rawValue, value: line.value) }
    return headers
  }

  /// The end of the attempt, or for answers that come at once an earlier moment.
  private func deadline(_ running: RunningTask, _ agent: AgentRecord) -> NIODeadline {
    let left = max(running.endsAt.milliseconds(since: world.now()), 1)
    if agent.answers == .sync { return .now() + .milliseconds(left) }
    return .now() + .milliseconds(min(left, Limits.connectTimeout + settings.answerTimeout))
  }

  // MARK: Cancellation and health

  private static let cancelTries = 3
  private static let cancelBackoff: Int64 = 500
  private static let probeMilliseconds: Int64 = 5_000
  private static let ignoredAnswer = 64 << 10

  package func cancel(
    _ task: RunningTask, reason: CancelReason, on agent: AgentRecord, secrets: [AgentSecret]
  ) async {
    guard let url = agent.cancelEndpoint.flatMap(url) else { return }
    var writer = JSONWriter()
    writer.beginObject()
    writer.field("taskId", task.id.description)
    writer.field("attempt", task.attempt)
    writer.field("leaseToken", LeaseToken.text(task.token))
    writer.field("reason", reason.rawValue)
    writer.endObject()
    for attempt in 1...Self.cancelTries {
      do {
        let exchange = try await send(
          writer.bytes, to: url, agent: agent, secrets: secrets,
          id: "msg_\(task.id)_\(task.attempt)_cancel_\(attempt)",
          deadline: .now()
            + .milliseconds(Limits.connectTimeout + settings.answerTimeout))
        if case .answer(let status, _, _) = exchange, Self.isHeard(status) { return }
        if attempt < Self.cancelTries {
          try await world.sleep(Self.cancelBackoff << Int64(2 * (attempt - 1)))
        }
      } catch {
        logger.debug(
          "cancel not sent",
          metadata: ["taskId": "\(task.id)", "agentId": "\(agent.id)", "error": "\(error)"])
        return
      }
    }
    logger.notice(
      "agent does not take a cancellation",
      metadata: ["taskId": "\(task.id)", "agentId": "\(agent.id)"])
  }

  /// Whether saying it again would change nothing.
  private static func isHeard(_ status: Int) -> Bool {
    (200..<500).contains(status) && status != 408 && status != 429
  }

  package func isHealthy(_ agent: AgentRecord) async -> Bool {
    guard let url = agent.healthUrl.flatMap(url) else { return agent.healthUrl == nil }
    let exchange = await quick.send(
      OutboundClient.Request(
        method: .GET, url: url, headers: ["user-agent": "orrery"], body: [],
        deadline: .now() + .milliseconds(Self.probeMilliseconds),
        answerLimit: Self.ignoredAnswer))
    guard case .answer(let status, _, _) = exchange else { return false }
    return (200..<300).contains(status)
  }

  // MARK: Addresses

  /// The parsed form of a stored address; nil if it is not strictly formed.
  private func url(_ text: String) -> EndpointURL? {
    if let known = urls.withLock({ $0[text] }) { return known }
    do throws(EndpointURL.Problem) {
      let url = try EndpointURL(text)
      urls.withLock { urls in
        if urls.count >= Self.knownURLs { urls.removeAll() }
        urls[text] = url
      }
      return url
    } catch { return nil }
  }
}

extension HTTPHeaders {
  /// Says below which span the work belongs.
  fileprivate mutating func add(_ trace: TraceContext) {
    add(name: "traceparent", value: trace.traceparent)
    if let state = trace.state { add(name: "tracestate", value: state) }
  }
}

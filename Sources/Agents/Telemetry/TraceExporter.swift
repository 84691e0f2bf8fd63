// SPDX-License-Identifier: Apache-2.0
// Sends finished spans to a collector: OTLP over HTTP, in JSON.
package import Domain
package import Engine
package import Logging
private import NIOCore
private import NIOHTTP1
internal import ServiceLifecycle

/// Takes spans out of the recorder, batch by batch, until shutdown; what is left then is sent
/// within a few seconds or lost. Nothing waits for it.
package struct TraceExporter: Service {
  package struct Settings: Sendable {
    /// The whole address, `…/v1/traces`.
    package var endpoint: EndpointURL
    /// Sent along; may hold secrets.
    package var headers: [(name: String, value: String)]
    package var resource: TraceResource

    package init(
      endpoint: EndpointURL, headers: [(name: String, value: String)], resource: TraceResource
    ) {
      self.endpoint = endpoint
      self.headers = headers
      self.resource = resource
    }
  }

  private static let interval: Int64 = 5_000
  private static let lastCall: Int64 = 5_000
  private static let sendMilliseconds: Int64 = 10_000
  private static let tries = 3
  private static let longestAnswer = 64 << 10

  private let settings: Settings
  private let spans: SpanRecorder
  private let policy: OutboundPolicy
  private let world: World
  private let complaints: ExportComplaints

  /// - Parameter server: Our own address, the only one that is not called.
  package init(
    settings: Settings, spans: SpanRecorder, server: ServerAddress, world: World, logger: Logger
  ) {
    self.settings = settings
    self.spans = spans
    policy = .trusting(server)
    self.world = world
    complaints = ExportComplaints(logger: logger, world: world)
  }

  package func run() async throws {
    let client = OutboundClient(
      policy: policy, isEndpoint: false, connections: 1,
      answerTimeout: .milliseconds(Self.sendMilliseconds))
    await withGracefulShutdownHandler {
      await withTaskGroup(of: Bool.self) { group in
        group.addTask { await tick() }
        group.addTask { await sendUntilClosed(client) }
        group.addTask { await giveUpAfterShutdown() }
        for await isOver in group where isOver { break }
        group.cancelAll()
      }
    } onGracefulShutdown: {
      spans.close()
    }
    try await client.shutdown()
  }

  /// Has the queue looked at every few seconds.
  private func tick() async -> Bool {
    while true {
      do { try await world.sleep(Self.interval) } catch { return false }
      spans.wake()
    }
  }

  private func sendUntilClosed(_ client: OutboundClient) async -> Bool {
    for await _ in spans.fullBatches { await sendAll(client) }
    await sendAll(client)
    return true
  }

  private func giveUpAfterShutdown() async -> Bool {
    do {
      try await gracefulShutdown()
      try await world.sleep(Self.lastCall)
    } catch { return true }
    return true
  }

  // MARK: Sending

  private func sendAll(_ client: OutboundClient) async {
    while true {
      let batch = spans.take()
      guard !batch.isEmpty else { return }
      let lost = await send(batch, client)
      if lost > 0 { spans.drop(lost) }
    }
  }

  /// Returns how many of them are lost.
  private func send(_ batch: [Span], _ client: OutboundClient) async -> Int {
    let body = OTLPTraces.body(batch, settings.resource)
    for attempt in 1... {
      let exchange = await client.send(request(body))
      switch ExportOutcome(exchange, now: world.now()) {
      case .taken(let rejected):
        complaints.succeeded(rejected: rejected)
        return min(rejected, batch.count)
      case .refused(let why):
        complaints.failed(why, spans: batch.count)
        return batch.count
      case .away(let why, let retryAfter):
        let wait = retryAfter ?? Int64(1_000 << (attempt - 1))
        guard attempt < Self.tries, wait <= Self.sendMilliseconds, await slept(wait) else {
          complaints.failed(why, spans: batch.count)
          return batch.count
        }
      }
    }
    return batch.count
  }

  private func slept(_ milliseconds: Int64) async -> Bool {
    do { try await world.sleep(milliseconds) } catch { return false }
    return true
  }

  private func request(_ body: [UInt8]) -> OutboundClient.Request {
    var headers: HTTPHeaders = ["user-agent": "orrery"]
    for header in settings.headers { headers.add(name: header.name, value: header.value) }
    headers.replaceOrAdd(name: "content-type", value: "application/json")
    return OutboundClient.Request(
      method: .POST, url: settings.endpoint, headers: headers, body: body,
      deadline: .now() + .milliseconds(Self.sendMilliseconds), answerLimit: Self.longestAnswer)
  }
}

extension OutboundPolicy {
  /// For an address that the operator configured: all may be called but our own.
  static func trusting(_ server: ServerAddress) -> OutboundPolicy {
    OutboundPolicy(
      allowed: ["0.0.0.0/0", "::/0"].compactMap { AddressRange($0) }, server: server)
  }
}

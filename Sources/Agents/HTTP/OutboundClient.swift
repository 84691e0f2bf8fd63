// SPDX-License-Identifier: Apache-2.0
// One pool of outgoing connections under the outbound rules.
internal import AsyncHTTPClient
internal import Domain
internal import NIOCore
internal import NIOHTTP1
private import NIOPosix

/// Sends single requests: HTTP/1.1, no redirects, no decompression, no proxy, and no connection
/// to an address that the policy refuses.
///
/// The address is judged when it is connected, before anything of the request is handed over, so
/// a name that resolves differently each time gains nothing.
final class OutboundClient: Sendable {
  struct Request: Sendable {
    var method: HTTPMethod
    var url: EndpointURL
    var headers: HTTPHeaders
    var body: [UInt8]
    /// When all of it, the answer included, must be over.
    var deadline: NIODeadline
    /// Largest answer in bytes.
    var answerLimit: Int
  }

  private let client: HTTPClient
  private let policy: OutboundPolicy
  private let isEndpoint: Bool
  private let answerTimeout: TimeAmount?

  /// - Parameters:
  ///   - isEndpoint: See `OutboundPolicy.refusal`.
  ///   - connections: Connections to one host at most; further requests wait for one.
  ///   - answerTimeout: From the request's end to the answer, and between its parts; nil if only
  ///     each request's deadline counts.
  init(
    policy: OutboundPolicy, isEndpoint: Bool, connections: Int, answerTimeout: TimeAmount?
  ) {
    self.policy = policy
    self.isEndpoint = isEndpoint
    self.answerTimeout = answerTimeout
    var configuration = HTTPClient.Configuration()
    configuration.redirectConfiguration = .disallow
    configuration.decompression = .disabled
    configuration.httpVersion = .http1Only
    configuration.timeout = HTTPClient.Configuration.Timeout(
      connect: .milliseconds(Limits.connectTimeout), read: answerTimeout)
    configuration.connectionPool = HTTPClient.Configuration.ConnectionPool(
      idleTimeout: Self.idleTimeout, concurrentHTTP1ConnectionsPerHostSoftLimit: connections)
    configuration.connectionPool.retryConnectionEstablishment = false
    configuration.http1_1ConnectionDebugInitializer = { channel in
      Self.judge(channel, policy: policy, isEndpoint: isEndpoint)
    }
    client = HTTPClient(
      eventLoopGroup: MultiThreadedEventLoopGroup.singleton, configuration: configuration)
  }

  /// Below the idle time-outs of common servers (from 2 s), so that a request is not written into
  /// a connection that its other end is closing.
  private static let idleTimeout = TimeAmount.milliseconds(1_500)

  /// Waits for open requests to fail, then closes every connection. Call it once, at the end.
  func shutdown() async throws {
    try await client.shutdown()
  }

  func send(_ request: Request) async -> Exchange {
    if let refusal = policy.refusalOfLiteral(request.url, isEndpoint: isEndpoint) {
      return .unsent(.refused(refusal))
    }
    let mark = SendMark()
    var outgoing = HTTPClientRequest(url: request.url.text)
    outgoing.method = request.method
    outgoing.headers = request.headers
    if request.method != .GET {
      outgoing.body = .bytes(MarkedBody(bytes: request.body, mark: mark))
    }
    let response: HTTPClientResponse
    do {
      response = try await client.execute(outgoing, deadline: request.deadline)
    } catch {
      if mark.isSent { return .noAnswer(isLate: Self.isLate(error)) }
      return .unsent(Self.obstacle(error, isSecure: request.url.isSecure))
    }
    let body = await read(response, request, mark)
    return .answer(
      status: Int(response.status.code), retryAfter: response.headers.first(name: "retry-after"),
      body: body)
  }

  // MARK: Answers

  private func read(
    _ response: HTTPClientResponse, _ request: Request, _ mark: SendMark
  ) async -> Exchange.Body {
    var deadline = request.deadline
    if let answerTimeout, let sentAt = mark.sentAt {
      deadline = min(deadline, .uptimeNanoseconds(sentAt) + answerTimeout)
    }
    if answerTimeout != nil {
      return await collect(response, limit: request.answerLimit, deadline: deadline)
    }
    return await withTaskGroup(of: Exchange.Body.self) { group in
      group.addTask { [limit = request.answerLimit, deadline] in
        await self.collect(response, limit: limit, deadline: deadline)
      }
      group.addTask { [deadline] in
        await Self.wait(until: deadline)
        return .incomplete
      }
      let first = await group.next() ?? .incomplete
      group.cancelAll()
      return first
    }
  }

  /// Reads the body; stops at the first part behind the deadline.
  private func collect(
    _ response: HTTPClientResponse, limit: Int, deadline: NIODeadline
  ) async -> Exchange.Body {
    var bytes: [UInt8] = []
    do {
      for try await part in response.body {
        guard bytes.count + part.readableBytes <= limit else { return .tooLarge }
        part.withUnsafeReadableBytes { bytes.append(contentsOf: $0) }
        guard NIODeadline.now() < deadline else { return .incomplete }
      }
    } catch {
      return .incomplete
    }
    return .bytes(bytes)
  }

  /// Waits on a timer of the event loop; returns early when cancelled.
  private static func wait(until deadline: NIODeadline) async {
    let loop = MultiThreadedEventLoopGroup.singleton.any()
    let timer = loop.scheduleTask(deadline: deadline) {}
    await withTaskCancellationHandler {
      do { try await timer.futureResult.get() } catch { return }
    } onCancel: {
      timer.cancel()
    }
  }

  // MARK: Errors

  private static func judge(
    _ channel: any Channel, policy: OutboundPolicy, isEndpoint: Bool
  ) -> EventLoopFuture<Void> {
    let refusal: OutboundPolicy.Refusal?
    if let remote = channel.remoteAddress, let address = IPAddress(remote) {
      refusal = policy.refusal(of: address, port: remote.port ?? 0, isEndpoint: isEndpoint)
    } else {
      refusal = .unknownAddress
    }
    guard let refusal else { return channel.eventLoop.makeSucceededVoidFuture() }
    channel.close(promise: nil)
    return channel.eventLoop.makeFailedFuture(refusal)
  }

  private static func isLate(_ error: any Error) -> Bool {
    switch error as? HTTPClientError {
    case .deadlineExceeded, .readTimeout: true
    default: false
    }
  }

  private static func obstacle(_ error: any Error, isSecure: Bool) -> Exchange.Obstacle {
    switch error {
    case let refusal as OutboundPolicy.Refusal: return .refused(refusal)
    case let failure as NIOConnectionError:
      let isUnresolved =
        failure.connectionErrors.isEmpty
        && (failure.dnsAError != nil || failure.dnsAAAAError != nil)
      return isUnresolved ? .unresolvable : .noConnection
    case let failure as HTTPClientError:
      switch failure {
      case .connectTimeout, .getConnectionFromPoolTimeout, .deadlineExceeded, .readTimeout,
        .writeTimeout:
        return .timeout
      case .tlsHandshakeTimeout: return .noTLS
      case .cancelled: return .cancelled
      default: return .noConnection
      }
    case is CancellationError: return .cancelled
    case is IOError, is ChannelError: return .noConnection
    default: return isSecure ? .noTLS : .noConnection
    }
  }
}

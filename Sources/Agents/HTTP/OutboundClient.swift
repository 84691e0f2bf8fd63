// SPDX-License-Identifier: Apache-2.0
// Outgoing requests under the outbound rules.
internal import Domain
internal import NIOCore
internal import NIOHTTP1
private import NIOPosix
private import Synchronization

/// Sends single requests: HTTP/1.1 over kept connections, no redirects, no decompression, no
/// proxy, and no request to an address that the policy refuses.
///
/// The address is judged when it is connected, before anything of the request is handed over, so
/// a name that resolves differently each time gains nothing. Each event loop has connections of its
/// own: a request takes one hop to its loop and one back.
final class OutboundClient: Sendable {
  struct Request: Sendable {
    var method: HTTPMethod
    var url: EndpointURL
    /// Without Host and Content-Length.
    var headers: HTTPHeaders
    var body: [UInt8]
    /// When all of it, the answer included, must be over.
    var deadline: NIODeadline
    /// Largest answer in bytes.
    var answerLimit: Int
  }

  private let settings: OutboundSettings
  private let pools: [OutboundPool]

  /// - Parameters:
  ///   - isEndpoint: See `OutboundPolicy.refusal`.
  ///   - connections: Connections to one host at most; further requests wait for one.
  ///   - answerTimeout: From the request's end to the answer's; nil if only each request's
  ///     deadline counts.
  init(
    policy: OutboundPolicy, isEndpoint: Bool, connections: Int, answerTimeout: TimeAmount?
  ) {
    let loops = Array(MultiThreadedEventLoopGroup.singleton.makeIterator())
    let settings = OutboundSettings(
      policy: policy, isEndpoint: isEndpoint,
      connections: max((connections + loops.count - 1) / loops.count, 1),
      answerTimeout: answerTimeout, tls: TLSContext())
    self.settings = settings
    pools = loops.map { OutboundPool(settings, on: $0) }
  }

  /// Fails what is under way and closes every connection. Call it once, at the end.
  func shutdown() async throws {
    for pool in pools { try await pool.loop.flatSubmit { pool.close() }.get() }
  }

  func send(_ request: Request) async -> Exchange {
    if let refusal = settings.policy.refusalOfLiteral(
      request.url, isEndpoint: settings.isEndpoint)
    {
      return .unsent(.refused(refusal))
    }
    let pool = quietestPool()
    pool.calls.wrappingAdd(1, ordering: .relaxed)
    defer { pool.calls.wrappingSubtract(1, ordering: .relaxed) }
    let call = OutboundCall(request, on: pool.loop, answerTimeout: settings.answerTimeout)
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        pool.loop.execute {
          call.begin(continuation)
          pool.start(call)
        }
      }
    } onCancel: {
      pool.loop.execute { call.cancel() }
    }
  }

  /// With little to do, all of it goes to one loop: its connections stay warm, and the other
  /// processor can sleep.
  private func quietestPool() -> OutboundPool {
    var quietest = pools[0]
    var calls = quietest.calls.load(ordering: .relaxed)
    for pool in pools.dropFirst() {
      let others = pool.calls.load(ordering: .relaxed)
      if others < calls { (quietest, calls) = (pool, others) }
    }
    return quietest
  }
}

// SPDX-License-Identifier: Apache-2.0
// An answer that goes on, piece by piece.

import AsyncHTTPClient
import NIOCore
import NIOHTTP1

/// The body of an answer while it arrives.
struct HTTPStream: Sendable {
  fileprivate let body: HTTPClientResponse.Body

  func makeAsyncIterator() -> Iterator { Iterator(body: body.makeAsyncIterator()) }

  struct Iterator {
    fileprivate var body: HTTPClientResponse.Body.AsyncIterator

    /// Nil at the end.
    ///
    /// - Throws: `TransportFailure`, or `CancellationError` when the calling task is cancelled.
    mutating func next() async throws -> ByteBuffer? {
      do { return try await body.next() } catch {
        if Task.isCancelled { throw CancellationError() }
        throw Transport.failure(error)
      }
    }
  }
}

extension Transport {
  /// What came of a request for a stream.
  enum Opened: Sendable {
    case stream(HTTPStream)
    /// Anything but a stream of events, read to its end.
    case answer(Answer)
  }

  /// The server says something every 15 seconds; longer silence is a broken line.
  private static let longestSilence = TimeAmount.seconds(45)
  private static let longestStream = TimeAmount.hours(24)
  private static let longestRefusal = 1 << 20

  /// - Throws: `TransportFailure`, or `CancellationError` when the calling task is cancelled.
  static func open(_ request: Outgoing) async throws -> Opened {
    var message = HTTPClientRequest(url: request.url)
    message.method = HTTPMethod(rawValue: request.method)
    for (name, value) in request.headers { message.headers.add(name: name, value: value) }
    message.headers.add(name: "user-agent", value: "orrery-swift/1")
    message.headers.add(name: "accept", value: "text/event-stream, application/problem+json")
    do {
      let answer = try await client(request.caFile, longestSilence: longestSilence)
        .execute(message, timeout: longestStream)
      if answer.status == .ok,
        answer.headers.first(name: "content-type")?.hasPrefix("text/event-stream") == true
      {
        return .stream(HTTPStream(body: answer.body))
      }
      let body = try await answer.body.collect(upTo: longestRefusal)
      return .answer(
        Answer(
          status: Int(answer.status.code),
          headers: answer.headers.map { ($0.name.lowercased(), $0.value) },
          body: Array(body.readableBytesView)))
    } catch {
      if Task.isCancelled { throw CancellationError() }
      throw failure(error)
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
// Listens to the server's events, and comes back with the last cursor when the line breaks.

import Domain
import NIOCore

extension OrreryClient {
  /// Events as they happen, until the iteration is left.
  ///
  /// A topic without `since` begins with what is true now (`task:ID`, `agents`, `overview`). A lost
  /// connection is made again where it broke off; it is given up after `Options.longestWait`.
  /// From a server without live events, one `task:ID` is asked for every second instead.
  ///
  /// - Parameters:
  ///   - topics: See `LiveTopic`.
  ///   - since: A cursor that came earlier.
  public func events(topics: [String], since: String? = nil) -> LiveEvents {
    LiveEvents(client: self, topics: topics, since: since)
  }
}

/// The events of some topics.
public struct LiveEvents: AsyncSequence, Sendable {
  let client: OrreryClient
  let topics: [String]
  let since: String?

  public func makeAsyncIterator() -> Iterator {
    Iterator(client: client, topics: topics, cursor: since)
  }

  public struct Iterator: AsyncIteratorProtocol {
    private enum Source {
      case none
      case stream(EventStream)
      case polling(TaskPolling)
    }

    private let client: OrreryClient
    private let topics: [String]
    /// Where to go on; what a client keeps that wants to come back later.
    public private(set) var cursor: String?
    private var source = Source.none
    private var failures = 0
    private var waited: Int64 = 0

    init(client: OrreryClient, topics: [String], cursor: String?) {
      self.client = client
      self.topics = topics
      self.cursor = cursor
    }

    public mutating func next() async throws -> LiveEvent? {
      while true {
        try Task.checkCancellation()
        switch source {
        case .none: try await connect()
        case .polling(var polling):
          let event = try await polling.next(client)
          source = .polling(polling)
          return event
        case .stream(var stream):
          do {
            let event = try await stream.next()
            source = .stream(stream)
            cursor = stream.cursor ?? cursor
            if let event { return event }
            forgive(stream)
            try await pause(after: nil, asked: stream.retry)
          } catch let failure as TransportFailure {
            cursor = stream.cursor ?? cursor
            forgive(stream)
            try await pause(after: failure.error(client), asked: stream.retry)
          }
        }
      }
    }

    // MARK: Connecting

    private mutating func connect() async throws {
      do {
        let opened = try await Transport.open(try request())
        switch opened {
        case .stream(let stream): source = .stream(EventStream(stream))
        case .answer(let answer) where answer.status == 404 || answer.isSuccess:
          guard topics.count == 1, let polling = TaskPolling(topics[0]) else {
            throw OrreryError(answer)
          }
          source = .polling(polling)
        case .answer(let answer):
          let error = OrreryError(answer)
          guard answer.status == 429 || (500...599).contains(answer.status) else { throw error }
          try await pause(after: error, asked: answer.retryAfter.map { Int64($0) * 1_000 })
        }
      } catch let failure as TransportFailure {
        try await pause(after: failure.error(client), asked: nil)
      }
    }

    private func request() throws -> Outgoing {
      var call = Call(path: ["events"])
      call.query = topics.map { ("topic", $0) }
      if let cursor { call.headers = [("last-event-id", cursor)] }
      return try client.outgoing(call)
    }

    /// A server that sent something, were it only a sign of life, was there.
    private mutating func forgive(_ stream: EventStream) {
      if stream.hasBegun { (failures, waited) = (0, 0) }
    }

    /// Waits before the next try; throws `error` once that took too long in sum.
    private mutating func pause(after error: OrreryError?, asked: Int64?) async throws {
      source = .none
      failures += 1
      let delay = client.clock.backoff(
        afterFailures: failures, base: 200, cap: 5_000, asked: asked)
      waited += delay
      guard waited <= client.options.longestWait.wholeMilliseconds else {
        throw error
          ?? OrreryError(.unreachable, "\(client.address.text) ends every stream of events.")
      }
      try await client.clock.sleep(delay)
    }
  }
}

/// One connection's events.
private struct EventStream {
  private var bytes: HTTPStream.Iterator
  private var parser = EventStreamParser()
  private var ready: ArraySlice<StreamMessage> = []
  private(set) var cursor: String?
  /// Bytes have come.
  private(set) var hasBegun = false

  init(_ stream: HTTPStream) { bytes = stream.makeAsyncIterator() }

  var retry: Int64? { parser.retry }

  /// Nil at the end of the connection.
  mutating func next() async throws -> LiveEvent? {
    while true {
      if let message = ready.popFirst() {
        cursor = message.id ?? cursor
        return try LiveEvent(message)
      }
      guard let piece = try await bytes.next() else { return nil }
      hasBegun = true
      do throws(EventStreamParser.TooLong) {
        ready = try parser.take(piece.readableBytesView)[...]
        if ready.isEmpty { cursor = parser.lastID ?? cursor }
      } catch {
        throw OrreryError(.badAnswer, "An event of the server is too long.")
      }
    }
  }
}

/// Stands in for the events of one task where there are none.
private struct TaskPolling {
  private let id: String
  private var last: JSONText?

  /// Nil for a topic that cannot be asked for.
  init?(_ topic: String) {
    guard topic.hasPrefix("task:") else { return nil }
    id = String(topic.dropFirst("task:".count))
  }

  mutating func next(_ client: OrreryClient) async throws -> LiveEvent {
    while true {
      let seconds = last == nil ? 0 : 1
      let task = try await client.patiently { try await client.poll(id, seconds: seconds) }
      guard task.json != last else { continue }
      last = task.json
      return try LiveEvent(task)
    }
  }
}

extension TransportFailure {
  fileprivate func error(_ client: OrreryClient) -> OrreryError {
    OrreryError(
      isTimeout ? .timedOut : .unreachable, "No answer from \(client.address.text): \(reason).")
  }
}

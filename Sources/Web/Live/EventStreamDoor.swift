// SPDX-License-Identifier: Apache-2.0
// Server-sent events to one client, as the HTML standard describes them.
import Domain
import Engine
import NIOCore

/// Confined to its event loop; kept alive by the stream.
final class EventStreamDoor: LiveSink, @unchecked Sendable {
  /// Keeps proxies and clients from taking silence for an end.
  private static let commentInterval = TimeAmount.seconds(15)

  private let stream: OpenStream
  private let hub: LiveHub
  private var subscriber: LiveSubscriber?
  private var commenting: RepeatedTask?

  init(_ stream: OpenStream, _ hub: LiveHub) {
    self.stream = stream
    self.hub = hub
  }

  func open(
    _ holder: TokenHolder, _ topics: Set<Topic>, since: UInt64, _ snapshot: [LiveEvent]
  ) {
    let shard = hub.shard(for: stream.loop)
    let subscriber = shard.subscribe(self, .serverSentEvents, holder)
    self.subscriber = subscriber
    stream.onWritable = { subscriber.becameWritable() }
    stream.onClosed = { self.closed() }
    commenting = stream.loop.scheduleRepeatedTask(
      initialDelay: Self.commentInterval, delay: Self.commentInterval
    ) { _ in self.comment() }
    stream.write(ByteBuffer(string: "retry: 1000\nid: \(Cursor.text(since))\n\n"))
    if !snapshot.isEmpty { subscriber.receive(snapshot) }
    subscriber.change(to: TopicSet(topics), since: since)
  }

  private func comment() {
    if stream.isWritable { stream.write(ByteBuffer(string: ": \n\n")) }
  }

  private func closed() {
    commenting?.cancel()
    commenting = nil
    subscriber?.leave()
    subscriber = nil
  }

  // MARK: Sink

  var isWritable: Bool { stream.isWritable }
  func write(_ bytes: ByteBuffer) { stream.write(bytes) }

  /// The client comes back by itself, and finds out why it may not.
  func close(_ reason: LiveCloseReason) { stream.end() }
}

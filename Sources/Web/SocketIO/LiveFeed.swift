// SPDX-License-Identifier: Apache-2.0
// Socket.IO clients as subscribers of the hub.
import Domain
import Engine
import NIOCore

struct LiveFeed: SocketIOFeed {
  let hub: LiveHub

  func subscribe(
    _ sink: any SocketIOSink, token: [UInt8], on loop: any EventLoop
  ) -> (any SocketIOSubscription)? {
    guard let holder = hub.tokens.holder(of: token), hub.tokens.allows(holder, .viewer) else {
      return nil
    }
    return LiveFeedSubscription(sink, holder, hub.shard(for: loop))
  }
}

/// Between a connection and its subscriber. Confined to their event loop.
private final class LiveFeedSubscription: SocketIOSubscription, LiveSink {
  private weak var sink: (any SocketIOSink)?
  private let shard: LiveShard
  private var subscriber: LiveSubscriber?
  /// Nothing is written while the format changes.
  private var isChanging = false

  init(_ sink: any SocketIOSink, _ holder: TokenHolder, _ shard: LiveShard) {
    self.sink = sink
    self.shard = shard
    let subscriber = shard.subscribe(self, Self.format(sink), holder)
    self.subscriber = subscriber
    subscriber.change(to: TopicSet())
  }

  private static func format(_ sink: any SocketIOSink) -> LiveFormat {
    sink.wantsFrames ? .socketIOFrames : .socketIOPayload
  }

  // MARK: For the connection

  var cursor: String { Cursor.text(shard.place) }
  var handedOver: String { Cursor.text(subscriber?.handedOver ?? shard.place) }

  func prepare(_ interest: SocketIOInterest?) throws(ControlError) {
    _ = try topics(interest)
    subscriber?.change(to: TopicSet())
  }

  func watch(_ interest: SocketIOInterest?, since: String) throws(ControlError) {
    subscriber?.change(to: try topics(interest), since: Cursor.place(since))
  }

  private func topics(_ interest: SocketIOInterest?) throws(ControlError) -> TopicSet {
    guard let interest else { return TopicSet() }
    var filter = TaskFilter.everything
    for criterion in interest.criteria { try filter.add(criterion.name, criterion.value) }
    return TopicSet([.tasks(filter)])
  }

  func becameWritable() { if isWritable { subscriber?.becameWritable() } }
  func progressed() { subscriber?.progressed() }

  func formatChanged() {
    guard let sink, let subscriber else { return }
    isChanging = true
    subscriber.change(to: Self.format(sink))
    isChanging = false
    becameWritable()
  }

  func leave() {
    subscriber?.leave()
    subscriber = nil
  }

  // MARK: For the hub

  var isWritable: Bool { !isChanging && sink?.isWritable ?? false }
  func write(_ bytes: ByteBuffer) { sink?.write(bytes) }

  func close(_ reason: LiveCloseReason) {
    switch reason {
    case .tooSlow: sink?.close(.tooSlow)
    case .unauthorized: sink?.close(.unauthorized)
    }
  }
}

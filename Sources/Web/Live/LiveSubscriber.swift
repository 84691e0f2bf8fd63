// SPDX-License-Identifier: Apache-2.0
// One client that watches: where its events go, and what waits while it does not take them.
import Domain
import Engine
import NIOCore

/// Why a client is cut off.
enum LiveCloseReason {
  /// It took nothing for too long.
  case tooSlow
  /// Its token is gone.
  case unauthorized
}

/// Where encoded events go. Confined to the client's event loop.
protocol LiveSink: AnyObject {
  var isWritable: Bool { get }
  /// The same bytes may go to many.
  func write(_ bytes: ByteBuffer)
  func close(_ reason: LiveCloseReason)
}

/// Confined to its shard's event loop. The door calls `change`, `becameWritable` and `leave`.
final class LiveSubscriber {
  let sink: any LiveSink
  private(set) var format: LiveFormat
  let holder: TokenHolder
  private unowned let shard: LiveShard
  var group: LiveGroup?
  /// What waits while the client does not read; nil while it does.
  private var backlog: Backlog?
  private(set) var blockedSince: NIODeadline?
  /// What `handedOver` was when the client stopped reading.
  private var held: UInt64?

  init(_ sink: any LiveSink, _ format: LiveFormat, _ holder: TokenHolder, _ shard: LiveShard) {
    self.sink = sink
    self.format = format
    self.holder = holder
    self.shard = shard
  }

  var topics: TopicSet { group?.topics ?? TopicSet() }

  /// Watches these topics from now on.
  ///
  /// - Parameter since: A place in the log: what was missed of the topics that are new comes first.
  func change(to topics: TopicSet, since: UInt64? = nil) {
    shard.move(self, to: topics, since: since)
  }

  /// Its events leave in another format from now on. The sink must not be writable meanwhile.
  func change(to format: LiveFormat) {
    self.format = format
    shard.move(self, to: topics, since: nil)
  }

  /// All that it watches up to here has been given to its sink.
  var handedOver: UInt64 { held ?? shard.delivered }

  func leave() { shard.remove(self) }

  // MARK: Events

  /// Events for this client alone.
  func receive(_ events: [LiveEvent]) {
    deliver(events) { self.format.encode(events, upTo: self.shard.place) }
  }

  /// Events that `encoded` has as bytes.
  func deliver(_ events: [LiveEvent], _ encoded: () -> [ByteBuffer]) {
    if backlog == nil, sink.isWritable { return write(encoded()) }
    if backlog == nil { block() }
    backlog?.add(events)
  }

  /// Something was lost to this client.
  func resync() {
    if backlog == nil, sink.isWritable { return write([format.resync(at: shard.place)]) }
    if backlog == nil { block() }
    backlog?.overflow()
  }

  private func write(_ buffers: [ByteBuffer]) {
    for buffer in buffers { sink.write(buffer) }
  }

  private func block() {
    backlog = Backlog()
    blockedSince = shard.loop.now
    held = shard.delivered
    shard.blocked(self)
  }

  /// The client takes bytes, though there is no room for more yet.
  func progressed() {
    if blockedSince != nil { blockedSince = shard.loop.now }
  }

  /// The client takes bytes again: what waited goes first.
  func becameWritable() {
    guard var waiting = backlog else { return }
    backlog = nil
    blockedSince = nil
    held = nil
    shard.unblocked(self)
    if waiting.isOverflown {
      sink.write(format.resync(at: shard.place))
    } else {
      write(format.encode(waiting.take(), upTo: shard.place))
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
// One client that watches: where its events go, and how far it is.
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
///
/// It is either in a group, which serves all clients with the same topics at once, or on its way
/// there, reading the log by itself.
final class LiveSubscriber: @unchecked Sendable {
  /// Of the log, read at once.
  private static let mostPages = 4

  let sink: any LiveSink
  private(set) var format: LiveFormat
  let holder: TokenHolder
  private unowned let shard: LiveShard
  var group: LiveGroup?
  private(set) var topics = TopicSet()
  /// Everything that it watches, up to here, was given to its sink.
  private(set) var place: UInt64
  private var catchUp: CatchUp?
  private var isStepping = false
  /// Events for it alone that wait until it reads.
  private var own: [LiveEvent] = []
  private(set) var blockedSince: NIODeadline?
  private(set) var hasLeft = false

  init(_ sink: any LiveSink, _ format: LiveFormat, _ holder: TokenHolder, _ shard: LiveShard) {
    self.sink = sink
    self.format = format
    self.holder = holder
    self.shard = shard
    place = shard.place
  }

  /// Watches these topics from now on.
  ///
  /// - Parameter since: A place in the log: what was missed of the topics that are new comes first.
  func change(to topics: TopicSet, since: UInt64? = nil) {
    shard.takeIn()
    settle()
    guard !hasLeft else { return }
    let reached = handedOver
    // A place that is still to come is none of ours.
    let start = since.map { $0 > shard.log.last ? 0 : $0 } ?? max(reached, shard.place)
    let way = CatchUp(from: self.topics, at: reached, to: topics, since: start)
    detach()
    place = reached
    self.topics = topics
    catchUp = way
    step()
  }

  /// Its events leave in another format from now on. The sink must not be writable meanwhile.
  func change(to format: LiveFormat) {
    shard.takeIn()
    guard !hasLeft else { return }
    let reached = handedOver
    detach()
    place = reached
    self.format = format
    if catchUp == nil { catchUp = CatchUp(from: topics, at: reached, to: topics, since: reached) }
    step()
  }

  /// What is about to be sent for the old topics goes out before they change.
  private func settle() {
    guard group != nil else { return }
    var way = CatchUp(from: topics, at: handedOver, to: topics, since: shard.place)
    for _ in 0..<Self.mostPages where way.place < shard.place && sink.isWritable && !hasLeft {
      guard case .events(let events) = way.next(in: shard.log) else { return }
      place = way.place
      if !events.isEmpty { write(format.encode(events, upTo: place)) }
    }
  }

  private func detach() {
    if let group { shard.detach(self, from: group) }
  }

  /// All that it watches up to here has been given to its sink.
  var handedOver: UInt64 { group.map { max(place, $0.served(upTo: shard.place)) } ?? place }

  func leave() {
    guard !hasLeft else { return }
    hasLeft = true
    detach()
    catchUp = nil
    own.removeAll()
    shard.remove(self)
  }

  // MARK: From the group

  /// Events that `encoded` has as bytes, up to a place.
  func deliver(_ events: [LiveEvent], upTo place: UInt64, _ encoded: () -> [ByteBuffer]) {
    guard let first = events.first, let last = events.last, last.number > self.place else {
      return
    }
    guard sink.isWritable else {
      detach()
      self.place = max(self.place, first.number - 1)
      catchUp = CatchUp(late: topics, from: self.place)
      return block()
    }
    let reached = self.place
    self.place = max(place, reached)
    // It may have read some of them by itself.
    write(
      first.number > reached
        ? encoded() : format.encode(events.filter { $0.number > reached }, upTo: place))
  }

  /// Something was lost to everyone.
  func resync(at place: UInt64) {
    guard place > self.place else { return }
    guard sink.isWritable else {
      detach()
      catchUp = CatchUp(late: topics, from: 0)
      return block()
    }
    self.place = place
    sink.write(format.resync(at: place))
  }

  // MARK: By itself

  /// Events for this client alone.
  func receive(_ events: [LiveEvent]) {
    guard !hasLeft else { return }
    guard sink.isWritable, own.isEmpty else {
      own += events
      return block()
    }
    write(format.encode(events, upTo: handedOver))
  }

  /// One page of the log; the next one after other work of the loop.
  private func step() {
    isStepping = false
    guard !hasLeft, var way = catchUp else { return }
    guard way.place < shard.place else { return join(at: way.place) }
    guard sink.isWritable else { return block() }
    let page = way.next(in: shard.log)
    catchUp = way
    place = way.place
    switch page {
    case .broken: sink.write(format.resync(at: way.place))
    case .events(let events): if !events.isEmpty { write(format.encode(events, upTo: way.place)) }
    }
    stepSoon()
  }

  private func stepSoon() {
    guard !isStepping, !hasLeft, catchUp != nil else { return }
    isStepping = true
    shard.loop.execute { [weak self] in self?.step() }
  }

  private func join(at place: UInt64) {
    catchUp = nil
    self.place = place
    shard.attach(self)
  }

  private func write(_ buffers: [ByteBuffer]) {
    for buffer in buffers { sink.write(buffer) }
  }

  // MARK: Slowness

  private func block() {
    guard blockedSince == nil, !hasLeft else { return }
    blockedSince = shard.loop.now
    shard.blocked(self)
  }

  /// The client takes bytes, though there is no room for more yet.
  func progressed() {
    if blockedSince != nil { blockedSince = shard.loop.now }
  }

  /// The client takes bytes again: what waited for it alone goes first.
  func becameWritable() {
    guard blockedSince != nil else { return }
    blockedSince = nil
    shard.unblocked(self)
    let waiting = own
    own.removeAll()
    if !waiting.isEmpty { write(format.encode(waiting, upTo: handedOver)) }
    step()
  }
}

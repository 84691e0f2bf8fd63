// SPDX-License-Identifier: Apache-2.0
// The clients of one event loop: what happened is matched with their topics and sent in batches.
import Domain
import Engine
import NIOCore
import Synchronization

/// Takes events in as they come, and sends them at most every `interval`; long rounds make room for
/// other work of the loop. Confined to its event loop, but for `wake`.
final class LiveShard: @unchecked Sendable {
  static let interval = TimeAmount.milliseconds(50)
  private static let sweepInterval = TimeAmount.seconds(1)
  /// How long a client may take nothing.
  static let patience = TimeAmount.seconds(10)
  private static let eventsAtOnce = 4_096
  private static let writesAtOnce = 256
  /// A batch that is sent before its time.
  private static let fullBatch = 4_096

  let loop: any EventLoop
  private let hub: LiveHub
  private var log: EventLog { hub.log }
  /// Up to which event everything was taken in.
  private(set) var place: UInt64
  /// Up to which event everything was given to those who watch it, or waits for them to read.
  private(set) var delivered: UInt64
  /// Up to which event everything was put into `deliveries`.
  private var flushed: UInt64
  private var groups: [LiveGroup.Key: LiveGroup] = [:]
  private var index = TopicIndex()
  private var labels: LabelLookup
  private var dirty: [LiveGroup] = []
  private var deliveries = CircularBuffer<LiveDelivery>()
  private var blocked: [ObjectIdentifier: LiveSubscriber] = [:]
  private var count = 0
  private var listener: Int?
  private let isAwake = Atomic(false)
  private var lastFlush = NIODeadline.uptimeNanoseconds(0)
  private var flushing: Scheduled<Void>?
  private var isDelivering = false
  private var sweeping: RepeatedTask?
  private var tokenChanges = 0

  init(_ loop: any EventLoop, _ hub: LiveHub) {
    self.loop = loop
    self.hub = hub
    place = hub.log.last
    delivered = place
    flushed = place
    labels = LabelLookup(hub)
  }

  // MARK: Clients

  func subscribe(
    _ sink: any LiveSink, _ format: LiveFormat, _ holder: TokenHolder
  ) -> LiveSubscriber {
    loop.assertInEventLoop()
    count += 1
    if count == 1 { start() }
    return LiveSubscriber(sink, format, holder, self)
  }

  private func start() {
    place = log.last
    delivered = place
    flushed = place
    listener = log.listen { [weak self] in self?.wake() }
    tokenChanges = hub.tokens.changes
    sweeping = loop.scheduleRepeatedTask(
      initialDelay: Self.sweepInterval, delay: Self.sweepInterval
    ) { [weak self] _ in self?.sweep() }
  }

  private func stop() {
    if let listener { log.stopListening(listener) }
    listener = nil
    sweeping?.cancel()
    sweeping = nil
  }

  func move(_ member: LiveSubscriber, to topics: TopicSet, since: UInt64?) {
    loop.assertInEventLoop()
    let old = member.topics
    takeIn()
    flushAll()
    detach(member)
    let key = LiveGroup.Key(topics: topics, format: member.format)
    let group = groups[key] ?? makeGroup(key)
    group.insert(member)
    if let since { replay(to: member, TopicSet(topics.all.subtracting(old.all)), since) }
  }

  func remove(_ member: LiveSubscriber) {
    loop.assertInEventLoop()
    detach(member)
    blocked[ObjectIdentifier(member)] = nil
    count -= 1
    if count == 0 { stop() }
  }

  private func makeGroup(_ key: LiveGroup.Key) -> LiveGroup {
    let group = LiveGroup(key)
    groups[key] = group
    index.insert(group)
    hub.watch(key.topics, by: 1)
    return group
  }

  private func detach(_ member: LiveSubscriber) {
    guard let group = member.group else { return }
    group.remove(member)
    guard group.isEmpty else { return }
    groups[group.key] = nil
    index.remove(group)
    hub.watch(group.topics, by: -1)
  }

  /// Sends what came after `since`; what comes later reaches the client through its group.
  private func replay(to member: LiveSubscriber, _ topics: TopicSet, _ since: UInt64) {
    let page = log.read(after: since, upTo: place) { topics.match($0) != .no }
    if page.isBroken { return member.resync() }
    labels.settle(page.events, for: topics, on: loop) { [weak member] events in
      guard let member, member.group != nil, !events.isEmpty else { return }
      member.receive(events)
    }
  }

  // MARK: Events come in

  /// Called on any thread whenever something was added to the log.
  private func wake() {
    guard !isAwake.exchange(true, ordering: .acquiringAndReleasing) else { return }
    loop.execute { self.takeIn() }
  }

  private func takeIn() {
    isAwake.store(false, ordering: .sequentiallyConsistent)
    let page = log.read(after: place, limit: Self.eventsAtOnce)
    if page.isBroken { for group in groups.values { breakOff(group) } }
    for event in page.events { distribute(event) }
    place = page.place
    if page.hasMore { wake() }
    if !dirty.isEmpty { return scheduleFlush() }
    flushed = place
    if deliveries.isEmpty { delivered = flushed }
  }

  private func distribute(_ event: LiveEvent) {
    index.forEachGroup(concernedBy: event) { group in
      switch group.topics.match(event) {
      case .no: break
      case .yes: add(event, to: group)
      case .dependsOnLabels:
        labels.settle([event], for: group.topics, on: loop) { [weak self, weak group] events in
          guard let self, let group else { return }
          for event in events { self.add(event, to: group) }
          if !self.dirty.isEmpty { self.scheduleFlush() }
        }
      }
    }
  }

  private func add(_ event: LiveEvent, to group: LiveGroup) {
    if !group.isDirty { dirty.append(group) }
    group.add(event)
    if group.pending.count >= Self.fullBatch { flush() }
  }

  private func breakOff(_ group: LiveGroup) {
    if !group.isDirty { dirty.append(group) }
    group.breakOff()
  }

  // MARK: Batches go out

  private func scheduleFlush() {
    guard flushing == nil else { return }
    let due = lastFlush + Self.interval
    if due <= loop.now { return flush() }
    flushing = loop.scheduleTask(deadline: due) { [weak self] in
      self?.flushing = nil
      self?.flush()
    }
  }

  private func flush() {
    lastFlush = loop.now
    flushed = place
    for group in dirty where group.isDirty {
      deliveries.append(group.takeDelivery(upTo: place))
    }
    dirty.removeAll(keepingCapacity: true)
    if !isDelivering { deliver() }
  }

  /// One round of writing; the rest after other work of the loop.
  private func deliver() {
    isDelivering = false
    var left = Self.writesAtOnce
    while left > 0, var delivery = deliveries.popFirst() {
      let served = delivery.serve(left)
      if served == left { deliveries.prepend(delivery) }
      left -= served
    }
    guard !deliveries.isEmpty else {
      delivered = flushed
      return
    }
    isDelivering = true
    loop.execute { self.deliver() }
  }

  /// Everything that waits goes out before topics change.
  private func flushAll() {
    guard !dirty.isEmpty || !deliveries.isEmpty else { return }
    flush()
    while var delivery = deliveries.popFirst() { _ = delivery.serve(.max) }
    delivered = flushed
  }

  // MARK: Slow clients and tokens

  func blocked(_ member: LiveSubscriber) { blocked[ObjectIdentifier(member)] = member }
  func unblocked(_ member: LiveSubscriber) { blocked[ObjectIdentifier(member)] = nil }

  private func sweep() {
    let now = loop.now
    for member in blocked.values {
      guard let since = member.blockedSince, since + Self.patience <= now else { continue }
      blocked[ObjectIdentifier(member)] = nil
      hub.engine.meters.limitHit(.slowReader)
      member.sink.close(.tooSlow)
    }
    let changes = hub.tokens.changes
    guard changes != tokenChanges else { return }
    tokenChanges = changes
    for group in groups.values {
      for member in group.members.values where !hub.tokens.allows(member.holder, .viewer) {
        member.sink.close(.unauthorized)
      }
    }
  }
}

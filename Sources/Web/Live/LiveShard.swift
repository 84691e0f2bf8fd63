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
  var log: EventLog { hub.log }
  /// Up to which event everything was taken in.
  private(set) var place: UInt64
  private var groups: [LiveGroup.Key: LiveGroup] = [:]
  private var index = TopicIndex()
  private var dirty: [LiveGroup] = []
  private var deliveries = CircularBuffer<LiveDelivery>()
  private var blocked: [ObjectIdentifier: LiveSubscriber] = [:]
  private var members: [ObjectIdentifier: LiveSubscriber] = [:]
  private var hasFullBatch = false
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
  }

  // MARK: Clients

  func subscribe(
    _ sink: any LiveSink, _ format: LiveFormat, _ holder: TokenHolder
  ) -> LiveSubscriber {
    loop.assertInEventLoop()
    if members.isEmpty { start() }
    let member = LiveSubscriber(sink, format, holder, self)
    members[ObjectIdentifier(member)] = member
    // It may have gone while the door was opened.
    if !hub.tokens.allows(holder, .viewer) { loop.execute { member.sink.close(.unauthorized) } }
    return member
  }

  private func start() {
    place = log.last
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

  func remove(_ member: LiveSubscriber) {
    loop.assertInEventLoop()
    members[ObjectIdentifier(member)] = nil
    blocked[ObjectIdentifier(member)] = nil
    if members.isEmpty { stop() }
  }

  /// A client that has caught up is served with the others.
  func attach(_ member: LiveSubscriber) {
    loop.assertInEventLoop()
    let key = LiveGroup.Key(topics: member.topics, format: member.format)
    (groups[key] ?? makeGroup(key)).insert(member)
  }

  private func makeGroup(_ key: LiveGroup.Key) -> LiveGroup {
    let group = LiveGroup(key)
    groups[key] = group
    index.insert(group)
    hub.watch(key.topics, by: 1)
    return group
  }

  func detach(_ member: LiveSubscriber, from group: LiveGroup) {
    group.remove(member)
    guard group.isEmpty, groups[group.key] === group else { return }
    groups[group.key] = nil
    index.remove(group)
    hub.watch(group.topics, by: -1)
  }

  // MARK: Events come in

  /// Called on any thread whenever something was added to the log.
  private func wake() {
    guard !isAwake.exchange(true, ordering: .acquiringAndReleasing) else { return }
    loop.execute { self.takeIn() }
  }

  func takeIn() {
    isAwake.store(false, ordering: .sequentiallyConsistent)
    let page = log.read(after: place, limit: Self.eventsAtOnce)
    let before = place
    place = page.place
    if page.isBroken { for group in groups.values { breakOff(group, at: before) } }
    for event in page.events {
      index.forEachGroup(concernedBy: event) { group in
        if group.topics.matches(event) { add(event, to: group) }
      }
    }
    if page.hasMore { wake() }
    if !dirty.isEmpty { scheduleFlush() }
  }

  private func add(_ event: LiveEvent, to group: LiveGroup) {
    if !group.isDirty { dirty.append(group) }
    group.add(event)
    hasFullBatch = hasFullBatch || group.pending.count >= Self.fullBatch
  }

  private func breakOff(_ group: LiveGroup, at place: UInt64) {
    if !group.isDirty { dirty.append(group) }
    group.breakOff(at: place)
  }

  // MARK: Batches go out

  private func scheduleFlush() {
    let due = lastFlush + Self.interval
    if hasFullBatch || due <= loop.now { return flush() }
    guard flushing == nil else { return }
    flushing = loop.scheduleTask(deadline: due) { [weak self] in
      self?.flushing = nil
      self?.flush()
    }
  }

  private func flush() {
    lastFlush = loop.now
    hasFullBatch = false
    for group in dirty where group.isDirty {
      deliveries.append(group.takeDelivery(upTo: place))
    }
    dirty.removeAll(keepingCapacity: true)
    if !isDelivering { deliver() }
  }

  /// One round of writing; the rest after other work of the loop.
  private func deliver() {
    isDelivering = true
    var left = Self.writesAtOnce
    while left > 0, var delivery = deliveries.popFirst() {
      let served = delivery.serve(left)
      if served == left { deliveries.prepend(delivery) }
      left -= served
    }
    isDelivering = !deliveries.isEmpty
    if isDelivering { loop.execute { self.deliver() } }
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
    for member in members.values where !hub.tokens.allows(member.holder, .viewer) {
      member.sink.close(.unauthorized)
    }
  }
}

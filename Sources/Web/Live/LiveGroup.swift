// SPDX-License-Identifier: Apache-2.0
// Clients with the same topics and the same format: their events are encoded once.
import Engine
import NIOCore

/// Confined to its shard's event loop.
final class LiveGroup {
  struct Key: Hashable {
    var topics: TopicSet
    var format: LiveFormat
  }

  let key: Key
  private(set) var members: [ObjectIdentifier: LiveSubscriber] = [:]
  /// What the next flush sends.
  private(set) var pending: [LiveEvent] = []
  /// The log went faster than it was read.
  private(set) var isBroken = false
  /// Deliveries that are under way, and the place before the first event that is not served.
  private var underWay = 0
  private var base: UInt64 = 0

  init(_ key: Key) { self.key = key }

  var topics: TopicSet { key.topics }
  var isEmpty: Bool { members.isEmpty }
  var isDirty: Bool { isBroken || !pending.isEmpty }

  /// Up to where every member has everything.
  func served(upTo place: UInt64) -> UInt64 { isDirty || underWay > 0 ? base : place }

  func insert(_ member: LiveSubscriber) {
    members[ObjectIdentifier(member)] = member
    member.group = self
  }

  func remove(_ member: LiveSubscriber) {
    members[ObjectIdentifier(member)] = nil
    member.group = nil
  }

  func add(_ event: LiveEvent) {
    if !isDirty, underWay == 0 { base = event.number - 1 }
    pending.append(event)
  }

  /// - Parameter place: Up to where events had been read.
  func breakOff(at place: UInt64) {
    if !isDirty, underWay == 0 { base = place }
    pending.removeAll()
    isBroken = true
  }

  /// What is to be sent to those who are members now.
  func takeDelivery(upTo place: UInt64) -> LiveDelivery {
    defer {
      pending.removeAll(keepingCapacity: pending.count < 256)
      isBroken = false
      underWay += 1
    }
    return LiveDelivery(
      group: self, events: pending, isBroken: isBroken, place: place,
      members: Array(members.values))
  }

  func wasDelivered() {
    underWay -= 1
    if underWay == 0, let first = pending.first { base = first.number - 1 }
  }
}

/// One batch on its way to the members of a group.
struct LiveDelivery {
  private let group: LiveGroup
  private let events: [LiveEvent]
  private let isBroken: Bool
  private let place: UInt64
  private var members: [LiveSubscriber]
  private var encoded: [ByteBuffer]?

  init(
    group: LiveGroup, events: [LiveEvent], isBroken: Bool, place: UInt64,
    members: [LiveSubscriber]
  ) {
    self.group = group
    self.events = events
    self.isBroken = isBroken
    self.place = place
    self.members = members
  }

  /// Serves up to `count` members; returns how many it served. Fewer: all have it.
  mutating func serve(_ count: Int) -> Int {
    var served = 0
    while served < count {
      guard let member = members.popLast() else {
        group.wasDelivered()
        break
      }
      served += 1
      // It may have left meanwhile.
      guard member.group === group else { continue }
      if isBroken { member.resync(at: events.first.map { $0.number - 1 } ?? place) }
      guard !events.isEmpty, member.group === group else { continue }
      member.deliver(events, upTo: place) {
        let buffers = encoded ?? group.key.format.encode(events, upTo: place)
        encoded = buffers
        return buffers
      }
    }
    return served
  }
}

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
  var isDirty: Bool { isBroken || !pending.isEmpty }

  init(_ key: Key) { self.key = key }

  var topics: TopicSet { key.topics }
  var isEmpty: Bool { members.isEmpty }

  func insert(_ member: LiveSubscriber) {
    members[ObjectIdentifier(member)] = member
    member.group = self
  }

  func remove(_ member: LiveSubscriber) {
    members[ObjectIdentifier(member)] = nil
    member.group = nil
  }

  func add(_ event: LiveEvent) { pending.append(event) }

  func breakOff() {
    pending.removeAll()
    isBroken = true
  }

  /// What is to be sent to those who are members now.
  func takeDelivery(upTo place: UInt64) -> LiveDelivery {
    defer {
      pending.removeAll(keepingCapacity: pending.count < 256)
      isBroken = false
    }
    return LiveDelivery(
      events: pending, isBroken: isBroken, format: key.format, place: place,
      members: Array(members.values))
  }
}

/// One batch on its way to the members of a group.
struct LiveDelivery {
  let events: [LiveEvent]
  let isBroken: Bool
  let format: LiveFormat
  let place: UInt64
  private var members: [LiveSubscriber]
  private var encoded: [ByteBuffer]?

  init(
    events: [LiveEvent], isBroken: Bool, format: LiveFormat, place: UInt64,
    members: [LiveSubscriber]
  ) {
    self.events = events
    self.isBroken = isBroken
    self.format = format
    self.place = place
    self.members = members
  }

  /// Serves up to `count` members; returns how many it served. Zero: all have it.
  mutating func serve(_ count: Int) -> Int {
    var served = 0
    while served < count, let member = members.popLast() {
      served += 1
      // It may have left meanwhile.
      guard member.group != nil else { continue }
      if isBroken { member.resync() }
      guard !events.isEmpty else { continue }
      member.deliver(events) {
        let buffers = encoded ?? format.encode(events, upTo: place)
        encoded = buffers
        return buffers
      }
    }
    return served
  }
}

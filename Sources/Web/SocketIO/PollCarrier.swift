// SPDX-License-Identifier: Apache-2.0
// Packets on their way to a client that polls.
import NIOCore

/// A queue of packets, and the poll that waits for some. Confined to its session's event loop.
final class PollCarrier {
  typealias Reply = (EngineIOSession.Answer) -> Void

  private struct Waiting {
    var number: Int
    var reply: Reply
  }

  /// Clients in Python take no more at once.
  static let mostPackets = 16

  private let most: Int
  private var queue = ByteBuffer()
  private var control = ControlBytes()
  private var waiting: Waiting?
  private var lastNumber = 0
  /// Answers wait for what else the packets in hand lead to.
  private var isHeld = false
  /// A post's body is on its way.
  var isPosting = false

  init(most: Int) { self.most = most }

  var isWaiting: Bool { waiting != nil }
  var isEmpty: Bool { queue.readableBytes == 0 }
  var isWritable: Bool { isWaiting && isEmpty }

  /// - Returns: the number of the poll.
  func wait(_ reply: @escaping Reply) -> Int {
    lastNumber += 1
    waiting = Waiting(number: lastNumber, reply: reply)
    flush()
    return lastNumber
  }

  func isWaiting(_ number: Int) -> Bool { waiting?.number == number }

  /// - Returns: false if too much waits besides events.
  func add(_ packet: EngineIOPacket) -> Bool {
    let payload = ByteBuffer(bytes: EngineIOPayload.encode([packet]))
    append(payload)
    control.added(payload.readableBytes, behind: queue.readableBytes)
    flush()
    return control.waiting <= most
  }

  /// Packets that are joined already. Whoever has many asks first whether there is room.
  func add(payload: ByteBuffer) {
    append(payload)
    flush()
  }

  private func append(_ payload: ByteBuffer) {
    if !isEmpty { queue.writeInteger(EngineIOPayload.separator) }
    queue.writeImmutableBuffer(payload)
  }

  /// Collects what `body` leads to into one answer.
  func holding(_ body: () -> Void) {
    isHeld = true
    body()
    isHeld = false
    flush()
  }

  private func flush() {
    guard !isHeld, !isEmpty, let reply = take() else { return }
    reply(.payload(first(Self.mostPackets)))
  }

  /// Takes up to `count` packets off the queue.
  private func first(_ count: Int) -> [UInt8] {
    let view = queue.readableBytesView
    var separators = 0
    let end = view.firstIndex { byte in
      if byte == EngineIOPayload.separator { separators += 1 }
      return separators == count
    }
    let part = Array(view[..<(end ?? view.endIndex)])
    let before = queue.readableBytes
    queue = end.flatMap { queue.getSlice(from: $0 + 1) } ?? ByteBuffer()
    control.taken(before - queue.readableBytes)
    return part
  }

  /// Answers the waiting poll with something else than what is queued.
  func answer(_ answer: EngineIOSession.Answer) { take()?(answer) }

  /// Answers the waiting poll with this alone.
  func answer(_ packet: EngineIOPacket) {
    answer(.payload(EngineIOPayload.encode([packet])))
  }

  /// The last answer: what is queued, as far as it fits, and how it ends.
  /// - Returns: whether a poll waited for it.
  func end(with packet: EngineIOPacket) -> Bool {
    guard let reply = take() else { return false }
    var payload = isEmpty ? [] : first(Self.mostPackets - 1)
    EngineIOPayload.append(packet, to: &payload)
    reply(.payload(payload))
    return true
  }

  private func take() -> Reply? {
    defer { waiting = nil }
    return waiting?.reply
  }

  /// What was queued, for the WebSocket that takes over.
  func drain() -> [EngineIOPacket] {
    defer {
      queue = ByteBuffer()
      control = ControlBytes()
    }
    return EngineIOPayload.decode(queue.readableBytesView) ?? []
  }
}

/// How much of a queue is not events, which have a bound of their own.
private struct ControlBytes {
  private var packets = CircularBuffer<(end: Int, bytes: Int)>()
  /// What the queue has given away since the start; `end` counts from there, too.
  private var gone = 0
  private(set) var waiting = 0

  /// - Parameter length: Of the queue, with the packet at its end.
  mutating func added(_ bytes: Int, behind length: Int) {
    packets.append((gone + length, bytes))
    waiting += bytes
  }

  mutating func taken(_ bytes: Int) {
    gone += bytes
    while let first = packets.first, first.end <= gone {
      waiting -= first.bytes
      packets.removeFirst()
    }
  }
}

extension ByteBuffer {
  fileprivate func getSlice(from index: Int) -> ByteBuffer? {
    getSlice(at: index, length: writerIndex - index)
  }
}

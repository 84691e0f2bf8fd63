// SPDX-License-Identifier: Apache-2.0
// How long a client may take to send a request's head and its body.
import NIOCore

/// Closes a connection whose client sends too slowly. Requests that arrive in one piece, as nearly
/// all do, cost no timer. Lives on the connection's event loop.
struct ReadDeadlines {
  struct Times: Sendable {
    /// For a head, from its first byte.
    var head = TimeAmount.seconds(10)
    /// For a body, besides what its bytes may take.
    var body = TimeAmount.seconds(15)
    var bytesPerSecond: Int64 = 16 << 10
  }

  private enum Reading {
    case nothing
    case head
    case body
  }

  private let times: Times
  private var reading = Reading.nothing
  private var timer: Deadline?

  init(_ times: Times) { self.times = times }

  /// Before bytes go to the decoder.
  mutating func arrived(_ bytes: Int) {
    timer?.received += Int64(bytes)
    if case .nothing = reading { reading = .head }
  }

  mutating func headEnded() {
    cancel()
    reading = .body
  }

  mutating func requestEnded() { cancel() }

  /// After the decoder: a request that is here in part gets its deadline.
  mutating func check(on channel: any Channel) {
    guard timer == nil else { return }
    switch reading {
    case .nothing: break
    case .head: timer = Deadline(channel, in: times.head, bytesPerSecond: nil)
    case .body: timer = Deadline(channel, in: times.body, bytesPerSecond: times.bytesPerSecond)
    }
  }

  mutating func cancel() {
    timer?.cancel()
    timer = nil
    reading = .nothing
  }
}

/// A time by which a client has to be done; what it sends may move it.
private final class Deadline {
  var received: Int64 = 0
  private let channel: any Channel
  private let start = NIODeadline.now()
  private let allowed: TimeAmount
  private let bytesPerSecond: Int64?
  private var scheduled: Scheduled<Void>?

  init(_ channel: any Channel, in time: TimeAmount, bytesPerSecond: Int64?) {
    self.channel = channel
    allowed = time
    self.bytesPerSecond = bytesPerSecond
    schedule(at: start + time)
  }

  func cancel() { scheduled?.cancel() }

  private func schedule(at time: NIODeadline) {
    scheduled = channel.eventLoop.assumeIsolated().scheduleTask(deadline: time) { [weak self] in
      self?.isOver()
    }
  }

  private func isOver() {
    let earned = bytesPerSecond.map { received / $0 } ?? 0
    let end = start + allowed + .seconds(earned)
    if end <= .now() { channel.close(promise: nil) } else { schedule(at: end) }
  }
}

// SPDX-License-Identifier: Apache-2.0
// How many connections may speak HTTP at a time; those that became WebSockets do not count.
import Engine
import HummingbirdCore
import NIOCore
import Synchronization

/// Shared by the server, which asks before it accepts, and by connections that become WebSockets.
final class ConnectionLimit: Sendable {
  private let most: Int
  private let sockets: OpenSockets
  private let meters: Meters
  private let open = Atomic<Int>(0)
  private let isFull = Atomic<Bool>(false)
  private let listener = Mutex<(any Channel)?>(nil)

  init(most: Int, sockets: OpenSockets, meters: Meters) {
    self.most = most
    self.sockets = sockets
    self.meters = meters
  }

  func listens(on channel: any Channel) { listener.withLock { $0 = channel } }

  /// A connection stopped speaking HTTP: the server may be waiting for just that.
  func makesRoom() {
    guard isFull.load(ordering: .relaxed) else { return }
    listener.withLock { $0 }?.read()
  }

  fileprivate func count(_ number: Int) { open.add(number, ordering: .relaxed) }

  fileprivate var hasRoom: Bool {
    let room = open.load(ordering: .relaxed) - sockets.tunnels < most
    if !room, !isFull.exchange(true, ordering: .relaxed) { meters.limitHit(.connections) }
    if room { isFull.store(false, ordering: .relaxed) }
    return room
  }

  /// For the framework's handler in front of the listener.
  struct Delegate: AvailableConnectionsDelegate {
    let limit: ConnectionLimit
    mutating func connectionOpened() { limit.count(1) }
    mutating func connectionClosed() { limit.count(-1) }
    func isAcceptingNewConnections() -> Bool { limit.hasRoom }
  }
}

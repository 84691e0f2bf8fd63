// SPDX-License-Identifier: Apache-2.0
// Counts connections that stay: WebSockets and event streams.
import Synchronization

/// One for the server.
package final class OpenSockets: Sendable {
  /// What a connection has become.
  enum Kind: String, CaseIterable, Sendable {
    case webSocket = "websocket"
    case socketIO = "socketio"
    /// An HTTP answer that goes on; it is an HTTP connection too.
    case stream
  }

  private let most: Int
  private let all = Atomic<Int>(0)
  private let webSockets = Atomic<Int>(0)
  private let socketIOs = Atomic<Int>(0)
  private let streams = Atomic<Int>(0)

  init(most: Int) { self.most = most }

  /// Takes a place; false if there is none.
  func enter(_ kind: Kind) -> Bool {
    guard all.add(1, ordering: .relaxed).newValue <= most else {
      all.subtract(1, ordering: .relaxed)
      return false
    }
    add(1, kind)
    return true
  }

  func leave(_ kind: Kind) {
    add(-1, kind)
    all.subtract(1, ordering: .relaxed)
  }

  func count(_ kind: Kind) -> Int {
    switch kind {
    case .webSocket: webSockets.load(ordering: .relaxed)
    case .socketIO: socketIOs.load(ordering: .relaxed)
    case .stream: streams.load(ordering: .relaxed)
    }
  }

  /// Those that do not speak HTTP any more.
  var tunnels: Int { count(.webSocket) + count(.socketIO) }

  private func add(_ number: Int, _ kind: Kind) {
    switch kind {
    case .webSocket: webSockets.add(number, ordering: .relaxed)
    case .socketIO: socketIOs.add(number, ordering: .relaxed)
    case .stream: streams.add(number, ordering: .relaxed)
    }
  }
}

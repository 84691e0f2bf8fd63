// SPDX-License-Identifier: Apache-2.0
// How many connections one address may have.
import Domain
import NIOCore
import Synchronization

/// One for the server. WebSockets count too.
final class AddressLimit: Sendable {
  private let most: Int
  private let countsLoopback: Bool
  private let open = Mutex<[String: Int]>([:])

  init(_ limits: Limits) {
    most = limits.connectionsPerAddress
    countsLoopback = limits.countsLoopbackConnections
  }

  /// Counts a connection until it is closed; false if its address has too many.
  func admit(_ channel: any Channel) -> Bool {
    guard let address = channel.remoteAddress?.ipAddress,
      countsLoopback || !Self.isLoopback(address)
    else { return true }
    let isAdmitted = open.withLock { open in
      let count = open[address, default: 0]
      guard count < most else { return false }
      open[address] = count + 1
      return true
    }
    if isAdmitted { channel.closeFuture.whenComplete { _ in self.leave(address) } }
    return isAdmitted
  }

  private func leave(_ address: String) {
    open.withLock { open in
      let count = (open[address] ?? 1) - 1
      open[address] = count > 0 ? count : nil
    }
  }

  private static func isLoopback(_ address: String) -> Bool {
    address.hasPrefix("127.") || address == "::1" || address.hasPrefix("::ffff:127.")
  }
}

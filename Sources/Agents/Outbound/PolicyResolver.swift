// SPDX-License-Identifier: Apache-2.0
// Resolves a name for one connection, and leaves out the addresses that may not be reached.
internal import NIOCore
internal import NIOPosix

/// Shows a connection attempt only those addresses of a name that the policy allows, so that none
/// of the others sees as much as a SYN. Confined to its event loop.
final class PolicyResolver: Resolver, @unchecked Sendable {
  private let policy: OutboundPolicy
  private let isEndpoint: Bool
  private let found: EventLoopFuture<[IPAddress]>
  /// Why an address was left out, if one was.
  private(set) var refusal: OutboundPolicy.Refusal?

  /// - Parameter found: The addresses of the name; empty if it does not resolve.
  init(_ policy: OutboundPolicy, isEndpoint: Bool, found: EventLoopFuture<[IPAddress]>) {
    self.policy = policy
    self.isEndpoint = isEndpoint
    self.found = found
  }

  func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
    addresses(of: host, port: port, family: .inet)
  }

  func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
    addresses(of: host, port: port, family: .inet6)
  }

  func cancelQueries() {}

  private func addresses(
    of host: String, port: Int, family: NIOBSDSocket.ProtocolFamily
  ) -> EventLoopFuture<[SocketAddress]> {
    found.flatMapThrowing { addresses in
      try addresses.filter { self.isAllowed($0, port) }
        .map { try SocketAddress(ipAddress: "\($0)", port: port) }
        .filter { $0.protocol == family }
    }
  }

  private func isAllowed(_ address: IPAddress, _ port: Int) -> Bool {
    found.eventLoop.assertInEventLoop()
    guard let refusal = policy.refusal(of: address, port: port, isEndpoint: isEndpoint) else {
      return true
    }
    self.refusal = refusal
    return false
  }
}

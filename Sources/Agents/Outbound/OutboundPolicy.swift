// SPDX-License-Identifier: Apache-2.0
// Which addresses this server may reach.

/// The outbound rules: public addresses, what the operator allowed, and for the endpoints of agents
/// also loopback while the server itself listens on loopback only; never the server's own port.
package struct OutboundPolicy: Sendable {
  /// Why an address may not be reached.
  package enum Refusal: Error, Sendable, Hashable {
    case notPublic(IPAddress)
    case ownPort
    /// Not an IP address.
    case unknownAddress
  }

  private let allowed: [AddressRange]
  private let isServerOnLoopback: Bool
  private let server: ServerAddress

  /// - Parameter server: Where this server listens; its port may become known later.
  package init(allowed: [AddressRange], server: ServerAddress) {
    self.allowed = allowed
    self.server = server
    isServerOnLoopback = server.isLoopback
  }

  /// Nil if the address may be reached.
  ///
  /// - Parameter isEndpoint: Whether an agent listens there (`endpoint`, `cancelEndpoint`,
  ///   `healthUrl`).
  package func refusal(of address: IPAddress, port: Int, isEndpoint: Bool) -> Refusal? {
    if port == server.port, isOwn(address) { return .ownPort }
    if allowed.contains(where: { $0.contains(address) }) { return nil }
    if isEndpoint, isServerOnLoopback, PublicAddresses.isLoopback(address) { return nil }
    return PublicAddresses.contains(address) ? nil : .notPublic(address)
  }

  private func isOwn(_ address: IPAddress) -> Bool {
    PublicAddresses.isLoopback(address) || address.bits == 0 || address == server.boundAddress
  }
}

extension OutboundPolicy.Refusal {
  /// What to tell an operator.
  package var sentence: String {
    switch self {
    case .notPublic(let address):
      "\(address) is not a public address; the server may reach it if it is started with "
        + "--allow-net \(address)/\(address.family.width)."
    case .ownPort: "This is the server's own address."
    case .unknownAddress: "This is not an IP address."
    }
  }
}

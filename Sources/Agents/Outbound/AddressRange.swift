// SPDX-License-Identifier: Apache-2.0
// A range of IP addresses in CIDR notation.

/// Addresses that share their first bits.
package struct AddressRange: Sendable, Hashable, CustomStringConvertible {
  package let first: IPAddress
  /// Shared bits, of 32 or 128.
  package let prefix: Int

  /// Nil if `prefix` is beyond the address or if bits behind it are set.
  package init?(_ first: IPAddress, prefix: Int) {
    guard (0...first.family.width).contains(prefix),
      first.bits & Self.hostMask(first.family, prefix) == 0
    else { return nil }
    self.first = first
    self.prefix = prefix
  }

  /// Reads `10.0.0.0/8`, `fd00::/8`, or one address.
  package init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = parts.first.flatMap({ IPAddress(String($0)) }) else { return nil }
    guard parts.count == 2 else {
      self.init(address, prefix: address.family.width)
      return
    }
    let digits = parts[1]
    guard (1...3).contains(digits.utf8.count),
      digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let prefix = Int(digits)
    else { return nil }
    let isMapped = address.family == .v4 && text.utf8.contains(UInt8(ascii: ":"))
    self.init(address, prefix: isMapped ? prefix - 96 : prefix)
  }

  package func contains(_ address: IPAddress) -> Bool {
    address.family == first.family
      && address.bits & ~Self.hostMask(first.family, prefix) == first.bits
  }

  package var description: String { "\(first)/\(prefix)" }

  private static func hostMask(_ family: IPAddress.Family, _ prefix: Int) -> UInt128 {
    let free = family.width - prefix
    return free == 128 ? .max : (1 << UInt128(free)) - 1
  }
}

/// Which addresses are on the public internet.
enum PublicAddresses {
  /// What the IANA special-purpose registry does not call globally reachable, and multicast.
  private static let excludedV4 = ranges(
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4")
  /// Global unicast. Everything outside it is special: `::`, `::1`, NAT64 (`64:ff9b::/96` and
  /// `64:ff9b:1::/48`), `100::/64`, `fc00::/7`, `fe80::/10`, `ff00::/8`.
  private static let unicastV6 = ranges("2000::/3")
  /// Teredo and other protocol assignments, documentation, 6to4.
  private static let excludedV6 = ranges(
    "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
  private static let loopback = ranges("127.0.0.0/8", "::1")

  static func contains(_ address: IPAddress) -> Bool {
    switch address.family {
    case .v4: !excludedV4.contains { $0.contains(address) }
    case .v6:
      unicastV6.contains { $0.contains(address) } && !excludedV6.contains { $0.contains(address) }
    }
  }

  static func isLoopback(_ address: IPAddress) -> Bool {
    loopback.contains { $0.contains(address) }
  }

  private static func ranges(_ texts: String...) -> [AddressRange] {
    texts.compactMap { text in
      let range = AddressRange(text)
      assert(range != nil, "\(text) is no range")
      return range
    }
  }
}

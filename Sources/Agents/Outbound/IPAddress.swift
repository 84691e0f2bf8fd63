// SPDX-License-Identifier: Apache-2.0
// An IP address as a number, so that ranges are compared and not spelled.
internal import NIOCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// An IPv4 or IPv6 address. IPv4 addresses mapped into IPv6 (`::ffff:0:0/96`) become IPv4.
package struct IPAddress: Sendable, Hashable {
  package enum Family: Sendable, Hashable {
    case v4, v6
    /// Bits of an address.
    var width: Int { self == .v4 ? 32 : 128 }
  }

  package let family: Family
  /// The address as a number; the first bit of the address is the highest of its width.
  package let bits: UInt128

  private init(_ family: Family, _ bits: UInt128) {
    self.family = family
    self.bits = bits
  }

  init(v4 bits: UInt32) {
    self.init(.v4, UInt128(bits))
  }

  init(v6 bits: UInt128) {
    if bits >> 32 == 0xFFFF {
      self.init(v4: UInt32(truncatingIfNeeded: bits))
    } else {
      self.init(.v6, bits)
    }
  }

  /// Reads the standard text forms only (`inet_pton`): no `127.1`, no octal, no zone.
  package init?(_ text: String) {
    var bytes = [UInt8](repeating: 0, count: 16)
    if inet_pton(AF_INET, text, &bytes) == 1 {
      self.init(v4: UInt32(truncatingIfNeeded: Self.number(bytes[..<4])))
    } else if inet_pton(AF_INET6, text, &bytes) == 1 {
      self.init(v6: Self.number(bytes))
    } else {
      return nil
    }
  }

  /// Nil for other families. The layouts are those of `sockaddr_in` and `sockaddr_in6`.
  init?(_ address: UnsafePointer<sockaddr>) {
    let raw = UnsafeRawPointer(address)
    switch Int32(address.pointee.sa_family) {
    case AF_INET:
      let bytes = UnsafeRawBufferPointer(start: raw + 4, count: 4)
      self.init(v4: UInt32(truncatingIfNeeded: Self.number(bytes)))
    case AF_INET6:
      self.init(v6: Self.number(UnsafeRawBufferPointer(start: raw + 8, count: 16)))
    default: return nil
    }
  }

  private static func number(_ bytes: some Sequence<UInt8>) -> UInt128 {
    bytes.reduce(0) { $0 << 8 | UInt128($1) }
  }

  /// Nil for a Unix domain socket.
  init?(_ address: SocketAddress) {
    let found = address.withSockAddr { pointer, _ in IPAddress(pointer) }
    guard let found else { return nil }
    self = found
  }
}

extension IPAddress: CustomStringConvertible {
  package var description: String {
    let bytes = stride(from: family.width - 8, through: 0, by: -8).map {
      UInt8(truncatingIfNeeded: bits >> UInt128($0))
    }
    if family == .v4 { return bytes.map(String.init).joined(separator: ".") }
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    let size = socklen_t(text.count)
    let written = bytes.withUnsafeBytes { inet_ntop(AF_INET6, $0.baseAddress, &text, size) }
    guard written != nil else { return "an IPv6 address" }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

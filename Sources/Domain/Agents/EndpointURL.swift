// SPDX-License-Identifier: Apache-2.0
// The strict form of an http or https address that this server may be asked to reach.

/// An absolute `http` or `https` URL of a narrow grammar, so that no two parsers can disagree about
/// its host: ASCII only, no user information, no fragment, nothing percent-encoded in the host.
package struct EndpointURL: Sendable, Hashable {
  package enum Problem: String, Error, Sendable, CaseIterable {
    case length = "An address has 1 to 2048 bytes."
    case character = "An address holds printable ASCII without quotes, braces and backslashes."
    case scheme = "An address starts with http:// or https://."
    case userInformation = "An address holds no user name and no password."
    case host = "The host is a name or an IP address; an IPv6 address stands in brackets."
    case port = "The port is a number from 1 to 65535."
    case fragment = "An address has no fragment (#…)."
    case escape = "A percent sign is followed by two hexadecimal digits."
  }

  /// The address as given.
  package let text: String
  package let isSecure: Bool
  /// The host without brackets.
  package let host: String
  /// The given port, or the scheme's own.
  package let port: Int
  /// Path and query as they stand in a request line, at least `/` (RFC 9112, 3.2.1).
  package let target: String
  /// Host and port, without the scheme's own port: the value of the header Host.
  package let authority: String

  private static let longest = 2_048
  private static let longestHost = 253

  package init(_ text: String) throws(Problem) {
    let bytes = Array(text.utf8)
    guard (1...Self.longest).contains(bytes.count) else { throw .length }
    guard bytes.allSatisfy(Self.isAllowed) else { throw .character }
    guard !bytes.contains(UInt8(ascii: "#")) else { throw .fragment }
    guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")),
      bytes[colon...].starts(with: "://".utf8)
    else { throw .scheme }
    switch String(decoding: bytes[..<colon], as: UTF8.self).lowercased() {
    case "http": isSecure = false
    case "https": isSecure = true
    default: throw .scheme
    }
    let rest = bytes[(colon + 3)...]
    let end = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") }
    let site = rest[..<(end ?? rest.endIndex)]
    guard !site.contains(UInt8(ascii: "@")) else { throw .userInformation }
    let (host, port) = try Self.split(site)
    self.host = String(decoding: host, as: UTF8.self)
    self.port = try port.map(Self.port) ?? (isSecure ? 443 : 80)
    let path = rest[(end ?? rest.endIndex)...]
    try Self.checkEscapes(path)
    let name = host.contains(UInt8(ascii: ":")) ? "[\(self.host)]" : self.host
    authority = self.port == (isSecure ? 443 : 80) ? name : "\(name):\(self.port)"
    let slash = path.first == UInt8(ascii: "/") ? "" : "/"
    target = slash + String(decoding: path, as: UTF8.self)
    self.text = text
  }

  /// Scheme, host and port, as a browser would write the origin.
  package var origin: String { (isSecure ? "https://" : "http://") + authority }

  // MARK: Parts

  private static func split(
    _ authority: ArraySlice<UInt8>
  ) throws(Problem) -> (host: ArraySlice<UInt8>, port: ArraySlice<UInt8>?) {
    if authority.first == UInt8(ascii: "[") {
      guard let close = authority.firstIndex(of: UInt8(ascii: "]")) else { throw .host }
      let host = authority[(authority.startIndex + 1)..<close]
      guard host.contains(UInt8(ascii: ":")), host.allSatisfy(isIPv6) else { throw .host }
      let tail = authority[(close + 1)...]
      if tail.isEmpty { return (host, nil) }
      guard tail.first == UInt8(ascii: ":") else { throw .host }
      return (host, tail.dropFirst())
    }
    let colon = authority.firstIndex(of: UInt8(ascii: ":"))
    let host = authority[..<(colon ?? authority.endIndex)]
    guard (1...longestHost).contains(host.count), host.allSatisfy(isName),
      host.contains(where: { $0 != UInt8(ascii: ".") })
    else { throw .host }
    return (host, colon.map { authority[($0 + 1)...] })
  }

  private static func port(_ digits: ArraySlice<UInt8>) throws(Problem) -> Int {
    guard (1...5).contains(digits.count),
      digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      let port = Int(String(decoding: digits, as: UTF8.self)), (1...65_535).contains(port)
    else { throw .port }
    return port
  }

  private static func checkEscapes(_ path: ArraySlice<UInt8>) throws(Problem) {
    for (position, byte) in zip(path.indices, path) where byte == UInt8(ascii: "%") {
      let digits = path[(position + 1)...].prefix(2)
      guard digits.count == 2, digits.allSatisfy(isHexadecimal) else { throw .escape }
    }
  }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\\"),
      UInt8(ascii: "^"), UInt8(ascii: "`"), UInt8(ascii: "{"), UInt8(ascii: "|"),
      UInt8(ascii: "}"):
      false
    default: (0x21...0x7E).contains(byte)
    }
  }

  private static func isHexadecimal(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x46, 0x61...0x66: true
    default: false
    }
  }

  private static func isIPv6(_ byte: UInt8) -> Bool {
    isHexadecimal(byte) || byte == UInt8(ascii: ":") || byte == UInt8(ascii: ".")
  }

  private static func isName(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"): true
    default: false
    }
  }
}

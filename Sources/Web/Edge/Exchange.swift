// SPDX-License-Identifier: Apache-2.0
// What has to be known of a request's head until it is answered; heads that could be read in two
// ways are none.
import NIOHTTP1

struct Exchange {
  var isHead: Bool
  /// The connection ends with the answer.
  var isLast: Bool
  /// Bytes of body to come; the most there can be if nobody knows.
  var length: Int
  /// The body's end is marked in the body.
  var isChunked: Bool

  /// Nil for a head that servers in front of this one may understand otherwise: RFC 9112 §3.2
  /// (exactly one `Host`, and no other authority beside it), §6.1 (`chunked` is the only coding).
  init?(_ head: HTTPRequestHead) {
    // The decoder lets only 1.x through.
    let isOld = head.version.minor < 1
    var fields = Fields()
    for (name, value) in head.headers where !fields.take(name, value) { return nil }
    guard fields.isHostGood(isOld: isOld), !(fields.isChunked && isOld),
      Self.isTarget(head.uri, of: head.method, on: fields.host)
    else { return nil }
    isHead = head.method == .HEAD
    isLast = fields.isLast || isOld || head.method == .CONNECT
    isChunked = fields.isChunked
    length = isChunked ? .max : fields.length
  }

  /// An absolute target names the authority that `Host` names. Others begin with a slash, or are
  /// the `*` of OPTIONS; the decoder saw to that.
  private static func isTarget(_ uri: String, of method: HTTPMethod, on host: String?) -> Bool {
    guard uri.utf8.first != UInt8(ascii: "/"), uri != "*", method != .CONNECT else { return true }
    let lowercased = uri.lowercased()
    for scheme in ["http://", "https://"] where lowercased.hasPrefix(scheme) {
      let authority = lowercased.dropFirst(scheme.count).prefix { !"/?#".contains($0) }
      return !authority.isEmpty && authority == host?.lowercased() ?? ""
    }
    return false
  }
}

/// The header fields that decide how a connection goes on.
private struct Fields {
  private(set) var host: String?
  private(set) var isLast = false
  private(set) var isChunked = false
  private(set) var length = 0
  private var hosts = 0

  /// False if the field may not be.
  mutating func take(_ name: String, _ value: String) -> Bool {
    switch name.utf8.count {
    case 4 where Self.same(name, "host"):
      hosts += 1
      host = value
    case 7 where Self.same(name, "upgrade"): isLast = true
    case 10 where Self.same(name, "connection"): isLast = isLast || Self.hasClose(value)
    case 14 where Self.same(name, "content-length"):
      guard let number = Int(value) else { return false }
      length = number
    case 17 where Self.same(name, "transfer-encoding"):
      guard !isChunked, Self.same(value, "chunked") else { return false }
      isChunked = true
    default: break
    }
    return true
  }

  func isHostGood(isOld: Bool) -> Bool {
    guard hosts == 1, let host else { return hosts == 0 && isOld }
    return Self.isAuthority(host)
  }

  /// `name`, `name:port` or `[address]:port`, RFC 3986 §3.2 without a user.
  private static func isAuthority(_ text: String) -> Bool {
    var bytes = Array(text.utf8)[...]
    if bytes.first == UInt8(ascii: "[") {
      guard let end = bytes.firstIndex(of: UInt8(ascii: "]")) else { return false }
      let address = bytes[(bytes.startIndex + 1)..<end]
      guard !address.isEmpty, address.allSatisfy(isOfAddress) else { return false }
      bytes = bytes[(end + 1)...]
    } else {
      let name = bytes.prefix { $0 != UInt8(ascii: ":") }
      guard !name.isEmpty, name.allSatisfy(isOfName) else { return false }
      bytes = bytes.dropFirst(name.count)
    }
    guard let colon = bytes.popFirst() else { return true }
    return colon == UInt8(ascii: ":") && bytes.count <= 5
      && bytes.allSatisfy { (0x30...0x39).contains($0) }
  }

  private static func isOfName(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"): true
    default: false
    }
  }

  private static func isOfAddress(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x3A, 0x41...0x46, 0x61...0x66, UInt8(ascii: "."): true
    default: false
    }
  }

  private static func same(_ text: String, _ lowercased: StaticString) -> Bool {
    lowercased.withUTF8Buffer { expected in
      text.utf8.elementsEqual(expected) { $0 | 0x20 == $1 | 0x20 }
    }
  }

  private static func hasClose(_ value: String) -> Bool {
    value.split(separator: ",").contains { token in
      token.trimming { $0 == " " || $0 == "\t" }.lowercased() == "close"
    }
  }
}

extension Substring {
  fileprivate func trimming(_ isBlank: (Character) -> Bool) -> Substring {
    var rest = drop(while: isBlank)
    while let last = rest.last, isBlank(last) { rest.removeLast() }
    return rest
  }
}

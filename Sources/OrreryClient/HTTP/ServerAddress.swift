// SPDX-License-Identifier: Apache-2.0
// Where the server is, and how addresses of its calls are built.

import Foundation

/// The address of a control plane: scheme, host, port and perhaps a path in front.
struct ServerAddress: Sendable, Hashable {
  /// Without a slash at the end.
  let text: String
  /// True for `localhost`, 127.0.0.0/8 and ::1.
  let isLoopback: Bool
  let isEncrypted: Bool

  init(_ text: String) throws(OrreryError) {
    let refusal = OrreryError(
      .invalidURL, "The server's address must look like http://127.0.0.1:3000.")
    guard let parts = URLComponents(string: text), let scheme = parts.scheme?.lowercased(),
      scheme == "http" || scheme == "https", let host = parts.host, !host.isEmpty,
      parts.user == nil, parts.password == nil, parts.query == nil, parts.fragment == nil,
      parts.port.map({ (1...65_535).contains($0) }) ?? true
    else { throw refusal }
    var end = text.endIndex
    while end > text.startIndex, text[text.index(before: end)] == "/" {
      end = text.index(before: end)
    }
    self.text = String(text[..<end])
    isEncrypted = scheme == "https"
    isLoopback = Self.isLoopback(host)
  }

  /// Refuses to send anything in the clear to another machine.
  func requireProtection(allowsInsecureHTTP: Bool) throws(OrreryError) {
    if isEncrypted || isLoopback || allowsInsecureHTTP { return }
    throw OrreryError(
      .insecure, "\(text) is on another machine and not encrypted.")
  }

  /// The address of a call. Segments and query values are percent-encoded.
  func url(path: [String], query: [(String, String)] = []) throws(OrreryError) -> String {
    var url = text
    for segment in path {
      guard !segment.isEmpty, segment != ".", segment != ".." else {
        throw OrreryError(.invalidID, "An id or name must not be empty, \".\" or \"..\".")
      }
      url += "/" + Self.encoded(segment)
    }
    for (index, item) in query.enumerated() {
      url += (index == 0 ? "?" : "&") + Self.encoded(item.0) + "=" + Self.encoded(item.1)
    }
    return url
  }

  private static func isLoopback(_ host: String) -> Bool {
    let bare = host.lowercased().trimmingCharacters(in: ["[", "]"])
    if bare == "localhost" || bare == "::1" { return true }
    let parts = bare.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
  }

  static func encoded(_ text: String) -> String {
    var output = ""
    for byte in text.utf8 {
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: ":"):
        output.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        output += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      }
    }
    return output
  }
}

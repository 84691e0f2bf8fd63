// SPDX-License-Identifier: Apache-2.0
// Which pages may open live connections: those of the server itself, and those that are named.
import Domain
import NIOHTTP1

/// A browser says in `Origin` whose page it is that asks. Programs send none, and are let in.
package struct OriginPolicy: Sendable {
  private let allowed: Set<String>
  private let allowsAll: Bool

  /// - Parameter allowed: origins like `https://that.page`, or `*` for every one.
  package init(allowed: [String] = []) {
    self.allowed = Set(allowed.map { $0.lowercased() })
    allowsAll = allowed.contains("*")
  }

  /// Whether this is an origin as browsers write it.
  package static func isOrigin(_ text: String) -> Bool {
    guard text != "*", let parts = Origin(text.lowercased()) else { return text == "*" }
    return parts.authority.utf8.allSatisfy { (0x21...0x7E).contains($0) }
      && !parts.authority.contains { "/?#@,*".contains($0) }
  }

  func allows(_ headers: HTTPHeaders) -> Bool {
    let origins = headers["origin"]
    guard let first = origins.first?.lowercased() else { return true }
    guard origins.count == 1 else { return false }
    return allowsAll || allowed.contains(first) || Self.isSame(first, headers)
  }

  /// The page came from the address that it asks now.
  private static func isSame(_ origin: String, _ headers: HTTPHeaders) -> Bool {
    guard let origin = Origin(origin), let host = headers.first(name: "host") else { return false }
    return origin.authority == origin.withoutStandardPort(host.lowercased())
  }
}

/// Scheme and authority, the port left out where it is the scheme's own.
private struct Origin {
  let authority: String
  private let standardPort: String

  init?(_ text: String) {
    if text.hasPrefix("http://") {
      standardPort = ":80"
    } else if text.hasPrefix("https://") {
      standardPort = ":443"
    } else {
      return nil
    }
    let rest = text.drop { $0 != "/" }.dropFirst(2)
    guard !rest.isEmpty else { return nil }
    authority = Self.cut(String(rest), standardPort)
  }

  func withoutStandardPort(_ host: String) -> String { Self.cut(host, standardPort) }

  private static func cut(_ host: String, _ port: String) -> String {
    host.hasSuffix(port) ? String(host.dropLast(port.count)) : host
  }
}

extension APIRequest {
  /// Refuses pages of other origins.
  func checkOrigin() throws(ControlError) {
    guard origins.allows(request.head.headers) else {
      throw ControlError(
        .originRefused, "Pages of this origin may not connect; --allow-origin lets them in.")
    }
  }

  /// What lets a page of an allowed origin read the answer; nothing for other clients.
  var crossOriginHeaders: [(String, String)] {
    guard let origin = request.head.headers.first(name: "origin"),
      origins.allows(request.head.headers)
    else { return [] }
    return [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
  }

  /// The answer to a browser that asks before it asks (`OPTIONS`).
  func preflight() throws(ControlError) -> APIResponse {
    try checkOrigin()
    var response = APIResponse.noContent
    response.headers =
      crossOriginHeaders + [
        ("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
        ("Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID"),
        ("Access-Control-Max-Age", "600"),
      ]
    return response
  }
}

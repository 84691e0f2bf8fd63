// SPDX-License-Identifier: Apache-2.0
// What goes out to an agent besides our signature.

/// Extra authentication towards an agent. Secrets are named, never held: the name is that of an
/// environment variable or of a named secret.
package enum AgentAuthentication: Sendable, Hashable {
  /// Nothing but the signature.
  case signatureOnly
  case apiKey(header: String, keyName: String)
  case bearer(keyName: String)
  case oauth2(OAuth2Client)

  package struct OAuth2Client: Sendable, Hashable {
    package var tokenUrl: String
    package var clientId: String
    package var scope: String?
    package var keyName: String

    package init(tokenUrl: String, clientId: String, scope: String?, keyName: String) {
      self.tokenUrl = tokenUrl
      self.clientId = clientId
      self.scope = scope
      self.keyName = keyName
    }
  }

  private enum Kind: String, CaseIterable {
    case apiKey = "api-key"
    case bearer, oauth2, hmac
  }

  private static let defaultHeader = "x-api-key"

  /// Reads `{"type","keyName"?,"header"?,"tokenUrl"?,"clientId"?,"scope"?}`; unknown fields are
  /// refused.
  package init(_ node: JSONNode, path: String) throws(FieldError) {
    let fields = try JSONFields(
      node, path: path,
      allowed: ["type", "keyName", "header", "tokenUrl", "clientId", "scope"])
    switch try fields.choice("type", of: Kind.self) {
    case .hmac:
      self = .signatureOnly
    case .bearer:
      self = .bearer(keyName: try Self.name(fields))
    case .apiKey:
      let header = try fields.optionalString("header", bytes: 1...64) ?? Self.defaultHeader
      guard Self.isFree(header) else {
        throw fields.error(
          "header", .invalid, "Must be the name of a header that the protocol does not use.")
      }
      self = .apiKey(header: header, keyName: try Self.name(fields))
    case .oauth2:
      let tokenUrl = try fields.string("tokenUrl")
      do throws(EndpointURL.Problem) { _ = try EndpointURL(tokenUrl) } catch {
        throw fields.error("tokenUrl", .invalid, error.rawValue)
      }
      self = .oauth2(
        OAuth2Client(
          tokenUrl: tokenUrl, clientId: try fields.string("clientId", bytes: 1...512),
          scope: try fields.optionalString("scope", bytes: 1...1_024),
          keyName: try Self.name(fields)))
    }
  }

  /// The name of the secret; nil if none is needed.
  package var keyName: String? {
    switch self {
    case .signatureOnly: nil
    case .apiKey(_, let keyName), .bearer(let keyName): keyName
    case .oauth2(let client): client.keyName
    }
  }

  private static func name(_ fields: JSONFields) throws(FieldError) -> String {
    let name = try fields.string("keyName")
    guard Identifier.isValid(name) else {
      throw fields.error(
        "keyName", .invalid, "Must be the name of an environment variable or a named secret.")
    }
    return name
  }

  /// A header name (RFC 9110 token) that neither HTTP framing nor our signature uses.
  private static func isFree(_ header: String) -> Bool {
    let taken = [
      "host", "content-length", "content-type", "transfer-encoding", "connection", "upgrade", "te",
      "trailer", "expect", "traceparent",
    ]
    let lower = header.lowercased()
    let isToken = header.utf8.allSatisfy { byte in
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
      default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
      }
    }
    return isToken && !taken.contains(lower)
      && !SignatureHeader.allCases.contains { $0.rawValue == lower }
  }
}

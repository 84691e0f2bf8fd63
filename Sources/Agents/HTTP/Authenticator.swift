// SPDX-License-Identifier: Apache-2.0
// Adds the extra authentication that an agent's entry asks for.
internal import Domain
private import Synchronization

/// Makes the header that goes out besides the signature.
final class Authenticator: Sendable {
  /// Why the header could not be made.
  struct Missing: Error, Sendable {
    var sentence: String
  }

  struct Header: Sendable {
    var name: String
    var value: String
    /// The access token in it, if it can be renewed.
    var token: String?
  }

  private struct Known: Sendable {
    var options: [UInt8]
    var authentication: AgentAuthentication
  }

  private let tokens: OAuthTokens
  private let secret: @Sendable (String) -> String?
  private let known = Mutex<[AgentID: Known]>([:])

  init(tokens: OAuthTokens, secret: @escaping @Sendable (String) -> String?) {
    self.tokens = tokens
    self.secret = secret
  }

  /// Nil if the signature is enough.
  func header(for agent: AgentRecord) async throws(Missing) -> Header? {
    guard let options = agent.options else { return nil }
    let authentication = try authentication(options, of: agent.id)
    guard let keyName = authentication.keyName else { return nil }
    guard let value = secret(keyName), !value.isEmpty else {
      throw Missing(sentence: "The secret \(keyName) of the agent's authentication is not set.")
    }
    switch authentication {
    case .signatureOnly: return nil
    case .apiKey(let header, _): return try Self.header(header, value, keyName)
    case .bearer: return try Self.header("authorization", "Bearer \(value)", keyName)
    case .oauth2(let client):
      do {
        let token = try await tokens.token(for: client, secret: value)
        return Header(name: "authorization", value: "Bearer \(token)", token: token)
      } catch let failure as OAuthTokens.Failure {
        throw Missing(sentence: failure.sentence)
      } catch {
        throw Missing(sentence: "No access token could be fetched.")
      }
    }
  }

  /// Forgets an access token that was refused.
  func discard(_ token: String) async {
    await tokens.discard(token)
  }

  private static func header(
    _ name: String, _ value: String, _ keyName: String
  ) throws(Missing) -> Header {
    guard value.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
      throw Missing(sentence: "The secret \(keyName) cannot stand in a header.")
    }
    return Header(name: name, value: value)
  }

  private func authentication(
    _ options: [UInt8], of agent: AgentID
  ) throws(Missing) -> AgentAuthentication {
    if let known = known.withLock({ $0[agent] }), known.options == options {
      return known.authentication
    }
    let authentication = try Self.parse(options)
    known.withLock { $0[agent] = Known(options: options, authentication: authentication) }
    return authentication
  }

  private static func parse(_ options: [UInt8]) throws(Missing) -> AgentAuthentication {
    do {
      guard let node = try JSONDocument(options).root["authentication"], !node.isNull else {
        return .signatureOnly
      }
      return try AgentAuthentication(node, path: "authentication")
    } catch {
      throw Missing(sentence: "The agent's authentication settings are not understood.")
    }
  }
}

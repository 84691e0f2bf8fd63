// SPDX-License-Identifier: Apache-2.0
// Access tokens of agents that want OAuth 2.0 client credentials (RFC 6749, 4.4).
internal import Domain
internal import Engine
private import NIOCore
private import NIOHTTP1

/// Fetches, keeps and renews access tokens. Callers that need the same token at the same time share
/// one request.
actor OAuthTokens {
  struct Failure: Error, Sendable {
    var sentence: String
  }

  private struct Key: Hashable {
    var client: AgentAuthentication.OAuth2Client
    var secret: String
  }

  private struct Token {
    var text: String
    /// World uptime in milliseconds.
    var renewAt: Int64
  }

  private let client: OutboundClient
  private let world: World
  private var tokens: [Key: Token] = [:]
  private var fetching: [Key: Task<Token, any Error>] = [:]

  /// Bounds the cache; agents share a token if all of their settings are equal.
  private static let most = 1_024
  private static let answerBytes = 64 << 10
  private static let requestMilliseconds: Int64 = 10_000
  /// How long a token counts that says nothing of its end.
  private static let defaultSeconds: Int64 = 300
  /// A token is renewed this long before its end, or after half of a short life.
  private static let margin: Int64 = 30_000

  init(client: OutboundClient, world: World) {
    self.client = client
    self.world = world
  }

  func token(
    for settings: AgentAuthentication.OAuth2Client, secret: String
  ) async throws -> String {
    let key = Key(client: settings, secret: secret)
    if let token = tokens[key], world.uptime() < token.renewAt { return token.text }
    if let running = fetching[key] { return try await running.value.text }
    let task = Task { try await fetch(key) }
    fetching[key] = task
    defer { fetching[key] = nil }
    let token = try await task.value
    if tokens.count >= Self.most { tokens.removeAll() }
    tokens[key] = token
    return token.text
  }

  /// Forgets a token that was refused.
  func discard(_ text: String) {
    tokens = tokens.filter { $0.value.text != text }
  }

  // MARK: The token request

  private func fetch(_ key: Key) async throws -> Token {
    let url: EndpointURL
    do throws(EndpointURL.Problem) { url = try EndpointURL(key.client.tokenUrl) } catch {
      throw Failure(sentence: error.rawValue)
    }
    var form = "grant_type=client_credentials"
    if let scope = key.client.scope { form += "&scope=\(Self.escaped(scope))" }
    let credentials = "\(Self.escaped(key.client.clientId)):\(Self.escaped(key.secret))"
    let headers: HTTPHeaders = [
      "content-type": "application/x-www-form-urlencoded", "accept": "application/json",
      "authorization": "Basic \(Base64.encode(Array(credentials.utf8)))",
    ]
    let exchange = await client.send(
      OutboundClient.Request(
        method: .POST, url: url, headers: headers, body: Array(form.utf8),
        deadline: .now() + .milliseconds(Self.requestMilliseconds),
        answerLimit: Self.answerBytes))
    return try token(in: exchange)
  }

  private func token(in exchange: Exchange) throws -> Token {
    switch exchange {
    case .unsent(let obstacle):
      throw Failure(sentence: "The token server cannot be reached. \(obstacle.sentence)")
    case .noAnswer: throw Failure(sentence: "The token server did not answer.")
    case .answer(let status, _, let body):
      guard status == 200, case .bytes(let bytes) = body else {
        throw Failure(sentence: "The token server answered \(status).")
      }
      do {
        let fields = try JSONFields(JSONDocument(bytes).root, allowed: [], unknown: .ignore)
        let text = try fields.string("access_token", bytes: 1...16_384)
        guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
          throw Failure(sentence: "The token server's token is not printable ASCII.")
        }
        let seconds = try fields.optionalInt("expires_in", in: 0...31_536_000).map(Int64.init)
        let life = (seconds ?? Self.defaultSeconds) * 1_000
        return Token(text: text, renewAt: world.uptime() + max(life - Self.margin, life / 2))
      } catch let failure as Failure {
        throw failure
      } catch {
        throw Failure(sentence: "The token server's answer holds no token.")
      }
    }
  }

  /// `application/x-www-form-urlencoded`.
  private static func escaped(_ text: String) -> String {
    var escaped = ""
    for byte in text.utf8 {
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "_"), UInt8(ascii: "~"):
        escaped.unicodeScalars.append(Unicode.Scalar(byte))
      default: escaped += "%" + Hex.encode([byte]).uppercased()
      }
    }
    return escaped
  }
}

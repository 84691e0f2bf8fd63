// SPDX-License-Identifier: Apache-2.0
// The administrator's calls.

import Domain
import Foundation

extension OrreryClient {
  // MARK: Tokens

  /// All tokens, without their texts.
  public func tokens() async throws -> Page<TokenSnapshot> {
    try Page(await send(Call(path: ["api", "tokens"])), "tokens", TokenSnapshot.init)
  }

  /// Makes a token; its text is shown once.
  public func createToken(name: String, role: TokenRole) async throws -> IssuedToken {
    var writer = JSONWriter()
    writer.object { writer in
      writer.field("name", name)
      writer.field("role", role.rawValue)
    }
    var call = Call(method: "POST", path: ["api", "tokens"], body: writer.bytes)
    call.isRepeatable = false
    return try IssuedToken(await send(call).object())
  }

  /// Revokes a token at once.
  public func remove(token id: String) async throws {
    _ = try await send(Call(method: "DELETE", path: ["api", "tokens", id]))
  }

  // MARK: Secrets and keys

  /// The names of all secrets.
  public func secrets() async throws -> Page<SecretSnapshot> {
    try Page(await send(Call(path: ["api", "secrets"])), "secrets", SecretSnapshot.init)
  }

  /// Stores a named secret, sealed; replaces one of the same name.
  public func setSecret(_ name: String, to value: String) async throws {
    var writer = JSONWriter()
    writer.object { $0.field("value", value) }
    let call = Call(method: "PUT", path: ["api", "secrets", name], body: writer.bytes)
    _ = try await send(call)
  }

  /// Removes a named secret.
  public func remove(secret name: String) async throws {
    _ = try await send(Call(method: "DELETE", path: ["api", "secrets", name]))
  }

  /// Makes a new key and seals all secrets again; returns the answer with the key's id.
  public func rotateKeys() async throws -> (keyID: String, json: JSONText) {
    var call = Call(method: "POST", path: ["api", "keys", "rotate"])
    call.isRepeatable = false
    let node = try await send(call).object()
    return (try node.text("keyId"), JSONText(node))
  }

  // MARK: The server

  /// Figures of the server.
  public func stats() async throws -> ServerStats {
    try ServerStats(await send(Call(path: ["api", "stats"])).object())
  }

  /// Writes a consistent copy of the store on the server's machine.
  ///
  /// - Parameter path: a file name inside the data folder's `backups`; nil makes one from the time.
  public func backup(path: String? = nil) async throws -> BackupReceipt {
    var writer = JSONWriter()
    writer.object { $0.field(ifPresent: "path", path) }
    var call = Call(method: "POST", path: ["api", "backup"], body: writer.bytes)
    call.isRepeatable = false
    call.wait = 3_600_000
    return try BackupReceipt(await send(call).object())
  }

  /// Whether the server's process answers. Needs no token.
  public func health() async throws -> ServerHealth {
    try await health("healthz")
  }

  /// Whether the server takes work, and why not. Needs no token.
  public func readiness() async throws -> ServerHealth {
    try await health("readyz")
  }

  private func health(_ path: String) async throws -> ServerHealth {
    var client = self
    client.options.attempts = 1
    let answer = try await client.answer(to: Call(path: [path]))
    guard answer.isSuccess || answer.status == 503 else { throw OrreryError(answer) }
    let node = try answer.object()
    let status =
      node["detail"]?.stringValue ?? node["reason"]?.stringValue ?? node["status"]?.stringValue
    return ServerHealth(
      isGood: answer.isSuccess, status: status ?? "status \(answer.status)",
      date: answer.header("date").flatMap(Self.httpDate))
  }

  /// `Sun, 06 Nov 1994 08:49:37 GMT`
  private static func httpDate(_ text: String) -> Date? {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(secondsFromGMT: 0)
    formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
    return formatter.date(from: text)
  }
}

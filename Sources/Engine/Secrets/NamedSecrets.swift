// SPDX-License-Identifier: Apache-2.0
// Secrets that the configuration and connectors refer to by name.
package import Domain
import Synchronization

/// The opened values, for connectors that need them without waiting.
final class NamedSecrets: Sendable {
  private let values = Mutex<[String: [UInt8]]>([:])

  func load(_ secrets: [StoredSecret], vault: Vault) throws(Vault.Problem) {
    for secret in secrets {
      set(secret.name, try vault.open(secret.sealed, for: .secret(secret.name)))
    }
  }

  func set(_ name: String, _ value: [UInt8]?) { values.withLock { $0[name] = value } }
  func value(_ name: String) -> [UInt8]? { values.withLock { $0[name] } }
}

extension Engine {
  package func secretNames() async throws(ControlError) -> [StoredSecret] {
    let secrets = try await stored { () throws(StoreError) in try await store.secrets() }
    return secrets.sorted { $0.name < $1.name }
  }

  /// The value of a named secret; nil if there is none.
  package func secret(_ name: String) -> String? {
    namedSecrets.value(name).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Seals and stores a value under a name; replaces an earlier one.
  package func setSecret(_ name: String, _ value: [UInt8]) async throws(ControlError) {
    try await registry.hold { () throws(ControlError) in try await sealSecret(name, value) }
  }

  private func sealSecret(_ name: String, _ value: [UInt8]) async throws(ControlError) {
    let known = try await secretNames()
    let earlier = known.first { $0.name == name }
    guard earlier != nil || known.count < limits.secrets else {
      throw ControlError(.limitReached, "There are \(known.count) secrets; no more fit.")
    }
    let sealed: [UInt8]
    do { sealed = try vault.seal(value, for: .secret(name)) } catch {
      throw ControlError(.internalError, "The secret could not be sealed.")
    }
    let now = world.now()
    let secret = StoredSecret(
      name: name, sealed: sealed, createdAt: earlier?.createdAt ?? now, updatedAt: now)
    try await stored { () throws(StoreError) in try await store.save(secret) }
    namedSecrets.set(name, value)
  }

  package func removeSecret(_ name: String) async throws(ControlError) {
    try await registry.hold { () throws(ControlError) in
      let found = try await stored { () throws(StoreError) in try await store.removeSecret(name) }
      namedSecrets.set(name, nil)
      guard found else { throw ControlError(.notFound, "There is no secret with this name.") }
    }
  }
}

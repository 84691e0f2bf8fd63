// SPDX-License-Identifier: Apache-2.0
// Secrets that the configuration and connectors refer to by name.
package import Domain

extension Engine {
  package func secretNames() async throws(ControlError) -> [StoredSecret] {
    let secrets = try await stored { () throws(StoreError) in try await store.secrets() }
    return secrets.sorted { $0.name < $1.name }
  }

  /// Seals and stores a value under a name; replaces an earlier one.
  package func setSecret(_ name: String, _ value: [UInt8]) async throws(ControlError) {
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
  }

  /// The value of a named secret; nil if there is none.
  package func secret(_ name: String) async throws(ControlError) -> [UInt8]? {
    guard let secret = try await secretNames().first(where: { $0.name == name }) else { return nil }
    do { return try vault.open(secret.sealed, for: .secret(name)) } catch {
      throw ControlError(.internalError, "The secret \(name) cannot be opened with this master key.")
    }
  }

  package func removeSecret(_ name: String) async throws(ControlError) {
    let found = try await stored { () throws(StoreError) in try await store.removeSecret(name) }
    guard found else { throw ControlError(.notFound, "There is no secret with this name.") }
  }
}

// SPDX-License-Identifier: Apache-2.0
// The key under which secrets are sealed: from the environment, or from the data folder.
import Domain
import Engine
import Foundation

/// Finds, makes and rotates the master key. A rotation is safe against a crash at any point: the
/// new
/// key lies in `master.key.next` before the store is resealed, and takes the place of the old one
/// after; whichever of the two opens the store's check value is the key.
struct MasterKey: Sendable {
  static let variable = "ORRERY_MASTER_KEY"
  private let path: String
  private let given: String?
  /// A rotation has `master.key.next` for itself.
  private let rotation = AsyncLock()

  init(dataFolder: String, given: String?) {
    path = dataFolder + "/master.key"
    self.given = given
  }

  private var nextPath: String { path + ".next" }

  /// The vault whose key the store was sealed under; a new store gets a new key.
  func open(_ store: any Store, random: @Sendable () -> UInt64) async throws -> Vault {
    if let given { return try await check(vault(given, from: Self.variable), store) }
    let isNewStore = try await store.meta(KeyCheck.name) == nil
    guard let text = try PrivateFile.read(path) else {
      guard isNewStore else {
        throw StartError(
          "The master key \(path) is missing; put it back, or set \(Self.variable): "
            + "without it the stored secrets cannot be read."
        )
      }
      return try await check(vault(try make(at: path, random: random), from: path), store)
    }
    let current = try vault(text, from: path)
    if try await KeyCheck.accepts(current, store: store) { return current }
    if let next = try PrivateFile.read(nextPath) {
      let vault = try vault(next, from: nextPath)
      if try await KeyCheck.accepts(vault, store: store) {
        try putNextInPlace()
        return vault
      }
    }
    return try await check(current, store)
  }

  private func check(_ vault: Vault, _ store: any Store) async throws -> Vault {
    guard try await KeyCheck.accepts(vault, store: store) else {
      let name = given == nil ? path : Self.variable
      throw StartError(
        "The master key in \(name) is not the one that this database was "
          + "sealed under (key \(vault.keyID)); use the right one."
      )
    }
    return vault
  }

  private func vault(_ text: String, from name: String) throws -> Vault {
    guard let key = Base64.decode(text) else { throw badKey(name) }
    do { return try Vault(key: key) } catch { throw badKey(name) }
  }

  private func badKey(_ name: String) -> StartError {
    StartError(
      "\(name) does not hold 32 bytes in base64; make one with: head -c 32 /dev/urandom | base64")
  }

  private func make(at path: String, random: () -> UInt64) throws -> String {
    var key: [UInt8] = []
    for _ in 0..<4 { withUnsafeBytes(of: random()) { key.append(contentsOf: $0) } }
    let text = Base64.encode(key)
    try PrivateFile.write(text, to: path)
    return text
  }

  /// Makes a new key, seals everything under it, and puts it in place; returns the new key's id.
  func rotate(
    _ engine: Engine, random: @Sendable () -> UInt64
  ) async throws(ControlError) -> String {
    guard given == nil else {
      throw ControlError(
        .conflict, "The master key comes from \(Self.variable); the server cannot change it there.")
    }
    return try await rotation.hold { () throws(ControlError) in
      do {
        if try await isNextInUse(engine.store) { try putNextInPlace() }
        let next = try vault(try make(at: nextPath, random: random), from: nextPath)
        try await engine.rotateMasterKey(to: next)
        try putNextInPlace()
        return next.keyID
      } catch let error as ControlError {
        throw error
      } catch let error as StoreError {
        throw error.asControlError
      } catch {
        throw ControlError(.internalError, "The new master key could not be kept: \(error)")
      }
    }
  }

  /// Whether an earlier rotation sealed the store and could not put its key in place.
  private func isNextInUse(_ store: any Store) async throws -> Bool {
    guard let text = try PrivateFile.read(nextPath), let key = Base64.decode(text) else {
      return false
    }
    let next: Vault
    do { next = try Vault(key: key) } catch { return false }
    return try await KeyCheck.accepts(next, store: store)
  }

  private func putNextInPlace() throws {
    guard let text = try PrivateFile.read(nextPath) else {
      throw StartError("The master key \(nextPath) is missing.")
    }
    try PrivateFile.write(text, to: path)
    try FileManager.default.removeItem(atPath: nextPath)
  }
}

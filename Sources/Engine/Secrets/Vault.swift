// SPDX-License-Identifier: Apache-2.0
// Seals what must not be readable in the database.
private import Crypto
package import Domain
import Synchronization

/// AES-256-GCM under the master key. A sealed value is: version 1, eight bytes of key id, a random
/// nonce of 12 bytes, ciphertext and tag; the additional data is `table|column|row`, so that a
/// value
/// moved to another place cannot be opened.
package final class Vault: Sendable {
  package struct Place: Sendable {
    var text: String
    package static func agent(_ id: AgentID) -> Place { Place(text: "agents|secret|\(id)") }
    package static func previousAgent(_ id: AgentID) -> Place {
      Place(text: "agents|previous_secret|\(id)")
    }
    package static func secret(_ name: String) -> Place { Place(text: "secrets|sealed|\(name)") }
    package static let check = Place(text: "meta|value|key-check")
  }

  package enum Problem: Error, Sendable, Equatable {
    /// The master key is not 32 bytes of base64.
    case badKey
    /// Sealed under another key, or changed.
    case cannotOpen
  }

  private let key: Mutex<SymmetricKey>

  /// - Parameter key: 32 bytes.
  package init(key: [UInt8]) throws(Problem) {
    guard key.count == 32 else { throw .badKey }
    self.key = Mutex(SymmetricKey(data: key))
  }

  /// The first eight bytes of the key's SHA-256, in hexadecimal: for people, to tell keys apart.
  package var keyID: String { Hex.encode(Self.id(of: key.withLock { $0 })) }

  private static func id(of key: SymmetricKey) -> [UInt8] {
    key.withUnsafeBytes { Array(sha256(Array($0)).prefix(8)) }
  }

  package func seal(_ bytes: [UInt8], for place: Place) throws(Problem) -> [UInt8] {
    let key = key.withLock { $0 }
    do {
      let box = try AES.GCM.seal(bytes, using: key, authenticating: Array(place.text.utf8))
      return [1] + Self.id(of: key) + Array(box.nonce) + Array(box.ciphertext) + Array(box.tag)
    } catch {
      throw .cannotOpen
    }
  }

  package func open(_ sealed: [UInt8], for place: Place) throws(Problem) -> [UInt8] {
    let key = key.withLock { $0 }
    guard sealed.count >= 37, sealed[0] == 1, Array(sealed[1..<9]) == Self.id(of: key) else {
      throw .cannotOpen
    }
    do {
      let box = try AES.GCM.SealedBox(combined: sealed[9...])
      return Array(try AES.GCM.open(box, using: key, authenticating: Array(place.text.utf8)))
    } catch {
      throw .cannotOpen
    }
  }

  /// From now on everything is sealed under this key; the caller has resealed the store.
  package func replaceKey(by other: Vault) {
    let new = other.key.withLock { $0 }
    key.withLock { $0 = new }
  }
}

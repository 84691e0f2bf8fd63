// SPDX-License-Identifier: Apache-2.0
// Bearer tokens of operators and programs: stored hashed, looked up by hash.
package import Domain
import Synchronization

/// What a token allows. Each role includes the ones before it, except `join`, which allows only
/// that.
package enum Role: String, Sendable, CaseIterable {
  case viewer, `operator`, admin, join

  /// Whether a token of this role may do what asks for `needed`.
  package func allows(_ needed: Role) -> Bool {
    switch (self, needed) {
    case (.admin, _): true
    case (.operator, .viewer), (.operator, .operator), (.operator, .join): true
    case (.viewer, .viewer), (.join, .join): true
    default: false
    }
  }
}

/// Who signed in, for asking later whether the token still counts; the token itself is not kept.
package struct TokenHolder: Sendable, Hashable {
  fileprivate let hash: [UInt8]
}

/// The tokens, in memory by the SHA-256 of their text.
package final class TokenBook: Sendable {
  private let store: any Store
  private let world: World
  private let most: Int
  private let tokens: Mutex<[[UInt8]: StoredToken]>
  private let changeCount = Atomic(0)

  package init(store: any Store, world: World, most: Int) async throws(StoreError) {
    self.store = store
    self.world = world
    self.most = most
    var known: [[UInt8]: StoredToken] = [:]
    for token in try await store.tokens() { known[token.hash] = token }
    tokens = Mutex(known)
  }

  package var isEmpty: Bool { tokens.withLock { $0.isEmpty } }

  package var all: [StoredToken] {
    tokens.withLock { Array($0.values) }.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
  }

  /// The role of a presented token; nil if it is not known. Only hashes are compared, so the time
  /// taken tells nothing of the token.
  package func role(of token: some Collection<UInt8>) -> Role? {
    let hash = sha256(token)
    return tokens.withLock { $0[hash] }.flatMap { Role(rawValue: $0.role) }
  }

  /// Who presents this token, if it is known.
  package func holder(of token: some Collection<UInt8>) -> TokenHolder? {
    let hash = sha256(token)
    return tokens.withLock { $0[hash] } == nil ? nil : TokenHolder(hash: hash)
  }

  /// Whether this holder's token is there still and allows what asks for `needed`.
  package func allows(_ holder: TokenHolder, _ needed: Role) -> Bool {
    tokens.withLock { $0[holder.hash] }.flatMap { Role(rawValue: $0.role) }?.allows(needed)
      ?? false
  }

  /// Rises when a token is added or removed.
  package var changes: Int { changeCount.load(ordering: .acquiring) }

  /// Makes a token; its text is shown this once.
  package func create(
    name: String, role: Role
  ) async throws(ControlError) -> (token: StoredToken, text: String) {
    let count = tokens.withLock { $0.count }
    guard count < most else {
      throw ControlError(.limitReached, "There are \(count) tokens; no more fit.")
    }
    let text = newText()
    return (try await add(text, name: name, role: role), text)
  }

  /// The text of a token that is not known yet; `add` makes it one.
  package func newText() -> String {
    var secret: [UInt8] = []
    for _ in 0..<4 { withUnsafeBytes(of: world.random()) { secret.append(contentsOf: $0) } }
    return "orr_" + Hex.encode(secret)
  }

  /// Takes over a token that somebody else made (`ORRERY_ADMIN_TOKEN`); a known one stays as it is.
  package func add(
    _ text: String, name: String, role: Role
  ) async throws(ControlError) -> StoredToken {
    let hash = sha256(text.utf8)
    if let known = tokens.withLock({ $0[hash] }), known.role == role.rawValue { return known }
    let token = StoredToken(
      id: "tok_" + Hex.encode(hash.prefix(8)), name: name, role: role.rawValue, hash: hash,
      createdAt: world.now())
    try await stored { () throws(StoreError) in try await store.save(token) }
    tokens.withLock { $0[hash] = token }
    changeCount.add(1, ordering: .releasing)
    return token
  }

  package func remove(_ id: String) async throws(ControlError) {
    let found = try await stored { () throws(StoreError) in try await store.removeToken(id) }
    tokens.withLock { tokens in tokens = tokens.filter { $0.value.id != id } }
    changeCount.add(1, ordering: .releasing)
    guard found else { throw ControlError(.notFound, "There is no token with this id.") }
  }

  /// Forgets the tokens of this name, except the one given: a variable's older values.
  package func removeAll(named name: String, except kept: StoredToken) async throws(ControlError) {
    for token in all where token.name == name && token.id != kept.id { try await remove(token.id) }
  }
}

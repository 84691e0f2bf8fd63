// SPDX-License-Identifier: Apache-2.0
// The vault, the master key, agents' secrets and tokens.
import Domain
import Simulation
import Testing

@testable import Engine

@Suite struct VaultTests {
  private func vault(_ byte: UInt8 = 1) throws -> Vault {
    try Vault(key: Array(repeating: byte, count: 32))
  }

  @Test func `what is sealed can be opened`() throws {
    let vault = try vault()
    for text in ["", "x", String(repeating: "secret", count: 1_000)] {
      let bytes = Array(text.utf8)
      let sealed = try vault.seal(bytes, for: .secret("a"))
      #expect(try vault.open(sealed, for: .secret("a")) == bytes)
      #expect(sealed.count == bytes.count + 37)
      #expect(try vault.seal(bytes, for: .secret("a")) != sealed, "a new nonce each time")
    }
  }

  @Test func `not at another place`() throws {
    let vault = try vault()
    let id = AgentID(stored: "a")
    let places: [Vault.Place] = [
      .agent(id), .previousAgent(id), .agent(AgentID(stored: "b")), .secret("a"), .check,
    ]
    for (index, place) in places.enumerated() {
      let sealed = try vault.seal([1, 2, 3], for: place)
      for (other, elsewhere) in places.enumerated() where other != index {
        #expect(throws: Vault.Problem.cannotOpen) { try vault.open(sealed, for: elsewhere) }
      }
    }
  }

  @Test func `not with another key`() throws {
    let sealed = try vault(1).seal([1, 2, 3], for: .check)
    let other = try vault(2)
    #expect(throws: Vault.Problem.cannotOpen) { try other.open(sealed, for: .check) }
    #expect(try vault(1).keyID != other.keyID)
    #expect(other.keyID.count == 16)
  }

  @Test func `not when any byte was changed or cut off`() throws {
    let vault = try vault()
    let sealed = try vault.seal(Array("secret".utf8), for: .check)
    for index in sealed.indices {
      var bad = sealed
      bad[index] ^= 1
      #expect(throws: Vault.Problem.cannotOpen) { try vault.open(bad, for: .check) }
      let short = Array(sealed.prefix(index))
      #expect(throws: Vault.Problem.cannotOpen) { try vault.open(short, for: .check) }
    }
  }

  @Test(arguments: [0, 16, 31, 33]) func `a key has 32 bytes`(count: Int) {
    #expect(throws: Vault.Problem.badKey) { try Vault(key: Array(repeating: 0, count: count)) }
  }

  @Test func `a store accepts the key that it was begun with`() async throws {
    let store = MemoryStore()
    #expect(try await KeyCheck.accepts(vault(1), store: store))
    #expect(try await KeyCheck.accepts(vault(1), store: store))
    #expect(try await KeyCheck.accepts(vault(2), store: store) == false)
  }
}

@Suite(.timeLimit(.minutes(1))) struct RotationTests {
  /// Whether a request signed with this secret is let in.
  private func isLetIn(_ secret: AgentSecret, _ agent: AgentID, _ test: EngineCase) -> Bool {
    let headers = Signature.standardHeaders(
      agentID: agent, id: "msg", timestampSeconds: test.world.now.milliseconds / 1_000,
      body: [], secrets: [secret])
    do throws(ControlError) {
      let signedIn = try test.engine.verify(body: [], allowCompat: false) { header in
        headers.filter { $0.header == header }.map(\.value)
      }
      return signedIn.agent == agent
    } catch {
      #expect(error.code == .unauthorized)
      return false
    }
  }

  @Test func `the old secret is valid for its grace`() async throws {
    let test = try await EngineCase.open()
    let record = EngineCase.record("a", now: test.world.now)
    let old = try await test.engine.register(record)
    let new = try await test.engine.rotateSecret(of: record.id, graceSeconds: 60)
    #expect(isLetIn(old, record.id, test) && isLetIn(new, record.id, test))
    test.world.advance(59_999)
    #expect(isLetIn(old, record.id, test))
    test.world.advance(1)
    #expect(!isLetIn(old, record.id, test) && isLetIn(new, record.id, test))
    let newest = try await test.engine.rotateSecret(of: record.id, graceSeconds: 0)
    #expect(!isLetIn(new, record.id, test) && isLetIn(newest, record.id, test))
  }

  @Test func `both secrets survive a restart`() async throws {
    let store = FaultyStore()
    let world = ManualWorld()
    let test = try await EngineCase.open(store: store, world: world)
    let record = EngineCase.record("a", now: world.now)
    let old = try await test.engine.register(record)
    let new = try await test.engine.rotateSecret(of: record.id, graceSeconds: 60)
    let again = try await EngineCase.open(store: store, world: world)
    #expect(isLetIn(old, record.id, again) && isLetIn(new, record.id, again))
    world.advance(60_000)
    #expect(!isLetIn(old, record.id, again))
  }

  @Test func `pushes are signed with both while rotating`() async throws {
    try await EngineCase.run { test in
      let record = EngineCase.record("a", now: test.world.now)
      let old = try await test.engine.register(record)
      let new = try await test.engine.rotateSecret(of: record.id, graceSeconds: 60)
      _ = try await test.dispatched()
      #expect(test.connector.lastSecrets == [new, old])
    }
  }

  @Test func `a disabled or deleted agent is not let in`() async throws {
    let test = try await EngineCase.open()
    let record = EngineCase.record("a", now: test.world.now)
    let secret = try await test.engine.register(record)
    #expect(isLetIn(secret, record.id, test))
    _ = try await test.engine.change(record.id) { $0.state = .disabled }
    #expect(!isLetIn(secret, record.id, test))
    _ = try await test.engine.change(record.id) { $0.state = .active }
    #expect(isLetIn(secret, record.id, test))
    try await test.engine.removeAgent(record.id)
    #expect(!isLetIn(secret, record.id, test))
  }

  @Test func `a new master key seals everything`() async throws {
    let store = FaultyStore()
    let test = try await EngineCase.open(store: store)
    let record = EngineCase.record("a", now: test.world.now)
    let old = try await test.engine.register(record)
    let new = try await test.engine.rotateSecret(of: record.id, graceSeconds: 60)
    try await test.engine.setSecret("token", Array("value".utf8))
    let key = Array(repeating: UInt8(9), count: 32)
    store.fail(.reseal)
    let before = test.engine.vault.keyID
    let next = try Vault(key: key)
    #expect(
      await refusal { () throws(ControlError) in
        try await test.engine.rotateMasterKey(to: next)
      } == .storeUnavailable)
    #expect(test.engine.vault.keyID == before)
    try await test.engine.rotateMasterKey(to: next)
    #expect(test.engine.vault.keyID == next.keyID)
    #expect(try await KeyCheck.accepts(next, store: store))
    let again = try await EngineCase.open(store: store, key: key)
    #expect(isLetIn(old, record.id, again) && isLetIn(new, record.id, again))
    #expect(again.engine.secret("token") == "value")
    await #expect(throws: (any Error).self) { try await EngineCase.open(store: store) }
  }

  @Test func `named secrets`() async throws {
    let test = try await EngineCase.open { $0.limits.secrets = 1 }
    #expect(test.engine.secret("a") == nil)
    try await test.engine.setSecret("a", Array("one".utf8))
    try await test.engine.setSecret("a", Array("two".utf8))
    #expect(test.engine.secret("a") == "two")
    #expect(
      await refusal { () throws(ControlError) in try await test.engine.setSecret("b", [1]) }
        == .limitReached)
    try await test.engine.removeSecret("a")
    #expect(test.engine.secret("a") == nil)
    #expect(
      await refusal { () throws(ControlError) in try await test.engine.removeSecret("a") }
        == .notFound)
  }
}

@Suite struct TokenBookTests {
  @Test func `what each role allows`() {
    let table: [Role: Set<Role>] = [
      .viewer: [.viewer], .operator: [.viewer, .operator, .join],
      .admin: [.viewer, .operator, .admin, .join], .join: [.join],
    ]
    for role in Role.allCases {
      for needed in Role.allCases {
        #expect(role.allows(needed) == (table[role]?.contains(needed) == true), "\(role) \(needed)")
      }
    }
  }

  private func book(_ store: FaultyStore, most: Int = 10) async throws -> TokenBook {
    try await TokenBook(store: store, world: ManualWorld().world, most: most)
  }

  @Test func `a token is known by its text alone, and stored hashed`() async throws {
    let store = FaultyStore()
    let book = try await book(store)
    #expect(book.isEmpty)
    let made = try await book.create(name: "ci", role: .operator)
    #expect(made.text.hasPrefix("orr_") && made.text.utf8.count == 68)
    #expect(book.role(of: made.text.utf8) == .operator)
    #expect(book.role(of: "orr_".utf8) == nil && book.role(of: made.token.id.utf8) == nil)
    #expect(store.inner.tokens() == [made.token])
    #expect(made.token.hash.count == 32)
    let again = try await self.book(store)
    #expect(again.role(of: made.text.utf8) == .operator)
    try await again.remove(made.token.id)
    #expect(again.role(of: made.text.utf8) == nil && store.inner.tokens().isEmpty)
    #expect(
      await refusal { () throws(ControlError) in try await again.remove(made.token.id) }
        == .notFound)
  }

  @Test func `a token that was not stored is not known`() async throws {
    let store = FaultyStore()
    let book = try await book(store)
    store.fail(.saveToken)
    #expect(
      await refusal { () throws(ControlError) in
        try await book.create(name: "ci", role: .viewer)
      } == .storeUnavailable)
    #expect(book.isEmpty)
  }

  @Test func `there is a limit`() async throws {
    let book = try await book(FaultyStore(), most: 1)
    _ = try await book.create(name: "one", role: .viewer)
    #expect(
      await refusal { () throws(ControlError) in
        try await book.create(name: "two", role: .viewer)
      } == .limitReached)
  }

  @Test func `a token of the environment replaces its older values`() async throws {
    let book = try await book(FaultyStore())
    let first = try await book.add("first text", name: "env", role: .admin)
    #expect(try await book.add("first text", name: "env", role: .admin) == first)
    let second = try await book.add("second text", name: "env", role: .admin)
    _ = try await book.add("other", name: "other", role: .viewer)
    try await book.removeAll(named: "env", except: second)
    #expect(book.role(of: "first text".utf8) == nil)
    #expect(book.role(of: "second text".utf8) == .admin)
    #expect(book.all.count == 2)
  }
}

// SPDX-License-Identifier: Apache-2.0
// Every session of Engine.IO by its id; bounded.
import NIOCore
import Synchronization

/// The sessions of the server. Closed ones are kept for a moment, so that requests on their way are
/// answered as the protocol asks.
final class EngineIOSessions: Sendable {
  private struct Table {
    var sessions: [String: EngineIOSession] = [:]
    var open = 0
    /// Of them those that have not signed in.
    var strangers = 0
  }

  let settings: EngineIOSettings
  private let random: @Sendable () -> UInt64
  private let table = Mutex(Table())

  init(settings: EngineIOSettings, random: @escaping @Sendable () -> UInt64) {
    self.settings = settings
    self.random = random
  }

  var openCount: Int { table.withLock { $0.open } }

  /// A new session would find a place now.
  var hasRoom: Bool { table.withLock { hasRoom($0) } }

  private func hasRoom(_ table: borrowing Table) -> Bool {
    table.open < settings.mostSessions && table.strangers < settings.mostStrangers
  }

  subscript(_ id: String) -> EngineIOSession? { table.withLock { $0.sessions[id] } }

  /// All that are known, in no order.
  var all: [EngineIOSession] { table.withLock { Array($0.sessions.values) } }

  /// A new session on this loop, which must be the current one.
  /// - Returns: nil if there are too many.
  func open(
    on loop: any EventLoop, link: (any EngineIOLink)? = nil
  ) -> EngineIOSession? {
    guard enter() else { return nil }
    let session = EngineIOSession(
      id: SessionID.random(random), loop: loop, settings: settings, link: link,
      onSignedIn: { [weak self] in self?.signedIn() },
      onClosed: { [weak self] in self?.closed($0) })
    table.withLock { $0.sessions[session.id] = session }
    return session
  }

  private func enter() -> Bool {
    table.withLock { table in
      guard hasRoom(table) else { return false }
      table.open += 1
      table.strangers += 1
      return true
    }
  }

  private func signedIn() { table.withLock { $0.strangers -= 1 } }

  private func closed(_ session: EngineIOSession) {
    table.withLock { table in
      table.open -= 1
      if !session.isSignedIn { table.strangers -= 1 }
    }
    let id = session.id
    session.loop.scheduleTask(in: settings.memory) { [weak self] in
      self?.forget(id)
    }
  }

  private func forget(_ id: String) {
    _ = table.withLock { $0.sessions.removeValue(forKey: id) }
  }
}

/// Names that nobody guesses: 120 random bits, URL-safe.
enum SessionID {
  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  static func random(_ random: () -> UInt64) -> String {
    var text: [UInt8] = []
    while text.count < EngineIORequest.sessionLength {
      var bits = random()
      for _ in 0..<10 {
        text.append(alphabet[Int(truncatingIfNeeded: bits & 63)])
        bits >>= 6
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}

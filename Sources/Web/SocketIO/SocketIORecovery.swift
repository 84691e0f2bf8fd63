// SPDX-License-Identifier: Apache-2.0
// What a client that lost its connection finds again when it comes back in time.
import NIOCore
import Synchronization

/// By private id. Bounded: the connections that ended first are forgotten first.
final class SocketIORecovery: Sendable {
  /// How far a client had come.
  struct Place: Equatable, Sendable {
    /// The public id, which it keeps.
    var id: String
    /// Nil: it had unsubscribed.
    var interest: SocketIOInterest?
    /// All up to here has surely arrived.
    var cursor: String
  }

  private struct Entry {
    var place: Place
    /// Ends the connection that still holds the place; nil once it has ended.
    var release: (@Sendable () -> Void)?
    /// Differs between connections that held the same place one after another.
    var holder: Int
  }

  private struct Ended {
    var privateID: String
    var holder: Int
    var until: NIODeadline
  }

  private struct Table {
    var entries: [String: Entry] = [:]
    var ended = CircularBuffer<Ended>()
    var lastHolder = 0
  }

  private let memory: TimeAmount
  private let most: Int
  private let table = Mutex(Table())

  init(memory: TimeAmount = .minutes(2), most: Int) {
    self.memory = memory
    self.most = most
  }

  var count: Int { table.withLock { $0.entries.count } }

  /// The place of a client that comes back. A connection that still holds it is ended: the client
  /// knows better.
  func take(_ privateID: String, now: NIODeadline) -> Place? {
    let entry = table.withLock { table in
      Self.purge(&table, now: now, most: most)
      return table.entries.removeValue(forKey: privateID)
    }
    entry?.release?()
    return entry?.place
  }

  /// A connection holds this place from now on.
  /// - Returns: the number to `update` and `end` it with.
  func hold(
    _ privateID: String, _ place: Place, release: @escaping @Sendable () -> Void
  ) -> Int {
    table.withLock { table in
      table.lastHolder += 1
      table.entries[privateID] = Entry(place: place, release: release, holder: table.lastHolder)
      return table.lastHolder
    }
  }

  func update(_ privateID: String, holder: Int, _ change: @Sendable (inout Place) -> Void) {
    table.withLock { table in
      guard var entry = table.entries[privateID], entry.holder == holder else { return }
      change(&entry.place)
      table.entries[privateID] = entry
    }
  }

  /// The connection ended.
  /// - Parameter mayReturn: Whether its place is kept for a while.
  func end(_ privateID: String, holder: Int, mayReturn: Bool, now: NIODeadline) {
    table.withLock { table in
      guard table.entries[privateID]?.holder == holder else { return }
      if mayReturn {
        table.entries[privateID]?.release = nil
        table.ended.append(Ended(privateID: privateID, holder: holder, until: now + memory))
      } else {
        table.entries[privateID] = nil
      }
      Self.purge(&table, now: now, most: most)
    }
  }

  private static func purge(_ table: inout Table, now: NIODeadline, most: Int) {
    while let oldest = table.ended.first, oldest.until <= now || table.ended.count > most {
      table.ended.removeFirst()
      if table.entries[oldest.privateID]?.holder == oldest.holder {
        table.entries[oldest.privateID] = nil
      }
    }
  }
}

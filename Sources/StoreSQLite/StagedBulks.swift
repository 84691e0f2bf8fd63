// SPDX-License-Identifier: Apache-2.0
// Bulks that are being written and that nobody may see yet.
internal import Domain
internal import Engine

/// What the writer remembers of open bulks, in step with its transactions.
struct StagedBulks {
  private struct Entry {
    var ids: ClosedRange<Int64>
    var counts: [DemandID: Int64] = [:]
    /// Its mark stands in a committed row.
    var isMarked = false
  }

  /// By first id.
  private var entries: [Int64: Entry] = [:]
  /// Marked in the present transaction.
  private var opening: [Int64] = []
  /// Published or discarded in the present transaction.
  private var closing: [Int64] = []

  /// True if the bulk needs its mark in this transaction.
  mutating func open(_ ids: ClosedRange<Int64>) -> Bool {
    let first = ids.lowerBound
    if entries[first] == nil { entries[first] = Entry(ids: ids) }
    guard entries[first]?.isMarked == false, !opening.contains(first) else { return false }
    opening.append(first)
    return true
  }

  mutating func add(_ demands: [DemandID], to ids: ClosedRange<Int64>) {
    for demand in demands { entries[ids.lowerBound]?.counts[demand, default: 0] += 1 }
  }

  func counts(of ids: ClosedRange<Int64>) -> [DemandID: Int64] {
    entries[ids.lowerBound]?.counts ?? [:]
  }

  mutating func close(_ ids: ClosedRange<Int64>) { closing.append(ids.lowerBound) }

  func contains(_ id: TaskID) -> Bool {
    !entries.isEmpty && entries.values.contains { $0.ids.contains(id.rawValue) }
  }

  mutating func committed() {
    for first in opening { entries[first]?.isMarked = true }
    for first in closing { entries[first] = nil }
    opening.removeAll(keepingCapacity: true)
    closing.removeAll(keepingCapacity: true)
  }

  /// A bulk stays hidden: what it counted is void, but a bulk of which a part failed is discarded.
  mutating func rolledBack() {
    opening.removeAll(keepingCapacity: true)
    closing.removeAll(keepingCapacity: true)
  }
}

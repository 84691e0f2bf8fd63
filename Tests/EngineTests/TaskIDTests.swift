// SPDX-License-Identifier: Apache-2.0
// Task ids: ULIDs outside, rising numbers inside, made-up ones recognised.
import Domain
import Simulation
import Testing

@testable import Engine

@Suite struct TaskIDTests {
  static let numbers: [Int64] =
    [0, 1, (1 << 22) - 1, 1 << 22, Int64.max]
    + {
      var chance = Chance(seed: 9)
      return (0..<200).map { _ in Int64(truncatingIfNeeded: chance.next() >> 1) }
    }()

  @Test func `a ULID and back`() throws {
    for number in Self.numbers {
      let id = TaskID(rawValue: number)
      let text = id.description
      #expect(text.utf8.count == 26)
      #expect(text.utf8.allSatisfy("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8.contains))
      #expect(TaskID(text) == id)
      var bytes: [UInt8] = []
      id.append(to: &bytes)
      #expect(bytes == Array(text.utf8))
    }
  }

  @Test func `texts are in the order of the numbers`() {
    let sorted = Self.numbers.sorted().map { TaskID(rawValue: $0).description }
    #expect(sorted == sorted.sorted())
  }

  @Test func `an id says when it was made`() {
    let time = Timestamp(milliseconds: 1_800_000_000_123)
    #expect(TaskID.first(at: time.milliseconds).createdAt == time)
    #expect(TaskID.first(at: .min).rawValue == 0)
    #expect(TaskID.first(at: .max).rawValue > 0)
  }

  @Test func `any other text is refused`() {
    let good = TaskID(rawValue: 1 << 40).description
    for index in good.indices {
      for digit in "0A7Z" where good[index] != digit {
        var bad = good
        bad.replaceSubrange(index...index, with: String(digit))
        #expect(TaskID(bad) == nil, "\(bad)")
      }
    }
  }

  @Test(arguments: [
    "", "1", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "00000000000000000000000000",
    "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "ZZZZZZZZZZZZZZZZZZZZZZZZZZ",
    "0000000000000000000000000é", "../../../../../etc/passwd!",
    "01arz3ndektsv4rrffq69g5fav", "01ARZ3NDEKTSV4RRFFQ69G5FAVX",
  ])
  func `made-up ids are refused`(text: String) { #expect(TaskID(text) == nil) }

  @Test func `lower case is another text`() {
    let id = TaskID(rawValue: 1 << 50)
    #expect(TaskID(id.description.lowercased()) == nil)
  }

  // MARK: TaskIDs

  @Test func `ids rise when the clock does not`() {
    let ids = TaskIDs(after: nil)
    let now = Timestamp(milliseconds: 1_800_000_000_000)
    let first = ids.next(3, now: now)
    let second = ids.next(2, now: now)
    let back = ids.next(1, now: now.adding(milliseconds: -3_600_000))
    let later = ids.next(1, now: now.adding(milliseconds: 1))
    #expect(first.lowerBound == TaskID.first(at: now.milliseconds).rawValue)
    #expect(first.upperBound == second.lowerBound)
    #expect(second.upperBound == back.lowerBound)
    #expect(later.lowerBound > back.lowerBound)
  }

  @Test func `ids follow what the store has`() {
    let last = TaskID(rawValue: 1 << 60)
    let next = TaskIDs(after: last).next(1, now: Timestamp(milliseconds: 1_800_000_000_000))
    #expect(next.lowerBound == last.rawValue + 1)
  }
}

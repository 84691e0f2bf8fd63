// SPDX-License-Identifier: Apache-2.0
// The tasks of one demand that could run now: by priority, fair between keys, oldest first.
import DequeModule
import Domain
import HeapModule

/// Ready tasks of one demand. Within a priority the keys take turns, and within a key the oldest
/// goes first; without keys that is simply the oldest. A task costs eight bytes here.
struct ReadyQueue {
  static let levels = 10

  /// The ready tasks of one key.
  private struct Flow {
    var key: String?
    var tasks: [Heap<Int64>?] = Array(repeating: nil, count: ReadyQueue.levels)
    /// Bit p: the flow stands in the ring of priority p, or is parked there.
    var standing: UInt16 = 0
    /// Bit p: the flow was taken out of the ring of priority p because its key may not run.
    var parked: UInt16 = 0
    var count = 0
  }

  private var flows: [Flow] = [Flow(key: nil)]
  private var flowOfKey: [String: Int32] = [:]
  private var free: [Int32] = []
  private var rings: [Deque<Int32>] = Array(repeating: [], count: ReadyQueue.levels)
  private(set) var count = 0
  var isEmpty: Bool { count == 0 }

  struct Head {
    var priority: Int
    var id: Int64
    var flow: Int32
  }

  mutating func push(_ id: TaskID, key: String?, priority: Int) {
    let flow = flowIndex(key)
    let index = Int(flow)
    if flows[index].tasks[priority] == nil { flows[index].tasks[priority] = Heap() }
    flows[index].tasks[priority]?.insert(id.rawValue)
    flows[index].count += 1
    count += 1
    stand(flow, priority)
  }

  /// The task that should run next. `parks` is asked whether a key may not run now; such a key is
  /// taken out of the ring until `unpark`.
  mutating func head(parks: (String) -> Bool) -> Head? {
    var level = Self.levels - 1
    while level >= 0 {
      while let flow = rings[level].first {
        if let id = flows[Int(flow)].tasks[level]?.min {
          guard let key = flows[Int(flow)].key, parks(key) else {
            return Head(priority: level, id: id, flow: flow)
          }
          rings[level].removeFirst()
          flows[Int(flow)].parked |= 1 << UInt16(level)
        } else {
          rings[level].removeFirst()
          flows[Int(flow)].standing &= ~(1 << UInt16(level))
          recycle(flow)
        }
      }
      level -= 1
    }
    return nil
  }

  func key(of head: Head) -> String? { flows[Int(head.flow)].key }

  /// Takes the head out; its key goes to the end of the ring.
  mutating func take(_ head: Head) {
    let index = Int(head.flow)
    _ = flows[index].tasks[head.priority]?.popMin()
    flows[index].count -= 1
    count -= 1
    guard rings[head.priority].count > 1, rings[head.priority].first == head.flow else { return }
    rings[head.priority].removeFirst()
    rings[head.priority].append(head.flow)
  }

  /// Puts a parked key back into the rings.
  mutating func unpark(_ key: String) {
    guard let flow = flowOfKey[key] else { return }
    let parked = flows[Int(flow)].parked
    flows[Int(flow)].parked = 0
    for level in 0..<Self.levels where parked & (1 << UInt16(level)) != 0 {
      rings[level].append(flow)
    }
  }

  /// Drops tasks that are no longer queued, and takes those that it had out of `dead`.
  mutating func remove(_ dead: inout Set<Int64>) {
    for index in flows.indices {
      for level in 0..<Self.levels {
        guard let tasks = flows[index].tasks[level] else { continue }
        let kept = tasks.unordered.filter { dead.remove($0) == nil }
        let gone = tasks.count - kept.count
        guard gone > 0 else { continue }
        flows[index].tasks[level] = Heap(kept)
        flows[index].count -= gone
        count -= gone
      }
    }
  }

  private mutating func stand(_ flow: Int32, _ priority: Int) {
    let bit = UInt16(1) << UInt16(priority)
    guard flows[Int(flow)].standing & bit == 0 else { return }
    flows[Int(flow)].standing |= bit
    rings[priority].append(flow)
  }

  private mutating func flowIndex(_ key: String?) -> Int32 {
    guard let key else { return 0 }
    if let known = flowOfKey[key] { return known }
    let index: Int32
    if let reused = free.popLast() {
      index = reused
      flows[Int(index)] = Flow(key: key)
    } else {
      index = Int32(flows.count)
      flows.append(Flow(key: key))
    }
    flowOfKey[key] = index
    return index
  }

  private mutating func recycle(_ flow: Int32) {
    let entry = flows[Int(flow)]
    guard flow != 0, entry.count == 0, entry.standing == 0, let key = entry.key else { return }
    flowOfKey[key] = nil
    flows[Int(flow)] = Flow(key: nil)
    free.append(flow)
  }
}

// SPDX-License-Identifier: Apache-2.0
// The identity of a task: one 64-bit number inside, a ULID outside.

/// Identifies a task. Inside it is a time-ordered 63-bit number (41 bits of milliseconds since
/// 2020-01-01, 22 bits of sequence), so that it is a SQLite rowid and costs eight bytes in memory;
/// outside it is a ULID (https://github.com/ulid/spec): 48 bits of Unix milliseconds, the sequence,
/// and 58 bits derived from the number, by which a made-up id is recognised without a look-up.
public struct TaskID: Hashable, Sendable, Comparable {
  public let rawValue: Int64

  package init(rawValue: Int64) {
    self.rawValue = rawValue
  }

  public static func < (a: TaskID, b: TaskID) -> Bool { a.rawValue < b.rawValue }

  /// 2020-01-01T00:00:00Z in Unix milliseconds.
  package static let epochMilliseconds: Int64 = 1_577_836_800_000
  package static let sequenceBits: Int64 = 22

  /// The first id of a millisecond; times outside 2020–2089 are clamped.
  package static func first(at unixMilliseconds: Int64) -> TaskID {
    let offset = unixMilliseconds.subtractingReportingOverflow(epochMilliseconds)
    let clamped = offset.overflow ? 0 : min(max(offset.partialValue, 0), (1 << 41) - 1)
    return TaskID(rawValue: clamped << sequenceBits)
  }

  /// When the task was created, to the millisecond.
  public var createdAt: Timestamp {
    Timestamp(milliseconds: Self.epochMilliseconds + (rawValue >> Self.sequenceBits))
  }
}

extension TaskID: CustomStringConvertible, LosslessStringConvertible {
  private static let alphabet: [UInt8] = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

  public var description: String {
    String(unsafeUninitializedCapacity: 26) { out in
      write(to: UnsafeMutableRawBufferPointer(out))
      return 26
    }
  }

  /// Appends the 26 ASCII characters.
  package func append(to bytes: inout [UInt8]) {
    withUnsafeTemporaryAllocation(byteCount: 26, alignment: 1) { buffer in
      write(to: buffer)
      bytes.append(contentsOf: buffer)
    }
  }

  private func write(to out: UnsafeMutableRawBufferPointer) {
    var value = bits
    for index in stride(from: 25, through: 0, by: -1) {
      out[index] = Self.alphabet[Int(truncatingIfNeeded: value & 31)]
      value >>= 5
    }
  }

  private var bits: UInt128 {
    let milliseconds = UInt128(truncatingIfNeeded: createdAt.milliseconds) & ((1 << 48) - 1)
    let sequence = UInt128(truncatingIfNeeded: rawValue & ((1 << Self.sequenceBits) - 1))
    return milliseconds << 80 | sequence << 58 | UInt128(Self.check(rawValue))
  }

  /// 58 bits that follow from the number (the SplitMix64 finaliser), so that typos are noticed.
  private static func check(_ raw: Int64) -> UInt64 {
    var z = UInt64(bitPattern: raw) &+ 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return (z ^ (z >> 31)) >> 6
  }

  /// Nil for anything that this installation's scheme could not have made.
  public init?(_ text: String) {
    var copy = text
    let parsed: TaskID? = copy.withUTF8 { TaskID(utf8: UnsafeRawBufferPointer($0)) }
    guard let parsed else { return nil }
    self = parsed
  }

  package init?(utf8 text: UnsafeRawBufferPointer) {
    guard text.count == 26, let first = text.first, first <= 0x37 else { return nil }
    var value: UInt128 = 0
    for byte in text {
      guard let digit = Self.digit(byte) else { return nil }
      value = value << 5 | UInt128(digit)
    }
    let milliseconds = Int64(truncatingIfNeeded: value >> 80)
    let offset = milliseconds - Self.epochMilliseconds
    guard offset >= 0, offset < 1 << 41 else { return nil }
    let sequence = Int64(truncatingIfNeeded: value >> 58) & ((1 << Self.sequenceBits) - 1)
    self.init(rawValue: offset << Self.sequenceBits | sequence)
    guard bits == value else { return nil }
  }

  /// Whether the text could be a ULID of somebody's; ours are recognised by `init`.
  package static func isWellFormed(_ text: String) -> Bool {
    guard text.utf8.count == 26, let first = text.utf8.first, first <= 0x37 else { return false }
    return text.utf8.allSatisfy { digit($0) != nil }
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x48: byte - 0x41 + 10
    case 0x4A, 0x4B: byte - 0x4A + 18
    case 0x4D, 0x4E: byte - 0x4D + 20
    case 0x50...0x54: byte - 0x50 + 22
    case 0x56...0x5A: byte - 0x56 + 27
    default: nil
    }
  }
}

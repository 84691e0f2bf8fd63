// SPDX-License-Identifier: Apache-2.0
// A point in time as every part of Orrery writes it: milliseconds since 1970, RFC 3339 on the wire.

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
public struct Timestamp: Sendable, Hashable, Comparable {
  public var milliseconds: Int64

  public init(milliseconds: Int64) {
    self.milliseconds = milliseconds
  }

  /// 9999-12-31T23:59:59.999Z, the last moment that can be written.
  public static let latest = Timestamp(milliseconds: 253_402_300_799_999)
  /// 1970-01-01T00:00:00.000Z.
  public static let epoch = Timestamp(milliseconds: 0)

  public static func < (first: Timestamp, second: Timestamp) -> Bool {
    first.milliseconds < second.milliseconds
  }

  /// The moment `milliseconds` later, or earlier if negative; stops at the ends of `Int64`.
  public func adding(milliseconds delta: Int64) -> Timestamp {
    let (sum, overflow) = milliseconds.addingReportingOverflow(delta)
    if overflow { return Timestamp(milliseconds: delta < 0 ? .min : .max) }
    return Timestamp(milliseconds: sum)
  }

  /// Milliseconds from `earlier` to this moment, negative if it is later; stops at the ends of
  /// `Int64`.
  public func milliseconds(since earlier: Timestamp) -> Int64 {
    let (difference, overflow) = milliseconds.subtractingReportingOverflow(earlier.milliseconds)
    if overflow { return earlier.milliseconds > 0 ? .min : .max }
    return difference
  }
}

// MARK: Writing

extension Timestamp: CustomStringConvertible {
  /// `2026-01-13T17:05:00.000Z`. A moment outside the years 0 to 9999 is shown as the nearest
  /// one inside.
  public var description: String {
    String(unsafeUninitializedCapacity: Self.textLength) { buffer in
      write(into: buffer)
      return Self.textLength
    }
  }

  static let textLength = 24
  /// 0000-01-01T00:00:00.000Z.
  private static let earliestWritten: Int64 = -62_167_219_200_000

  /// Appends the 24 bytes of `description`.
  package func appendRFC3339(to output: inout [UInt8]) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.textLength) { buffer in
      write(into: buffer)
      output.append(contentsOf: buffer)
    }
  }

  /// Fills all `textLength` bytes of `buffer`.
  private func write(into buffer: UnsafeMutableBufferPointer<UInt8>) {
    let clamped = min(max(milliseconds, Self.earliestWritten), Self.latest.milliseconds)
    let day = clamped.flooredQuotient(by: Self.dayMilliseconds)
    let ofDay = clamped - day * Self.dayMilliseconds
    let date = CivilDate(daysSinceEpoch: day)
    buffer.initialize(repeating: UInt8(ascii: "-"))
    Self.put(date.year, 4, at: 0, in: buffer)
    Self.put(date.month, 2, at: 5, in: buffer)
    Self.put(date.day, 2, at: 8, in: buffer)
    buffer[10] = UInt8(ascii: "T")
    Self.put(ofDay / 3_600_000, 2, at: 11, in: buffer)
    buffer[13] = UInt8(ascii: ":")
    Self.put(ofDay / 60_000 % 60, 2, at: 14, in: buffer)
    buffer[16] = UInt8(ascii: ":")
    Self.put(ofDay / 1_000 % 60, 2, at: 17, in: buffer)
    buffer[19] = UInt8(ascii: ".")
    Self.put(ofDay % 1_000, 3, at: 20, in: buffer)
    buffer[23] = UInt8(ascii: "Z")
  }

  private static let dayMilliseconds: Int64 = 86_400_000

  private static func put(
    _ value: Int64, _ width: Int, at offset: Int, in buffer: UnsafeMutableBufferPointer<UInt8>
  ) {
    var rest = value
    for position in stride(from: offset + width - 1, through: offset, by: -1) {
      buffer[position] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    }
  }
}

// MARK: Reading

extension Timestamp: LosslessStringConvertible {
  /// Reads RFC 3339 with any offset; a fraction of one to nine digits is cut to milliseconds.
  /// Nil for anything else, for second 60, and outside the years 1970 to 9999 (as written and
  /// in UTC).
  public init?(_ text: String) {
    var text = text
    guard let value = text.withUTF8({ Timestamp(rfc3339: $0) }) else { return nil }
    self = value
  }

  package init?(rfc3339 text: UnsafeBufferPointer<UInt8>) {
    var reader = TimestampReader(text: text)
    guard let milliseconds = reader.read(), milliseconds >= 0,
      milliseconds <= Self.latest.milliseconds
    else { return nil }
    self.milliseconds = milliseconds
  }
}

extension Timestamp: Codable {
  /// Reads the RFC 3339 text of `init(_:)`.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let value = Timestamp(text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "An RFC 3339 time was expected.")
    }
    self = value
  }

  /// Writes the text of `description`.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

// SPDX-License-Identifier: Apache-2.0
// Times: writing, reading, and agreement with an independent calendar.

import Domain
import Foundation
import Testing

@Suite struct TimestampTests {
  @Test(arguments: [
    (0, "1970-01-01T00:00:00.000Z"), (1_768_323_900_000, "2026-01-13T17:05:00.000Z"),
    (951_782_399_999, "2000-02-28T23:59:59.999Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
    (4_107_542_400_000, "2100-03-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
    (253_402_300_799_999, "9999-12-31T23:59:59.999Z"), (Int64.max, "9999-12-31T23:59:59.999Z"),
    (Int64.min, "0000-01-01T00:00:00.000Z"), (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
  ])
  func `writes`(milliseconds: Int64, expected: String) {
    #expect(Timestamp(milliseconds: milliseconds).description == expected)
  }

  @Test(arguments: [
    ("2026-01-13T17:05:00Z", 1_768_323_900_000), ("2026-01-13t17:05:00z", 1_768_323_900_000),
    ("2026-01-13T18:05:00+01:00", 1_768_323_900_000),
    ("2026-01-13T11:35:00-05:30", 1_768_323_900_000),
    ("2026-01-13T17:05:00-00:00", 1_768_323_900_000),
    ("2026-01-13T17:05:00.1Z", 1_768_323_900_100), ("2026-01-13T17:05:00.12Z", 1_768_323_900_120),
    ("2026-01-13T17:05:00.1239Z", 1_768_323_900_123),
    ("2026-01-13T17:05:00.999999999Z", 1_768_323_900_999), ("1970-01-01T00:00:00Z", 0),
    ("9999-12-31T23:59:59.999Z", 253_402_300_799_999), ("2024-02-29T00:00:00Z", 1_709_164_800_000),
  ])
  func `reads`(text: String, milliseconds: Int64) {
    #expect(Timestamp(text)?.milliseconds == milliseconds)
  }

  @Test(arguments: [
    "", "2026", "2026-01-13", "2026-01-13T17:05Z", "2026-01-13 17:05:00Z", "2026-01-13T17:05:00",
    "2026-01-13T17:05:00.Z", "2026-01-13T17:05:00.1234567890Z", "2026-01-13T17:05:00,5Z",
    "2026-01-13T17:05:60Z", "2026-12-31T23:59:60Z", "2026-01-13T24:00:00Z", "2026-01-13T17:60:00Z",
    "2026-00-13T17:05:00Z", "2026-13-13T17:05:00Z", "2026-01-00T17:05:00Z", "2026-01-32T17:05:00Z",
    "2026-02-29T17:05:00Z", "2100-02-29T17:05:00Z", "2026-04-31T17:05:00Z", "1969-12-31T23:59:59Z",
    "1970-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "10000-01-01T00:00:00Z",
    "2026-01-13T17:05:00+24:00", "2026-01-13T17:05:00+01:60", "2026-01-13T17:05:00+0100",
    "2026-01-13T17:05:00+01", "2026-01-13T17:05:00 Z", " 2026-01-13T17:05:00Z",
    "2026-01-13T17:05:00Zx", "2026-01-13T17:05:00Z\u{0}", "２０２６-01-13T17:05:00Z",
    "-026-01-13T17:05:00Z", "2026-1-13T17:05:00Z", "1768323900", "2026-01-13T-1:05:00Z",
    "2026-01-13T17:05:00.-1Z", "2026-01-13T17:05:00.5", "0000-01-01T00:00:00Z",
  ])
  func `refuses`(text: String) {
    #expect(Timestamp(text) == nil)
  }

  @Test func `every day of the written years against another calendar`() throws {
    // The judge counts day by day from the leap rule alone.
    var (year, month, day) = (1_970, 1, 1)
    let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    var days: Int64 = 0
    while year <= 9_999 {
      let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
      let length = lengths[month - 1] + (month == 2 && isLeap ? 1 : 0)
      // Every day for eight centuries, then month ends, so that the test stays short.
      if year < 2_800 || day == 1 || day == length {
        try Self.check(year, month, day, days)
      }
      days += 1
      day += 1
      if day > length { (month, day) = (month + 1, 1) }
      if month > 12 { (year, month) = (year + 1, 1) }
    }
    #expect(days * 86_400_000 - 1 == Timestamp.latest.milliseconds)
  }

  private static func check(_ year: Int, _ month: Int, _ day: Int, _ days: Int64) throws {
    let ofDay = (days &* 7_919_993) % 86_400_000
    let time = Timestamp(milliseconds: days * 86_400_000 + ofDay)
    func padded(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let written = time.description
    if !written.hasPrefix("\(year)-\(padded(month))-\(padded(day))T") {
      Issue.record("\(year)-\(month)-\(day) is written \(written)")
    }
    if Timestamp(written) != time { Issue.record("\(written) does not come back") }
  }

  @Test func `random times against Foundation`() throws {
    var generator = SeededGenerator(seed: 3)
    let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
    for _ in 0..<500 {
      let range = Int64(0)...253_402_300_799
      let seconds = Int64.random(in: range, using: &generator)
      let date = Date(timeIntervalSince1970: TimeInterval(seconds))
      #expect(Timestamp(milliseconds: seconds * 1_000).description == style.format(date))
    }
  }

  @Test func `random damage never traps`() {
    var generator = SeededGenerator(seed: 4)
    for _ in 0..<20_000 {
      var bytes = Array("2026-01-13T17:05:00.123+01:00".utf8)
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        bytes[place] = UInt8.random(in: 0x20...0x7F, using: &generator)
      }
      guard let time = Timestamp(text(bytes)) else { continue }
      #expect(Timestamp(time.description) == time)
    }
  }

  @Test func `arithmetic stops at the ends`() {
    let time = Timestamp(milliseconds: 1_000)
    #expect(time.adding(milliseconds: 500).milliseconds == 1_500)
    #expect(time.adding(milliseconds: -1_500).milliseconds == -500)
    #expect(time.adding(milliseconds: .max).milliseconds == .max)
    #expect(Timestamp(milliseconds: -5).adding(milliseconds: .min).milliseconds == .min)
    #expect(time.milliseconds(since: Timestamp(milliseconds: 400)) == 600)
    #expect(Timestamp(milliseconds: .min).milliseconds(since: time) == .min)
    #expect(time.milliseconds(since: Timestamp(milliseconds: .min)) == .max)
    #expect(Timestamp.epoch < time)
    #expect(time < Timestamp.latest)
  }

  @Test func `codes as its text`() throws {
    let time = Timestamp(milliseconds: 1_768_323_900_123)
    let data = try JSONEncoder().encode([time])
    #expect(text(data) == "[\"2026-01-13T17:05:00.123Z\"]")
    #expect(try JSONDecoder().decode([Timestamp].self, from: data) == [time])
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode([Timestamp].self, from: Data("[\"now\"]".utf8))
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
// The calendar arithmetic and the reader behind `Timestamp`.

extension Int64 {
  /// The quotient rounded towards minus infinity; `divisor` is positive.
  func flooredQuotient(by divisor: Int64) -> Int64 {
    let quotient = self / divisor
    return self % divisor < 0 ? quotient - 1 : quotient
  }
}

/// A day of the proleptic Gregorian calendar.
///
/// Both directions count days in eras of 400 years that start on 1 March, so that the leap day is
/// the last of its year.
struct CivilDate: Equatable {
  let year: Int64
  let month: Int64
  let day: Int64

  private static let eraDays: Int64 = 146_097
  /// Days from 0000-03-01 to 1970-01-01.
  private static let epochOffset: Int64 = 719_468

  init(year: Int64, month: Int64, day: Int64) {
    self.year = year
    self.month = month
    self.day = day
  }

  /// Exact for days of the years 0 to 9999, the only ones asked for.
  init(daysSinceEpoch: Int64) {
    let shifted = daysSinceEpoch + Self.epochOffset
    let era = shifted.flooredQuotient(by: Self.eraDays)
    let dayOfEra = shifted - era * Self.eraDays
    let yearOfEra =
      (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
    month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  }

  var daysSinceEpoch: Int64 {
    let marchYear = month <= 2 ? year - 1 : year
    let era = marchYear.flooredQuotient(by: 400)
    let yearOfEra = marchYear - era * 400
    let marchMonth = month > 2 ? month - 3 : month + 9
    let dayOfYear = (153 * marchMonth + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * Self.eraDays + dayOfEra - Self.epochOffset
  }

  /// The number of days in the month; `month` is 1 to 12.
  static func days(in month: Int64, of year: Int64) -> Int64 {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }
}

/// Reads one RFC 3339 time and nothing else.
struct TimestampReader {
  private let text: UnsafeBufferPointer<UInt8>
  private var position = 0

  init(text: UnsafeBufferPointer<UInt8>) {
    self.text = text
  }

  /// Milliseconds since the epoch; nil if the text is not a time. Small numbers only, so nothing
  /// here can overflow.
  mutating func read() -> Int64? {
    guard let year = digits(4), year >= 1970, take("-"),
      let month = digits(2), (1...12).contains(month), take("-"),
      let day = digits(2), day >= 1, day <= CivilDate.days(in: month, of: year),
      take("T") || take("t"),
      let hour = digits(2), hour <= 23, take(":"),
      let minute = digits(2), minute <= 59, take(":"),
      let second = digits(2), second <= 59,
      let fraction = fraction(), let offset = offsetMinutes(), position == text.count
    else { return nil }
    let days = CivilDate(year: year, month: month, day: day).daysSinceEpoch
    let minutes = days * 1_440 + hour * 60 + minute - offset
    return minutes * 60_000 + second * 1_000 + fraction
  }

  private mutating func digits(_ count: Int) -> Int64? {
    guard text.count - position >= count else { return nil }
    var value: Int64 = 0
    for _ in 0..<count {
      let digit = text[position] &- UInt8(ascii: "0")
      guard digit < 10 else { return nil }
      value = value * 10 + Int64(digit)
      position += 1
    }
    return value
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard position < text.count, text[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  /// Milliseconds of the optional fraction; nil if it is not one to nine digits.
  private mutating func fraction() -> Int64? {
    guard take(".") else { return 0 }
    var value: Int64 = 0
    var count = 0
    while let digit = digits(1) {
      count += 1
      if count > 9 { return nil }
      if count <= 3 { value = value * 10 + digit }
    }
    if count == 0 { return nil }
    for _ in 0..<max(3 - count, 0) { value *= 10 }
    return value
  }

  /// Minutes east of UTC.
  private mutating func offsetMinutes() -> Int64? {
    if take("Z") || take("z") { return 0 }
    let sign: Int64
    if take("+") {
      sign = 1
    } else if take("-") {
      sign = -1
    } else {
      return nil
    }
    guard let hours = digits(2), hours <= 23, take(":"), let minutes = digits(2), minutes <= 59
    else { return nil }
    return sign * (hours * 60 + minutes)
  }
}

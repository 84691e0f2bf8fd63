// SPDX-License-Identifier: Apache-2.0
// Times as HTTP headers spell them.

extension Timestamp {
  private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]

  /// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
  package var httpDate: String {
    let seconds = milliseconds.flooredQuotient(by: 1_000)
    let day = seconds.flooredQuotient(by: 86_400)
    let date = CivilDate(daysSinceEpoch: day)
    let time = seconds - day * 86_400
    let weekday = Int(day - day.flooredQuotient(by: 7) * 7)
    let clock = [time / 3_600, time / 60 % 60, time % 60].map(Self.two).joined(separator: ":")
    return "\(Self.days[weekday]), \(Self.two(date.day)) \(Self.months[Int(date.month) - 1]) "
      + "\(date.year) \(clock) GMT"
  }

  private static func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
}

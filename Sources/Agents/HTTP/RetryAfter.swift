// SPDX-License-Identifier: Apache-2.0
// Reads the header Retry-After.
internal import Domain

/// `Retry-After` of RFC 9110, 10.2.3: seconds, or a date.
enum RetryAfter {
  /// Milliseconds from `now`, never beyond the longest delay that we keep; nil for anything else,
  /// which then counts as absent.
  static func milliseconds(_ text: String, now: Timestamp) -> Int64? {
    let most = Limits.delayRange.upperBound
    let digits = text.utf8
    if (1...18).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
      let seconds = Int64(text)
    {
      return seconds > most / 1_000 ? most : seconds * 1_000
    }
    guard let date = date(text) else { return nil }
    return min(max(date.milliseconds(since: now), 0), most)
  }

  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]

  /// The form that senders must use, `Sun, 06 Nov 1994 08:49:37 GMT`.
  private static func date(_ text: String) -> Timestamp? {
    let parts = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 6, parts[0].utf8.count == 4, parts[0].hasSuffix(","), parts[5] == "GMT",
      let month = months.firstIndex(of: parts[2])
    else { return nil }
    let number = month + 1
    let padded = number < 10 ? "0\(number)" : "\(number)"
    return Timestamp("\(parts[3])-\(padded)-\(parts[1])T\(parts[4])Z")
  }
}

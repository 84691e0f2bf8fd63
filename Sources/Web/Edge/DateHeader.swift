// SPDX-License-Identifier: Apache-2.0
// The header Date, made once a second.
import Domain
import Synchronization

final class DateHeader: Sendable {
  private let made = Mutex<(second: Int64, text: String)>((.min, ""))

  func text(at now: Timestamp) -> String {
    let second = now.milliseconds / 1_000
    return made.withLock { made in
      if made.second != second { made = (second, now.httpDate) }
      return made.text
    }
  }
}

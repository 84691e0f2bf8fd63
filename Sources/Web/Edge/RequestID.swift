// SPDX-License-Identifier: Apache-2.0
// Names requests, so that an error that a user sees can be found in the log.
import Synchronization

enum RequestID {
  private static let counter = Atomic<UInt64>(0)
  /// Differs between processes: the library seeds its hashing anew in each.
  private static let start = UInt64(bitPattern: Int64(Hasher().finalize()))

  /// Sixteen hexadecimal digits, different for every request of this process.
  static func next() -> String {
    let number = counter.add(1, ordering: .relaxed).newValue
    let mixed = (start &+ number) &* 0x9E37_79B9_7F4A_7C15
    let digits = String(mixed, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

// SPDX-License-Identifier: Apache-2.0
// How the fencing token of an attempt is spelled on the wire.

/// A lease token is 64 random bits: a number in the store, 16 lower-case hexadecimal digits on the
/// wire.
package enum LeaseToken {
  package static func text(_ token: Int64) -> String {
    let bits = UInt64(bitPattern: token)
    return String(unsafeUninitializedCapacity: 16) { buffer in
      for position in 0..<16 {
        let digit = UInt8(truncatingIfNeeded: bits >> UInt64(60 - 4 * position)) & 0xF
        buffer[position] =
          digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
      }
      return 16
    }
  }

  /// Whether `text` spells `token`; any other text is a token that is not current.
  package static func matches(_ text: String, _ token: Int64) -> Bool {
    text.utf8.elementsEqual(self.text(token).utf8)
  }
}

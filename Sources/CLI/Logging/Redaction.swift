// SPDX-License-Identifier: Apache-2.0
// The last net: tokens and agents' secrets that found their way into a log line.

/// Secrets are kept out of log lines where the lines are made; this covers what other programs
/// write, like the output of a managed agent.
enum Redaction {
  private static let marks = ["orr_", "whsec_"]
  private static let shortest = 16

  /// The text with `***` in the place of what looks like a secret of ours.
  static func apply(to text: String) -> String {
    guard marks.contains(where: text.contains) else { return text }
    var output: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let first = rest.first {
      guard let mark = marks.first(where: { rest.starts(with: $0.utf8) }) else {
        output.append(first)
        rest = rest.dropFirst()
        continue
      }
      output += mark.utf8
      rest = rest.dropFirst(mark.utf8.count)
      let secret = rest.prefix(while: isPart)
      output += secret.count >= shortest ? Array("***".utf8) : Array(secret)
      rest = rest.dropFirst(secret.count)
    }
    return String(decoding: output, as: UTF8.self)
  }

  private static func isPart(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    default: "+/=-_".utf8.contains(byte)
    }
  }
}

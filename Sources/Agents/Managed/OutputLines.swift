// SPDX-License-Identifier: Apache-2.0
// Cuts a process's output into lines that are safe to log.

/// Collects bytes and gives out whole lines. A line longer than the limit is cut, its rest dropped.
struct OutputLines {
  private let longest: Int
  private var line: [UInt8] = []
  private var isCut = false

  /// - Parameter longest: Bytes of one line.
  init(longest: Int = 4_096) {
    self.longest = longest
  }

  mutating func append(_ bytes: some Sequence<UInt8>) -> [String] {
    var lines: [String] = []
    for byte in bytes {
      if byte == 0x0A {
        if let line = take() { lines.append(line) }
      } else if line.count < longest {
        line.append(byte)
      } else {
        isCut = true
      }
    }
    return lines
  }

  /// What stands behind the last line end.
  mutating func finish() -> String? { take() }

  private mutating func take() -> String? {
    defer {
      line.removeAll(keepingCapacity: true)
      isCut = false
    }
    if line.last == 0x0D { line.removeLast() }
    guard !line.isEmpty else { return nil }
    return Self.plain(String(decoding: line, as: UTF8.self)) + (isCut ? " …" : "")
  }

  /// Escapes what could move a terminal's cursor or forge another line.
  private static func plain(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    var plain = ""
    for scalar in text.unicodeScalars {
      if isControl(scalar) {
        plain += scalar.escaped(asASCII: true)
      } else {
        plain.unicodeScalars.append(scalar)
      }
    }
    return plain
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control: scalar != "\t"
    case .format, .lineSeparator, .paragraphSeparator: true
    default: false
    }
  }
}

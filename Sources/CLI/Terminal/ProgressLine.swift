// SPDX-License-Identifier: Apache-2.0
// One line that changes in place on a terminal, and plain lines elsewhere.

/// Shows how something goes, on standard error, so that standard output stays the answer's.
struct ProgressLine {
  private let terminal = Terminal.error
  private var last = ""

  /// Shows a state; foreign text in it must be escaped.
  ///
  /// - Parameter plain: what to print where lines cannot change; each text once.
  mutating func show(_ live: String, plain: String) {
    if let width = terminal.width {
      terminal.write("\r\u{1B}[2K" + TerminalText.cut(live, to: width - 1))
      last = live
    } else if plain != last {
      terminal.write(plain + "\n")
      last = plain
    }
  }

  /// Takes the live line away.
  mutating func clear() {
    if terminal.isInteractive, !last.isEmpty { terminal.write("\r\u{1B}[2K") }
    last = ""
  }

  /// `[######··············]`
  static func bar(_ share: Double, width: Int = 20) -> String {
    let full = Int((min(max(share.isFinite ? share : 0, 0), 1) * Double(width)).rounded(.down))
    return "[" + String(repeating: "#", count: full)
      + String(repeating: "·", count: width - full) + "]"
  }
}

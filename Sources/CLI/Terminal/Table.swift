// SPDX-License-Identifier: Apache-2.0
// Tables for people: aligned columns, cut to the terminal's width.

/// A table that is laid out when all rows are known.
struct Table {
  enum Alignment {
    case left
    case right
  }

  struct Column {
    var title: String
    var alignment: Alignment = .left
    /// May be cut when the terminal is narrow.
    var isFlexible = false
    /// Coloured by the state that it shows.
    var isState = false
  }

  private let columns: [Column]
  private var rows: [[String]] = []
  private static let gap = "  "
  private static let narrowest = 8

  init(_ columns: [Column]) {
    self.columns = columns
  }

  var isEmpty: Bool { rows.isEmpty }

  /// Adds a row of foreign text; missing cells are empty.
  mutating func add(_ cells: [String?]) {
    rows.append(columns.indices.map { TerminalText.escaped(cells.at($0).flatMap { $0 } ?? "") })
  }

  /// The lines, without trailing space.
  func lines(on terminal: Terminal) -> [String] {
    let widths = fitted(to: terminal.width)
    let heading = line(columns.map(\.title), widths) { text, _ in
      TextStyle.heading.apply(to: text, on: terminal)
    }
    return [heading]
      + rows.map { row in
        line(row, widths) { text, column in
          guard column.isState else { return text }
          let state = String(text.prefix { $0 != " " })
          return TextStyle(state: state).apply(to: text, on: terminal)
        }
      }
  }

  private func line(
    _ cells: [String], _ widths: [Int], _ style: (String, Column) -> String
  ) -> String {
    var line = ""
    for (index, cell) in cells.enumerated() where widths[index] > 0 {
      let text = TerminalText.cut(cell, to: widths[index])
      let space = String(
        repeating: " ", count: max(widths[index] - TerminalText.width(text), 0))
      let styled = style(text, columns[index])
      if index > 0 { line += Self.gap }
      line += columns[index].alignment == .right ? space + styled : styled + space
    }
    while line.hasSuffix(" ") { line.removeLast() }
    return line
  }

  /// Widths of the columns; flexible ones give way, the widest first.
  private func fitted(to limit: Int?) -> [Int] {
    var widths = columns.indices.map { index in
      ([columns[index].title] + rows.map { $0[index] }).map(TerminalText.width).max() ?? 0
    }
    guard let limit else { return widths }
    var excess = widths.reduce(0, +) + Self.gap.count * max(widths.count - 1, 0) - limit
    while excess > 0 {
      let candidates = columns.indices.filter {
        columns[$0].isFlexible && widths[$0] > Self.narrowest
      }
      guard let widest = candidates.max(by: { widths[$0] < widths[$1] }) else { break }
      widths[widest] -= 1
      excess -= 1
    }
    return widths
  }
}

extension Array {
  /// The element, or nil beyond the end.
  func at(_ index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}

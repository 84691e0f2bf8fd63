// SPDX-License-Identifier: Apache-2.0
// Lays JSON out over lines, for reading.

import OrreryClient

/// Two spaces per level; strings and numbers stay as they are.
enum IndentedJSON {
  static func lines(_ json: JSONText) -> [String] {
    var layout = Layout()
    for scalar in json.text.unicodeScalars { layout.add(scalar) }
    return layout.finish()
  }

  private struct Layout {
    private var lines: [String] = []
    private var line = ""
    private var depth = 0
    private var isInString = false
    private var isEscaped = false
    private var isAfterOpening = false

    mutating func add(_ scalar: Unicode.Scalar) {
      if isInString { return addInString(scalar) }
      switch scalar {
      case " ", "\n", "\r", "\t": return
      case "}", "]":
        depth -= 1
        if !isAfterOpening { breakLine() }
        line.unicodeScalars.append(scalar)
        isAfterOpening = false
        return
      default: break
      }
      if isAfterOpening { breakLine() }
      isAfterOpening = false
      line.unicodeScalars.append(scalar)
      switch scalar {
      case "\"": isInString = true
      case "{", "[":
        depth += 1
        isAfterOpening = true
      case ",": breakLine()
      case ":": line += " "
      default: break
      }
    }

    private mutating func addInString(_ scalar: Unicode.Scalar) {
      line.unicodeScalars.append(scalar)
      if isEscaped {
        isEscaped = false
      } else if scalar == "\\" {
        isEscaped = true
      } else if scalar == "\"" {
        isInString = false
      }
    }

    private mutating func breakLine() {
      lines.append(line)
      line = String(repeating: "  ", count: max(depth, 0))
    }

    func finish() -> [String] { lines + [line] }
  }
}

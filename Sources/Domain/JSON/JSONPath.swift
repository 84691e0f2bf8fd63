// SPDX-License-Identifier: Apache-2.0
// How places in a document are written for people: `field.sub[3]`.

/// Joins and bounds paths, so that a hostile document cannot make a message long.
package enum JSONPath {
  static let longestKey = 64
  static let longestPath = 256

  /// The path of member `key` of the object at `parent`.
  package static func member(_ key: String, of parent: String) -> String {
    let plain = !key.isEmpty && key.utf8.allSatisfy { isPlain($0) }
    let shown = cut(key, to: longestKey)
    if !plain { return bounded("\(parent)[\"\(escaped(shown))\"]") }
    return bounded(parent.isEmpty ? shown : "\(parent).\(shown)")
  }

  /// The path of element `index` of the array at `parent`.
  package static func element(_ index: Int, of parent: String) -> String {
    bounded("\(parent)[\(index)]")
  }

  private static func bounded(_ path: String) -> String {
    path.hasSuffix("…") ? path : cut(path, to: longestPath)
  }

  /// At most `most` bytes and a mark. Counts scalars, as one character can be of any length.
  private static func cut(_ text: String, to most: Int) -> String {
    guard text.utf8.count > most else { return text }
    return String(text.unicodeScalars.prefix(most / 4)) + "…"
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }

  private static func escaped(_ key: String) -> String {
    var writer = JSONWriter(reservingCapacity: key.utf8.count + 2)
    writer.string(key)
    return String(decoding: writer.bytes.dropFirst().dropLast(), as: UTF8.self)
  }
}

extension JSONScan {
  /// Where the scan stopped, from the containers that are still open.
  func path(of fault: JSONFault) -> String {
    var chain: [Int] = []
    var index = open
    while index != JSONToken.noParent {
      chain.append(Int(index))
      index = tokens[Int(index)].end
    }
    var path = ""
    for (container, child) in zip(chain.reversed(), chain.reversed().dropFirst()) {
      if tokens[container].kind == .object {
        path = JSONPath.member(key(at: child - 1), of: path)
      } else {
        path = JSONPath.element(tokens[container].count - 1, of: path)
      }
    }
    guard let innermost = chain.first else { return path }
    return pathInside(innermost, fault, of: path)
  }

  /// Adds the member or element of the innermost container that was being read, if any.
  private func pathInside(_ container: Int, _ fault: JSONFault, of path: String) -> String {
    let isObject = tokens[container].kind == .object
    var index = container + 1
    var complete = 0
    while index < tokens.count {
      let value = isObject ? index + 1 : index
      let isRepeated = fault.kind == .duplicateKey && Int(tokens[index].start) == fault.offset
      if isObject, value >= tokens.count || isRepeated {
        return JSONPath.member(key(at: index), of: path)
      }
      complete += 1
      index = Int(tokens[value].next)
    }
    if !isObject, openCount > complete { return JSONPath.element(complete, of: path) }
    return path
  }

  private func key(at index: Int) -> String {
    let token = tokens[index]
    var key: [UInt8] = []
    JSONText.appendUnescaped(bytes, token.contentStart..<token.contentEnd, to: &key)
    return String(decoding: key, as: UTF8.self)
  }
}

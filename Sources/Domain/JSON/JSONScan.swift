// SPDX-License-Identifier: Apache-2.0
// The strict scanner itself: one pass over the bytes, iterative, writing the tape.

/// A refusal before its path is known.
struct JSONFault: Error {
  let kind: JSONError.Kind
  let offset: Int
}

/// The state of one scan. The chain of open containers is kept in the tape, so nesting costs
/// neither recursion nor a stack.
struct JSONScan {
  let bytes: UnsafeBufferPointer<UInt8>
  let end: Int
  let limits: JSONLimits
  var tokens: JSONTokens
  var duplicates: JSONDuplicateKeys
  var position = 0
  private var depth = 0
  private var values = 0
  /// Index of the innermost open container, or `JSONToken.noParent`.
  private(set) var open = JSONToken.noParent
  private var openIsObject = false
  private(set) var openCount = 0

  init(
    bytes: UnsafeBufferPointer<UInt8>, limits: JSONLimits, tokens: JSONTokens,
    duplicates: JSONDuplicateKeys
  ) {
    self.bytes = bytes
    self.end = bytes.count
    self.limits = limits
    self.tokens = tokens
    self.duplicates = duplicates
  }

  /// Scans all bytes; nil when they are one acceptable document.
  mutating func run() -> JSONError? {
    do throws(JSONFault) {
      try checkStart()
      try value()
      while open != JSONToken.noParent {
        if openIsObject { try memberOrEnd() } else { try elementOrEnd() }
      }
      skipSpace()
      if position != end { throw fault(.trailingBytes) }
      return nil
    } catch {
      return JSONError(kind: error.kind, byteOffset: error.offset, path: path(of: error))
    }
  }

  func fault(_ kind: JSONError.Kind) -> JSONFault {
    JSONFault(kind: kind, offset: position)
  }

  private mutating func checkStart() throws(JSONFault) {
    if end >= 2 {
      let utf8Mark = bytes[0] == 0xEF && bytes[1] == 0xBB
      let utf16Mark = bytes[0] ^ bytes[1] == 1 && bytes[0] | bytes[1] == 0xFF
      if utf8Mark || utf16Mark { throw fault(.byteOrderMark) }
    }
    skipSpace()
    if position == end { throw fault(.empty) }
  }

  @inline(__always)
  mutating func skipSpace() {
    while position < end {
      switch bytes[position] {
      case 0x20, 0x0A, 0x0D, 0x09: position += 1
      default: return
      }
    }
  }

  // MARK: Containers

  private mutating func memberOrEnd() throws(JSONFault) {
    skipSpace()
    if position == end { throw fault(.unexpectedEnd) }
    if bytes[position] == UInt8(ascii: "}") { return try close() }
    if openCount > 0 {
      try comma(closing: UInt8(ascii: "}"))
    }
    if bytes[position] != UInt8(ascii: "\"") { throw fault(.keyExpected) }
    let flags = try string()
    if flags != 0 { tokens[Int(open)].info |= JSONToken.escaped }
    skipSpace()
    if position == end { throw fault(.unexpectedEnd) }
    if bytes[position] != UInt8(ascii: ":") { throw fault(.colonExpected) }
    position += 1
    openCount += 1
    skipSpace()
    try value()
  }

  private mutating func elementOrEnd() throws(JSONFault) {
    skipSpace()
    if position == end { throw fault(.unexpectedEnd) }
    if bytes[position] == UInt8(ascii: "]") { return try close() }
    if openCount > 0 {
      try comma(closing: UInt8(ascii: "]"))
    }
    openCount += 1
    try value()
  }

  /// Consumes a comma and the space behind it; something that is not `closing` must follow.
  @inline(__always)
  private mutating func comma(closing: UInt8) throws(JSONFault) {
    if bytes[position] != UInt8(ascii: ",") { throw fault(.commaOrEndExpected) }
    position += 1
    skipSpace()
    if position == end { throw fault(.unexpectedEnd) }
    if bytes[position] == closing { throw fault(.trailingComma) }
  }

  private mutating func push(_ kind: JSONKind) throws(JSONFault) {
    if depth == limits.maxDepth { throw fault(.tooDeep) }
    depth += 1
    if open != JSONToken.noParent { tokens[Int(open)].setCount(openCount) }
    let token = JSONToken(kind, start: position, end: Int(open), next: 0)
    open = UInt32(truncatingIfNeeded: tokens.count)
    tokens.append(token)
    openIsObject = kind == .object
    openCount = 0
    position += 1
  }

  private mutating func close() throws(JSONFault) {
    let index = Int(open)
    position += 1
    let parent = tokens[index].end
    tokens[index].end = UInt32(truncatingIfNeeded: position)
    tokens[index].next = UInt32(truncatingIfNeeded: tokens.count)
    tokens[index].setCount(openCount)
    if openIsObject, openCount > 1 {
      if let repeated = duplicates.firstRepeated(in: index, tokens: tokens, bytes: bytes) {
        tokens[index].end = parent
        throw JSONFault(kind: .duplicateKey, offset: Int(tokens[repeated].start))
      }
    }
    depth -= 1
    open = parent
    guard parent != JSONToken.noParent else { return }
    openIsObject = tokens[Int(parent)].kind == .object
    openCount = tokens[Int(parent)].count
  }

  // MARK: Values

  private mutating func value() throws(JSONFault) {
    if position == end { throw fault(.unexpectedEnd) }
    if values == limits.maxValues { throw fault(.tooManyValues) }
    values += 1
    switch bytes[position] {
    case UInt8(ascii: "\""): _ = try string()
    case UInt8(ascii: "{"): try push(.object)
    case UInt8(ascii: "["): try push(.array)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try number()
    case UInt8(ascii: "t"): try literal("true", .bool, flags: JSONToken.yes)
    case UInt8(ascii: "f"): try literal("false", .bool)
    case UInt8(ascii: "n"): try literal("null", .null)
    default: throw fault(.valueExpected)
    }
  }

  private mutating func literal(
    _ text: StaticString, _ kind: JSONKind, flags: UInt32 = 0
  ) throws(JSONFault) {
    let length = text.utf8CodeUnitCount
    guard end - position >= length else { throw fault(.valueExpected) }
    for offset in 0..<length where bytes[position + offset] != text.utf8Start[offset] {
      throw fault(.valueExpected)
    }
    append(kind, length: length, flags: flags)
  }

  /// Writes a scalar's token and moves behind it.
  @inline(__always)
  mutating func append(_ kind: JSONKind, length: Int, flags: UInt32) {
    let next = tokens.count + 1
    tokens.append(
      JSONToken(kind, start: position, end: position + length, next: next, flags: flags))
    position += length
  }
}

// SPDX-License-Identifier: Apache-2.0
// Why a document is not acceptable JSON, and where.

/// The refusal of a JSON document.
package struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
  package enum Kind: String, Sendable, CaseIterable {
    case empty, byteOrderMark, invalidUTF8, controlCharacter, nulCharacter, badEscape
    case loneSurrogate, unterminatedString, stringTooLong
    case badNumber, numberOutOfRange
    case valueExpected, keyExpected, colonExpected, commaOrEndExpected, trailingComma
    case unexpectedEnd, trailingBytes
    case duplicateKey, tooDeep, tooManyValues, tooLarge
  }

  package let kind: Kind
  /// Offset of the offending byte from the start of the document.
  package let byteOffset: Int
  /// Where in the document, as `field.sub[3]`; empty for the top level.
  package let path: String

  package init(kind: Kind, byteOffset: Int, path: String) {
    self.kind = kind
    self.byteOffset = byteOffset
    self.path = path
  }

  /// A sentence for people: what is wrong and where. Quotes keys of the document, never values.
  package var message: String {
    let place = path.isEmpty ? "" : ", in \(path)"
    return "\(kind.sentence) at byte \(byteOffset)\(place)."
  }

  package var description: String { message }
}

extension JSONError.Kind {
  /// What is wrong, without a place and without a full stop.
  var sentence: String {
    switch self {
    case .empty: "The JSON document is empty"
    case .byteOrderMark: "JSON must be UTF-8 without a byte order mark; one was found"
    case .invalidUTF8: "The text is not valid UTF-8"
    case .controlCharacter: "A control character must be escaped in a string; a bare one was found"
    case .nulCharacter: "The character U+0000 is not allowed in a string; it was found"
    case .badEscape: "An unknown or incomplete escape sequence was found"
    case .loneSurrogate: "An escaped surrogate without its partner was found"
    case .unterminatedString: "A string is not closed; the document ends"
    case .stringTooLong: "A string is longer than allowed"
    case .badNumber: "A number is not written as JSON asks"
    case .numberOutOfRange: "A number is too large or too long"
    case .valueExpected: "A value was expected"
    case .keyExpected: "A key in double quotes was expected"
    case .colonExpected: "A colon was expected"
    case .commaOrEndExpected: "A comma or the closing bracket was expected"
    case .trailingComma: "A comma before a closing bracket is not allowed; one was found"
    case .unexpectedEnd: "The document ends too early"
    case .trailingBytes: "Nothing may follow the document's one value; more was found"
    case .duplicateKey: "A key appears twice in one object"
    case .tooDeep: "The document is nested more deeply than allowed"
    case .tooManyValues: "The document holds more values than allowed"
    case .tooLarge: "The document is larger than allowed"
    }
  }
}

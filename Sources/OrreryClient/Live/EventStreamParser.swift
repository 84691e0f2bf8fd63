// SPDX-License-Identifier: Apache-2.0
// Server-sent events out of bytes, as the HTML standard reads them.

import Domain

/// One message of an event stream.
struct StreamMessage: Sendable, Hashable {
  var event = ""
  var data = ""
  /// Where to go on after it.
  var id: String?
}

/// Takes bytes as they come, in any pieces, and gives the messages that are complete.
struct EventStreamParser: Sendable {
  /// A line or message is longer than any that the server sends.
  struct TooLong: Error {}

  /// Bytes of one line, and of the data of one message.
  static let longest = 4 << 20

  /// The last `id:` that was seen.
  private(set) var lastID: String?
  /// Milliseconds that the server wants to be left alone after a break.
  private(set) var retry: Int64?
  private var line: [UInt8] = []
  private var message = StreamMessage()
  private var hasData = false
  private var endsWithCR = false

  mutating func take(_ bytes: some Sequence<UInt8>) throws(TooLong) -> [StreamMessage] {
    var messages: [StreamMessage] = []
    for byte in bytes {
      // CR LF is one end.
      if byte == 0x0A, endsWithCR {
        endsWithCR = false
        continue
      }
      endsWithCR = byte == 0x0D
      guard byte == 0x0A || byte == 0x0D else {
        guard line.count < Self.longest else { throw TooLong() }
        line.append(byte)
        continue
      }
      if let message = try endLine() { messages.append(message) }
    }
    return messages
  }

  private mutating func endLine() throws(TooLong) -> StreamMessage? {
    defer { line.removeAll(keepingCapacity: line.capacity < 64 << 10) }
    guard !line.isEmpty else {
      defer { (message, hasData) = (StreamMessage(), false) }
      message.id = lastID
      return hasData ? message : nil
    }
    let name = line.prefix { $0 != UInt8(ascii: ":") }
    var value = line.dropFirst(name.count + 1)
    if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
    try set(String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self))
    return nil
  }

  /// An empty name is a comment; names that are not known mean nothing.
  private mutating func set(_ name: String, _ value: String) throws(TooLong) {
    switch name {
    case "event": message.event = value
    case "data":
      guard message.data.utf8.count + value.utf8.count < Self.longest else { throw TooLong() }
      message.data += hasData ? "\n" + value : value
      hasData = true
    case "id": if !value.unicodeScalars.contains("\0") { lastID = value }
    case "retry":
      guard value.utf8.count < 10, let number = Int64(value), number >= 0 else { return }
      retry = number
    default: break
    }
  }
}

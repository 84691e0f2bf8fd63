// SPDX-License-Identifier: Apache-2.0
// Packets of Socket.IO 5, as they come from clients.
import Domain

/// Why a packet is none. Its session ends.
struct SocketIOFault: Error, Equatable {
  let reason: String
  init(_ reason: String) { self.reason = reason }
}

/// One packet. Its JSON has passed the strict scanner.
struct SocketIOPacket: Sendable {
  enum Kind: UInt8, Sendable, CaseIterable {
    case connect = 0x30
    case disconnect, event, ack, connectError, binaryEvent, binaryAck

    var isBinary: Bool { self == .binaryEvent || self == .binaryAck }
  }

  static let mostAttachments = 10
  static let longestNamespace = 128
  /// 2^53: the largest number that every client writes as it is.
  static let largestID: Int64 = 1 << 53
  static let jsonLimits = JSONLimits(maxDepth: 32, maxValues: 10_000)
  /// Names that libraries use for themselves.
  static let reserved: Set<String> = [
    "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener",
  ]

  var kind: Kind
  var namespace = "/"
  /// Asks for an acknowledgement under this number, or is one.
  var id: Int64?
  /// Frames of bytes that follow.
  var attachments = 0
  var payload: JSONDocument?

  init(_ text: some Collection<UInt8>) throws(SocketIOFault) {
    var rest = Array(text)[...]
    guard let kind = rest.popFirst().flatMap(Kind.init(rawValue:)) else {
      throw SocketIOFault("unknown packet type")
    }
    self.kind = kind
    if kind.isBinary { attachments = try Self.attachments(&rest) }
    namespace = try Self.namespace(&rest)
    id = try Self.number(&rest, most: Self.largestID)
    if !rest.isEmpty { payload = try Self.json(rest) }
    try check()
  }

  // MARK: Parts

  private static func attachments(
    _ rest: inout ArraySlice<UInt8>
  ) throws(SocketIOFault) -> Int {
    guard let count = try number(&rest, most: Int64(mostAttachments)),
      rest.popFirst() == UInt8(ascii: "-")
    else { throw SocketIOFault("the number of attachments was expected") }
    return Int(count)
  }

  /// A namespace ends with a comma, or with the packet. What follows `?` in it is not part of it.
  private static func namespace(
    _ rest: inout ArraySlice<UInt8>
  ) throws(SocketIOFault) -> String {
    guard rest.first == UInt8(ascii: "/") else { return "/" }
    let name = rest.prefix { $0 != UInt8(ascii: ",") }
    rest = rest.dropFirst(name.count + 1)
    let path = name.prefix { $0 != UInt8(ascii: "?") }
    guard name.count <= longestNamespace, path.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }),
      let text = String(validating: path, as: UTF8.self)
    else { throw SocketIOFault("this is no namespace") }
    return text
  }

  /// Nil if no digit comes next.
  private static func number(
    _ rest: inout ArraySlice<UInt8>, most: Int64
  ) throws(SocketIOFault) -> Int64? {
    let digits = rest.prefix { (0x30...0x39).contains($0) }
    guard !digits.isEmpty else { return nil }
    guard digits.count <= 16, let value = Int64(String(decoding: digits, as: UTF8.self)),
      value <= most
    else { throw SocketIOFault("a number is too large") }
    rest = rest.dropFirst(digits.count)
    return value
  }

  private static func json(_ text: ArraySlice<UInt8>) throws(SocketIOFault) -> JSONDocument {
    do throws(JSONError) { return try JSONDocument(text, limits: jsonLimits) } catch {
      throw SocketIOFault("the payload is no JSON")
    }
  }

  // MARK: Rules

  private func check() throws(SocketIOFault) {
    switch kind {
    case .connect:
      try require(id == nil && payload?.root.kind ?? .object == .object, "an object")
    case .disconnect: try require(id == nil && payload == nil, "no payload")
    case .connectError: throw SocketIOFault("clients do not refuse connections")
    case .event, .binaryEvent: try require(event != nil, "an array that begins with a name")
    case .ack, .binaryAck:
      try require(payload?.root.kind == .array && id != nil, "a number and an array")
    }
    if kind.isBinary { try checkPlaceholders() }
  }

  private func require(_ holds: Bool, _ what: String) throws(SocketIOFault) {
    if !holds { throw SocketIOFault("\(what) was expected") }
  }

  /// The name of an event and what comes with it.
  var event: (name: String, arguments: [JSONNode])? {
    guard kind == .event || kind == .binaryEvent, let root = payload?.root, root.kind == .array,
      let name = root[0]?.stringValue, !Self.reserved.contains(name)
    else { return nil }
    return (name, Array(root.elements.dropFirst()))
  }

  /// Each attachment has a place in the payload, and no place is without one.
  private func checkPlaceholders() throws(SocketIOFault) {
    var places: Set<Int64> = []
    var waiting = payload.map { [$0.root] } ?? []
    while let node = waiting.popLast() {
      if let number = try Self.placeholder(node) {
        try require(
          places.insert(number).inserted && number < Int64(attachments), "a place of an attachment")
      } else {
        waiting.append(contentsOf: node.elements)
        waiting.append(contentsOf: node.members.map(\.value))
      }
    }
    try require(places.count == attachments, "a place for each attachment")
  }

  private static func placeholder(_ node: JSONNode) throws(SocketIOFault) -> Int64? {
    guard node.kind == .object, node["_placeholder"]?.boolValue == true else { return nil }
    guard let number = node["num"]?.int64Value, number >= 0 else {
      throw SocketIOFault("a place of an attachment has a number")
    }
    return number
  }
}

/// Puts packets and the bytes that belong to them together.
struct SocketIODecoder {
  private var incomplete: SocketIOPacket?
  private var missing = 0

  /// - Returns: the packet, unless bytes of it are still to come.
  mutating func decode(text: some Collection<UInt8>) throws(SocketIOFault) -> SocketIOPacket? {
    guard incomplete == nil else { throw SocketIOFault("bytes were expected") }
    let packet = try SocketIOPacket(text)
    guard packet.attachments > 0 else { return packet }
    incomplete = packet
    missing = packet.attachments
    return nil
  }

  /// Takes the next attachment. Nothing that clients may say has use for its bytes, so they are
  /// counted and not kept.
  mutating func decodeAttachment() throws(SocketIOFault) -> SocketIOPacket? {
    guard let packet = incomplete else { throw SocketIOFault("no bytes were expected") }
    missing -= 1
    guard missing == 0 else { return nil }
    incomplete = nil
    return packet
  }
}

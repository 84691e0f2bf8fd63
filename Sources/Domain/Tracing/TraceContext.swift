// SPDX-License-Identifier: Apache-2.0
// Which trace something belongs to, and below which span: W3C Trace Context.

/// 128 bits that all spans of a trace share; never all zero.
package struct TraceID: Sendable, Hashable, CustomStringConvertible {
  package let high: UInt64
  package let low: UInt64

  /// Nil for the one value that is not allowed.
  package init?(high: UInt64, low: UInt64) {
    guard high != 0 || low != 0 else { return nil }
    self.high = high
    self.low = low
  }

  /// Of numbers that were drawn or mixed; the one that is not allowed becomes another.
  package init(drawn high: UInt64, _ low: UInt64) {
    self.high = high
    self.low = low == 0 ? 1 : low
  }

  /// 32 lower-case hexadecimal digits.
  package var description: String { TraceHex.text(high) + TraceHex.text(low) }
}

/// 64 bits that name a span within its trace; never zero.
package struct SpanID: Sendable, Hashable, CustomStringConvertible {
  package let bits: UInt64

  package init?(_ bits: UInt64) {
    guard bits != 0 else { return nil }
    self.bits = bits
  }

  /// Of a number that was drawn or mixed; the one that is not allowed becomes another.
  package init(drawn bits: UInt64) {
    self.bits = bits == 0 ? 1 : bits
  }

  /// 16 lower-case hexadecimal digits.
  package var description: String { TraceHex.text(bits) }
}

/// A place in a trace, as `traceparent` and `tracestate` carry it from one program to the next.
package struct TraceContext: Sendable, Hashable {
  package var traceID: TraceID
  /// The span that what follows belongs to.
  package var spanID: SpanID
  /// Whether the caller may have recorded its part.
  package var isSampled: Bool
  /// `tracestate`, passed on as it came; at most `longestState` bytes.
  package var state: String?

  package static let longestState = 512

  package init(traceID: TraceID, spanID: SpanID, isSampled: Bool, state: String? = nil) {
    self.traceID = traceID
    self.spanID = spanID
    self.isSampled = isSampled
    self.state = state
  }

  /// The header's value. Of the flags only the sampled bit is known here; others are not passed on.
  package var traceparent: String { "00-\(traceID)-\(spanID)-\(isSampled ? "01" : "00")" }

  /// The same place in the trace, one span deeper.
  package func child(_ span: SpanID) -> TraceContext {
    var child = self
    child.spanID = span
    return child
  }
}

// MARK: Reading

extension TraceContext {
  /// Reads the headers of a request. Nil if there is not exactly one valid `traceparent`; a
  /// `tracestate` that is not valid is left out.
  package init?(traceparent: [String], tracestate: [String]) {
    guard traceparent.count == 1, let value = traceparent.first else { return nil }
    self.init(traceparent: value)
    state = TraceState.checked(tracestate)
  }

  private static let length = 55

  /// Reads the value of the header. A version above 00 may have more behind the flags, after a
  /// dash; what it means is not known, and what is known is used.
  package init?(traceparent: String) {
    let bytes = Array(traceparent.utf8)
    guard bytes.count >= Self.length, let version = TraceHex.number(bytes[0..<2]),
      version != 0xFF,
      version == 0 ? bytes.count == Self.length : Self.endsOrGoesOn(bytes),
      [2, 35, 52].allSatisfy({ bytes[$0] == UInt8(ascii: "-") }),
      let high = TraceHex.number(bytes[3..<19]), let low = TraceHex.number(bytes[19..<35]),
      let traceID = TraceID(high: high, low: low),
      let spanID = TraceHex.number(bytes[36..<52]).flatMap(SpanID.init),
      let flags = TraceHex.number(bytes[53..<55])
    else { return nil }
    self.init(traceID: traceID, spanID: spanID, isSampled: flags & 1 == 1)
  }

  private static func endsOrGoesOn(_ bytes: [UInt8]) -> Bool {
    bytes.count == length || bytes[length] == UInt8(ascii: "-")
  }
}

// MARK: Stored

extension TraceContext {
  /// One text for a column: `traceparent`, and after a space `tracestate` if there is one.
  package var stored: String { state.map { "\(traceparent) \($0)" } ?? traceparent }

  /// Nil for what `stored` could not have written.
  package init?(stored: String) {
    let parts = stored.split(separator: " ", maxSplits: 1)
    guard let first = parts.first else { return nil }
    self.init(traceparent: String(first))
    if parts.count == 2 { state = String(parts[1]) }
  }
}

/// The hexadecimal digits of trace context: lower case only.
enum TraceHex {
  static func text(_ bits: UInt64) -> String {
    LeaseToken.text(Int64(bitPattern: bits))
  }

  /// Nil unless every byte is a lower-case digit; at most 16 of them.
  static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
    var number: UInt64 = 0
    for byte in digits {
      switch byte {
      case 0x30...0x39: number = number << 4 | UInt64(byte - 0x30)
      case 0x61...0x66: number = number << 4 | UInt64(byte - 0x61 + 10)
      default: return nil
      }
    }
    return number
  }
}

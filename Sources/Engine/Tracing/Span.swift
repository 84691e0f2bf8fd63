// SPDX-License-Identifier: Apache-2.0
// A finished span, as OpenTelemetry knows them.
package import Domain

/// Something that began and ended, and what is known of it.
package struct Span: Sendable {
  /// The numbers are those of the OpenTelemetry protocol.
  package enum Kind: Int, Sendable {
    case server = 2
    case producer = 4
    case consumer = 5
  }

  package enum Value: Sendable, Equatable {
    case text(String)
    case int(Int)
    case bool(Bool)
  }

  package var name: String
  package var kind: Kind
  /// The trace, and the span's own id in it.
  package var context: TraceContext
  package var parent: SpanID?
  /// Unix nanoseconds.
  package var start: UInt64
  package var end: UInt64
  package var attributes: [(name: String, value: Value)] = []
  /// Why it counts as failed; nil if it does not.
  package var failure: String?

  package init(
    _ name: String, _ kind: Kind, context: TraceContext, parent: SpanID?, start: UInt64,
    end: UInt64
  ) {
    self.name = name
    self.kind = kind
    self.context = context
    self.parent = parent
    self.start = start
    self.end = max(start, end)
  }

  package mutating func set(_ name: String, _ text: String?) {
    if let text { attributes.append((name, .text(text))) }
  }

  package mutating func set(_ name: String, _ number: Int) {
    attributes.append((name, .int(number)))
  }
}

extension Timestamp {
  /// Unix nanoseconds; times before 1970 are 1970.
  package var nanoseconds: UInt64 {
    let (product, overflow) = UInt64(max(milliseconds, 0)).multipliedReportingOverflow(
      by: 1_000_000)
    return overflow ? .max : product
  }
}

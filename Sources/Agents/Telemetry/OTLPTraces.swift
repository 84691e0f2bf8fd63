// SPDX-License-Identifier: Apache-2.0
// Spans as the OpenTelemetry protocol writes them in JSON.
internal import Domain
package import Engine

/// What all spans of this process have in common.
package struct TraceResource: Sendable {
  /// `service.name` and whatever else the operator named.
  package var attributes: [(name: String, value: String)]
  /// The version of this program.
  package var version: String

  package init(attributes: [(name: String, value: String)], version: String) {
    self.attributes = attributes
    self.version = version
  }
}

/// The body of `POST /v1/traces`. 64-bit numbers are texts, ids are hexadecimal:
/// https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
package enum OTLPTraces {
  package static func body(_ spans: [Span], _ resource: TraceResource) -> [UInt8] {
    var writer = JSONWriter(reservingCapacity: 1_024 + 768 * spans.count)
    writer.object {
      $0.key(literal: "resourceSpans")
      $0.array {
        $0.object {
          $0.key(literal: "resource")
          $0.object {
            $0.attributes(resource.attributes.map { ($0.name, .text($0.value)) })
          }
          $0.key(literal: "scopeSpans")
          $0.array { $0.scope(spans, version: resource.version) }
        }
      }
    }
    return writer.bytes
  }
}

extension JSONWriter {
  fileprivate mutating func scope(_ spans: [Span], version: String) {
    object {
      $0.key(literal: "scope")
      $0.object {
        $0.field("name", "orrery")
        $0.field("version", version)
      }
      $0.key(literal: "spans")
      $0.array { for span in spans { $0.span(span) } }
    }
  }

  private mutating func span(_ span: Span) {
    object {
      $0.field("traceId", span.context.traceID.description)
      $0.field("spanId", span.context.spanID.description)
      $0.field(ifPresent: "parentSpanId", span.parent?.description)
      $0.field(ifPresent: "traceState", span.context.state)
      $0.field("name", span.name)
      $0.field("kind", span.kind.rawValue)
      $0.field("startTimeUnixNano", String(span.start))
      $0.field("endTimeUnixNano", String(span.end))
      $0.attributes(span.attributes)
      $0.status(span.failure)
    }
  }

  private mutating func status(_ failure: String?) {
    key(literal: "status")
    object {
      guard let failure else { return }
      $0.field("code", 2)
      if !failure.isEmpty { $0.field("message", failure) }
    }
  }

  fileprivate mutating func attributes(_ attributes: [(name: String, value: Span.Value)]) {
    key(literal: "attributes")
    array { writer in
      for (name, value) in attributes {
        writer.object {
          $0.field("key", name)
          $0.key(literal: "value")
          $0.object { $0.value(value) }
        }
      }
    }
  }

  private mutating func value(_ value: Span.Value) {
    switch value {
    case .text(let text): field("stringValue", text)
    case .int(let number): field("intValue", String(number))
    case .bool(let isTrue): field("boolValue", isTrue)
    }
  }
}

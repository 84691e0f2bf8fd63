// SPDX-License-Identifier: Apache-2.0
// Members of objects in one call: a literal key and its value.

extension JSONWriter {
  package mutating func field(_ name: StaticString, _ value: String) {
    key(literal: name)
    string(value)
  }

  package mutating func field(_ name: StaticString, _ value: Int) {
    key(literal: name)
    int(value)
  }

  package mutating func field(_ name: StaticString, _ value: Int64) {
    key(literal: name)
    int(value)
  }

  package mutating func field(_ name: StaticString, _ value: Double) {
    key(literal: name)
    double(value)
  }

  package mutating func field(_ name: StaticString, _ value: Bool) {
    key(literal: name)
    bool(value)
  }

  package mutating func field(_ name: StaticString, _ value: Timestamp) {
    key(literal: name)
    timestamp(value)
  }

  package mutating func field(_ name: StaticString, raw json: some Collection<UInt8>) {
    key(literal: name)
    raw(json)
  }

  package mutating func field(_ name: StaticString, raw node: JSONNode) {
    key(literal: name)
    raw(node)
  }

  package mutating func field(_ name: StaticString, _ values: [String]) {
    key(literal: name)
    beginArray()
    for value in values { string(value) }
    endArray()
  }

  /// Writes a map with its keys sorted, so that equal maps give equal bytes.
  package mutating func field(_ name: StaticString, _ map: [String: String]) {
    key(literal: name)
    beginObject()
    for (label, value) in map.sorted(by: { $0.key < $1.key }) {
      key(label)
      string(value)
    }
    endObject()
  }

  /// Writes the member only if there is a value.
  package mutating func field(ifPresent name: StaticString, _ value: String?) {
    if let value { field(name, value) }
  }

  package mutating func field(ifPresent name: StaticString, _ value: Int?) {
    if let value { field(name, value) }
  }

  package mutating func field(ifPresent name: StaticString, _ value: Timestamp?) {
    if let value { field(name, value) }
  }

  package mutating func field(ifPresent name: StaticString, raw json: (some Collection<UInt8>)?) {
    if let json { field(name, raw: json) }
  }
}

// SPDX-License-Identifier: Apache-2.0
// Values of one name, told apart by labels, within bounds.

/// The values of up to two labels; an empty one is not there.
package struct LabelValues: Sendable, Hashable {
  package var first: String
  package var second: String

  package init(_ first: String, _ second: String = "") {
    self.first = first
    self.second = second
  }
}

/// A family of counters, gauges or histograms. What comes after the first `most` combinations of
/// labels is counted together as `_other`, so that no client can make the server remember
/// without end.
package struct Family<Value: Sendable>: Sendable {
  package static var other: String { "_other" }

  package private(set) var values: [LabelValues: Value] = [:]
  private let most: Int
  private let zero: Value

  init(most: Int = 1_000, zero: Value) {
    self.most = most
    self.zero = zero
  }

  mutating func update(_ labels: LabelValues, _ change: (inout Value) -> Void) {
    var labels = labels
    if values[labels] == nil, values.count >= most {
      labels = LabelValues(Self.other, labels.second.isEmpty ? "" : Self.other)
    }
    let zero = zero
    change(&values[labels, default: zero])
  }

  mutating func remove(where isGone: (LabelValues) -> Bool) {
    values = values.filter { !isGone($0.key) }
  }
}

extension Family<UInt64> {
  init(most: Int = 1_000) { self.init(most: most, zero: 0) }

  mutating func add(_ count: UInt64 = 1, _ first: String, _ second: String = "") {
    update(LabelValues(first, second)) { $0 &+= count }
  }
}

extension Family<Histogram> {
  init(most: Int = 1_000) { self.init(most: most, zero: Histogram()) }

  mutating func observe(_ seconds: Double, _ first: String, _ second: String = "") {
    update(LabelValues(first, second)) { $0.observe(seconds) }
  }
}

// SPDX-License-Identifier: Apache-2.0
// Writes metrics in the text format of Prometheus, version 0.0.4.
import Engine

/// A page of metrics. Families stay together, series within one are sorted: a page reads the same
/// every time.
struct PrometheusText {
  static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  private(set) var text = ""

  enum Kind: String { case counter, gauge, histogram }

  /// One value without labels.
  mutating func value(_ name: String, _ kind: Kind, _ help: String, _ value: Double) {
    open(name, kind, help)
    line(name, [], value)
  }

  /// A family of numbers.
  mutating func family(
    _ name: String, _ kind: Kind, _ help: String, labels: [String],
    _ values: [(LabelValues, Double)]
  ) {
    open(name, kind, help)
    for (key, value) in values.sorted(by: { Self.precedes($0.0, $1.0) }) {
      line(name, Self.pairs(labels, key), value)
    }
  }

  mutating func counters(
    _ name: String, _ help: String, labels: [String], _ family: Family<UInt64>
  ) {
    self.family(
      name, .counter, help, labels: labels, family.values.map { ($0.key, Double($0.value)) })
  }

  mutating func histograms(
    _ name: String, _ help: String, labels: [String], _ family: Family<Histogram>
  ) {
    open(name, .histogram, help)
    for (key, value) in family.values.sorted(by: { Self.precedes($0.key, $1.key) }) {
      histogram(name, Self.pairs(labels, key), value)
    }
  }

  mutating func histogram(_ name: String, _ help: String, _ value: Histogram) {
    open(name, .histogram, help)
    histogram(name, [], value)
  }

  // MARK: Lines

  private mutating func open(_ name: String, _ kind: Kind, _ help: String) {
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
  }

  private mutating func histogram(
    _ name: String, _ labels: [(String, String)], _ value: Histogram
  ) {
    var sum: UInt64 = 0
    for (index, count) in value.counts.enumerated() {
      sum &+= count
      let bound =
        index < Histogram.bounds.count ? Self.number(Histogram.bounds[index]) : "+Inf"
      line(name + "_bucket", labels + [("le", bound)], Double(sum))
    }
    line(name + "_sum", labels, value.sum)
    line(name + "_count", labels, Double(sum))
  }

  private mutating func line(_ name: String, _ labels: [(String, String)], _ value: Double) {
    text += name
    if !labels.isEmpty {
      let pairs = labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }
      text += "{\(pairs.joined(separator: ","))}"
    }
    text += " \(Self.number(value))\n"
  }

  private static func pairs(_ names: [String], _ values: LabelValues) -> [(String, String)] {
    Array(zip(names, [values.first, values.second]))
  }

  private static func precedes(_ a: LabelValues, _ b: LabelValues) -> Bool {
    (a.first, a.second) < (b.first, b.second)
  }

  private static func number(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "NaN" : value > 0 ? "+Inf" : "-Inf" }
    if value == value.rounded(), abs(value) < 9e15 { return "\(Int64(value))" }
    return "\(value)"
  }

  private static func escaped(_ value: String) -> String {
    var escaped = ""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\\": escaped += "\\\\"
      case "\"": escaped += "\\\""
      case "\n": escaped += "\\n"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}

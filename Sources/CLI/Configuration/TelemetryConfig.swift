// SPDX-License-Identifier: Apache-2.0
// Where spans go and which, by the standard variables of OpenTelemetry.
import Domain
import Engine
import Foundation

/// What the export of traces was told; there is none without an endpoint.
struct TelemetryConfig: Sendable {
  /// The whole address of the traces.
  var endpoint: EndpointURL
  var headers: [(name: String, value: SecretText)] = []
  var sampler = TraceSampler()
  /// `service.name` first.
  var resource: [(name: String, value: String)] = []

  /// Nil if nobody wants spans.
  init?(_ sources: ConfigSources) throws(ConfigError) {
    guard let endpoint = try Self.endpoint(sources) else { return nil }
    self.endpoint = endpoint
    headers = try Self.headers(sources)
    sampler = try Self.sampler(sources)
    resource = try Self.resource(sources)
  }

  // MARK: Endpoint

  private static func endpoint(_ sources: ConfigSources) throws(ConfigError) -> EndpointURL? {
    if let found = try sources.find(.otlpTracesEndpoint) { return try url(found.text, found) }
    guard let found = try sources.find(.otlpEndpoint) else { return nil }
    guard !found.text.contains("?") else { throw found.wrong("Must have no query.") }
    var base = found.text[...]
    while base.last == "/" { base = base.dropLast() }
    return try url(base + "/v1/traces", found)
  }

  private static func url(
    _ text: some StringProtocol, _ found: ConfigSources.Found
  ) throws(ConfigError) -> EndpointURL {
    do throws(EndpointURL.Problem) { return try EndpointURL(String(text)) } catch {
      throw found.wrong(error.rawValue)
    }
  }

  // MARK: Pairs

  private static let ownHeaders: Set<String> = [
    "host", "content-length", "content-type", "transfer-encoding", "connection", "upgrade",
  ]

  private static func headers(
    _ sources: ConfigSources
  ) throws(ConfigError) -> [(name: String, value: SecretText)] {
    guard let found = try sources.find(.otlpHeaders) else { return [] }
    var headers: [(name: String, value: SecretText)] = []
    for (name, value) in try pairs(found) {
      guard name.utf8.allSatisfy(isTokenByte), !ownHeaders.contains(name.lowercased()),
        value.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
      else {
        throw found.wrong("Each name must be that of a header which Orrery does not set itself.")
      }
      headers.append((name, SecretText(value: value)))
    }
    return headers
  }

  private static func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
  }

  private static func resource(
    _ sources: ConfigSources
  ) throws(ConfigError) -> [(name: String, value: String)] {
    var attributes: [(name: String, value: String)] = []
    if let found = try sources.find(.otelResource) { attributes = try pairs(found) }
    let given = attributes.first { $0.name == "service.name" }?.value
    let name = try sources.text(.otelServiceName) ?? given ?? "orrery"
    let own = [
      ("service.name", name), ("telemetry.sdk.name", "orrery"),
      ("telemetry.sdk.language", "swift"), ("telemetry.sdk.version", Version.current),
    ]
    let names = Set(own.map(\.0))
    let version = attributes.contains { $0.name == "service.version" }
    return own + (version ? [] : [("service.version", Version.current)])
      + attributes.filter { !names.contains($0.name) }
  }

  /// `name=value,name=value`, percent-encoded.
  private static func pairs(
    _ found: ConfigSources.Found
  ) throws(ConfigError) -> [(name: String, value: String)] {
    var pairs: [(name: String, value: String)] = []
    for part in found.text.split(separator: ",") {
      let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        .map { $0.trimmingCharacters(in: .whitespaces).removingPercentEncoding }
      guard sides.count == 2, let name = sides[0], let value = sides[1], !name.isEmpty else {
        throw found.wrong("Must be name=value, separated by commas, percent-encoded.")
      }
      pairs.append((name, value))
    }
    return pairs
  }

  // MARK: Sampler

  private static let roots: [String: TraceSampler.Root] = [
    "always_on": .always, "always_off": .never, "traceidratio": .ratio(1),
  ]

  private static func sampler(_ sources: ConfigSources) throws(ConfigError) -> TraceSampler {
    let found = try sources.find(.otelSampler)
    let name = found?.text ?? "parentbased_always_on"
    let followsParent = name.hasPrefix("parentbased_")
    let rest = followsParent ? String(name.dropFirst("parentbased_".count)) : name
    guard let root = roots[rest] else {
      let known = roots.keys.sorted().flatMap { [$0, "parentbased_\($0)"] }
      throw ConfigError(
        found?.setting ?? name, "Must be one of: \(known.joined(separator: ", ")).")
    }
    guard case .ratio = root, let given = try sources.find(.otelSamplerArgument) else {
      return TraceSampler(root: root, followsParent: followsParent)
    }
    guard let share = Double(given.text), (0...1).contains(share) else {
      throw given.wrong("Must be a number from 0 to 1.")
    }
    return TraceSampler(root: .ratio(share), followsParent: followsParent)
  }
}

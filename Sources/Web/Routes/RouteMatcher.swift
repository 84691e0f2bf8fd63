// SPDX-License-Identifier: Apache-2.0
// Finds the route of a request.

/// The route table as it is searched: by the number of segments of the path, spelled-out paths
/// before those with parameters. Empty segments do not count.
struct RouteMatcher: Sendable {
  struct Match {
    var route: Route
    /// Parameters of the path as they came, by name.
    var parameters: [(name: String, value: Substring)]
  }

  enum Result {
    case match(Match)
    /// The path is there, with these methods.
    case otherMethods([String])
    case none
  }

  private struct Entry: Sendable {
    var route: Route
    var segments: [Segment]
    var parameters: Int
  }

  private enum Segment: Sendable {
    case literal(String)
    case parameter(String)
  }

  private let entries: [[Entry]]

  init(_ routes: [Route]) {
    var entries: [[Entry]] = []
    for route in routes {
      let segments = route.path.split(separator: "/").map { segment -> Segment in
        segment.hasPrefix("{")
          ? .parameter(String(segment.dropFirst().dropLast())) : .literal(String(segment))
      }
      while entries.count <= segments.count { entries.append([]) }
      let parameters = segments.count { if case .parameter = $0 { true } else { false } }
      entries[segments.count].append(
        Entry(route: route, segments: segments, parameters: parameters))
    }
    self.entries = entries.map { $0.sorted { $0.parameters < $1.parameters } }
  }

  /// - Parameter method: HEAD finds the routes of GET.
  func find(_ method: String, _ path: String) -> Result {
    let segments = path.split(separator: "/", omittingEmptySubsequences: true)
    guard segments.count < entries.count else { return .none }
    let wanted = method == "HEAD" ? "GET" : method
    var methods: [String] = []
    var fewest: Int?
    for entry in entries[segments.count] {
      // A path that is spelled out hides those with parameters.
      if let fewest, entry.parameters > fewest { break }
      guard let parameters = Self.match(entry.segments, segments) else { continue }
      if entry.route.method == wanted {
        return .match(Match(route: entry.route, parameters: parameters))
      }
      fewest = fewest ?? entry.parameters
      methods.append(entry.route.method)
    }
    return methods.isEmpty ? .none : .otherMethods(methods)
  }

  private static func match(
    _ pattern: [Segment], _ path: [Substring]
  ) -> [(name: String, value: Substring)]? {
    var parameters: [(name: String, value: Substring)] = []
    for (segment, given) in zip(pattern, path) {
      switch segment {
      case .literal(let text): guard given == text else { return nil }
      case .parameter(let name): parameters.append((name, given))
      }
    }
    return parameters
  }
}

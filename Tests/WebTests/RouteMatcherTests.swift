// SPDX-License-Identifier: Apache-2.0
// Which route a path leads to.
import Testing

@testable import Web

@Suite struct RouteMatcherTests {
  private func found(_ method: String, _ path: String) -> String {
    switch RouteMatcher(RouteTable.all).find(method, path) {
    case .match(let match):
      ([match.route.name] + match.parameters.map { "\($0.name)=\($0.value)" })
        .joined(separator: " ")
    case .otherMethods(let methods): methods.sorted().joined(separator: ",")
    case .none: "none"
    }
  }

  @Test(arguments: [
    ("GET", "/api/tasks", "GET /api/tasks"), ("GET", "/api/tasks/", "GET /api/tasks"),
    ("GET", "//api//tasks", "GET /api/tasks"), ("HEAD", "/api/tasks", "GET /api/tasks"),
    ("GET", "/api/tasks/x", "GET /api/tasks/{id} id=x"),
    ("POST", "/api/tasks/bulk", "POST /api/tasks/bulk"),
    ("GET", "/api/tasks/bulk", "POST"), ("GET", "/api/agents/join", "POST"),
    ("POST", "/api/agents/join", "POST /api/agents/join"),
    ("POST", "/api/agents/a/lease", "POST /api/agents/{id}/lease id=a"),
    ("PUT", "/api/tasks", "GET,POST"), ("PUT", "/api/tasks/bulk", "POST"),
    ("PUT", "/api/tasks/x", "GET"), ("GET", "/", "none"), ("GET", "/api/nothing", "none"),
    ("GET", "/a/b/c/d/e/f/g", "none"),
  ])
  func `a path is found`(method: String, path: String, expected: String) {
    #expect(found(method, path) == expected)
  }
}

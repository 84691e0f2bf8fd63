// SPDX-License-Identifier: Apache-2.0
// The routes of the code and those of API/openapi.json are the same.

import Foundation
import Testing

@Suite struct RouteRules {
  static let table = "Sources/Web/Routes/RouteTable.swift"

  @Test func `code and contract list the same routes`() throws {
    let code = try Self.routes(in: Repository.text(of: Self.table))
    let contract = try OpenAPIDocument().routes
    try #require(!code.isEmpty, "\(Self.table) lists no route that this test can read")
    for route in contract.subtracting(code).sorted() {
      Issue.record("API/openapi.json has \(route), \(Self.table) has not")
    }
    for route in code.subtracting(contract).sorted() {
      Issue.record("\(Self.table) has \(route), API/openapi.json has not")
    }
  }

  @Test func `code and contract agree on who may call`() throws {
    let code = try Self.access(in: Repository.text(of: Self.table))
    let contract = try OpenAPIDocument().access
    for (route, access) in contract.sorted(by: { $0.key < $1.key }) {
      #expect(code[route] == access, "\(route)")
    }
  }

  /// Route → role of the token, `agent` or `open`.
  static func access(in text: String) -> [String: String] {
    let pattern = /"([A-Z]+)",\s*"(\/[^"]*)",\s*\.(token\(\.([a-z]+)\)|agent|open)/
    let pairs = text.matches(of: pattern).map {
      ("\($0.1) \($0.2)", $0.4.map(String.init) ?? String($0.3))
    }
    return Dictionary(pairs, uniquingKeysWith: { first, _ in first })
  }

  /// `("GET", "/api/tasks")` or `(method: "GET", path: "/api/tasks")`, as `GET /api/tasks`.
  static func routes(in text: String) -> Set<String> {
    let pattern = /["\.]([A-Za-z]+)"?\s*,\s*(?:path:\s*)?"(\/[^"]*)"/
    return Set(text.matches(of: pattern).map { "\($0.1.uppercased()) \($0.2)" })
  }
}

/// What the rules read from the contract.
struct OpenAPIDocument {
  let routes: Set<String>
  let errorCodes: [String]
  /// Route → role, `agent` or `open`, as `x-role` and `security` say.
  let access: [String: String]

  private static let methods: Set<String> = [
    "get", "put", "post", "patch", "delete", "options",
  ]

  init() throws {
    let data = try Data(contentsOf: Repository.root.appendingPathComponent("API/openapi.json"))
    let root = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    let paths = try #require(root["paths"] as? [String: [String: Any]])
    var access: [String: String] = [:]
    for (path, item) in paths {
      for method in item.keys where Self.methods.contains(method) {
        let operation = try #require(item[method] as? [String: Any])
        let security = operation["security"] as? [Any] ?? []
        access["\(method.uppercased()) \(path)"] =
          operation["x-role"] as? String ?? (security.isEmpty ? "open" : "agent")
      }
    }
    self.access = access
    routes = Set(access.keys)
    let components = try #require(root["components"] as? [String: Any])
    let schemas = try #require(components["schemas"] as? [String: [String: Any]])
    errorCodes = try #require(schemas["ErrorCode"]?["enum"] as? [String])
  }
}

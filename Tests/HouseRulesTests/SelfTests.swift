// SPDX-License-Identifier: Apache-2.0
// The rules' own readers, tried on small sources: a checker that sees nothing finds nothing.

import Testing

@Suite struct SelfTests {
  @Test func `comments and strings are blanked, interpolations are code`() {
    let text = SwiftText(
      #"""
      let a = "try! \(f("x") + y)" // try!
      /* try! /* nested */ */ let b = #"raw " \n"# + """
        try! in a block
        """
      let c = 1
      """#)
    let code = text.lines.joined(separator: "\n")
    #expect(!code.contains("try!") && !code.contains("raw") && !code.contains("nested"))
    #expect(code.contains("+ y") && code.contains("let b") && code.contains("let c = 1"))
    #expect(text.lines.count == 5)
  }

  @Test func `functions are measured, requirements and calls are not`() {
    let code = SwiftText(
      """
      protocol P {
        func required() throws
        init(a: Int)
        var x: Int { get }
      }
      struct S {
        init(a: Int = { 1 }()) {
          self.init(b: 2)
        }
        func long(
          _ a: [Int]
        ) async throws(E) -> Int where A: B {
          if true { return 1 }
        }
      }
      """
    ).code
    let functions = SourceFunction.all(in: code)
    #expect(functions.map(\.line) == [7, 10])
    #expect(functions.map(\.length) == [3, 5])
  }

  @Test func `banned calls stand alone`() {
    #expect(BannedCalls.calls("print(", in: "  print(x)"))
    #expect(!BannedCalls.calls("print(", in: "  blueprint(x)"))
    #expect(!BannedCalls.calls("print(", in: "  printer.print(x)"))
    #expect(BannedCalls.calls(".random(in", in: "Int.random(in: a)"))
  }

  @Test func `routes are read from the table`() {
    let routes = RouteRules.routes(
      in: """
        ("GET", "/api/tasks"), (method: "POST", path: "/api/tasks/{id}/cancel"), (.delete, "/x"),
        """)
    #expect(routes == ["GET /api/tasks", "POST /api/tasks/{id}/cancel", "DELETE /x"])
  }

  @Test func `headings become anchors`() {
    let anchors = DocumentRules.anchors(of: "# Bad input gets: 400\n```\n# no\n```\n## `a_b`-c")
    #expect(anchors == ["bad-input-gets-400", "a_b-c"])
  }
}

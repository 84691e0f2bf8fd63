// SPDX-License-Identifier: Apache-2.0
// What counts in the end is the address that was connected.

import Agents
import Domain
import Engine
import Testing

@Suite(.timeLimit(.minutes(1))) struct ConnectedAddressTests {
  private static let accepted = Scripted.status(200, body: #"{"accepted":true}"#)

  private func dispatch(
    to url: String, host: String, ownPort: Int = 1, allow: [String] = []
  ) async throws -> DispatchAnswer {
    try await Fixture.withConnector(host: host, ownPort: ownPort, allow: allow) { connector in
      await connector.start(
        try Fixture.dispatch(), on: try Fixture.agent(url),
        secrets: [try AgentSecret(Fixture.secret)])
    }
  }

  /// A name passes every check of the text, so only the connection can tell.
  @Test func `a name that leads to a refused address gets no request`() async throws {
    try await ScriptedAgent.with({ _ in Self.accepted }) { agent in
      let url = "http://localhost:\(agent.port)/x"
      let answer = try await dispatch(to: url, host: "0.0.0.0")
      #expect(answer.summary == "undelivered breaker", "\(answer)")
      #expect(agent.requests.isEmpty)
      #expect(try await dispatch(to: url, host: "127.0.0.1").summary == "accepted")
      #expect(agent.requests.count == 1)
    }
  }

  @Test func `a refused address is not even connected`() async throws {
    try await ScriptedAgent.with({ _ in Self.accepted }) { agent in
      let answer = try await dispatch(to: agent.url, host: "0.0.0.0")
      #expect(answer.summary == "undelivered breaker", "\(answer)")
      #expect(agent.connections == 0)
    }
  }

  @Test func `the server's own port gets no request`() async throws {
    try await ScriptedAgent.with({ _ in Self.accepted }) { agent in
      let url = "http://localhost:\(agent.port)/x"
      let answer = try await dispatch(
        to: url, host: "127.0.0.1", ownPort: agent.port, allow: ["127.0.0.0/8", "::1"])
      #expect(answer.summary == "undelivered breaker", "\(answer)")
      #expect(agent.requests.isEmpty)
    }
  }

  @Test func `redirects are not followed`() async throws {
    try await ScriptedAgent.with({ _ in Self.accepted }) { target in
      let url = target.url
      try await ScriptedAgent.with({ _ in .status(307, headers: [("location", url)]) }) { agent in
        let answer = try await dispatch(to: agent.url, host: "127.0.0.1")
        #expect(answer.summary == "failed BAD_ANSWER", "\(answer)")
        #expect(target.requests.isEmpty)
      }
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
// What agents get to see: the signed dispatch, extra authentication, cancellations and probes.

import Agents
import Domain
import Engine
import NIOHTTP1
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct OutgoingRequestTests {
  private static let accepted = Scripted.status(202, body: #"{"accepted":true}"#)

  @Test func `a dispatch is the protocol's body, signed`() async throws {
    try await ScriptedAgent.with({ _ in Self.accepted }) { agent in
      try await Fixture.withConnector(ownPort: 3_000) { connector in
        let secrets = [try AgentSecret(Fixture.secret), try AgentSecret("old secret")]
        let payload = #"{"b" : 1.0, "a":"\u00e9"}"#
        let answer = await connector.start(
          try Fixture.dispatch(payload: payload), on: try Fixture.agent(agent.url),
          secrets: secrets)
        #expect(answer.summary == "accepted")
        let request = try #require(agent.requests.first)
        #expect(request.method == "POST" && request.uri == "/dispatch")
        #expect(request.header("content-type") == "application/json")
        #expect(request.header("webhook-id") == "msg_\(Fixture.taskID)_3")
        for secret in secrets {
          let verdict = SignatureVerifier.verify(
            body: request.body, secrets: [secret],
            nowMilliseconds: World.live.now().milliseconds, allowCompat: false,
            values: { request.headers[$0.rawValue] })
          #expect(try verdict.get().agentID.text == "agent-1")
        }
        let body = try JSONDocument(request.body).root
        #expect(body["payload"].map { String(decoding: $0.rawSlice, as: UTF8.self) } == payload)
        #expect(body["taskId"]?.stringValue == "\(Fixture.taskID)")
        #expect(body["attempt"]?.int64Value == 3)
        #expect(body["leaseToken"]?.stringValue == "0123456789abcdef")
        #expect(body["type"]?.stringValue == "work")
        #expect(body["priority"]?.int64Value == 5)
        #expect(body["timeout"]?.int64Value == 60_000)
        #expect(
          body["callbackUrl"]?.stringValue == "http://127.0.0.1:3000/api/agent-callback")
        #expect(
          body["progressUrl"]?.stringValue
            == "http://127.0.0.1:3000/api/tasks/\(Fixture.taskID)/progress")
        let trace = try Fixture.trace
        #expect(body["traceparent"]?.stringValue == trace.traceparent)
        #expect(body["tracestate"]?.stringValue == trace.state)
        #expect(request.headers["traceparent"] == [trace.traceparent])
        #expect(request.headers["tracestate"] == trace.state.map { [$0] })
      }
    }
  }

  @Test func `connections are kept and reused`() async throws {
    try await ScriptedAgent.with({ _ in Self.accepted }) { agent in
      try await Fixture.withConnector { connector in
        for _ in 0..<20 {
          _ = await connector.start(
            try Fixture.dispatch(), on: try Fixture.agent(agent.url),
            secrets: [try AgentSecret(Fixture.secret)])
        }
        #expect(agent.requests.count == 20 && agent.connections == 1)
      }
    }
  }

  // MARK: Extra authentication

  private func header(
    _ authentication: String, secrets: [String: String], name: String
  ) async throws -> (answer: String, value: String?) {
    try await ScriptedAgent.with({ _ in Self.accepted }) { agent in
      try await Fixture.withConnector(secrets: secrets) { connector in
        let answer = await connector.start(
          try Fixture.dispatch(),
          on: try Fixture.agent(agent.url, options: #"{"authentication":\#(authentication)}"#),
          secrets: [try AgentSecret(Fixture.secret)])
        return (answer.summary, agent.requests.first?.header(name))
      }
    }
  }

  @Test func `bearer, api-key and hmac`() async throws {
    let bearer = try await header(
      #"{"type":"bearer","keyName":"T"}"#, secrets: ["T": "tok"], name: "authorization")
    #expect(bearer == ("accepted", "Bearer tok"))
    let key = try await header(
      #"{"type":"api-key","keyName":"T"}"#, secrets: ["T": "tok"], name: "x-api-key")
    #expect(key == ("accepted", "tok"))
    let other = try await header(
      #"{"type":"api-key","header":"x-k","keyName":"T"}"#, secrets: ["T": "tok"], name: "x-k")
    #expect(other == ("accepted", "tok"))
    let hmac = try await header(#"{"type":"hmac"}"#, secrets: [:], name: "authorization")
    #expect(hmac == ("accepted", nil))
  }

  @Test func `a missing or unusable secret delivers nothing`() async throws {
    let bearer = #"{"type":"bearer","keyName":"T"}"#
    for secrets in [[:], ["T": ""], ["T": "a\r\nx: y"], ["T": "é"]] {
      let found = try await header(bearer, secrets: secrets, name: "authorization")
      #expect(found == ("undelivered", nil))
    }
  }

  @Test func `oauth2 fetches a token once and again when it is refused`() async throws {
    let issued = Mutex(0)
    let tokens = try await ScriptedAgent { request in
      guard request.header("authorization") == "Basic aWQlMkY6cyUyMHQ=",
        String(decoding: request.body, as: UTF8.self)
          == "grant_type=client_credentials&scope=a%20b"
      else { return .status(400) }
      let number = issued.withLock { issued in
        issued += 1
        return issued
      }
      return .status(200, body: #"{"access_token":"t\#(number)","expires_in":3600}"#)
    }
    let agent = try await ScriptedAgent { request in
      request.header("authorization") == "Bearer t2" ? Self.accepted : .status(401)
    }
    let options = """
      {"authentication":{"type":"oauth2","tokenUrl":"http://127.0.0.1:\(tokens.port)/t",
       "clientId":"id/","scope":"a b","keyName":"S"}}
      """
    try await Fixture.withConnector(allow: ["127.0.0.1"], secrets: ["S": "s t"]) { connector in
      for _ in 0..<3 {
        let answer = await connector.start(
          try Fixture.dispatch(), on: try Fixture.agent(agent.url, options: options),
          secrets: [try AgentSecret(Fixture.secret)])
        #expect(answer.summary == "accepted", "\(answer)")
      }
    }
    #expect(tokens.requests.count == 2)
    #expect(agent.requests.count == 4)
    try await tokens.stop()
    try await agent.stop()
  }

  @Test func `a token server that fails delivers nothing`() async throws {
    for script in [Scripted.status(500), .status(200, body: "{}"), .close, .hang] {
      let tokens = try await ScriptedAgent { _ in script }
      let answer = try await Fixture.withConnector(
        allow: ["127.0.0.1"], answerTimeout: 300, secrets: ["S": "s"]
      ) { connector in
        if case .hang = script { try await tokens.stop() }
        return await connector.start(
          try Fixture.dispatch(),
          on: try Fixture.agent(
            "http://127.0.0.1:9/x",
            options: """
              {"authentication":{"type":"oauth2","tokenUrl":"http://127.0.0.1:\(tokens.port)/t",
               "clientId":"c","keyName":"S"}}
              """), secrets: [try AgentSecret(Fixture.secret)])
      }
      #expect(answer.summary == "undelivered", "\(answer)")
      if case .hang = script {} else { try await tokens.stop() }
    }
  }

  // MARK: Cancellation and health

  @Test func `a cancellation is signed and tried three times`() async throws {
    let slept = Mutex<[Int64]>([])
    var world = World.live
    world.sleep = { time in slept.withLock { $0.append(time) } }
    let scripted = try await ScriptedAgent { _ in .status(500) }
    try await Fixture.withConnector(world: world) { connector in
      var agent = try Fixture.agent("http://127.0.0.1:9/x")
      let task = try Fixture.dispatch().task.running
      await connector.cancel(task, reason: .timeout, on: agent, secrets: [])
      #expect(scripted.requests.isEmpty)
      agent.cancelEndpoint = "http://127.0.0.1:\(scripted.port)/cancel"
      await connector.cancel(
        task, reason: .timeout, on: agent, secrets: [try AgentSecret(Fixture.secret)])
    }
    #expect(scripted.requests.count == 3)
    #expect(slept.withLock { $0 } == [500, 2_000])
    #expect(Set(scripted.requests.map { $0.header("webhook-id") }).count == 3)
    #expect(
      scripted.requests.first.map { String(decoding: $0.body, as: UTF8.self) }
        == #"{"taskId":"\#(Fixture.taskID)","attempt":3,"leaseToken":"0123456789abcdef","#
        + #""reason":"timeout"}"#)
    try await scripted.stop()
  }

  @Test func `one answer is enough for a cancellation`() async throws {
    try await ScriptedAgent.with({ _ in .status(404) }) { scripted in
      try await Fixture.withConnector { connector in
        var agent = try Fixture.agent("http://127.0.0.1:9/x")
        agent.cancelEndpoint = scripted.url
        await connector.cancel(
          try Fixture.dispatch().task.running, reason: .cancelled, on: agent,
          secrets: [try AgentSecret(Fixture.secret)])
        #expect(scripted.requests.count == 1)
      }
    }
  }

  @Test(arguments: [(200, true), (204, true), (302, false), (404, false), (500, false)])
  func `a probe is healthy on 2xx`(status: Int, isHealthy: Bool) async throws {
    try await ScriptedAgent.with({ _ in .status(status) }) { scripted in
      try await Fixture.withConnector { connector in
        var agent = try Fixture.agent("http://127.0.0.1:9/x")
        agent.healthUrl = "http://127.0.0.1:\(scripted.port)/health?x=1"
        #expect(await connector.isHealthy(agent) == isHealthy)
        #expect(scripted.requests.first?.method == "GET")
        #expect(scripted.requests.first?.uri == "/health?x=1")
      }
    }
  }
}

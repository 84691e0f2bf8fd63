// SPDX-License-Identifier: Apache-2.0
// Every bad setting is named, with where it stands and what is allowed.

import Testing

@testable import CLI

@Suite struct ConfigErrorTests {
  struct BadFile: Sendable, CustomTestStringConvertible {
    let text: String
    /// The path of the key; empty for the whole document.
    let path: String
    /// Something that the sentence says.
    let says: String
    var testDescription: String { "\(text.prefix(70))" }

    init(_ text: String, _ path: String, _ says: String) {
      self.text = text
      self.path = path
      self.says = says
    }

    /// A file with one agent.
    init(agent: String, _ path: String, _ says: String) {
      text = #"{"agents":[{"id":"a","type":"http",\#(agent)}]}"#
      self.path = "agents[0]" + (path.isEmpty ? "" : ".\(path)")
      self.says = says
    }
  }

  static let files: [BadFile] = [
    BadFile("", "", "empty"), BadFile("[]", "", "object"), BadFile("{", "", "ends too early"),
    BadFile(#"{"queue":{},}"#, "", "comma"), BadFile(#"{"a":1,"a":1}"#, "", "twice"),
    BadFile(#"{"agent":[]}"#, "agent", "agents, queue"),
    BadFile(#"{"agents":{}}"#, "agents", "array"),
    BadFile(#"{"agents":[1]}"#, "agents[0]", "object"),
    BadFile(#"{"agents":[{"type":"http"}]}"#, "agents[0].id", "required"),
    BadFile(#"{"agents":[{"id":"a b","type":"http"}]}"#, "agents[0].id", "A-Z"),
    BadFile(#"{"agents":[{"id":"a"}]}"#, "agents[0].type", "required"),
    BadFile(#"{"agents":[{"id":"a","type":"x"}]}"#, "agents[0].type", "http, browser"),
    BadFile(#"{"agents":[{"id":"a","type":"wasm"}]}"#, "agents[0].type", "not built yet"),
    BadFile(
      #"{"agents":[{"id":"a","type":"cloud","provider":"aws"}]}"#, "agents[0].provider",
      "not built yet"),
    BadFile(
      #"{"agents":[{"id":"a","type":"http"},{"id":"a","type":"http"}]}"#, "agents[1].id",
      "already"),
    BadFile(agent: #""endpont":"x""#, "endpont", "endpoint"),
    BadFile(agent: #""endpoint":"ftp://x""#, "endpoint", "http://"),
    BadFile(agent: #""endpoint":5"#, "endpoint", "string"),
    BadFile(agent: #""healthUrl":"x""#, "healthUrl", "http://"),
    BadFile(agent: #""cancelEndpoint":"http://u@x/""#, "cancelEndpoint", "user name"),
    BadFile(agent: #""capabilities":"x""#, "capabilities", "array"),
    BadFile(agent: #""capabilities":[1]"#, "capabilities[0]", "string"),
    BadFile(agent: #""concurrency":0"#, "concurrency", "between 1"),
    BadFile(agent: #""concurrency":1.5"#, "concurrency", "whole number"),
    BadFile(agent: #""timeout":0"#, "timeout", "between 1"),
    BadFile(agent: #""leaseSeconds":0"#, "leaseSeconds", "between 1"),
    BadFile(agent: #""answers":"maybe""#, "answers", "async, sync"),
    BadFile(agent: #""labels":{"a":1}"#, "labels.a", "string"),
    BadFile(agent: #""launch":{}"#, "launch.command", "required"),
    BadFile(agent: #""launch":{"command":[]}"#, "launch.command", "between 1"),
    BadFile(agent: #""launch":{"command":[""]}"#, "launch.command", "required"),
    BadFile(agent: #""launch":{"command":["x"],"shell":true}"#, "launch.shell", "command"),
    BadFile(
      agent: #""launch":{"command":["x"],"env":{"ORRERY_X":"1"}}"#, "launch.env.ORRERY_X", "ORRERY_"
    ),
    BadFile(agent: #""launch":{"command":["x"],"env":{"a=b":"1"}}"#, #"launch.env["a=b"]"#, "name"),
    BadFile(agent: #""endpoint":"http://x/","launch":{"command":["x"]}"#, "launch", "not both"),
    BadFile(agent: #""secretName":"a b""#, "secretName", "variable"),
    BadFile(agent: #""authentication":"bearer""#, "authentication", "object"),
    BadFile(agent: #""authentication":{}"#, "authentication.type", "required"),
    BadFile(agent: #""authentication":{"type":"basic"}"#, "authentication.type", "api-key"),
    BadFile(agent: #""authentication":{"type":"bearer"}"#, "authentication.keyName", "required"),
    BadFile(
      agent: #""authentication":{"type":"api-key","keyName":"A","header":"host"}"#,
      "authentication.header", "header"),
    BadFile(
      agent: #""authentication":{"type":"api-key","keyName":"A","header":"a b"}"#,
      "authentication.header", "header"),
    BadFile(
      agent: #""authentication":{"type":"oauth2","keyName":"A","clientId":"c","tokenUrl":"x"}"#,
      "authentication.tokenUrl", "http://"),
    BadFile(
      agent: #""authentication":{"type":"bearer","keyName":"A","token":"x"}"#,
      "authentication.token", "keyName"),
    BadFile(#"{"queue":{"type":"redis"}}"#, "queue.type", "not built yet"),
    BadFile(#"{"queue":{"type":"x"}}"#, "queue.type", "sqlite"),
    BadFile(#"{"queue":{"maxRetries":-1}}"#, "queue.maxRetries", "0 to 999"),
    BadFile(#"{"queue":{"maxRetries":"3"}}"#, "queue.maxRetries", "whole number"),
    BadFile(#"{"queue":{"retryDelay":99999999999}}"#, "queue.retryDelay", "0 to"),
    BadFile(#"{"queue":{"kind":"sqlite"}}"#, "queue.kind", "type, maxRetries"),
    BadFile(#"{"callbacks":{"url":"x"}}"#, "callbacks.url", "http://"),
    BadFile(#"{"callbacks":{"timeout":1}}"#, "callbacks.timeout", "100 to"),
    BadFile(
      #"{"callbacks":{"authentication":{"type":"bearer","secretKey":"x"}}}"#,
      "callbacks.authentication.type", "hmac-sha256"),
    BadFile(
      #"{"callbacks":{"authentication":{"type":"hmac-sha256"}}}"#,
      "callbacks.authentication.secretKey", "required"),
    BadFile(#"{"network":{"allow":"10.0.0.0/8"}}"#, "network.allow", "array"),
    BadFile(#"{"network":{"allow":["10.0.0.1/8"]}}"#, "network.allow", "10.0.0.1/8"),
    BadFile(#"{"network":{"deny":[]}}"#, "network.deny", "allow"),
    BadFile(#"{"limits":{"payloads":1}}"#, "limits.payloads", "payload"),
    BadFile(#"{"limits":{"payload":1}}"#, "limits.payload", "from 2"),
    BadFile(#"{"limits":{"payload":true}}"#, "limits.payload", "whole number"),
    BadFile(#"{"limits":{"types":[]}}"#, "limits.types", "object"),
    BadFile(#"{"limits":{"types":{"a b":{}}}}"#, #"limits.types["a b"]"#, "ASCII"),
    BadFile(#"{"limits":{"types":{"x":{"rate":1}}}}"#, "limits.types.x.rate", "ratePerSecond"),
    BadFile(
      #"{"limits":{"types":{"x":{"concurrency":-1}}}}"#, "limits.types.x.concurrency", "between"),
    BadFile(#"{"retention":{"days":0}}"#, "retention.days", "1 to"),
    BadFile(#"{"server":{"port":70000}}"#, "server.port", "0 to 65535"),
    BadFile(#"{"server":{"host":""}}"#, "server.host", "IP address"),
    BadFile(#"{"server":{"host":"0.0.0.0"}}"#, "server.host", "--insecure-http"),
    BadFile(#"{"server":{"publicUrl":"orrery.example"}}"#, "server.publicUrl", "http://"),
    BadFile(#"{"log":{"level":"loud"}}"#, "log.level", "debug"),
  ]

  @Test(arguments: files)
  func `a bad file is refused`(bad: BadFile) throws {
    let error = try #require(try Loading.error(file: bad.text))
    let setting = bad.path.isEmpty ? "agents.json" : "agents.json: \(bad.path)"
    #expect(error.setting == setting && error.message.contains(bad.says), "\(error)")
  }

  @Test(arguments: [
    ("ORRERY_PORT", "x", "0 to 65535"), ("ORRERY_PORT", "+5", "0 to 65535"),
    ("ORRERY_PORT", "99999999999999999999", "0 to 65535"),
    ("ORRERY_DATABASE", "postgres://x", "not built yet"),
    ("ORRERY_DATABASE", "mysql://x", "Must be sqlite"),
    ("ORRERY_ALLOW_NET", "10.0.0.0/8,x", "x is no network"),
    ("ORRERY_NO_COMPAT_SIGNATURES", "perhaps", "true or false"),
    ("ORRERY_ADMIN_TOKEN", "short", "32"),
    ("ORRERY_ADMIN_TOKEN", "with a space aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "spaces"),
    ("ORRERY_MASTER_KEY", "AAAA", "32 bytes"), ("ORRERY_PUBLIC_URL", "x", "http://"),
    ("ORRERY_LIMITS_PAYLOAD", "0", "from 2"), ("ORRERY_CONFIG", "nowhere", "nowhere"),
  ])
  func `a bad variable is refused`(name: String, value: String, says: String) throws {
    let error = try #require(try Loading.error(environment: [name: value]))
    #expect(error.setting == name && error.message.contains(says), "\(error)")
  }

  @Test func `a bad flag is refused`() throws {
    #expect(try Loading.error(flags: ServeFlags(port: -1))?.setting == "--port")
    #expect(try Loading.error(flags: ServeFlags(allowNet: ["x"]))?.setting == "--allow-net")
    #expect(try Loading.error(flags: ServeFlags(host: "0.0.0.0"))?.setting == "--host")
    #expect(try Loading.error(flags: ServeFlags(host: "0.0.0.0", insecureHTTP: true)) == nil)
    #expect(try Loading.error(flags: ServeFlags(logLevel: "x"))?.setting == "--log-level")
  }
}

// SPDX-License-Identifier: Apache-2.0
// Settings from flags, variables, the file and defaults.

import Agents
import Configuration
import Domain
import Foundation
import Logging
import Testing

@testable import CLI

/// Loads a configuration from a folder of its own.
enum Loading {
  static func load(
    file: String? = nil, named name: String = "agents.json", flags: ServeFlags = ServeFlags(),
    environment: [String: String] = [:], isGiven: Bool = true
  ) throws -> ServerConfig {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("orrery-config-\(UUID().uuidString)")
    let path = folder.appendingPathComponent(name)
    try FileManager.default.createDirectory(
      at: path.deletingLastPathComponent(), withIntermediateDirectories: true)
    defer {
      do { try FileManager.default.removeItem(at: folder) } catch { Issue.record(error) }
    }
    var flags = flags
    if let file {
      try Data(file.utf8).write(to: path)
      if isGiven { flags.config = name }
    }
    return try ServerConfig.load(
      flags: flags, environment: environment, folder: folder.path,
      now: Timestamp(milliseconds: 1_800_000_000_000))
  }

  static func error(
    file: String? = nil, flags: ServeFlags = ServeFlags(), environment: [String: String] = [:]
  ) throws -> ConfigError? {
    do {
      _ = try load(file: file, flags: flags, environment: environment)
      return nil
    } catch let error as ConfigError { return error }
  }
}

@Suite struct ConfigTests {
  @Test func `nothing said means the defaults`() throws {
    let config = try Loading.load()
    #expect(config.host == "127.0.0.1" && config.port == 3_000)
    #expect(config.dataFolder == "./data" && config.databaseFile == nil)
    #expect(config.configFile == nil && config.agents.isEmpty && config.types.isEmpty)
    #expect(config.allowNet.isEmpty && config.publicUrl == nil && config.callbackUrl == nil)
    #expect(config.allowsCompatSignatures && config.logLevel == .info)
    #expect(config.adminToken == nil && config.masterKey == nil)
    #expect(config.retry == RetryPolicy() && config.limits == Limits())
    #expect(config.answerTimeout == 10_000 && config.callbackSecretName == nil)
    #expect(config.warnings.isEmpty)
  }

  @Test func `flags win over variables, those over the file`() throws {
    let file = #"{"server":{"host":"::1","port":1},"log":{"level":"error"}}"#
    #expect(try Loading.load(file: file).port == 1)
    #expect(try Loading.load(file: file).host == "::1")
    #expect(try Loading.load(file: file, environment: ["ORRERY_PORT": "2"]).port == 2)
    #expect(try Loading.load(file: file, environment: ["ORRERY_PORT": ""]).port == 1)
    let flags = ServeFlags(port: 3)
    let both = try Loading.load(file: file, flags: flags, environment: ["ORRERY_PORT": "2"])
    #expect(both.port == 3 && both.host == "::1" && both.logLevel == .error)
  }

  @Test func `every variable is read under its documented name`() throws {
    let key = Base64.encode(Array(repeating: 7, count: 32))
    let config = try Loading.load(environment: [
      "ORRERY_HOST": "0.0.0.0", "ORRERY_PORT": "0", "ORRERY_DATA": "/d",
      "ORRERY_DATABASE": "sqlite:/x/y.db", "ORRERY_PUBLIC_URL": "https://o.example/p/",
      "ORRERY_ALLOW_NET": "10.0.0.0/8, fd00::/8,10.0.0.0/8", "ORRERY_INSECURE_HTTP": "1",
      "ORRERY_NO_COMPAT_SIGNATURES": "true", "ORRERY_LOG_LEVEL": "DEBUG",
      "ORRERY_RETENTION_DAYS": "7", "ORRERY_ADMIN_TOKEN": String(repeating: "t", count: 32),
      "ORRERY_MASTER_KEY": key, "ORRERY_QUEUE_MAX_RETRIES": "0",
      "ORRERY_QUEUE_RETRY_DELAY": "600000", "ORRERY_CALLBACKS_URL": "http://c.example/x",
      "ORRERY_CALLBACKS_TIMEOUT": "2000", "ORRERY_LIMITS_LOG_LINES_PER_TASK": "5",
      "ORRERY_URL": "http://x", "ORRERY_TOKEN": "y", "ORRERY_TYPO": "z",
    ])
    #expect(config.host == "0.0.0.0" && config.port == 0 && config.dataFolder == "/d")
    #expect(config.databaseFile == "/x/y.db" && config.publicUrl == "https://o.example/p")
    #expect(config.allowNet.map(\.description) == ["10.0.0.0/8", "fd00::/8"])
    #expect(!config.allowsCompatSignatures && config.logLevel == .debug)
    #expect(config.limits.retentionDays == 7 && config.limits.logLinesPerTask == 5)
    #expect(config.adminToken?.value.count == 32 && config.masterKey?.value == key)
    #expect(config.retry.maxAttempts == 1 && config.retry.base == 600_000)
    #expect(config.retry.cap == 600_000)
    #expect(config.callbackUrl == "http://c.example/x" && config.answerTimeout == 2_000)
    #expect(config.warnings.count == 1 && config.warnings[0].contains("ORRERY_TYPO"))
  }

  @Test func `every variable has its own spelling of the key`() throws {
    for key in ConfigKey.all {
      guard let variable = key.variable, let name = key.environment else { continue }
      #expect(name.components.joined(separator: "_").uppercased() == variable)
    }
    #expect(Set(ConfigKey.all.map(\.path)).count == ConfigKey.all.count)
  }

  @Test func `secrets do not show`() throws {
    let token = "canary" + String(repeating: "x", count: 40)
    let config = try Loading.load(environment: ["ORRERY_ADMIN_TOKEN": token])
    var dumped = ""
    dump(config, to: &dumped)
    for text in ["\(config)", String(reflecting: config), dumped] {
      #expect(!text.contains("canary"))
    }
    let error = try Loading.error(environment: ["ORRERY_ADMIN_TOKEN": "canary"])
    #expect(error.map { "\($0)".contains("canary") } == false)
  }

  // MARK: The file

  @Test func `the standard places are tried in order`() throws {
    let file = #"{"server":{"port":9}}"#
    #expect(try Loading.load(file: file, named: "config/agents.json", isGiven: false).port == 9)
    let data = try Loading.load(file: file, named: "data/agents.json", isGiven: false)
    #expect(data.port == 9 && data.configFile == "./data/agents.json")
    #expect(try Loading.load(file: file, named: "other.json", isGiven: false).port == 3_000)
    let missing = try Loading.error(flags: ServeFlags(config: "nowhere.json"))
    #expect(missing?.setting == "--config")
  }

  @Test func `the contract's example is understood`() throws {
    let config = try Loading.load(
      file: """
        { "agents": [ { "id": "browser-agent-1", "type": "browser", "engine": "playwright",
          "endpoint": "http://localhost:3001", "capabilities": ["screenshot"], "concurrency": 5,
          "timeout": 60000,
          "authentication": { "type": "bearer", "keyName": "BROWSER_AGENT_TOKEN" } } ],
          "queue": { "type": "sqlite", "maxRetries": 3, "retryDelay": 5000 },
          "callbacks": { "url": "https://orrery.example.com/api/agent-callback",
            "authentication": { "type": "hmac-sha256", "secretKey": "CALLBACK_SECRET" },
            "timeout": 10000 },
          "network": { "allow": ["10.0.0.0/8"] },
          "limits": { "payload": 2048, "types": { "scrape": { "concurrency": 20,
            "perKey": { "ratePerSecond": 0.5 } } } },
          "retention": { "days": 3 } }
        """)
    let agent = try #require(config.agents.first)
    #expect(agent.record.id.text == "browser-agent-1" && agent.record.kind == .browser)
    #expect(agent.record.endpoint == "http://localhost:3001" && agent.record.concurrency == 5)
    #expect(agent.record.timeout == 60_000 && agent.record.origin == .config)
    #expect(agent.record.capabilities == ["screenshot"])
    #expect(agent.authentication == .bearer(keyName: "BROWSER_AGENT_TOKEN"))
    #expect(
      agent.record.options.map { String(decoding: $0, as: UTF8.self) }
        == #"{"authentication":{ "type": "bearer", "keyName": "BROWSER_AGENT_TOKEN" },"#
        + #""engine":"playwright"}"#)
    #expect(config.callbackSecretName == "CALLBACK_SECRET")
    #expect(config.secretNames == ["CALLBACK_SECRET", "BROWSER_AGENT_TOKEN"])
    #expect(config.allowNet.map(\.description) == ["10.0.0.0/8"])
    #expect(config.limits.payload == 2_048 && config.limits.retentionDays == 3)
    #expect(config.types.first?.type == "scrape" && config.types.first?.limits.concurrency == 20)
    #expect(config.types.first?.perKey.ratePerSecond == 0.5)
  }

  @Test func `the kinds of entries that are built`() throws {
    let config = try Loading.load(
      file: """
        { "agents": [
          { "id": "a", "type": "http",
            "launch": { "command": ["run", ""], "env": {"A": "1"}, "cwd": "x" },
            "secretName": "S", "labels": {"k": "v"}, "leaseSeconds": 5 },
          { "id": "b", "type": "cloud" },
          { "id": "c", "type": "cloud", "provider": "aws", "endpoint": "https://f.example/" },
          { "id": "d", "type": "browser", "name": "D", "answers": "sync" } ] }
        """)
    #expect(config.agents.map(\.record.isPush) == [false, false, true, false])
    #expect(
      config.managedAgents == [
        ManagedAgent(
          id: try #require(AgentID("a")), command: ["run", ""], environment: ["A": "1"],
          workingDirectory: "x")
      ])
    #expect(
      config.agents[0].secretName == "S" && config.agents[0].record.labels == [Label("k", "v")])
    #expect(config.agents[3].record.name == "D" && config.agents[3].record.answers == .sync)
  }
}

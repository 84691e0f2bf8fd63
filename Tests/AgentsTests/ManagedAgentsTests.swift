// SPDX-License-Identifier: Apache-2.0
// Managed agents: started with their environment, restarted, stopped, and never left behind.

import Domain
import Engine
import Foundation
import ServiceLifecycle
import Subprocess
import Synchronization
import Testing

@testable import Agents

@Suite(.timeLimit(.minutes(1))) struct ManagedAgentsTests {
  private static let listening: ServerAddress = {
    let server = ServerAddress(host: "127.0.0.1", port: 0)
    server.listening(port: 4_711)
    return server
  }()

  private func managed(
    _ script: String, environment: [String: String] = [:], folder: String? = nil,
    log: LogLinesSeen, world: World = .live, graceSeconds: Int = 10
  ) throws -> ManagedAgents {
    ManagedAgents(
      agents: [
        ManagedAgent(
          id: try #require(AgentID("a-1")), command: ["/bin/sh", "-c", script],
          environment: environment, workingDirectory: folder)
      ],
      server: Self.listening, allowed: [try #require(AddressRange("10.0.0.0/8"))],
      environment: [
        "PATH": "/usr/bin:/bin", "KEPT": "kept", "NAMED_SECRET": "s", "ORRERY_ADMIN_TOKEN": "t",
      ], withheld: ["NAMED_SECRET"], world: world, logger: log.logger, graceSeconds: graceSeconds,
      secret: { _ in try AgentSecret(Fixture.secret) })
  }

  /// Runs until `body` returns, then stops as the server does.
  private func running<Value: Sendable>(
    _ service: ManagedAgents, _ body: @Sendable () async throws -> Value
  ) async throws -> Value {
    let group = ServiceGroup(
      services: [service], gracefulShutdownSignals: [], cancellationSignals: [],
      logger: LogLinesSeen().logger)
    async let finished: Void = group.run()
    let value: Value
    do { value = try await body() } catch {
      await group.triggerGracefulShutdown()
      throw error
    }
    await group.triggerGracefulShutdown()
    try await finished
    return value
  }

  private static func isAlive(_ process: String) -> Bool {
    Int32(process).map { kill($0, 0) == 0 } ?? false
  }

  // MARK: Life

  @Test func `the environment is its own, without secrets of the server`() async throws {
    let log = LogLinesSeen()
    let script = """
      echo "env $ORRERY_URL|$ORRERY_AGENT_ID|$ORRERY_AGENT_SECRET|$ORRERY_ALLOW_NET|\
      $KEPT|$NAMED_SECRET|$ORRERY_ADMIN_TOKEN|$OWN|$(pwd)"
      read -r line && echo "input" || echo "no input"
      exec sleep 1000
      """
    let service = try managed(script, environment: ["OWN": "own"], folder: "/usr", log: log)
    try await running(service) {
      let found = await log.next(after: "env ")
      #expect(
        found == "http://127.0.0.1:4711|a-1|\(Fixture.secret)|10.0.0.0/8|kept|||own|/usr")
      #expect(await log.next(after: "no input") == "")
    }
  }

  @Test func `an agent that ends is started again, later each time`() async throws {
    let (delays, continuation) = AsyncStream<Int64>.makeStream()
    var world = World.live
    world.sleep = { continuation.yield($0) }
    world.random = { .max / 2 }
    let log = LogLinesSeen()
    let seen = try await running(try managed("exit 3", log: log, world: world)) {
      var seen: [Int64] = []
      for await delay in delays {
        seen.append(delay)
        if seen.count == 4 { break }
      }
      return seen
    }
    #expect(await log.next(after: "managed agent ended ") == "exit code 3")
    #expect(zip(seen, [500, 1_000, 2_000, 4_000]).allSatisfy { abs($0 - $1) < 10 }, "\(seen)")
  }

  @Test func `a healthy minute starts the backoff over`() async throws {
    let (delays, continuation) = AsyncStream<Int64>.makeStream()
    let clock = Mutex<Int64>(0)
    var world = World.live
    world.sleep = { continuation.yield($0) }
    world.random = { .max / 2 }
    world.uptime = {
      clock.withLock { clock in
        clock += 60_000
        return clock
      }
    }
    let seen = try await running(try managed("exit 0", log: LogLinesSeen(), world: world)) {
      var seen: [Int64] = []
      for await delay in delays {
        seen.append(delay)
        if seen.count == 3 { break }
      }
      return seen
    }
    #expect(seen.allSatisfy { abs($0 - 500) < 10 }, "\(seen)")
  }

  @Test func `a program that is not there is a warning, not an end`() async throws {
    let (delays, continuation) = AsyncStream<Int64>.makeStream()
    var world = World.live
    world.sleep = { continuation.yield($0) }
    try await running(try managed("exec /no/such/program", log: LogLinesSeen(), world: world)) {
      for await _ in delays.prefix(2) {}
    }
  }

  // MARK: Ends

  @Test func `stopping asks first`() async throws {
    let log = LogLinesSeen()
    let script = """
      trap 'echo "bye"; exit 0' TERM
      echo "pid $$"
      while :; do sleep 0.05; done
      """
    let process = try await running(try managed(script, log: log)) {
      await log.next(after: "pid ")
    }
    #expect(await log.next(after: "bye") == "")
    #expect(!Self.isAlive(try #require(process)))
  }

  @Test func `stopping kills what does not listen, and its children`() async throws {
    let log = LogLinesSeen()
    let script = """
      trap '' TERM
      (trap '' TERM; while :; do sleep 1; done) &
      echo "pid $$ $!"
      while :; do sleep 1; done
      """
    let line = try await running(try managed(script, log: log, graceSeconds: 1)) {
      await log.next(after: "pid ")
    }
    let processes = try #require(line).split(separator: " ").map(String.init)
    #expect(processes.count == 2)
    try await gone(processes)
  }

  @Test func `what an agent leaves behind ends with it`() async throws {
    let log = LogLinesSeen()
    let child = try await running(
      try managed("sleep 1000 & echo \"pid $!\"; exec sleep 0.1", log: log)
    ) {
      let child = await log.next(after: "pid ")
      _ = await log.next(after: "managed agent ended")
      return child
    }
    try await gone([try #require(child)])
  }

  /// The end of the server closes the pipe to the guard, however it ends.
  @Test func `nothing survives the server`() async throws {
    let script = """
      trap '' HUP
      (trap '' TERM; while :; do sleep 1; done) &
      echo "$$ $!"
      while :; do sleep 1; done
      """
    var options = PlatformOptions()
    options.createSession = true
    let result = try await Subprocess.run(
      .name("sh"),
      arguments: Arguments(
        ProcessGuard.arguments(["/bin/sh", "-c", script], graceSeconds: 1)),
      platformOptions: options, input: .inputWriter, output: .sequence, error: .combinedWithOutput
    ) { execution in
      var text = ""
      for try await part in execution.standardOutput {
        text += part.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        if text.hasSuffix("\n") { try await execution.standardInputWriter.finish() }
      }
      return text
    }
    let first = result.closureResult.prefix { $0 != "\n" }
    let processes = first.split(separator: " ").map(String.init)
    #expect(processes.count == 2)
    try await gone(processes)
  }

  /// Waits for the system to have reaped the processes.
  private func gone(_ processes: [String]) async throws {
    for process in processes {
      while Self.isAlive(process), !Self.isZombie(process) {
        try await Task.sleep(for: .milliseconds(10))
      }
    }
  }

  private static func isZombie(_ process: String) -> Bool {
    do {
      let status = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
      return status.contains(") Z ")
    } catch { return true }
  }

  // MARK: Output

  @Test func `lines are bounded and hold no control characters`() {
    var lines = OutputLines(longest: 10)
    #expect(
      lines.append(Array("a\r\nb\n\n0123456789abc\n\u{1B}[2Jx\ny".utf8)) == [
        "a", "b", "0123456789 …", "\\u{1B}[2Jx",
      ])
    #expect(lines.finish() == "y")
    #expect(lines.finish() == nil)
  }
}

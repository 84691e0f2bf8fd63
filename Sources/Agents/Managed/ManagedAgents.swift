// SPDX-License-Identifier: Apache-2.0
// Starts the agents that belong to the server, keeps them running, and stops them with it.
package import Domain
package import Engine
package import Logging
internal import ServiceLifecycle
private import Subprocess
private import SystemPackage

/// Keeps one process per managed agent running until the server stops.
///
/// A process that ends is started again with exponential backoff, which starts over after a minute
/// of running. When the server stops, every agent gets SIGTERM, and after the grace SIGKILL,
/// together with all of its process group. List this service behind the HTTP server, so that it
/// stops first and agents can still report.
package struct ManagedAgents: Service {
  private let agents: [ManagedAgent]
  private let server: ServerAddress
  private let base: [String: String]
  private let world: World
  private let logger: Logger
  private let secret: @Sendable (AgentID) async throws -> AgentSecret
  private let graceSeconds: Int

  private static let healthyMilliseconds: Int64 = 60_000
  /// How long an agent may take to stop.
  package static let graceSeconds = 10

  /// - Parameters:
  ///   - allowed: Handed on as `ORRERY_ALLOW_NET`.
  ///   - caFile: Handed on as `ORRERY_CA_FILE`.
  ///   - environment: The server's own environment.
  ///   - withheld: Names of variables that hold secrets of the server. These, and all that start
  ///     with `ORRERY_`, stay out of the agents' environment.
  ///   - secret: The protocol secret of an agent.
  package init(
    agents: [ManagedAgent], server: ServerAddress, allowed: [AddressRange],
    caFile: String? = nil, environment: [String: String], withheld: Set<String>, world: World,
    logger: Logger,
    graceSeconds: Int = Self.graceSeconds,
    secret: @escaping @Sendable (AgentID) async throws -> AgentSecret
  ) {
    self.agents = agents
    self.server = server
    self.world = world
    self.logger = logger
    self.secret = secret
    self.graceSeconds = graceSeconds
    var base = environment.filter { name, _ in
      !name.hasPrefix("ORRERY_") && !withheld.contains(name)
    }
    base["ORRERY_CA_FILE"] = caFile
    base["ORRERY_ALLOW_NET"] = allowed.map(\.description).joined(separator: ",")
    self.base = base
  }

  package func run() async throws {
    await cancelWhenGracefulShutdown {
      do { try await server.waitUntilListening() } catch { return }
      await withTaskGroup(of: Void.self) { group in
        for agent in agents { group.addTask { await keepRunning(agent) } }
      }
    }
    do { try await gracefulShutdown() } catch is CancellationError { return }
  }

  // MARK: One agent

  private func keepRunning(_ agent: ManagedAgent) async {
    var logger = logger
    logger[metadataKey: "agentId"] = "\(agent.id)"
    var failures = 0
    while !Task.isCancelled {
      let started = world.uptime()
      let end = await runOnce(agent, logger)
      if Task.isCancelled { return }
      if world.uptime() - started >= Self.healthyMilliseconds { failures = 0 }
      failures += 1
      let delay = Self.restart.delay(afterFailures: failures, chance: world.chance())
      logger.warning(
        "managed agent ended", metadata: ["how": "\(end)", "restartInMilliseconds": "\(delay)"])
      do { try await world.sleep(delay) } catch { return }
    }
  }

  private static var restart: RetryPolicy {
    var policy = RetryPolicy()
    policy.base = 500
    policy.cap = 60_000
    return policy
  }

  /// Runs the agent until it ends or the task is cancelled; says how it ended.
  private func runOnce(_ agent: ManagedAgent, _ logger: Logger) async -> String {
    // The process is not cancelled but asked to stop, so that its last lines are still read.
    let (stop, stopping) = AsyncStream<Never>.makeStream()
    let running = Task { try await run(agent, until: stop, logger) }
    return await withTaskCancellationHandler {
      do { return try await running.value } catch { return "\(error)" }
    } onCancel: {
      stopping.finish()
    }
  }

  private func run(
    _ agent: ManagedAgent, until stop: AsyncStream<Never>, _ logger: Logger
  ) async throws -> String {
    var options = PlatformOptions()
    options.createSession = true
    let configuration = Configuration(
      executable: .path(FilePath(ProcessGuard.shell)),
      arguments: Arguments(ProcessGuard.arguments(agent.command, graceSeconds: graceSeconds)),
      environment: try await environment(of: agent),
      workingDirectory: agent.workingDirectory.map { FilePath($0) }, platformOptions: options)
    let steps = [
      TeardownStep.send(
        signal: .terminate, toProcessGroup: true,
        allowedDurationToNextStep: .seconds(graceSeconds))
    ]
    logger.info("managed agent starts")
    let result = try await Subprocess.run(
      configuration, input: .inputWriter, output: .sequence, error: .combinedWithOutput
    ) { execution in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          for await _ in stop {}
          if !Task.isCancelled { await execution.teardown(using: steps) }
        }
        let code = try await log(execution.standardOutput, logger)
        group.cancelAll()
        return code
      }
    }
    return result.closureResult.map { "exit code \($0)" } ?? "\(result.terminationStatus)"
  }

  /// Logs each line until the output ends; returns the exit code in the guard's last line.
  private func log(
    _ output: SubprocessOutputSequence, _ logger: Logger
  ) async throws -> Substring? {
    var lines = OutputLines()
    var code: Substring?
    for try await part in output {
      for line in part.withUnsafeBytes({ lines.append($0) }) {
        if line.hasPrefix(ProcessGuard.endMark) {
          code = line.dropFirst(ProcessGuard.endMark.count)
        } else {
          logger.info("\(line)")
        }
      }
    }
    if let rest = lines.finish() { logger.info("\(rest)") }
    return code
  }

  private func environment(of agent: ManagedAgent) async throws -> Environment {
    var variables = base.merging(agent.environment) { _, own in own }
    variables["ORRERY_URL"] = server.localUrl
    variables["ORRERY_AGENT_ID"] = agent.id.text
    variables["ORRERY_AGENT_SECRET"] = try await secret(agent.id).text
    var environment: [Environment.Key: String] = [:]
    for (name, value) in variables {
      if let key = Environment.Key(rawValue: name) { environment[key] = value }
    }
    return .custom(environment)
  }
}

// SPDX-License-Identifier: Apache-2.0
// Health of agents: probes for those with a health URL, silence for those that pull.
package import Domain
import Logging
import Synchronization

extension Engine {
  func healthLoop() async {
    while true {
      do { try await world.sleep(Limits.healthInterval) } catch { return }
      await probeAll()
      meterHealth()
    }
  }

  private func meterHealth() {
    let now = world.now()
    meters.checked(
      core.withLock { core in
        core.agentRecords.compactMap { record in
          guard let state = core.state(of: record.id, now: now), state != .disabled else {
            return nil
          }
          return (record.id, state != .unhealthy)
        }
      })
  }

  /// Why the server is not ready for requests, in one sentence; nil if it is.
  package func notReady() async -> String? {
    guard isOpen else { return "The server is stopping." }
    do {
      _ = try await store.meta(KeyCheck.name)
      return nil
    } catch {
      logger.warning("the database could not be read", metadata: ["error": "\(error)"])
      return "The server's database cannot be read at the moment."
    }
  }

  /// Probes every agent that has a health URL, all at once.
  package func probeAll() async {
    let probed = core.withLock { $0.agentRecords }.filter {
      $0.healthUrl != nil && $0.state != .disabled
    }
    await withDiscardingTaskGroup { group in
      for agent in probed { group.addTask { await self.probe(agent) } }
    }
  }

  func probe(_ agent: AgentRecord) async {
    guard agent.healthUrl != nil else { return }
    let isHealthy = await connector.isHealthy(agent)
    core.withLock { core in
      if isHealthy { core.seen(agent.id, now: world.now()) } else { core.probeFailed(agent.id) }
    }
    if isHealthy { kick() }
  }

  /// A signed request of an agent's own: it lives.
  package func noteSeen(_ agent: AgentID) {
    let now = world.now()
    seen.withLock { $0[agent] = now }
    let recovered = core.withLock { core in
      let was = core.state(of: agent, now: now)
      core.seen(agent, now: now)
      return was == .unhealthy
    }
    if recovered { kick() }
  }

  /// Keeps for the next start when agents were last seen.
  func flushSeen() async {
    let batch = seen.withLock { seen in
      defer { seen.removeAll(keepingCapacity: true) }
      return seen
    }
    guard !batch.isEmpty else { return }
    do { try await store.touch(batch) } catch {
      logger.warning("last-seen times were not stored", metadata: ["error": "\(error)"])
    }
  }
}

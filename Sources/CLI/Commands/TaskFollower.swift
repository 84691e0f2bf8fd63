// SPDX-License-Identifier: Apache-2.0
// Follows tasks by the server's events and shows how they go.

import OrreryClient

struct TaskFollower {
  let client: OrreryClient
  private static let mostPolls = 32

  /// Waits for the end of one task.
  ///
  /// - Parameter onChange: called with the task at first and whenever it has changed.
  func follow(
    _ id: String, onChange: (TaskSnapshot) -> Void = { _ in }
  ) async throws -> TaskSnapshot {
    var line = ProgressLine()
    let start = SystemClock.live.uptime()
    var task: TaskSnapshot?
    for try await sign in signs(of: id) {
      if sign == .changed {
        let now = try await client.patiently { try await client.task(id) }
        if now.json != task?.json { onChange(now) }
        task = now
      }
      guard let task else { continue }
      let elapsed = Double(SystemClock.live.uptime() - start) / 1_000
      line.show(Self.live(task, elapsed), plain: Self.plain(task))
      if task.state.isEnd {
        line.clear()
        return task
      }
    }
    throw CancellationError()
  }

  private enum Sign { case changed, clock }

  /// When to look again: after each event of the task, and on a terminal every second, for the
  /// time that is shown.
  private func signs(of id: String) -> AsyncThrowingStream<Sign, any Error> {
    let (signs, give) = AsyncThrowingStream.makeStream(
      of: Sign.self, bufferingPolicy: .bufferingNewest(64))
    let events = Task {
      do {
        for try await event in client.events(topics: [LiveTopic.task(id)])
        where event.kind == .task || event.kind == .resync {
          give.yield(.changed)
        }
        give.finish()
      } catch {
        give.finish(throwing: error)
      }
    }
    let clock = Task {
      while Terminal.error.isInteractive {
        do { try await SystemClock.live.sleep(1_000) } catch { return }
        give.yield(.clock)
      }
    }
    give.onTermination = { _ in
      events.cancel()
      clock.cancel()
    }
    return signs
  }

  /// Waits for the end of many tasks; returns them in order.
  func follow(_ ids: [String]) async throws -> [TaskSnapshot] {
    var line = ProgressLine()
    var ended: [Int: TaskSnapshot] = [:]
    try await withThrowingTaskGroup(of: (Int, TaskSnapshot).self) { group in
      var rest = ids.enumerated().makeIterator()
      func addNext() {
        guard let (index, id) = rest.next() else { return }
        group.addTask { (index, try await client.wait(for: id)) }
      }
      for _ in 0..<Self.mostPolls { addNext() }
      while let (index, task) = try await group.next() {
        ended[index] = task
        addNext()
        let failed = ended.values.count { $0.state != .completed }
        let text = "\(ended.count) of \(ids.count) ended, \(failed) not completed"
        let share = Double(ended.count) / Double(max(ids.count, 1))
        line.show(ProgressLine.bar(share) + " " + text, plain: text)
      }
    }
    line.clear()
    return ids.indices.compactMap { ended[$0] }
  }

  private static func live(_ task: TaskSnapshot, _ elapsed: Double) -> String {
    let share = task.state.isEnd ? 1 : (task.progress ?? 0) / 100
    let parts = [ProgressLine.bar(share), words(task), Figure.span(elapsed)]
    return parts.joined(separator: "  ")
  }

  private static func plain(_ task: TaskSnapshot) -> String {
    TerminalText.escaped(task.id) + "  " + words(task)
  }

  private static func words(_ task: TaskSnapshot) -> String {
    var parts = [task.state.rawValue]
    if task.attempt > 1 { parts.append("attempt \(task.attempt)") }
    if task.state == .queued, let reason = task.waitingFor { parts.append("waiting: \(reason)") }
    if task.state == .running, let agent = task.agentID { parts.append("on \(agent)") }
    if let percent = Figure.percent(task.progress), !task.state.isEnd { parts.append(percent) }
    if let message = task.message, !task.state.isEnd { parts.append(message) }
    if let error = task.error, task.state == .failed { parts.append(error.code) }
    return TerminalText.escaped(parts.joined(separator: "  "))
  }
}

// SPDX-License-Identifier: Apache-2.0
// Agents of a simulated run: they succeed, fail, die, hang, lie and repeat themselves.
import Domain
import Engine

/// What an agent does with one dispatch.
enum Behaviour: CaseIterable {
  case succeed, succeedPartly, fail, failForGood, stayProgressing
  case die, answerLate, repeatItself, lieAboutAttempt, leaveAttemptOut, reportForAnother

  static func pick(_ chance: inout Chance, faults: Bool) -> Behaviour {
    guard faults, !chance.percent(45) else { return .succeed }
    return allCases.randomElement(using: &chance) ?? .succeed
  }
}

extension Simulator {
  /// The agent has a dispatch; plans what it will report and when.
  func work(_ task: ClaimedTask) {
    let running = task.running
    let behaviour = Behaviour.pick(&chance, faults: hasFaults)
    let soon = chance.time(1...400)
    var report = SimulatedReport(
      agent: running.agent, task: running.id, attempt: running.attempt,
      leaseToken: LeaseToken.text(running.token), truth: running.attempt,
      status: .success, signedID: "\(running.id)-\(running.attempt)-\(chance.next())")
    switch behaviour {
    case .succeed: break
    case .succeedPartly: report.status = .partial
    case .fail: report.status = .failure
    case .failForGood:
      report.status = .failure
      report.retryable = false
    case .stayProgressing:
      schedule(.beat(task), in: soon)
      return schedule(.report(report), in: soon + chance.time(100...2_500))
    case .die: return
    case .answerLate: return schedule(.report(report), in: soon + chance.time(1_000...8_000))
    case .repeatItself:
      for _ in 0..<3 { schedule(.report(report), in: soon + chance.time(0...3_000)) }
    case .lieAboutAttempt: report.attempt = running.attempt + (chance.percent(50) ? 1 : -1)
    case .leaveAttemptOut:
      report.attempt = nil
      report.leaseToken = nil
      schedule(.report(report), in: soon + chance.time(500...4_000))
    case .reportForAnother:
      report.agent = agents.randomElement(using: &chance)?.id ?? running.agent
    }
    schedule(.report(report), in: soon)
  }
}

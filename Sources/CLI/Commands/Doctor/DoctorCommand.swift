// SPDX-License-Identifier: Apache-2.0
// `orrery doctor`: checks the installation and says what to do.

import ArgumentParser
import Domain
import OrreryClient

struct DoctorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Check the installation and say what to do.",
    discussion: "Works without a running server too. Ends with 1 if a check fails.")
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    var checks = await ServerChecks(connection: connection).run()
    checks += MachineChecks(dataFolder: connection.dataFolder).run()
    checks += PythonChecks().run()
    let output = connection.output
    if output.isJSON { output.json(Self.json(checks)) } else { Self.show(checks, output) }
    if checks.contains(where: { $0.verdict == .fail }) {
      throw ExitCode(ExitStatus.taskFailed.rawValue)
    }
  }

  private static func show(_ checks: [Finding], _ output: Output) {
    let width = checks.map(\.name.count).max() ?? 0
    for check in checks {
      let verdict = TextStyle(state: check.verdict.rawValue)
        .apply(to: check.verdict.rawValue.padding(4), on: output.stream)
      output.line("\(verdict)  \(check.name.padding(width))  \(TerminalText.escaped(check.detail))")
      if let advice = check.advice {
        output.line(String(repeating: " ", count: width + 8) + TerminalText.escaped(advice))
      }
    }
  }

  private static func json(_ checks: [Finding]) -> JSONText {
    var writer = JSONWriter()
    writer.object { writer in
      writer.field("ok", !checks.contains { $0.verdict == .fail })
      writer.key(literal: "checks")
      writer.array { writer in
        for check in checks {
          writer.object { writer in
            writer.field("name", check.name)
            writer.field("status", check.verdict.rawValue)
            writer.field("detail", check.detail)
            writer.field(ifPresent: "advice", check.advice)
          }
        }
      }
    }
    return JSONText(checked: writer.bytes)
  }
}

/// What one check found.
struct Finding: Sendable, Equatable {
  enum Verdict: String, Sendable {
    case ok
    case warn
    case fail
  }

  let name: String
  let verdict: Verdict
  let detail: String
  /// What to do; nil if nothing is to be done.
  let advice: String?

  static func ok(_ name: String, _ detail: String) -> Finding {
    Finding(name: name, verdict: .ok, detail: detail, advice: nil)
  }

  static func warn(_ name: String, _ detail: String, _ advice: String) -> Finding {
    Finding(name: name, verdict: .warn, detail: detail, advice: advice)
  }

  static func fail(_ name: String, _ detail: String, _ advice: String) -> Finding {
    Finding(name: name, verdict: .fail, detail: detail, advice: advice)
  }
}

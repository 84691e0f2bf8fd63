// SPDX-License-Identifier: Apache-2.0
// The program `orrery`: its commands, and how they end.

import ArgumentParser
import Domain
import Foundation
import OrreryClient

/// The root of all commands.
struct Orrery: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "orrery",
    abstract: "A self-hosted control plane for agents.",
    discussion: """
      Commands other than `serve` talk to a running server: its address comes from --server or \
      ORRERY_URL (default http://127.0.0.1:3000), the token from ORRERY_TOKEN or the file \
      admin-token in the data folder (--data or ORRERY_DATA, default ./data).

      EXIT CODES:
      \(ExitStatus.table)
      """,
    version: Version.current,
    subcommands: [
      ServeCommand.self, SubmitCommand.self, TasksCommand.self, AgentsCommand.self,
      TypesCommand.self, TokensCommand.self, SecretsCommand.self, KeysCommand.self,
      StatsCommand.self, BackupCommand.self, DoctorCommand.self,
    ])
}

/// Runs the command that the arguments name.
@main
enum EntryPoint {
  static func main() async {
    do {
      var command = try Orrery.parseAsRoot()
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
    } catch {
      end(with: error)
    }
  }

  private static func end(with error: any Error) -> Never {
    let isJSON = CommandLine.arguments.contains("--json")
    switch error {
    case let error as OrreryError: end(ErrorReport(error, isJSON: isJSON))
    case let error as ControlError: end(ErrorReport(OrreryError(error), isJSON: isJSON))
    case let status as ExitCode: exit(status.rawValue)
    case is CancellationError: exit(ExitStatus.unexpected.rawValue)
    default: break
    }
    let text = Orrery.fullMessage(for: error)
    switch Orrery.exitCode(for: error) {
    case .success:
      Terminal.output.write(text + "\n")
      exit(ExitStatus.ok.rawValue)
    case .validationFailure:
      Terminal.error.write(text + "\n")
      exit(ExitStatus.usage.rawValue)
    default:
      Terminal.error.write("orrery: " + TerminalText.escaped("\(error)") + "\n")
      exit(ExitStatus.unexpected.rawValue)
    }
  }

  private static func end(_ report: ErrorReport) -> Never {
    Terminal.error.write(report.text + "\n")
    exit(report.status.rawValue)
  }
}

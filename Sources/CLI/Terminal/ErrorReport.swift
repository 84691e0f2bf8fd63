// SPDX-License-Identifier: Apache-2.0
// Tells what went wrong on standard error and decides the exit code.

import ArgumentParser
import Domain
import OrreryClient

/// The end of a command that failed.
struct ErrorReport {
  let status: ExitStatus
  let text: String

  /// - Parameter isJSON: show the problem object instead of a sentence.
  init(_ error: OrreryError, isJSON: Bool) {
    status = ExitStatus(error.code)
    text = isJSON ? Self.problem(error).text : Self.sentence(error)
  }

  private static func sentence(_ error: OrreryError) -> String {
    var text = error.path.map { "\($0): \(error.message)" } ?? error.message
    if let step = error.code.nextStep { text += " " + step }
    if let id = error.requestID, error.status.map({ $0 >= 500 }) ?? false {
      text += " (request \(id))"
    }
    return "orrery: " + TerminalText.escaped(text)
  }

  /// The server's problem, or one of the same form.
  private static func problem(_ error: OrreryError) -> JSONText {
    if let problem = error.problem, error.status != nil { return problem }
    var writer = JSONWriter()
    writer.object { writer in
      writer.field("type", "about:blank")
      writer.field("title", error.code.rawValue.split(separator: "_").joined(separator: " "))
      writer.field(ifPresent: "status", error.status)
      writer.field("detail", error.message)
      writer.field("code", error.code.rawValue)
      writer.field(ifPresent: "path", error.path)
    }
    return JSONText(checked: writer.bytes)
  }
}

extension OrreryError {
  /// Errors of the parts inside this program, shown the same way.
  init(_ error: ControlError) {
    self.init(Code(rawValue: error.code.rawValue), error.message, path: error.path)
  }
}

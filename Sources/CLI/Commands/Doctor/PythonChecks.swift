// SPDX-License-Identifier: Apache-2.0
// Is there what the bundled web agent needs: Python and its environment?

import Foundation

struct PythonChecks {
  var environment = ProcessInfo.processInfo.environment
  var program = CommandLine.arguments.first ?? "orrery"
  var folder = FileManager.default.currentDirectoryPath

  func run() -> [Finding] {
    [python(), webAgent()]
  }

  private func python() -> Finding {
    let folders = (environment["PATH"] ?? "").split(separator: ":").map(String.init)
    let found = folders.map { $0 + "/python3" }.first(where: isExecutable)
    if let found { return .ok("python3", found) }
    return .warn(
      "python3", "not on the PATH",
      "Install it for the web agent (Debian: apt-get install python3 python3-venv).")
  }

  /// The same places that the web agent's launcher looks into.
  private func webAgent() -> Finding {
    if let named = environment["ORRERY_WEB_AGENT_PYTHON"], !named.isEmpty {
      if isExecutable(named) { return .ok("web agent", named) }
      return .fail(
        "web agent", "ORRERY_WEB_AGENT_PYTHON names \(named), which is no program.",
        "Correct it, or unset it and run Scripts/bootstrap.")
    }
    let candidates = roots.flatMap { root in
      [".build/venv-agents", "venv-agents"].map { "\(root)/\($0)/bin/python" }
    }
    if let found = candidates.first(where: isExecutable) { return .ok("web agent", found) }
    return .warn(
      "web agent", "its Python environment is not there",
      "Run Scripts/bootstrap, or set ORRERY_WEB_AGENT_PYTHON; other agents need neither.")
  }

  /// The working folder, and the folders above the program.
  private var roots: [String] {
    var roots = [folder]
    var path = URL(fileURLWithPath: program).resolvingSymlinksInPath()
    for _ in 0..<5 where path.path != "/" {
      path.deleteLastPathComponent()
      roots.append(path.path)
    }
    return roots
  }

  private func isExecutable(_ path: String) -> Bool {
    FileManager.default.isExecutableFile(atPath: path)
  }
}

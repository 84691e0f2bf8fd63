// SPDX-License-Identifier: Apache-2.0
// Runs the real program and collects what it writes.

import Foundation
import Testing

/// One run of `orrery`.
struct Program: Sendable {
  let status: Int32
  let output: String
  let errors: String

  /// The built program: beside the tests, or where `ORRERY_BIN` says.
  static func executable() throws -> URL {
    if let path = ProcessInfo.processInfo.environment["ORRERY_BIN"] {
      return URL(fileURLWithPath: path)
    }
    let tests = URL(fileURLWithPath: CommandLine.arguments.first ?? "").deletingLastPathComponent()
    let folders = [tests, Bundle.main.bundleURL]
    let found = folders.map { $0.appendingPathComponent("orrery") }
      .first { FileManager.default.isExecutableFile(atPath: $0.path) }
    return try #require(found, "the program is not built beside the tests")
  }

  /// - Parameter environment: all of it; nothing is inherited but the path.
  static func run(
    _ arguments: [String], input: String = "", environment: [String: String] = [:],
    folder: URL = FileManager.default.temporaryDirectory
  ) async throws -> Program {
    let process = Process()
    process.executableURL = try executable()
    process.arguments = arguments
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    process.environment = environment.merging(["PATH": path]) { own, _ in own }
    process.currentDirectoryURL = folder
    let name = "orrery-run-\(ProcessInfo.processInfo.globallyUniqueString)"
    let files = FileManager.default.temporaryDirectory.appendingPathComponent(name)
    try FileManager.default.createDirectory(at: files, withIntermediateDirectories: false)
    defer {
      do { try FileManager.default.removeItem(at: files) } catch { Issue.record(error) }
    }
    let (stdin, stdout, stderr) = ("in", "out", "err")
    for (file, text) in [(stdin, input), (stdout, ""), (stderr, "")] {
      try Data(text.utf8).write(to: files.appendingPathComponent(file))
    }
    process.standardInput = try FileHandle(
      forReadingFrom: files.appendingPathComponent(stdin))
    process.standardOutput = try FileHandle(
      forWritingTo: files.appendingPathComponent(stdout))
    process.standardError = try FileHandle(
      forWritingTo: files.appendingPathComponent(stderr))
    let ended = AsyncStream<Void>.makeStream()
    process.terminationHandler = { _ in ended.continuation.finish() }
    try process.run()
    for await _ in ended.stream {}
    return Program(
      status: process.terminationStatus,
      output: try String(contentsOf: files.appendingPathComponent(stdout), encoding: .utf8),
      errors: try String(contentsOf: files.appendingPathComponent(stderr), encoding: .utf8))
  }
}

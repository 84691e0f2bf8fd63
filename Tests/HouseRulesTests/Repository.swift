// SPDX-License-Identifier: Apache-2.0
// The checkout as the rules see it: where it is, and which files belong to us.

import Foundation

/// Finds the project's own files; build products, hidden folders and environments are skipped.
enum Repository {
  static let root: URL = {
    var folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    while folder.path != "/", !exists(folder.appendingPathComponent("Package.swift")) {
      folder.deleteLastPathComponent()
    }
    return folder
  }()

  /// Files under `folders` whose name ends in `suffix`, as paths relative to the root, sorted.
  static func files(in folders: [String], suffix: String) -> [String] {
    folders.flatMap { walk(root.appendingPathComponent($0), as: $0) }
      .filter { $0.hasSuffix(suffix) }
      .sorted()
  }

  static func text(of path: String) throws -> String {
    try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
  }

  static func exists(_ url: URL) -> Bool {
    FileManager.default.fileExists(atPath: url.path)
  }

  /// Swift sources that the length, header and width rules cover.
  static let swiftFolders = ["Sources", "Tests", "Benchmarks", "Examples"]

  private static let skipped: Set<String> = [
    "node_modules", "__pycache__", "venv", "build", "dist", "data",
  ]

  private static func walk(_ folder: URL, as relative: String) -> [String] {
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    } catch {
      return []
    }
    return names.flatMap { name -> [String] in
      if name.hasPrefix(".") || skipped.contains(name) { return [] }
      let child = folder.appendingPathComponent(name)
      let path = relative.isEmpty ? name : "\(relative)/\(name)"
      var isFolder: ObjCBool = false
      guard FileManager.default.fileExists(atPath: child.path, isDirectory: &isFolder) else {
        return []
      }
      return isFolder.boolValue ? walk(child, as: path) : [path]
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
// Files that only their owner may read: keys and tokens.
import Foundation
import Glibc

enum PrivateFile {
  /// The trimmed text of a file; nil if there is none.
  static func read(_ path: String) throws -> String? {
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    let text: String
    do { text = try String(contentsOfFile: path, encoding: .utf8) } catch {
      throw StartError("\(path) cannot be read; check its owner and mode.")
    }
    return text.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// Writes a new file of mode 0600 to disk, then puts it in the place of `path`.
  static func write(_ text: String, to path: String) throws {
    let draft = path + ".tmp"
    let file = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw unwritable(path) }
    defer { close(file) }
    let bytes = Array((text + "\n").utf8)
    guard Glibc.write(file, bytes, bytes.count) == bytes.count, fsync(file) == 0,
      rename(draft, path) == 0
    else { throw unwritable(path) }
    try syncFolder(of: path)
  }

  private static func syncFolder(of path: String) throws {
    let folder = open((path as NSString).deletingLastPathComponent, O_RDONLY | O_DIRECTORY)
    guard folder >= 0 else { throw unwritable(path) }
    defer { close(folder) }
    guard fsync(folder) == 0 else { throw unwritable(path) }
  }

  private static func unwritable(_ path: String) -> StartError {
    StartError("\(path) cannot be written: \(String(cString: strerror(errno))).")
  }
}

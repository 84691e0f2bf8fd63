// SPDX-License-Identifier: Apache-2.0
// What a person or script reads once the server answers.
import Foundation

enum Announcement {
  static func print(scheme: String, host: String, port: Int, _ made: AdminToken.Made) {
    let shown = host.contains(":") ? "[\(host)]" : host
    var lines: [String] = []
    switch made {
    case .nothing: break
    case .written(let path):
      lines.append("admin token written to \(path)")
    }
    lines.append("listening on \(scheme)://\(shown):\(port)")
    print(lines)
  }

  static func print(token: String) { print(["admin token (shown once): \(token)"]) }

  private static func print(_ lines: [String]) {
    FileHandle.standardOutput.write(Data((lines.joined(separator: "\n") + "\n").utf8))
  }
}

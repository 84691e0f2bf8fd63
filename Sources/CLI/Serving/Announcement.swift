// SPDX-License-Identifier: Apache-2.0
// What a person or script reads once the server answers.
import Foundation

enum Announcement {
  static func print(host: String, port: Int, _ made: AdminToken.Made) {
    let shown = host.contains(":") ? "[\(host)]" : host
    var lines: [String] = []
    switch made {
    case .nothing: break
    case .printed(let token):
      lines.append("admin token (shown once): \(token)")
    case .written(let path):
      lines.append("admin token written to \(path)")
    }
    lines.append("listening on http://\(shown):\(port)")
    FileHandle.standardOutput.write(Data((lines.joined(separator: "\n") + "\n").utf8))
  }
}

// SPDX-License-Identifier: Apache-2.0
// The first token: given by the environment, or made at the first start.
import Domain
import Engine
import Foundation

enum AdminToken {
  static let variable = "ORRERY_ADMIN_TOKEN"
  private static let givenName = "ORRERY_ADMIN_TOKEN"
  private static let madeName = "first start"

  /// Where a token was made and written.
  enum Made {
    case nothing
    case written(path: String)
  }

  /// Makes the first token, unless an admin has one. Its text is on the terminal or on disk before
  /// it is stored: a start that fails in between makes another one next time.
  static func prepare(
    _ tokens: TokenBook, given: String?, dataFolder: String
  ) async throws -> Made {
    if let given {
      let kept = try await tokens.add(given, name: givenName, role: .admin)
      try await tokens.removeAll(named: givenName, except: kept)
      return .nothing
    }
    guard !tokens.all.contains(where: { $0.role == Role.admin.rawValue }) else { return .nothing }
    let text = tokens.newText()
    if isatty(STDOUT_FILENO) == 1 {
      Announcement.print(token: text)
      _ = try await tokens.add(text, name: madeName, role: .admin)
      return .nothing
    }
    let path = dataFolder + "/admin-token"
    try PrivateFile.write(text, to: path)
    _ = try await tokens.add(text, name: madeName, role: .admin)
    return .written(path: path)
  }
}

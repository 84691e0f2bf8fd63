// SPDX-License-Identifier: Apache-2.0
// The first token: given by the environment, or made at the first start.
import Domain
import Engine
import Foundation

enum AdminToken {
  static let variable = "ORRERY_ADMIN_TOKEN"
  private static let givenName = "ORRERY_ADMIN_TOKEN"
  private static let madeName = "first start"

  /// Where a token was written, or its text if it is to be printed.
  enum Made {
    case nothing
    case printed(String)
    case written(path: String)
  }

  static func prepare(
    _ tokens: TokenBook, given: String?, dataFolder: String
  ) async throws -> Made {
    if let given {
      let kept = try await tokens.add(given, name: givenName, role: .admin)
      try await tokens.removeAll(named: givenName, except: kept)
      return .nothing
    }
    guard !tokens.all.contains(where: { $0.role == Role.admin.rawValue }) else { return .nothing }
    let (_, text) = try await tokens.create(name: madeName, role: .admin)
    if isatty(STDOUT_FILENO) == 1 { return .printed(text) }
    let path = dataFolder + "/admin-token"
    try PrivateFile.write(text, to: path)
    return .written(path: path)
  }
}

// SPDX-License-Identifier: Apache-2.0
// Backups lie in the data folder, so that the API cannot write elsewhere.
import Domain
import Engine
import Foundation

struct Backups {
  let folder: String

  /// Writes a copy to `backups/NAME` in the data folder; the default name holds the time.
  func write(
    _ engine: Engine, name: String?
  ) async throws(ControlError) -> (path: String, bytes: Int64) {
    let now = engine.world.now().description
    let name = name ?? "orrery-\(now.filter(\.isNumber)).sqlite"
    guard Identifier.isValid(name), !name.hasPrefix(".") else {
      throw ControlError(
        .invalidField,
        "Give a file name of the characters A-Z a-z 0-9 . _ : - ; backups lie in the data folder.",
        path: "path")
    }
    let path = folder + "/backups/" + name
    do {
      try FileManager.default.createDirectory(
        atPath: folder + "/backups", withIntermediateDirectories: true,
        attributes: [.posixPermissions: 0o700])
    } catch {
      throw ControlError(.storeUnavailable, "The folder for backups cannot be made.")
    }
    guard !FileManager.default.fileExists(atPath: path) else {
      throw ControlError(.conflict, "There is a backup of this name already.", path: "path")
    }
    do throws(StoreError) {
      return (path, try await engine.store.backup(to: path))
    } catch {
      throw error.asControlError
    }
  }
}

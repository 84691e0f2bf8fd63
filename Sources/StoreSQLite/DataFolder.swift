// SPDX-License-Identifier: Apache-2.0
// The folder of the database: made, locked against a second server, and looked at before opening.
internal import GRDBSQLite

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The lock on a data folder, held until `unlock`, and the database's place.
struct DataFolder: Sendable {
  let path: String
  /// `orrery.db` in the folder, unless it was given.
  let database: String
  private let locks: [Int32]

  /// Makes the folder if it is missing, and locks it; for a database elsewhere its folder as well.
  init(path: String, database: String? = nil) throws(StoreOpenError) {
    self.path = path
    self.database = database ?? path + "/orrery.db"
    let own = try Self.lock(path)
    guard let database else {
      locks = [own]
      return
    }
    let other = Self.parent(of: database)
    do throws(StoreOpenError) {
      try Self.make(other)
      locks = Self.isSame(path, other) ? [own] : [own, try Self.lock(other)]
    } catch {
      close(own)
      throw error
    }
  }

  private static func parent(of file: String) -> String {
    guard let slash = file.lastIndex(of: "/") else { return "." }
    return slash == file.startIndex ? "/" : String(file[..<slash])
  }

  private static func lock(_ path: String) throws(StoreOpenError) -> Int32 {
    try make(path)
    let file = path + "/orrery.lock"
    let lock = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard lock >= 0 else {
      throw StoreOpenError(
        .unwritableFolder,
        "The data folder \(path) cannot be written: \(reason(errno)).")
    }
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      close(lock)
      throw StoreOpenError(
        .locked,
        "Another Orrery server is using the data folder \(path): stop it, or choose another folder."
      )
    }
    return lock
  }

  func unlock() { for lock in locks { close(lock) } }

  /// Makes an empty file that only its owner can read, unless there is one. SQLite takes such a
  /// file as a new database, and gives its log the same rights.
  static func makePrivate(_ file: String) throws(StoreOpenError) {
    let descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw StoreOpenError(.unwritableFolder, "\(file) cannot be written: \(reason(errno)).")
    }
    close(descriptor)
  }

  private static func make(_ path: String) throws(StoreOpenError) {
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { return }
    var prefix = path.hasPrefix("/") ? "" : "."
    for part in path.split(separator: "/") {
      prefix += "/" + part
      if mkdir(prefix, 0o700) == 0 || errno == EEXIST { continue }
      throw StoreOpenError(
        .unwritableFolder, "The data folder \(path) cannot be made: \(reason(errno)).")
    }
  }

  static func reason(_ code: Int32) -> String {
    switch code {
    case EACCES, EPERM: "permission denied"
    case EROFS: "the file system is read-only"
    case ENOSPC: "the disk is full"
    case ENOTDIR, EEXIST: "a file stands where a folder is needed"
    default: String(cString: strerror(code))
    }
  }

  /// Size of a file in bytes; nil if there is none.
  static func size(of file: String) -> Int64? {
    var status = stat()
    return stat(file, &status) == 0 ? Int64(status.st_size) : nil
  }

  /// Whether two paths lead to one file.
  static func isSame(_ a: String, _ b: String) -> Bool {
    var (first, second) = (stat(), stat())
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_ino == second.st_ino
      && first.st_dev == second.st_dev
  }

  /// Puts a file's bytes, or a folder's entries, on disk.
  static func sync(_ path: String) -> Bool {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return fsync(descriptor) == 0
  }
}

// SPDX-License-Identifier: Apache-2.0
// The folder of the database: made, locked against a second server, and looked at before opening.
internal import GRDBSQLite
#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The lock on a data folder, held until `unlock`.
struct DataFolder: Sendable {
  let path: String
  private let lock: Int32

  var database: String { path + "/orrery.db" }

  /// Makes the folder if it is missing, and locks it.
  init(path: String) throws(StoreOpenError) {
    self.path = path
    try Self.make(path)
    let file = path + "/orrery.lock"
    lock = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard lock >= 0 else {
      throw StoreOpenError(
        .unwritableFolder,
        "The data folder \(path) cannot be written: \(Self.reason(errno)).")
    }
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      close(lock)
      throw StoreOpenError(
        .locked,
        "Another Orrery server is using the data folder \(path): stop it, or choose another folder.")
    }
  }

  func unlock() { close(lock) }

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

  /// Puts a file's bytes, or a folder's entries, on disk.
  static func sync(_ path: String) -> Bool {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return fsync(descriptor) == 0
  }
}

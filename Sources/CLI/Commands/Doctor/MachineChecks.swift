// SPDX-License-Identifier: Apache-2.0
// Can the store live here: folder, disk, speed of its writes, open files?

import Foundation
import OrreryClient

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

struct MachineChecks {
  let dataFolder: String

  private static let leastFree = 100_000_000
  private static let enoughFree = 1_000_000_000
  private static let enoughFiles = 4_096
  private static let slowSync = 10.0
  private static let syncs = 50
  /// Milliseconds after which a slow disk has been measured enough.
  private static let longestMeasurement = 1_000.0

  func run() -> [Finding] {
    var findings = [folder(), disk(), sync(), openFiles()].compactMap { $0 }
    if let key = keyFile() { findings.insert(key, at: 1) }
    return findings
  }

  // MARK: The folder

  /// The folder itself or, before the first start, the nearest one above it that exists.
  private var existing: String {
    var path = URL(fileURLWithPath: dataFolder).standardizedFileURL
    while path.path != "/", !FileManager.default.fileExists(atPath: path.path) {
      path.deleteLastPathComponent()
    }
    return path.path
  }

  private func folder() -> Finding {
    var isFolder = ObjCBool(false)
    let exists = FileManager.default.fileExists(atPath: dataFolder, isDirectory: &isFolder)
    if exists, !isFolder.boolValue {
      return .fail("data folder", "\(dataFolder) is not a folder.", "Name another with --data.")
    }
    guard access(existing, W_OK | X_OK) == 0 else {
      return .fail(
        "data folder", "\(existing) is not writable.",
        "Give this user write permission, or name another folder with --data.")
    }
    if exists { return .ok("data folder", "\(dataFolder) is writable") }
    return .ok("data folder", "\(dataFolder) is made at the first start")
  }

  /// The master key must be for its owner only.
  private func keyFile() -> Finding? {
    let path = (dataFolder as NSString).appendingPathComponent("master.key")
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    guard status.st_mode & 0o077 == 0 else {
      return .fail("master key", "\(path) can be read by others.", "Run: chmod 600 \(path)")
    }
    return .ok("master key", "\(path) is for its owner only")
  }

  // MARK: The disk

  private func disk() -> Finding? {
    var status = statvfs()
    guard statvfs(existing, &status) == 0 else {
      return .warn("free disk", "cannot be read (\(Self.reason))", "Check the disk by hand.")
    }
    let (free, overflow) = Int(status.f_bavail).multipliedReportingOverflow(
      by: Int(status.f_frsize))
    let text = Figure.bytes(overflow ? .max : free)
    if overflow || free >= Self.enoughFree { return .ok("free disk", text) }
    if free >= Self.leastFree {
      return .warn("free disk", text, "Make room: a full disk stops new tasks with 507.")
    }
    return .fail("free disk", text, "Make room: the server refuses tasks with 507 when it is full.")
  }

  /// Measures what every acknowledged task waits for.
  private func sync() -> Finding? {
    let path = (existing as NSString).appendingPathComponent(".orrery-doctor-\(getpid())")
    let file = open(path, O_CREAT | O_EXCL | O_RDWR, 0o600)
    guard file >= 0 else { return nil }
    defer {
      close(file)
      unlink(path)
    }
    let page = [UInt8](repeating: 0x2A, count: 4_096)
    var times: [Double] = []
    for index in 0..<Self.syncs {
      let start = Self.nanoseconds()
      guard pwrite(file, page, page.count, off_t(index * page.count)) == page.count,
        Self.flush(file) == 0
      else {
        return .fail("fdatasync", "failed (\(Self.reason))", "Check the disk: writes do not last.")
      }
      times.append(Double(Self.nanoseconds() - start) / 1_000_000)
      if times.reduce(0, +) > Self.longestMeasurement { break }
    }
    times.sort()
    let median = times[times.count / 2]
    let text = String(
      format: "p50 %.2f ms, p95 %.2f ms", median, times[times.count * 95 / 100])
    if median < Self.slowSync { return .ok("fdatasync", text) }
    return .warn(
      "fdatasync", text, "A faster disk makes every submit faster; tasks are safe all the same.")
  }

  private static func flush(_ file: Int32) -> Int32 {
    #if canImport(Glibc)
    fdatasync(file)
    #else
    fcntl(file, F_FULLFSYNC)
    #endif
  }

  private static func nanoseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  // MARK: Open files

  private func openFiles() -> Finding {
    guard let limit = OpenFiles.current() else {
      return .warn("open files", "cannot be read (\(Self.reason))", "Run: ulimit -n")
    }
    // The server raises its own to what is allowed.
    if limit.hard >= Self.enoughFiles { return .ok("open files", "\(limit.hard) allowed") }
    return .warn(
      "open files", "only \(limit.hard) allowed, which bounds connections",
      "Run before serving: ulimit -n 32768 (systemd: LimitNOFILE=32768)")
  }

  private static var reason: String { String(cString: strerror(errno)) }
}

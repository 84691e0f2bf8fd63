// SPDX-License-Identifier: Apache-2.0
// How many files this process may have open: every connection is one.

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Limits of the system on open files; nil where they cannot be read.
struct OpenFiles: Equatable {
  /// What counts now, and how far a process may raise it by itself.
  var soft: Int
  var hard: Int

  /// Besides connections of clients: the database, connections to agents, certificates.
  static let besides = 512

  static func current() -> OpenFiles? {
    guard let limit = read() else { return nil }
    return OpenFiles(soft: Int(clamping: limit.rlim_cur), hard: Int(clamping: limit.rlim_max))
  }

  /// Raises what counts to what is needed, as far as that is allowed, and tells what counts then.
  /// Not further: there are programs that try every number a file might have.
  static func raise(to needed: Int) -> OpenFiles? {
    guard var limit = read() else { return nil }
    let wanted = min(rlim_t(clamping: needed), limit.rlim_max)
    if limit.rlim_cur < wanted {
      limit.rlim_cur = wanted
      // Where that is refused, what is counts on.
      #if canImport(Glibc)
      _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      #else
      _ = setrlimit(RLIMIT_NOFILE, &limit)
      #endif
    }
    return current()
  }

  private static func read() -> rlimit? {
    var limit = rlimit()
    #if canImport(Glibc)
    let answer = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    #else
    let answer = getrlimit(RLIMIT_NOFILE, &limit)
    #endif
    return answer == 0 ? limit : nil
  }
}

// SPDX-License-Identifier: Apache-2.0
// Resolves host names without holding up the threads that everything else runs on.
private import Dispatch
private import Synchronization

#if canImport(Glibc)
private import Glibc
#elseif canImport(Musl)
private import Musl
#elseif canImport(Darwin)
private import Darwin
#endif

/// The system's resolver (`getaddrinfo`), which also reads the old spellings of IPv4 addresses
/// (`127.1`, `0x7f.1`, `2130706433`) as the addresses that they are.
enum NameResolver {
  /// At most this many look-ups wait at a time; more are answered as unresolvable.
  private static let queue = DispatchQueue(label: "orrery.names", attributes: .concurrent)
  private static let mostAtATime = 48
  private static let pending = Mutex(0)

  /// The addresses of `host`; empty if there are none, or none within `milliseconds`.
  static func addresses(of host: String, within milliseconds: Int) async -> [IPAddress] {
    if let address = IPAddress(host) { return [address] }
    let isFree = pending.withLock { pending in
      guard pending < mostAtATime else { return false }
      pending += 1
      return true
    }
    guard isFree else { return [] }
    return await withCheckedContinuation { continuation in
      let answer = FirstAnswer(continuation)
      queue.async {
        let found = lookUp(host)
        pending.withLock { $0 -= 1 }
        answer.give(found)
      }
      queue.asyncAfter(deadline: .now() + .milliseconds(milliseconds)) { answer.give([]) }
    }
  }

  /// Blocks for as long as the system's resolver does.
  private static func lookUp(_ host: String) -> [IPAddress] {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    #if canImport(Glibc)
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    #else
    hints.ai_socktype = SOCK_STREAM
    #endif
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
    defer { freeaddrinfo(list) }
    var found: [IPAddress] = []
    var entry = list
    while let current = entry {
      if let address = current.pointee.ai_addr.flatMap({ IPAddress(UnsafePointer($0)) }),
        !found.contains(address)
      {
        found.append(address)
      }
      entry = current.pointee.ai_next
    }
    return found
  }
}

/// Resumes a continuation with whichever answer comes first.
private final class FirstAnswer: Sendable {
  private let continuation: Mutex<CheckedContinuation<[IPAddress], Never>?>

  init(_ continuation: CheckedContinuation<[IPAddress], Never>) {
    self.continuation = Mutex(continuation)
  }

  func give(_ addresses: [IPAddress]) {
    let waiting = continuation.withLock { continuation in
      defer { continuation = nil }
      return continuation
    }
    waiting?.resume(returning: addresses)
  }
}

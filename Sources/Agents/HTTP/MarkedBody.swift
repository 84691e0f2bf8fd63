// SPDX-License-Identifier: Apache-2.0
// A request body that remembers whether the client has begun to send it.
private import NIOCore
private import Synchronization

/// Bytes that the HTTP client copies at the moment when it hands them to a connection. Whoever
/// holds the mark afterwards can tell a request that was never sent from one whose answer is
/// missing.
final class SendMark: Sendable {
  /// Nanoseconds of `NIODeadline` when the body was taken; 0 before.
  private let taken = Atomic<UInt64>(0)

  var isSent: Bool { taken.load(ordering: .acquiring) != 0 }

  /// When the body was taken, in nanoseconds of `NIODeadline`.
  var sentAt: UInt64? {
    let time = taken.load(ordering: .acquiring)
    return time == 0 ? nil : time
  }

  fileprivate func set() {
    taken.store(max(NIODeadline.now().uptimeNanoseconds, 1), ordering: .releasing)
  }
}

struct MarkedBody: RandomAccessCollection, Sendable {
  let bytes: [UInt8]
  let mark: SendMark

  var startIndex: Int { 0 }
  var endIndex: Int { bytes.count }
  subscript(position: Int) -> UInt8 { bytes[position] }

  /// The client reads the body through this call, once, when a connection is ready for it.
  func withContiguousStorageIfAvailable<Value>(
    _ body: (UnsafeBufferPointer<UInt8>) throws -> Value
  ) rethrows -> Value? {
    mark.set()
    return try bytes.withContiguousStorageIfAvailable(body)
  }
}

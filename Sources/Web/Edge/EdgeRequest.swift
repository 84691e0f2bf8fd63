// SPDX-License-Identifier: Apache-2.0
// A request as it comes from the connection.
import NIOCore
import NIOHTTP1

struct EdgeRequest: Sendable {
  let head: HTTPRequestHead
  let body: Body

  enum Body: Sendable {
    /// It came with the head.
    case whole(ByteBuffer?)
    /// More of it is to come.
    case stream(BodyStream)
  }

  /// What `Authorization: Bearer` presents; nil without exactly one.
  var bearerToken: Substring.UTF8View? {
    let values = head.headers["authorization"]
    guard values.count == 1, let value = values.first else { return nil }
    let parts = value.split(separator: " ", maxSplits: 1)
    guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
    return parts[1].utf8
  }
}

/// The rest of a body, taken as fast as it is asked for: what nobody asks for is not read from the
/// socket beyond a bound. Confined to its event loop, but for `next`.
final class BodyStream: @unchecked Sendable {
  /// The client left, or what it sent was not understood.
  struct Broken: Error {}

  private enum End { case open, whole, broken }

  /// Bytes that may wait before reading stops.
  private static let most = 256 << 10

  private let loop: any EventLoop
  /// Starts and stops reading.
  private let mayRead: (Bool) -> Void
  private var buffered: ByteBuffer?
  private var end = End.open
  private var waiter: CheckedContinuation<ByteBuffer?, any Error>?
  /// Somebody waits for bytes that are not there.
  var onWait: () -> Void = {}

  init(_ first: ByteBuffer?, on loop: any EventLoop, mayRead: @escaping (Bool) -> Void) {
    buffered = first
    self.loop = loop
    self.mayRead = mayRead
  }

  /// The next bytes; nil at the end. For one caller at a time, on any thread.
  func next() async throws -> ByteBuffer? {
    try await withCheckedThrowingContinuation { waiter in
      loop.execute { self.pull(waiter) }
    }
  }

  private func pull(_ waiter: CheckedContinuation<ByteBuffer?, any Error>) {
    loop.assertInEventLoop()
    if let bytes = buffered {
      buffered = nil
      waiter.resume(returning: bytes)
      return mayRead(true)
    }
    switch end {
    case .open:
      self.waiter = waiter
      onWait()
    case .whole: waiter.resume(returning: nil)
    case .broken: waiter.resume(throwing: Broken())
    }
  }

  // MARK: For the connection

  func push(_ bytes: ByteBuffer) {
    loop.assertInEventLoop()
    if let waiter {
      self.waiter = nil
      return waiter.resume(returning: bytes)
    }
    if buffered == nil {
      buffered = bytes
    } else {
      buffered?.writeImmutableBuffer(bytes)
    }
    if let buffered, buffered.readableBytes > Self.most { mayRead(false) }
  }

  func finish() { close(.whole) }
  func fail() { close(.broken) }

  private func close(_ end: End) {
    loop.assertInEventLoop()
    guard case .open = self.end else { return }
    self.end = end
    guard let waiter else { return }
    self.waiter = nil
    if case .whole = end {
      waiter.resume(returning: nil)
    } else {
      waiter.resume(throwing: Broken())
    }
  }
}

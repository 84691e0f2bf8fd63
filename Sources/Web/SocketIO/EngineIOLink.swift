// SPDX-License-Identifier: Apache-2.0
// What Engine.IO sessions need of a WebSocket, and what they serve.
import NIOCore

/// A WebSocket as its session sees it, on the session's event loop.
protocol EngineIOLink: AnyObject {
  var isWritable: Bool { get }
  func send(text: [UInt8])
  func send(binary: [UInt8])
  /// Frames that are complete.
  func write(frames: ByteBuffer)
  func close(code: UInt16, reason: String)
}

/// What runs on a session; called on the session's event loop.
protocol EngineIOApplication: AnyObject {
  func received(text: [UInt8])
  func received(binary: [UInt8])
  /// There is room for more.
  func becameWritable()
  /// The client takes what it has room for, though something still waits.
  func progressed()
  /// All that was written has arrived.
  func arrived()
  /// Frames are wanted from now on where payloads were.
  func upgraded()
  /// A ping went out, behind all that was written before.
  func pinged()
  /// What was written before the last ping has arrived.
  func ponged()
  /// Once.
  func closed()
}

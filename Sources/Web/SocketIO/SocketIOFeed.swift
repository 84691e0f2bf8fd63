// SPDX-License-Identifier: Apache-2.0
// Where the events of Socket.IO clients come from, as far as the protocol cares.
import Domain
import NIOCore

/// Which tasks a client wants to hear of: names and values as in `GET /api/tasks`, and `id`.
struct SocketIOInterest: Hashable, Sendable {
  struct Criterion: Hashable, Sendable {
    var name: String
    var value: String
  }

  var criteria: [Criterion] = []

  static let everything = SocketIOInterest()
}

/// Lets clients in and gives them events.
protocol SocketIOFeed: Sendable {
  /// A subscription that watches nothing yet; nil if the token does not allow it. On the loop.
  func subscribe(
    _ sink: any SocketIOSink, token: [UInt8], on loop: any EventLoop
  ) -> (any SocketIOSubscription)?
}

/// One client's events. Confined to its event loop.
protocol SocketIOSubscription: AnyObject {
  /// The newest place in the events.
  var cursor: String { get }
  /// All that is wanted up to here has been written to the sink.
  var handedOver: String { get }
  /// Writes what was wanted until now; after that nothing comes until `watch`. Throws, and changes
  /// nothing, if there can be no such interest as is wanted next.
  func prepare(_ interest: SocketIOInterest?) throws(ControlError)
  /// - Parameters:
  ///   - interest: Nil: nothing more is wanted.
  ///   - since: A cursor; what came after it comes first.
  func watch(_ interest: SocketIOInterest?, since: String) throws(ControlError)
  func becameWritable()
  /// The client reads, though slowly.
  func progressed()
  /// The sink wants frames now where it wanted payloads.
  func formatChanged()
  func leave()
}

enum SocketIOCloseReason {
  case tooSlow, unauthorized
}

/// Where encoded events go. Confined to its event loop.
protocol SocketIOSink: AnyObject {
  var isWritable: Bool { get }
  /// Frames of a WebSocket, or else a long-polling payload.
  var wantsFrames: Bool { get }
  func write(_ bytes: ByteBuffer)
  func close(_ reason: SocketIOCloseReason)
}

// SPDX-License-Identifier: Apache-2.0
// Times and bounds of Engine.IO sessions.
import Domain
import NIOCore

struct EngineIOSettings: Sendable {
  var pingInterval = TimeAmount.seconds(25)
  /// For a pong, from its ping.
  var pingTimeout = TimeAmount.seconds(20)
  /// For a connection to a namespace with a valid token.
  var connectTimeout = TimeAmount.seconds(5)
  /// For a WebSocket to take over from long-polling.
  var upgradeTimeout = TimeAmount.seconds(10)
  /// A poll that comes while a WebSocket is about to take over is answered with nothing after this.
  var upgradePoll = TimeAmount.milliseconds(100)
  /// A closed session is known for this long, so that a poll that was on its way is answered well.
  var memory = TimeAmount.seconds(1)
  /// The largest body of a request, and the largest message in it.
  var maxPayload = 1_000_000
  var maxMessage = 64 << 10
  /// Packets in it.
  var mostPackets = 1_000
  /// What may wait for a poll, in bytes, besides events.
  var mostQueued = 256 << 10
  /// Sessions at a time.
  var mostSessions = 16_384
  /// Of them those that have not signed in: strangers cannot take the places of all others.
  var mostStrangers = 1_024
}

extension EngineIOSettings {
  init(_ limits: Limits) {
    pingInterval = .milliseconds(Int64(limits.pingInterval))
    pingTimeout = .milliseconds(Int64(limits.pingTimeout))
    connectTimeout = .milliseconds(Int64(limits.signInTime))
    mostSessions = limits.sockets
    mostStrangers = min(mostStrangers, max(limits.sockets / 4, 16))
  }
}

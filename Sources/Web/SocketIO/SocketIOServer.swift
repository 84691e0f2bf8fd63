// SPDX-License-Identifier: Apache-2.0
// The sessions of `/socket.io/` and what they are served with.
import NIOCore

/// Made once by the wiring.
package final class SocketIOServer: Sendable {
  /// What runs on a session that began with a request with this token.
  typealias MakeApplication =
    @Sendable (EngineIOSession, _ token: [UInt8]?) -> any EngineIOApplication

  let sessions: EngineIOSessions
  private let makeApplication: MakeApplication
  private let onFull: @Sendable () -> Void

  init(
    settings: EngineIOSettings, random: @escaping @Sendable () -> UInt64,
    onFull: @escaping @Sendable () -> Void = {}, application: @escaping MakeApplication
  ) {
    sessions = EngineIOSessions(settings: settings, random: random)
    self.onFull = onFull
    makeApplication = application
  }

  convenience init(
    feed: any SocketIOFeed, settings: EngineIOSettings, random: @escaping @Sendable () -> UInt64,
    onFull: @escaping @Sendable () -> Void
  ) {
    let services = SocketIOConnection.Services(
      feed: feed, recovery: SocketIORecovery(most: settings.mostSessions), random: random)
    self.init(settings: settings, random: random, onFull: onFull) {
      SocketIOConnection($0, services, token: $1)
    }
  }

  var settings: EngineIOSettings { sessions.settings }

  /// Whether a new session would find a place now. A refusal is counted.
  func hasRoom() -> Bool {
    let hasRoom = sessions.hasRoom
    if !hasRoom { onFull() }
    return hasRoom
  }

  /// A new session on this loop, which must be the current one; nil if there are too many.
  func open(
    on loop: any EventLoop, link: (any EngineIOLink)? = nil, token: [UInt8]?
  ) -> EngineIOSession? {
    guard let session = sessions.open(on: loop, link: link) else {
      onFull()
      return nil
    }
    session.application = makeApplication(session, token)
    return session
  }

  /// A WebSocket was opened for a session, or for a new one. On the socket's loop.
  func take(_ socket: WebSocket, for session: EngineIOSession?, token: [UInt8]?) {
    guard socket.isOpen else { return }
    let link = WebSocketLink(socket, loop: session?.loop ?? socket.loop)
    if let session {
      link.attach(to: session)
      link.onSessionLoop { session.offer(link) }
    } else if let session = open(on: socket.loop, link: link, token: token) {
      link.attach(to: session)
    } else {
      socket.close(code: 1_013, reason: "too many sockets")
    }
  }

  /// The server stops: polls are answered, so that their connections can end.
  func stop() {
    for session in sessions.all {
      session.loop.execute { session.close(.serverLeft) }
    }
  }
}

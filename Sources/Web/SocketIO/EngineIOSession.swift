// SPDX-License-Identifier: Apache-2.0
// One session of Engine.IO 4: a line to a client, made of polls and posts or of a WebSocket.
import NIOCore

/// Confined to its event loop; requests that come on connections of other loops hop to it.
///
/// A session that can be reached through two connections at once is ordered by its state, not by
/// what arrives first: see `poll` and `upgrade`.
final class EngineIOSession: @unchecked Sendable {
  /// The answer to a poll or a post.
  enum Answer: Equatable {
    case payload([UInt8])
    case refused(EngineIORefusal)
  }

  enum CloseReason: String {
    case client, serverLeft, silent, badPacket, overlap, aborted, linkClosed, tooSlow
    case tooMany, notSignedIn
  }

  enum Carrier {
    case polling(PollCarrier)
    case link(any EngineIOLink)
    case closed
  }

  let id: String
  let loop: any EventLoop
  let settings: EngineIOSettings
  var application: (any EngineIOApplication)?
  var carrier: Carrier
  /// A WebSocket that may take over.
  var candidate: EngineIOCandidate?
  /// One poll that was on its way when the client closed is answered as if it had waited.
  var owesFarewell = false
  private(set) var closeReason: CloseReason?
  private var pings: PingClock
  private var pingTimer: Scheduled<Void>?
  private var onClosed: ((EngineIOSession) -> Void)?
  /// Somebody with a right to it is, or was, connected.
  private(set) var isSignedIn = false
  private var onSignedIn: (() -> Void)?
  /// Of packets that clients have no reason to send.
  private var idleRate = MessageRate(WebSocket.Limits())

  /// - Parameter link: the WebSocket of a session that begins with one.
  init(
    id: String, loop: any EventLoop, settings: EngineIOSettings, link: (any EngineIOLink)?,
    onSignedIn: @escaping () -> Void, onClosed: @escaping (EngineIOSession) -> Void
  ) {
    self.id = id
    self.loop = loop
    self.settings = settings
    self.onSignedIn = onSignedIn
    self.onClosed = onClosed
    carrier = link.map(Carrier.link) ?? .polling(PollCarrier(most: settings.mostQueued))
    pings = PingClock(
      now: loop.now, interval: settings.pingInterval, timeout: settings.pingTimeout)
    send(.text(.open, handshake(upgrades: link == nil ? ["websocket"] : [])[...]))
    schedulePing()
  }

  private func handshake(upgrades: [String]) -> [UInt8] {
    EngineIOHandshake(id: id, upgrades: upgrades, settings: settings).json
  }

  var isOpen: Bool { closeReason == nil }

  /// Whether frames are wanted by `write`, or a payload.
  var wantsFrames: Bool { if case .link = carrier { true } else { false } }

  /// Whether what is written now leaves at once.
  var isWritable: Bool {
    switch carrier {
    case .polling(let polling): polling.isWritable
    case .link(let link): link.isWritable
    case .closed: false
    }
  }

  // MARK: Out

  func send(message text: [UInt8]) { send(.text(.message, text[...])) }

  func send(_ packet: EngineIOPacket) {
    loop.assertInEventLoop()
    switch carrier {
    case .polling(let polling): if !polling.add(packet) { close(.tooSlow) }
    case .link(let link): Self.send(packet, on: link)
    case .closed: break
    }
  }

  static func send(_ packet: EngineIOPacket, on link: any EngineIOLink) {
    switch packet {
    case .text: if let text = packet.frameText { link.send(text: text) }
    case .binary(let bytes): link.send(binary: bytes)
    }
  }

  /// Many messages at once, encoded as `wantsFrames` says.
  func write(_ encoded: ByteBuffer) {
    loop.assertInEventLoop()
    switch carrier {
    case .polling(let polling): polling.add(payload: encoded)
    case .link(let link): link.write(frames: encoded)
    case .closed: break
    }
  }

  // MARK: In

  /// What to do with one packet, whatever it came with.
  func take(_ packet: EngineIOPacket) {
    guard isOpen else { return }
    switch packet {
    case .binary(let bytes): take(bytes: bytes)
    case .text(.message, let text): take(message: text)
    case .text(.pong, _): takePong()
    case .text(.close, _): close(.client)
    // In this version it is the server that pings.
    case .text(.ping, _): close(.badPacket)
    case .text(.open, _), .text(.upgrade, _), .text(.noop, _): takeIdle()
    }
  }

  private func takeIdle() {
    if !idleRate.take(loop.now) { close(.tooMany) }
  }

  private func take(message text: ArraySlice<UInt8>) {
    guard text.count <= settings.maxMessage else { return close(.tooMany) }
    application?.received(text: Array(text))
  }

  private func take(bytes: [UInt8]) {
    guard bytes.count <= settings.maxMessage else { return close(.tooMany) }
    application?.received(binary: bytes)
  }

  private func takePong() {
    guard pings.pong(loop.now) else { return takeIdle() }
    schedulePing()
    application?.ponged()
  }

  /// The application knows who it is.
  func signedIn() {
    loop.assertInEventLoop()
    guard isOpen, !isSignedIn else { return }
    isSignedIn = true
    onSignedIn?()
    onSignedIn = nil
  }

  // MARK: Time

  private func schedulePing() {
    pingTimer?.cancel()
    guard isOpen else { return }
    pingTimer = loop.scheduleTask(deadline: pings.next) { [weak self] in self?.beat() }
  }

  /// Finds out early what has arrived.
  func pingSoon() {
    pings.hasten(loop.now, within: .seconds(1))
    schedulePing()
  }

  /// Also called when something arrives, which may be before the timer of a time that has passed.
  func beat() {
    guard isOpen, let due = pings.due(loop.now) else { return }
    guard case .ping = due else { return close(.silent) }
    schedulePing()
    send(.ping)
    application?.pinged()
  }

  // MARK: The end

  func close(_ reason: CloseReason) {
    loop.assertInEventLoop()
    guard isOpen else { return }
    closeReason = reason
    pingTimer?.cancel()
    endCandidate()
    closeCarrier(reason)
    let application = application
    self.application = nil
    application?.closed()
    onClosed?(self)
    onClosed = nil
    onSignedIn = nil
  }

  private func closeCarrier(_ reason: CloseReason) {
    switch carrier {
    case .polling(let polling):
      let wasAnswered = polling.end(with: reason == .client ? .noop : .close)
      owesFarewell = reason == .client && !wasAnswered
    case .link(let link): link.close(code: reason.code, reason: reason.text)
    case .closed: break
    }
    carrier = .closed
  }
}

extension EngineIOSession.CloseReason {
  fileprivate var code: UInt16 {
    switch self {
    case .client, .linkClosed: 1_000
    case .serverLeft: 1_001
    default: 1_008
    }
  }

  fileprivate var text: String {
    switch self {
    case .silent: "no pong came in time"
    case .badPacket: "a packet was not understood"
    case .tooSlow: "too slow"
    case .tooMany: "too many messages, or too large"
    case .notSignedIn: "not signed in"
    case .serverLeft: "the server stops"
    case .client, .overlap, .aborted, .linkClosed: ""
    }
  }
}

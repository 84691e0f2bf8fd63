// SPDX-License-Identifier: Apache-2.0
// Socket.IO 5 on one session: the connection to the namespace `/`, its commands and its events.
import Domain
import NIOCore

/// Confined to its session's event loop.
final class SocketIOConnection: EngineIOApplication, @unchecked Sendable {
  struct Services: Sendable {
    var feed: any SocketIOFeed
    var recovery: SocketIORecovery
    var random: @Sendable () -> UInt64
  }

  /// While the client is connected to the namespace.
  private struct Connected {
    let privateID: String
    let holder: Int
    let subscription: any SocketIOSubscription
    /// What will have arrived when the next pong comes.
    var sent: String
  }

  private let session: EngineIOSession
  private let services: Services
  /// The token of the request that began the session.
  private let token: [UInt8]?
  private var decoder = SocketIODecoder()
  private var rate: MessageRate
  private var connected: Connected?
  private var connectTimer: Scheduled<Void>?

  init(_ session: EngineIOSession, _ services: Services, token: [UInt8]?) {
    self.session = session
    self.services = services
    self.token = token
    rate = MessageRate(WebSocket.Limits())
    awaitConnect()
  }

  /// A session without a namespace does not go on.
  private func awaitConnect() {
    let time = session.settings.connectTimeout
    connectTimer = session.loop.scheduleTask(in: time) { [weak self] in
      self?.session.close(.notSignedIn)
    }
  }

  // MARK: Packets

  func received(text: [UInt8]) {
    guard rate.take(session.loop.now) else { return session.close(.tooMany) }
    decode { decoder throws(SocketIOFault) in try decoder.decode(text: text) }
  }

  func received(binary: [UInt8]) {
    guard rate.take(session.loop.now) else { return session.close(.tooMany) }
    decode { decoder throws(SocketIOFault) in try decoder.decodeAttachment() }
  }

  private func decode(
    _ body: (inout SocketIODecoder) throws(SocketIOFault) -> SocketIOPacket?
  ) {
    do throws(SocketIOFault) {
      if let packet = try body(&decoder) { try take(packet) }
    } catch {
      session.close(.badPacket)
    }
  }

  private func take(_ packet: SocketIOPacket) throws(SocketIOFault) {
    switch packet.kind {
    case .connect where packet.namespace != "/":
      session.send(
        message: SocketIOText.refused("Invalid namespace", namespace: packet.namespace))
    case .connect: try connect(packet.payload?.root)
    case .disconnect: if packet.namespace == "/" { disconnect() }
    case .event, .binaryEvent: try takeEvent(packet)
    // Nothing that is sent asks for one.
    case .ack, .binaryAck, .connectError: break
    }
  }

  // MARK: Connecting

  private func connect(_ auth: JSONNode?) throws(SocketIOFault) {
    guard connected == nil else { throw SocketIOFault("connected twice") }
    let given = auth?["token"]?.stringBytes ?? token
    let subscription = given.flatMap {
      services.feed.subscribe(self, token: $0, on: session.loop)
    }
    guard let subscription else {
      return session.send(message: SocketIOText.refused("Not authorized"))
    }
    connectTimer?.cancel()
    session.signedIn()
    let privateID = auth?["pid"]?.stringValue
    let place = privateID.flatMap { services.recovery.take($0, now: session.loop.now) }
    let since = auth?["since"]?.stringValue ?? place?.cursor
    begin(subscription, privateID: place == nil ? nil : privateID, place, since: since)
  }

  private func begin(
    _ subscription: any SocketIOSubscription, privateID: String?,
    _ old: SocketIORecovery.Place?, since: String?
  ) {
    let privateID = privateID ?? SessionID.random(services.random)
    let start = since ?? subscription.cursor
    var place =
      old ?? .init(id: SessionID.random(services.random), interest: .everything, cursor: start)
    place.cursor = start
    let loop = session.loop
    let holder = services.recovery.hold(privateID, place) { [weak session] in
      loop.execute { [weak session] in session?.close(.overlap) }
    }
    connected = Connected(
      privateID: privateID, holder: holder, subscription: subscription, sent: start)
    session.send(message: SocketIOText.connected(id: place.id, privateID: privateID))
    watch(place, subscription)
    // One that loses its connection time and again must not get the same over and over.
    if old != nil { session.pingSoon() }
  }

  /// An interest that was accepted once is accepted again.
  private func watch(
    _ place: SocketIORecovery.Place, _ subscription: any SocketIOSubscription
  ) {
    do throws(ControlError) { try subscription.watch(place.interest, since: place.cursor) } catch {
      session.close(.badPacket)
    }
  }

  private func disconnect() {
    guard connected != nil else { return }
    end(mayReturn: false)
    awaitConnect()
  }

  private func end(mayReturn: Bool) {
    connectTimer?.cancel()
    guard let connected else { return }
    self.connected = nil
    connected.subscription.leave()
    services.recovery.end(
      connected.privateID, holder: connected.holder, mayReturn: mayReturn, now: session.loop.now)
  }

  // MARK: Commands

  private func takeEvent(_ packet: SocketIOPacket) throws(SocketIOFault) {
    guard let connected, packet.namespace == "/", let event = packet.event else {
      throw SocketIOFault("an event without a connection")
    }
    do throws(ControlError) {
      guard let command = try SocketIOCommand(event.name, event.arguments) else {
        return refuse(packet.id, "unknown_event", "Events are subscribe and unsubscribe.")
      }
      try run(command, connected, ack: packet.id)
    } catch {
      refuse(packet.id, error.code.rawValue, error.message)
    }
  }

  /// The acknowledgement goes between the last event of what was wanted and the first of what is.
  private func run(
    _ command: SocketIOCommand, _ connected: Connected, ack: Int64?
  ) throws(ControlError) {
    let subscription = connected.subscription
    let (interest, since) = command.interest
    try subscription.prepare(interest)
    let cursor = subscription.cursor
    services.recovery.update(connected.privateID, holder: connected.holder) {
      $0.interest = interest
    }
    if let ack {
      session.send(
        message: SocketIOText.ack(ack) {
          $0.field("ok", true)
          $0.field("cursor", cursor)
        })
    }
    try subscription.watch(interest, since: since ?? cursor)
  }

  private func refuse(_ ack: Int64?, _ code: String, _ detail: String) {
    guard let ack else { return }
    session.send(
      message: SocketIOText.ack(ack) {
        $0.field("ok", false)
        $0.field("code", code)
        $0.field("detail", detail)
      })
  }

  // MARK: The session

  func becameWritable() { connected?.subscription.becameWritable() }
  func progressed() { connected?.subscription.progressed() }
  func upgraded() { connected?.subscription.formatChanged() }
  func pinged() { if let connected { self.connected?.sent = connected.subscription.handedOver } }

  func ponged() { if let connected { confirm(connected.sent) } }
  func arrived() { if let connected { confirm(connected.subscription.handedOver) } }

  /// The client surely has all up to here.
  private func confirm(_ cursor: String) {
    guard let connected else { return }
    services.recovery.update(connected.privateID, holder: connected.holder) { $0.cursor = cursor }
  }

  func closed() { end(mayReturn: true) }
}

extension SocketIOConnection: SocketIOSink {
  var isWritable: Bool { session.isWritable }
  var wantsFrames: Bool { session.wantsFrames }
  func write(_ bytes: ByteBuffer) { session.write(bytes) }

  /// A client that is told to disconnect does not try again by itself; one that is cut off does.
  func close(_ reason: SocketIOCloseReason) {
    switch reason {
    case .tooSlow: session.close(.tooSlow)
    case .unauthorized:
      session.send(message: SocketIOText.disconnected)
      end(mayReturn: false)
      session.close(.notSignedIn)
    }
  }
}

extension SocketIOCommand {
  fileprivate var interest: (SocketIOInterest?, since: String?) {
    switch self {
    case .subscribe(let interest, let since): (interest, since)
    case .unsubscribe: (nil, nil)
    }
  }
}

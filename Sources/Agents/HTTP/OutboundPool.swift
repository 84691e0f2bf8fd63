// SPDX-License-Identifier: Apache-2.0
// The kept connections of one event loop, by where they lead.
internal import DequeModule
internal import Domain
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import Synchronization

/// What all connections of one client have in common.
struct OutboundSettings: Sendable {
  var policy: OutboundPolicy
  /// See `OutboundPolicy.refusal`.
  var isEndpoint: Bool
  /// Connections to one host at most, on one event loop.
  var connections: Int
  /// From the request's end to the answer's; nil if only each request's deadline counts.
  var answerTimeout: TimeAmount?
  var tls: TLSContext
}

/// Confined to its event loop but for `calls`, so nothing here is locked.
final class OutboundPool: @unchecked Sendable {
  let loop: any EventLoop
  /// Requests that it has taken and not answered; for any thread.
  let calls = Atomic<Int>(0)
  private let settings: OutboundSettings
  private var hosts: [String: OutboundHost] = [:]
  private var isClosed = false

  init(_ settings: OutboundSettings, on loop: any EventLoop) {
    self.settings = settings
    self.loop = loop
  }

  func start(_ call: OutboundCall) {
    loop.assertInEventLoop()
    guard !call.isOver else { return }
    guard !isClosed else { return call.fail(.cancelled) }
    let origin = call.request.url.origin
    if let host = hosts[origin] { return host.take(call) }
    let host = OutboundHost(call.request.url, settings, on: loop) { empty in
      if self.hosts[origin] === empty { self.hosts[origin] = nil }
    }
    hosts[origin] = host
    host.take(call)
  }

  /// Fails what is under way; done when every connection is closed.
  func close() -> EventLoopFuture<Void> {
    loop.assertInEventLoop()
    isClosed = true
    return .andAllComplete(hosts.values.flatMap { $0.close() }, on: loop)
  }
}

/// The connections to one origin, and the calls that wait for one. Confined to its event loop.
final class OutboundHost: @unchecked Sendable {
  private let url: EndpointURL
  private let settings: OutboundSettings
  private let loop: any EventLoop
  private let whenEmpty: (OutboundHost) -> Void
  private var connections: [ObjectIdentifier: OutboundConnection] = [:]
  /// The one that was used last comes first: the others grow old and go.
  private var idle: [OutboundConnection] = []
  private var connecting = 0
  private var waiting: Deque<OutboundCall> = []
  private var isSweeping = false
  private var isClosed = false
  /// One look-up serves every connection that is opened meanwhile.
  private var lookUp: EventLoopFuture<[IPAddress]>?

  /// Below the idle time-outs of common servers (from 2 s), so that a request is not written into
  /// a connection that its other end is closing.
  private static let idleTimeout = TimeAmount.milliseconds(1_500)
  private static let connectTimeout = TimeAmount.milliseconds(Limits.connectTimeout)

  init(
    _ url: EndpointURL, _ settings: OutboundSettings, on loop: any EventLoop,
    whenEmpty: @escaping (OutboundHost) -> Void
  ) {
    self.url = url
    self.settings = settings
    self.loop = loop
    self.whenEmpty = whenEmpty
  }

  func take(_ call: OutboundCall) {
    loop.assertInEventLoop()
    while let connection = idle.popLast() {
      if connection.isActive, connection.idleSince + Self.idleTimeout > .now() {
        return connection.send(call)
      }
      connection.close()
    }
    guard connections.count + connecting < settings.connections else { return waiting.append(call) }
    connect(for: call)
  }

  /// A connection has nothing to do any more.
  func release(_ connection: OutboundConnection) {
    while let next = waiting.popFirst() {
      if !next.isOver { return connection.send(next) }
    }
    idle.append(connection)
    sweepLater()
  }

  /// A connection has ended.
  func forget(_ connection: OutboundConnection) {
    guard connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
    idle.removeAll { $0 === connection }
    makeUseOfRoom()
  }

  func close() -> [EventLoopFuture<Void>] {
    isClosed = true
    while let call = waiting.popFirst() { call.fail(.cancelled) }
    return connections.values.map { connection in
      connection.close()
      return connection.channel.closeFuture
    }
  }

  private func makeUseOfRoom() {
    while let next = waiting.popFirst() {
      if !next.isOver { return connect(for: next) }
    }
    if connections.isEmpty, connecting == 0 { whenEmpty(self) }
  }

  // MARK: Connecting

  private func connect(for call: OutboundCall) {
    connecting += 1
    open().whenComplete { result in
      self.connecting -= 1
      switch result {
      case .success(let connection) where self.isClosed:
        connection.close()
        call.fail(.cancelled)
      case .success(let connection):
        self.connections[ObjectIdentifier(connection)] = connection
        if call.isOver { self.release(connection) } else { connection.send(call) }
      case .failure(let error):
        call.fail(self.obstacle(error))
        self.makeUseOfRoom()
      }
    }
  }

  private func open() -> EventLoopFuture<OutboundConnection> {
    guard url.isSecure else { return dial().flatMap { self.prepare($0, nil) } }
    return settings.tls.context(on: loop).flatMap { tls in
      self.dial().flatMap { self.prepare($0, tls) }
    }
  }

  private func dial() -> EventLoopFuture<any Channel> {
    let resolver = PolicyResolver(
      settings.policy, isEndpoint: settings.isEndpoint, found: addresses())
    return ClientBootstrap(group: loop)
      .connectTimeout(Self.connectTimeout)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .resolver(resolver)
      .connect(host: url.host, port: url.port)
      .flatMapErrorThrowing { error in
        // An allowed address that did not answer says more than one that was left out.
        let tried = (error as? NIOConnectionError)?.connectionErrors.isEmpty == false
        throw tried ? error : resolver.refusal ?? error
      }
  }

  private func addresses() -> EventLoopFuture<[IPAddress]> {
    if let lookUp { return lookUp }
    let host = url.host
    let found = loop.makeFutureWithTask {
      await NameResolver.addresses(of: host, within: Int(Limits.connectTimeout))
    }
    lookUp = found
    found.whenComplete { _ in self.lookUp = nil }
    return found
  }

  /// Judges the address that was connected, before anything is sent to it, and makes the
  /// connection ready for requests.
  private func prepare(
    _ channel: any Channel, _ tls: NIOSSLContext?
  ) -> EventLoopFuture<OutboundConnection> {
    if let refusal = refusal(of: channel) {
      channel.close(promise: nil)
      return loop.makeFailedFuture(refusal)
    }
    let connection = OutboundConnection(channel, of: self)
    do {
      let pipeline = channel.pipeline.syncOperations
      try pipeline.addHandlers([
        HTTPRequestEncoder(), ByteToMessageHandler(HTTPResponseDecoder()), connection,
      ])
      guard let tls else { return loop.makeSucceededFuture(connection) }
      let name = IPAddress(url.host) == nil ? url.host : nil
      try pipeline.addHandler(
        NIOSSLClientHandler(context: tls, serverHostname: name), position: .first)
    } catch {
      channel.close(promise: nil)
      return loop.makeFailedFuture(error)
    }
    return secure(connection)
  }

  private func secure(_ connection: OutboundConnection) -> EventLoopFuture<OutboundConnection> {
    let timer = loop.scheduleTask(in: Self.connectTimeout) { connection.close() }
    return connection.secured.map {
      timer.cancel()
      return connection
    }
  }

  private func refusal(of channel: any Channel) -> OutboundPolicy.Refusal? {
    guard let remote = channel.remoteAddress, let address = IPAddress(remote) else {
      return .unknownAddress
    }
    return settings.policy.refusal(
      of: address, port: remote.port ?? 0, isEndpoint: settings.isEndpoint)
  }

  private func obstacle(_ error: any Error) -> Exchange.Obstacle {
    switch error {
    case let refusal as OutboundPolicy.Refusal: return .refused(refusal)
    case ChannelError.connectTimeout: return .timeout
    case let failure as NIOConnectionError:
      return failure.connectionErrors.isEmpty ? .unresolvable : .noConnection
    default: return url.isSecure ? .noTLS : .noConnection
    }
  }

  // MARK: Old connections

  private func sweepLater() {
    guard !isSweeping else { return }
    isSweeping = true
    loop.scheduleTask(in: Self.idleTimeout) { self.sweep() }
  }

  private func sweep() {
    isSweeping = false
    let now = NIODeadline.now()
    for connection in idle where connection.idleSince + Self.idleTimeout <= now {
      connection.close()
    }
    if !idle.isEmpty { sweepLater() }
  }
}

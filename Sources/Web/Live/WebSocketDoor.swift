// SPDX-License-Identifier: Apache-2.0
// One client of `/ws`: signing in, topics, batches.
import Domain
import Engine
import NIOCore

/// Confined to its event loop; kept alive by the socket.
final class WebSocketDoor: LiveSink, @unchecked Sendable {
  /// For the first message of a client that did not sign in with its request.
  private static let signInTime = TimeAmount.seconds(5)
  private static let pingInterval = TimeAmount.seconds(15)
  /// For a sign of life after a ping: a client that does not read gives none.
  private static let patience = LiveShard.patience
  /// Close codes, RFC 6455 §7.4.1.
  private static let policyViolation: UInt16 = 1008

  private let socket: WebSocket
  private let hub: LiveHub
  private let limits: Limits
  private var subscriber: LiveSubscriber?
  private var signingIn: Scheduled<Void>?

  init(_ socket: WebSocket, _ hub: LiveHub, _ limits: Limits) {
    self.socket = socket
    self.hub = hub
    self.limits = limits
  }

  func open(_ holder: TokenHolder?) {
    socket.times.ping = Self.pingInterval
    socket.times.pong = Self.patience
    socket.onText = { self.received($0) }
    socket.onBinary = { _ in
      self.tell(ControlError(.invalidRequest, "Messages are JSON in text frames."))
    }
    socket.onWritable = { self.subscriber?.becameWritable() }
    socket.onClosed = { self.closed() }
    if let holder { return welcome(holder) }
    signingIn = socket.loop.scheduleTask(in: Self.signInTime) {
      self.socket.close(code: Self.policyViolation, reason: "not signed in")
    }
  }

  private func closed() {
    signingIn?.cancel()
    subscriber?.leave()
    subscriber = nil
  }

  private func welcome(_ holder: TokenHolder) {
    signingIn?.cancel()
    let shard = hub.shard(for: socket.loop)
    let subscriber = shard.subscribe(self, .webSocket, holder)
    self.subscriber = subscriber
    send {
      $0.field("t", "hello")
      $0.field("protocol", 1)
      $0.field("session", self.hub.newSessionID())
      $0.place(shard.place)
    }
    subscriber.change(to: TopicSet())
  }

  // MARK: Messages

  private func received(_ text: ByteBuffer) {
    do throws(ControlError) {
      let document = try JSONDocument(Array(text.readableBytesView), limits: limits)
      let message = try ControlError.field { () throws(FieldError) in
        try WebSocketMessage(document.root)
      }
      try handle(message)
    } catch {
      tell(error)
    }
  }

  private func handle(_ message: WebSocketMessage) throws(ControlError) {
    guard let subscriber else { return try signIn(message) }
    switch message {
    case .auth: throw ControlError(.conflict, "This socket has signed in already.")
    case .ping: send { $0.field("t", "pong") }
    case .subscribe(let texts, let since):
      var topics = subscriber.topics.all
      let new = try Self.topics(texts)
      topics.formUnion(new)
      guard topics.count <= Limits.topics else {
        throw ControlError(.limitReached, "A socket has at most \(Limits.topics) topics.")
      }
      subscribe(
        subscriber, to: topics, new.subtracting(subscriber.topics.all),
        since: since.map(Cursor.place))
    case .unsubscribe(let texts):
      let topics = subscriber.topics.all.subtracting(try Self.topics(texts))
      subscriber.change(to: TopicSet(topics))
      confirm(topics)
    }
  }

  private static func topics(_ texts: [String]) throws(ControlError) -> Set<Topic> {
    var topics: Set<Topic> = []
    for text in texts { topics.insert(try Topic(text)) }
    return topics
  }

  private func signIn(_ message: WebSocketMessage) throws(ControlError) {
    guard case .auth(let token) = message else {
      throw ControlError(.unauthorized, "Sign in first: {\"type\":\"auth\",\"token\":\"orr_…\"}.")
    }
    do throws(ControlError) {
      welcome(try hub.holder(presenting: token.utf8))
    } catch {
      tell(error)
      socket.close(code: Self.policyViolation, reason: "not signed in")
    }
  }

  // MARK: Topics

  private func subscribe(
    _ subscriber: LiveSubscriber, to topics: Set<Topic>, _ new: Set<Topic>, since: UInt64?
  ) {
    // Confirmed before the first event of a topic.
    confirm(topics)
    subscriber.change(to: TopicSet(topics), since: since)
    let hub = hub
    Task {
      let result = await Self.snapshot(hub, of: new, isResuming: since != nil)
      self.socket.loop.execute { self.show(result) }
    }
  }

  private static func snapshot(
    _ hub: LiveHub, of topics: Set<Topic>, isResuming: Bool
  ) async -> Result<[LiveEvent], ControlError> {
    do throws(ControlError) {
      return .success(try await hub.snapshot(of: topics, isResuming: isResuming))
    } catch {
      return .failure(error)
    }
  }

  private func show(_ result: Result<[LiveEvent], ControlError>) {
    switch result {
    case .success(let events): if !events.isEmpty { subscriber?.receive(events) }
    case .failure(let error): tell(error)
    }
  }

  private func confirm(_ topics: Set<Topic>) {
    send {
      $0.field("t", "subscribed")
      $0.field("topics", topics.map(\.text).sorted())
      $0.place(self.hub.shard(for: self.socket.loop).place)
    }
  }

  private func tell(_ error: ControlError) {
    send {
      $0.field("t", "error")
      $0.field("code", error.code.rawValue)
      $0.field("detail", error.message)
      $0.field(ifPresent: "path", error.path)
    }
  }

  private func send(_ fields: (inout JSONWriter) -> Void) {
    var writer = JSONWriter()
    writer.object(fields)
    socket.send(text: ByteBuffer(bytes: writer.bytes))
  }

  // MARK: Sink

  var isWritable: Bool { socket.isWritable }
  func write(_ bytes: ByteBuffer) { socket.write(frames: bytes) }

  func close(_ reason: LiveCloseReason) {
    switch reason {
    case .tooSlow: socket.close(code: Self.policyViolation, reason: "too slow")
    case .unauthorized: socket.close(code: Self.policyViolation, reason: "the token is gone")
    }
  }
}

extension JSONWriter {
  fileprivate mutating func place(_ place: UInt64) {
    field("seq", Int64(clamping: place))
    field("cursor", Cursor.text(place))
  }
}

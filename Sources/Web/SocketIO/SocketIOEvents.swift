// SPDX-License-Identifier: Apache-2.0
// What happened to tasks, as Socket.IO clients are told.
import Domain
import Engine
import NIOCore

/// A change of a task is up to three events: `agent:status`, `task:update` and `task:ID:complete`.
enum SocketIOEvents {
  /// Results that are larger are left out.
  static let mostResults = 256 << 10

  /// Frames of a WebSocket, one for each event.
  static func frames(_ events: some Sequence<LiveEvent>) -> ByteBuffer {
    var frames = ByteBuffer()
    for text in events.lazy.flatMap(messages) {
      WebSocketFrame.append(.text, ByteBuffer(bytes: text), to: &frames)
    }
    return frames
  }

  /// The body of the answer to a poll.
  static func payload(_ events: some Sequence<LiveEvent>) -> ByteBuffer {
    var payload = ByteBuffer()
    for text in events.lazy.flatMap(messages) { append(text, to: &payload) }
    return payload
  }

  static func resyncFrame(_ cursor: String) -> ByteBuffer {
    WebSocketFrame.text(ByteBuffer(bytes: resync(cursor)))
  }

  static func resyncPayload(_ cursor: String) -> ByteBuffer { ByteBuffer(bytes: resync(cursor)) }

  private static func append(_ text: [UInt8], to payload: inout ByteBuffer) {
    if payload.readableBytes > 0 { payload.writeInteger(EngineIOPayload.separator) }
    payload.writeBytes(text)
  }

  private static func resync(_ cursor: String) -> [UInt8] {
    message(SocketIOText.event("resync") { $0.field("cursor", cursor) })
  }

  private static func message(_ text: [UInt8]) -> [UInt8] {
    [EngineIOPacket.Kind.message.rawValue] + text
  }

  // MARK: Events

  private static func messages(_ event: LiveEvent) -> [[UInt8]] {
    guard case .task(let change) = event.body else { return [] }
    let cursor = Cursor.text(event.number)
    var texts = [update(change, event.time, cursor)]
    if let agent = change.agent { texts.insert(status(change, agent, cursor), at: 0) }
    if let end = change.end { texts.append(complete(change.id, end, cursor)) }
    return texts.map(message)
  }

  private static func status(
    _ change: TaskChange, _ agent: AgentID, _ cursor: String
  ) -> [UInt8] {
    SocketIOText.event("agent:status") {
      $0.field("taskId", change.id.description)
      $0.field("status", change.state.name)
      $0.nullable("progress", change.progress)
      $0.nullable("message", change.message)
      $0.field("agentId", agent.description)
      $0.nullable("attempt", change.attempt)
      $0.field("cursor", cursor)
    }
  }

  private static func update(
    _ change: TaskChange, _ time: Timestamp, _ cursor: String
  ) -> [UInt8] {
    SocketIOText.event("task:update") {
      $0.field("taskId", change.id.description)
      $0.field("status", change.state.name)
      $0.field("type", change.type)
      $0.nullable("attempt", change.attempt)
      $0.nullable("agentId", change.agent?.description)
      $0.nullable("progress", change.progress)
      $0.nullable("message", change.message)
      $0.field("at", time)
      $0.field("cursor", cursor)
    }
  }

  private static func complete(_ id: TaskID, _ end: TaskEnd, _ cursor: String) -> [UInt8] {
    let isOmitted = end.results.map { $0.count > mostResults } ?? false
    return SocketIOText.event("task:\(id):complete") {
      $0.field("taskId", id.description)
      $0.field("status", end.status.rawValue)
      $0.nullable("results", json: isOmitted ? nil : end.results)
      $0.nullable("error", json: end.error)
      if isOmitted { $0.field("omitted", true) }
      $0.field("cursor", cursor)
    }
  }
}

extension JSONWriter {
  fileprivate mutating func nullable(_ name: StaticString, _ value: String?) {
    key(literal: name)
    if let value { string(value) } else { null() }
  }

  fileprivate mutating func nullable(_ name: StaticString, _ value: Int?) {
    key(literal: name)
    if let value { int(value) } else { null() }
  }

  fileprivate mutating func nullable(_ name: StaticString, _ value: Double?) {
    key(literal: name)
    if let value { double(value) } else { null() }
  }

  fileprivate mutating func nullable(_ name: StaticString, json: [UInt8]?) {
    key(literal: name)
    if let json { raw(json) } else { null() }
  }
}

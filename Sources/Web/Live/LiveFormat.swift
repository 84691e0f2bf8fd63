// SPDX-License-Identifier: Apache-2.0
// How events look on the wire, by the door through which they leave.
import Domain
import Engine
import NIOCore

enum LiveFormat: Hashable {
  /// `{"t":"batch",…}` in a WebSocket's frame.
  case webSocket
  /// A server-sent event each.
  case serverSentEvents
  /// Socket.IO's events, in frames of a WebSocket or for a poll.
  case socketIOFrames
  case socketIOPayload

  /// Bytes of JSON in one message of a WebSocket, roughly.
  private static let mostBytes = 512 << 10

  /// - Parameter place: The events up to this number have been looked at: the cursor of the batch.
  func encode(_ events: [LiveEvent], upTo place: UInt64) -> [ByteBuffer] {
    switch self {
    case .webSocket: Self.batches(events, upTo: place)
    case .serverSentEvents: [Self.blocks(events)]
    case .socketIOFrames: [SocketIOEvents.frames(events)]
    case .socketIOPayload: [SocketIOEvents.payload(events)]
    }
  }

  func resync(at place: UInt64) -> ByteBuffer {
    var writer = JSONWriter()
    switch self {
    case .webSocket:
      writer.object {
        $0.field("t", "resync")
        $0.field("cursor", Cursor.text(place))
      }
      return WebSocketFrame.text(ByteBuffer(bytes: writer.bytes))
    case .serverSentEvents:
      writer.object { $0.field("cursor", Cursor.text(place)) }
      return Self.block("resync", place, writer.bytes)
    case .socketIOFrames: return SocketIOEvents.resyncFrame(Cursor.text(place))
    case .socketIOPayload: return SocketIOEvents.resyncPayload(Cursor.text(place))
    }
  }

  // MARK: WebSocket

  private static func batches(_ events: [LiveEvent], upTo place: UInt64) -> [ByteBuffer] {
    var frames: [ByteBuffer] = []
    var rest = events[...]
    repeat {
      var body = JSONWriter(reservingCapacity: 256 + 160 * min(rest.count, 1_024))
      var last = place
      body.beginArray()
      while let event = rest.popFirst() {
        body.event(event)
        if body.bytes.count > mostBytes, !rest.isEmpty {
          last = event.number
          break
        }
      }
      body.endArray()
      frames.append(frame(body.bytes, upTo: last))
    } while !rest.isEmpty
    return frames
  }

  private static func frame(_ events: [UInt8], upTo place: UInt64) -> ByteBuffer {
    var writer = JSONWriter(reservingCapacity: events.count + 128)
    writer.object {
      $0.field("t", "batch")
      $0.field("seq", Int64(clamping: place))
      $0.field("cursor", Cursor.text(place))
      $0.field("ev", raw: events)
    }
    return WebSocketFrame.text(ByteBuffer(bytes: writer.bytes))
  }

  // MARK: Server-sent events

  private static func blocks(_ events: [LiveEvent]) -> ByteBuffer {
    var buffer = ByteBuffer()
    for event in events {
      var writer = JSONWriter()
      writer.event(event)
      buffer.writeImmutableBuffer(block(event.kind, event.number, writer.bytes))
    }
    return buffer
  }

  private static func block(_ name: String, _ number: UInt64, _ json: [UInt8]) -> ByteBuffer {
    var buffer = ByteBuffer()
    buffer.writeString("id: \(Cursor.text(number))\nevent: \(name)\ndata: ")
    buffer.writeBytes(json)
    buffer.writeString("\n\n")
    return buffer
  }
}

/// A place in the log as clients send it back; nothing for them to take apart.
enum Cursor {
  static func text(_ place: UInt64) -> String { String(place) }

  /// What is no cursor of ours is a place that is gone.
  static func place(_ text: String) -> UInt64 {
    guard text.utf8.count <= 20, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
      return 0
    }
    return UInt64(text) ?? 0
  }
}

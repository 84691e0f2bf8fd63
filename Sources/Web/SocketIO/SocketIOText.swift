// SPDX-License-Identifier: Apache-2.0
// Packets of Socket.IO 5, as they go to clients.
import Domain

/// The text of a packet, to be sent in an Engine.IO message.
enum SocketIOText {
  static func connected(id: String, privateID: String) -> [UInt8] {
    packet(.connect) { writer in
      writer.object {
        $0.field("sid", id)
        $0.field("pid", privateID)
      }
    }
  }

  static func refused(_ message: String, namespace: String = "/") -> [UInt8] {
    packet(.connectError, namespace: namespace) { writer in
      writer.object { $0.field("message", message) }
    }
  }

  static let disconnected = packet(.disconnect) { _ in }

  static func event(_ name: String, _ argument: (inout JSONWriter) -> Void) -> [UInt8] {
    packet(.event) { writer in
      writer.array {
        $0.string(name)
        $0.object(argument)
      }
    }
  }

  static func ack(_ id: Int64, _ argument: (inout JSONWriter) -> Void) -> [UInt8] {
    packet(.ack, id: id) { writer in
      writer.array { $0.object(argument) }
    }
  }

  /// - Parameter namespace: one that a packet came with, which is why it needs no escapes.
  private static func packet(
    _ kind: SocketIOPacket.Kind, namespace: String = "/", id: Int64? = nil,
    _ write: (inout JSONWriter) -> Void
  ) -> [UInt8] {
    var text = [kind.rawValue]
    if namespace != "/" { text.append(contentsOf: "\(namespace),".utf8) }
    if let id { text.append(contentsOf: "\(id)".utf8) }
    var writer = JSONWriter()
    write(&writer)
    return text + writer.bytes
  }
}

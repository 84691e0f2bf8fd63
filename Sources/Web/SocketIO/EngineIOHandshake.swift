// SPDX-License-Identifier: Apache-2.0
// What a client is told of its new session.
import Domain
import NIOCore

struct EngineIOHandshake {
  let id: String
  let upgrades: [String]
  let settings: EngineIOSettings

  var json: [UInt8] {
    var writer = JSONWriter()
    writer.object {
      $0.field("sid", id)
      $0.field("upgrades", upgrades)
      $0.field("pingInterval", settings.pingInterval.milliseconds)
      $0.field("pingTimeout", settings.pingTimeout.milliseconds)
      $0.field("maxPayload", settings.maxPayload)
    }
    return writer.bytes
  }
}

extension TimeAmount {
  fileprivate var milliseconds: Int64 { nanoseconds / 1_000_000 }
}

// SPDX-License-Identifier: Apache-2.0
// What a request to `/socket.io/` asks of Engine.IO, read from its method and query.

/// Refusals with the numbers that clients of Engine.IO know.
enum EngineIORefusal: Int, Error, CaseIterable {
  case unknownTransport = 0
  case unknownSession, badMethod, badRequest, forbidden, unsupportedVersion

  var message: String {
    switch self {
    case .unknownTransport: "Transport unknown"
    case .unknownSession: "Session ID unknown"
    case .badMethod: "Bad handshake method"
    case .badRequest: "Bad request"
    case .forbidden: "Forbidden"
    case .unsupportedVersion: "Unsupported protocol version"
    }
  }
}

enum EngineIORequest: Equatable {
  /// A new session over long-polling.
  case open
  /// What waits for the client is asked for.
  case poll(session: String)
  /// Packets come from the client.
  case post(session: String)
  /// A WebSocket: of a new session, or for one that exists.
  case webSocket(session: String?)

  /// Ids of sessions are as long as ours; anything else is not looked for.
  static let sessionLength = 20

  init(
    method: String, query: [String: [String]], isUpgrade: Bool
  ) throws(EngineIORefusal) {
    let transport = query["transport"] ?? []
    guard transport == ["polling"] || transport == ["websocket"] else {
      throw .unknownTransport
    }
    guard query["EIO"] == ["4"] else { throw .unsupportedVersion }
    let session = try Self.session(query)
    if transport == ["websocket"] {
      guard isUpgrade, method == "GET" else { throw .badRequest }
      self = .webSocket(session: session)
    } else {
      self = try Self.polling(method, session)
    }
  }

  private static func session(_ query: [String: [String]]) throws(EngineIORefusal) -> String? {
    guard let values = query["sid"] else { return nil }
    guard values.count == 1, let id = values.first else { throw .badRequest }
    guard id.utf8.count == sessionLength else { throw .unknownSession }
    return id
  }

  private static func polling(
    _ method: String, _ session: String?
  ) throws(EngineIORefusal) -> EngineIORequest {
    switch (method, session) {
    case ("GET", nil): .open
    case ("GET", let session?): .poll(session: session)
    case ("POST", let session?): .post(session: session)
    default: throw .badMethod
    }
  }
}

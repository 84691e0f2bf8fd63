// SPDX-License-Identifier: Apache-2.0
// Polls and posts of a session.
import NIOCore

extension EngineIOSession {
  typealias Reply = PollCarrier.Reply

  /// The client asks for what there is.
  /// - Returns: what to call `abandon` with if the client leaves before the answer.
  func poll(_ reply: @escaping Reply) -> Int? {
    guard let polling = polling(reply) else { return nil }
    guard !polling.isWaiting else {
      close(.overlap)
      reply(.refused(.badRequest))
      return nil
    }
    // The client has what was answered before.
    if polling.isEmpty { application?.arrived() }
    let number = polling.wait(reply)
    guard polling.isWaiting(number) else {
      application?.progressed()
      return nil
    }
    if let candidate, candidate.isProbed {
      scheduleEmptyAnswer(number)
    } else {
      application?.becameWritable()
    }
    return number
  }

  /// The carrier of a session that polls; nil if the request has been answered.
  private func polling(_ reply: Reply) -> PollCarrier? {
    loop.assertInEventLoop()
    beat()
    switch carrier {
    case .polling(let polling): return polling
    case .link: reply(.refused(.badRequest))
    case .closed: reply(farewell())
    }
    return nil
  }

  private func farewell() -> Answer {
    guard owesFarewell else { return .refused(.unknownSession) }
    owesFarewell = false
    return .payload(EngineIOPayload.encode([.noop]))
  }

  /// The client of a poll left.
  func abandon(_ number: Int) {
    loop.assertInEventLoop()
    guard case .polling(let polling) = carrier, polling.isWaiting(number) else { return }
    close(.aborted)
  }

  // MARK: Posts

  /// A body is about to come. Two at a time would have no order.
  func beginPost() -> EngineIORefusal? {
    loop.assertInEventLoop()
    beat()
    guard case .polling(let polling) = carrier else {
      return isOpen ? .badRequest : .unknownSession
    }
    guard !polling.isPosting else {
      close(.overlap)
      return .badRequest
    }
    polling.isPosting = true
    return nil
  }

  /// - Parameter body: nil if it did not come whole, or is too large.
  func endPost(_ body: [UInt8]?) -> Answer {
    loop.assertInEventLoop()
    guard case .polling(let polling) = carrier else {
      return .refused(isOpen ? .badRequest : .unknownSession)
    }
    polling.isPosting = false
    guard body.map(EngineIOPayload.count) ?? 0 <= settings.mostPackets else {
      close(.tooMany)
      return .refused(.badRequest)
    }
    guard let packets = body.flatMap({ EngineIOPayload.decode($0) }) else {
      close(.badPacket)
      return .refused(.badRequest)
    }
    polling.holding { packets.forEach(take) }
    return closeReason.map { $0 == .client } ?? true
      ? .payload(Array("ok".utf8)) : .refused(.badRequest)
  }
}

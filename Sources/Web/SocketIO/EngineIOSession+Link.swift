// SPDX-License-Identifier: Apache-2.0
// WebSockets of a session: its own, and one that takes over from long-polling.
import NIOCore

/// A WebSocket that was opened for a session that polls.
struct EngineIOCandidate {
  let link: any EngineIOLink
  /// Its probe was answered: the client is about to end its polling.
  var isProbed = false
  var timer: Scheduled<Void>
}

extension EngineIOSession {
  /// A WebSocket came with this session's id. It is closed unless it may take over.
  func offer(_ link: any EngineIOLink) {
    loop.assertInEventLoop()
    beat()
    guard case .polling = carrier, candidate == nil else {
      return link.close(code: 1_008, reason: "the session has another transport")
    }
    candidate = EngineIOCandidate(
      link: link,
      timer: loop.scheduleTask(in: settings.upgradeTimeout) { [weak self] () -> Void in
        self?.endCandidate()
      })
  }

  func received(text: [UInt8], from link: any EngineIOLink) {
    loop.assertInEventLoop()
    beat()
    if isCandidate(link) { return takeOver(EngineIOPacket(frame: text)) }
    guard isCarrier(link) else { return }
    guard let packet = EngineIOPacket(frame: text) else { return close(.badPacket) }
    take(packet)
  }

  func received(binary: [UInt8], from link: any EngineIOLink) {
    loop.assertInEventLoop()
    if isCandidate(link) { return endCandidate() }
    if isCarrier(link) { take(.binary(binary)) }
  }

  func becameWritable(_ link: any EngineIOLink) {
    loop.assertInEventLoop()
    if isCarrier(link) { application?.becameWritable() }
  }

  func closed(_ link: any EngineIOLink) {
    loop.assertInEventLoop()
    if isCandidate(link) { return endCandidate() }
    if isCarrier(link) { close(.linkClosed) }
  }

  private func isCandidate(_ link: any EngineIOLink) -> Bool { candidate?.link === link }

  private func isCarrier(_ link: any EngineIOLink) -> Bool {
    if case .link(let own) = carrier { own === link } else { false }
  }

  // MARK: Taking over

  private func takeOver(_ packet: EngineIOPacket?) {
    switch packet {
    case .text(.ping, let data)? where data.elementsEqual(EngineIOPacket.probe): answerProbe()
    case .text(.upgrade, _)?: upgrade()
    default: endCandidate()
    }
  }

  /// The poll that waits is answered, so that the client can end its polling.
  private func answerProbe() {
    guard let link = candidate?.link else { return }
    candidate?.isProbed = true
    Self.send(.text(.pong, EngineIOPacket.probe[...]), on: link)
    if case .polling(let polling) = carrier { polling.answer(.noop) }
  }

  /// A poll that comes behind the probe waits for a moment: the client may have ended its polling
  /// on a connection that is faster.
  func scheduleEmptyAnswer(_ number: Int) {
    loop.scheduleTask(in: settings.upgradePoll) { [weak self] in
      guard case .polling(let polling)? = self?.carrier, polling.isWaiting(number) else { return }
      polling.answer(.noop)
    }
  }

  private func upgrade() {
    guard case .polling(let polling) = carrier, let candidate else { return }
    candidate.timer.cancel()
    self.candidate = nil
    polling.answer(.refused(.badRequest))
    carrier = .link(candidate.link)
    for packet in polling.drain() { Self.send(packet, on: candidate.link) }
    application?.upgraded()
    application?.becameWritable()
  }

  func endCandidate() {
    guard let candidate else { return }
    candidate.timer.cancel()
    self.candidate = nil
    candidate.link.close(code: 1_000, reason: "")
  }
}

// SPDX-License-Identifier: Apache-2.0
// What tests of sessions stand on: a loop whose time they move, an application, WebSockets.
import NIOCore
import NIOEmbedded
import Testing

@testable import Web

/// One session, what it answered, and WebSockets that remember.
final class SessionBench {
  typealias Answer = EngineIOSession.Answer

  let loop: EmbeddedEventLoop
  let sessions: EngineIOSessions
  let session: EngineIOSession
  let application: EchoApplication
  private(set) var answers: [String] = []

  init(
    link: FakeLink? = nil, settings: EngineIOSettings = EngineIOSettings(),
    loop: EmbeddedEventLoop = EmbeddedEventLoop()
  ) throws {
    self.loop = loop
    let numbers = Counter()
    sessions = EngineIOSessions(settings: settings) { numbers.next() }
    session = try #require(sessions.open(on: loop, link: link))
    application = EchoApplication(session)
    session.application = application
    guard link == nil else { return }
    poll()
    answers.removeAll()
  }

  @discardableResult func poll() -> Int? { session.poll { self.answers.append(Self.text($0)) } }

  func post(_ text: String) -> String {
    if let refusal = session.beginPost() { return Self.text(.refused(refusal)) }
    return Self.text(session.endPost(Array(text.utf8)))
  }

  /// The answers since the last call.
  func taken() -> [String] {
    defer { answers.removeAll() }
    return answers
  }

  func wait(_ time: Int64) { loop.advanceTime(by: .milliseconds(time)) }

  /// A WebSocket that has taken over.
  func upgraded() -> FakeLink {
    let link = FakeLink()
    session.offer(link)
    session.received(text: Array("2probe".utf8), from: link)
    session.received(text: Array("5".utf8), from: link)
    link.sent.removeAll()
    return link
  }

  private static func text(_ answer: Answer) -> String {
    switch answer {
    case .payload(let bytes): String(decoding: bytes, as: UTF8.self)
    case .refused(let refusal): "refused \(refusal.rawValue)"
    }
  }
}

/// Sends back what comes.
final class EchoApplication: EngineIOApplication {
  private weak var session: EngineIOSession?
  private(set) var notices: [String] = []

  init(_ session: EngineIOSession) { self.session = session }

  func received(text: [UInt8]) { session?.send(message: text) }
  func received(binary: [UInt8]) { session?.send(.binary(binary)) }
  func becameWritable() { notices.append("writable") }
  func progressed() {}
  func arrived() {}
  func upgraded() { notices.append("upgraded") }
  func pinged() { notices.append("pinged") }
  func ponged() { notices.append("ponged") }
  func closed() { notices.append("closed") }
}

final class FakeLink: EngineIOLink {
  var isWritable = true
  var sent: [String] = []
  private(set) var closedWith: UInt16?

  func send(text: [UInt8]) { sent.append(String(decoding: text, as: UTF8.self)) }
  func send(binary: [UInt8]) { sent.append("\(binary)") }
  func write(frames: ByteBuffer) { sent.append("frames \(String(buffer: frames))") }
  func close(code: UInt16, reason: String) { closedWith = closedWith ?? code }
}

/// Numbers that rise, for names.
final class Counter: @unchecked Sendable {
  /// Used on one thread, the test's event loop.
  private var value: UInt64 = 0

  func next() -> UInt64 {
    value += 1
    return value &* 0x9E37_79B9_7F4A_7C15
  }
}

// SPDX-License-Identifier: Apache-2.0
// What became of a batch of spans, and who is told when it is lost.
internal import Domain
internal import Engine
internal import Logging
private import Synchronization

/// A collector's answer, by the rules of OTLP over HTTP.
enum ExportOutcome {
  /// It has them but for so many.
  case taken(rejected: Int)
  /// Sending them again would change nothing.
  case refused(String)
  /// Another time perhaps, after so many milliseconds.
  case away(String, retryAfter: Int64?)

  init(_ exchange: Exchange, now: Timestamp) {
    switch exchange {
    case .unsent(.refused): self = .refused("the collector's address is this server's own")
    case .unsent(.unresolvable): self = .away("its name does not resolve", retryAfter: nil)
    case .unsent(.noTLS): self = .away("no TLS connection can be made", retryAfter: nil)
    case .unsent: self = .away("it does not accept connections", retryAfter: nil)
    case .noAnswer: self = .away("it does not answer", retryAfter: nil)
    case .answer(200..<300, _, let body): self = .taken(rejected: Self.rejected(body))
    case .answer(let status, let retryAfter, _) where [429, 502, 503, 504].contains(status):
      self = .away(
        "it answers \(status)",
        retryAfter: retryAfter.flatMap { RetryAfter.milliseconds($0, now: now) })
    case .answer(let status, _, _): self = .refused("it answers \(status)")
    }
  }

  /// `partialSuccess.rejectedSpans`, a number or a text; an answer that is no JSON rejects none.
  private static func rejected(_ body: Exchange.Body) -> Int {
    guard case .bytes(let bytes) = body else { return 0 }
    do {
      let count = try JSONDocument(bytes).root["partialSuccess"]?["rejectedSpans"]
      let number = count?.int64Value ?? count?.stringValue.flatMap { Int64($0) } ?? 0
      return Int(clamping: max(number, 0))
    } catch { return 0 }
  }
}

/// Says that spans are lost: at once, then every five minutes at most.
final class ExportComplaints: Sendable {
  private struct State {
    var saidAt: Int64?
    var lost = 0
  }

  private static let interval: Int64 = 300_000
  private let logger: Logger
  private let world: World
  private let state = Mutex(State())

  init(logger: Logger, world: World) {
    self.logger = logger
    self.world = world
  }

  func failed(_ why: String, spans: Int) {
    let now = world.uptime()
    let lost: Int? = state.withLock { state in
      state.lost += spans
      if let saidAt = state.saidAt, now - saidAt < Self.interval { return nil }
      state.saidAt = now
      defer { state.lost = 0 }
      return state.lost
    }
    guard let lost else { return }
    logger.warning(
      "spans were not sent to the collector", metadata: ["reason": "\(why)", "spans": "\(lost)"])
  }

  func succeeded(rejected: Int) {
    if rejected > 0 { failed("it rejects some of them", spans: rejected) }
  }
}

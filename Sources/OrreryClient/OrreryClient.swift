// SPDX-License-Identifier: Apache-2.0
// The operator's client: an address, a token, and calls that are repeated where that is safe.

import Domain

/// Submits and watches tasks, and administers a control plane.
///
/// ```swift
/// let orrery = try OrreryClient(url: "http://127.0.0.1:3000", token: token)
/// let receipt = try await orrery.submit(type: "scrape", payload: ["url": "https://example.com/"])
/// let task = try await orrery.wait(for: receipt.taskID)
/// print(task.state, task.results?.text ?? "")
/// ```
///
/// A client is a value that costs nothing to copy; all of a process share one pool of connections.
/// Every call throws `OrreryError`, or `CancellationError` when the calling task is cancelled.
public struct OrreryClient: Sendable {
  let address: ServerAddress
  let token: String?
  var options: Options
  var clock = SystemClock.live

  /// How a client behaves.
  public struct Options: Sendable {
    /// Allows `http` to other machines than this one.
    public var allowsInsecureHTTP = false
    /// A PEM file with certificates to trust besides the system's; `ORRERY_CA_FILE` if nil.
    public var caFile: String?
    /// Time for one try of an ordinary call; long polls get it on top of their wait.
    public var timeout: Duration = .seconds(30)
    /// How often a call that may be repeated is tried in all.
    public var attempts = 4
    /// How long the waits between the tries may be in sum.
    public var longestWait: Duration = .seconds(30)

    public init() {}
  }

  /// - Parameters:
  ///   - url: Where the server is, as `https://orrery.example.com`; a path in front is kept.
  ///   - token: A bearer token (`orr_…`); nil for the open calls only.
  /// - Throws: `invalidURL`, or `insecure` for `http` to another machine.
  public init(url: String, token: String?, options: Options = Options()) throws {
    address = try ServerAddress(url)
    try address.requireProtection(allowsInsecureHTTP: options.allowsInsecureHTTP)
    if let token, !token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) || token.isEmpty {
      throw OrreryError(
        .unauthorized, "The token must be printable ASCII without spaces, as it was shown.")
    }
    self.token = token
    self.options = options
  }

  /// The server's address as text.
  public var url: String { address.text }
}

/// One call of the operator's API.
struct Call: Sendable {
  var method = "GET"
  var path: [String]
  var query: [(String, String)] = []
  var body: [UInt8]?
  var contentType = "application/json"
  var headers: [(name: String, value: String)] = []
  /// Whether making it twice is the same as making it once.
  var isRepeatable = true
  /// Milliseconds that the server may take on purpose.
  var wait: Int64 = 0
}

extension OrreryClient {
  /// Makes a call and returns its answer if it is a success.
  ///
  /// Calls are tried again when they cannot have arrived, after 429, and, if repeatable, after a
  /// lost connection or 502 to 504.
  func send(_ call: Call) async throws -> Answer {
    let answer = try await answer(to: call)
    guard answer.isSuccess else { throw OrreryError(answer) }
    return answer
  }

  /// The same, whatever the status.
  func answer(to call: Call) async throws -> Answer {
    let request = try outgoing(call)
    var waited: Int64 = 0
    var failures = 0
    while true {
      let outcome = try await attempt(request, isRepeatable: call.isRepeatable)
      failures += 1
      guard case .again(let asked, _) = outcome, failures < options.attempts else {
        return try settle(outcome, call, isFirst: failures == 1)
      }
      let delay = clock.backoff(afterFailures: failures, base: 200, cap: 5_000, asked: asked)
      waited += delay
      guard waited <= options.longestWait.wholeMilliseconds else {
        return try settle(outcome, call, isFirst: failures == 1)
      }
      try await clock.sleep(delay)
    }
  }

  private enum Outcome {
    case done(Answer)
    /// May be tried again, after so many milliseconds.
    case again(asked: Int64?, Result<Answer, OrreryError>)
    case failed(OrreryError)
  }

  private func attempt(_ request: Outgoing, isRepeatable: Bool) async throws -> Outcome {
    do {
      let answer = try await Transport.send(request)
      let isPassing = answer.status == 429 || isRepeatable && (502...504).contains(answer.status)
      guard isPassing else { return .done(answer) }
      return .again(asked: answer.retryAfter.map { Int64($0) * 1_000 }, .success(answer))
    } catch let failure as TransportFailure {
      let error = OrreryError(
        failure.isTimeout ? .timedOut : .unreachable,
        "No answer from \(address.text): \(failure.reason).")
      let mayRepeat = failure.isUndelivered || isRepeatable && !failure.isTimeout
      return mayRepeat ? .again(asked: nil, .failure(error)) : .failed(error)
    }
  }

  private func settle(_ outcome: Outcome, _ call: Call, isFirst: Bool) throws -> Answer {
    switch outcome {
    case .done(let answer):
      // The first try of a deletion has arrived after all.
      if answer.status == 404, call.method == "DELETE", !isFirst {
        return Answer(status: 204, headers: answer.headers, body: [])
      }
      return answer
    case .again(_, let result): return try result.get()
    case .failed(let error): throw error
    }
  }

  /// A day in milliseconds; longer waits mean the same and would pass the range of deadlines.
  private static let longestTimeout: Int64 = 86_400_000

  func outgoing(_ call: Call) throws -> Outgoing {
    var request = Outgoing(
      method: call.method, url: try address.url(path: call.path, query: call.query))
    request.headers = call.headers
    if let token { request.headers.append(("authorization", "Bearer \(token)")) }
    request.body = call.body
    request.caFile = options.caFile
    request.contentType = call.contentType
    let (sum, overflow) = options.timeout.wholeMilliseconds.addingReportingOverflow(call.wait)
    request.timeout = overflow ? Self.longestTimeout : min(max(sum, 1), Self.longestTimeout)
    return request
  }
}

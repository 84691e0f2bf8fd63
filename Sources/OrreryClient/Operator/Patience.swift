// SPDX-License-Identifier: Apache-2.0
// Calls of those who wait anyway: a server that restarts is no reason to give up.

extension OrreryClient {
  /// Makes a call again while the server is away, until that took `Options.longestWait`.
  package func patiently<Value>(_ call: () async throws -> Value) async throws -> Value {
    let longest = options.longestWait.wholeMilliseconds
    var failures = 0
    var waited: Int64 = 0
    var since: Int64?
    while true {
      do { return try await call() } catch let error as OrreryError where error.isAbsence {
        try Task.checkCancellation()
        let start = since ?? clock.uptime()
        since = start
        failures += 1
        let delay = clock.backoff(
          afterFailures: failures, base: 200, cap: 5_000,
          asked: error.retryAfter.map { Int64($0) * 1_000 })
        waited += delay
        // Either may stand still: a call that fails at once takes no time, one that hangs does.
        guard max(waited, clock.uptime() - start) <= longest else { throw error }
        try await clock.sleep(delay)
      }
    }
  }
}

extension OrreryError {
  /// The server, or the way to it, is not there at the moment.
  fileprivate var isAbsence: Bool {
    code == .unreachable || code == .timedOut || status.map { (502...504).contains($0) } ?? false
  }
}

// SPDX-License-Identifier: Apache-2.0
// Where this server listens and by which addresses its agents reach it.
package import Domain
private import Synchronization

/// Known in part at the start; the port is complete once the server listens, since port 0 lets the
/// system choose one.
package final class ServerAddress: Sendable {
  private struct State {
    var port: Int?
    var callbacks: CallbackAddresses
    var isListening = false
    var waiting: [UInt64: CheckedContinuation<Void, any Error>] = [:]
    var lastWaiter: UInt64 = 0
  }

  private let host: String
  private let publicUrl: String?
  private let callbackUrl: String?
  private let state: Mutex<State>

  /// - Parameters:
  ///   - host: What the server binds to, a name or an address.
  ///   - port: 0 if the system chooses.
  ///   - publicUrl: How the server is reached from elsewhere; without a slash at the end.
  ///   - callbackUrl: The configured callback address, if it differs from the public one.
  package init(host: String, port: Int, publicUrl: String? = nil, callbackUrl: String? = nil) {
    self.host = host
    self.publicUrl = publicUrl
    self.callbackUrl = callbackUrl
    let callbacks = Self.callbacks(
      host: host, port: port, publicUrl: publicUrl, callbackUrl: callbackUrl)
    state = Mutex(State(port: port == 0 ? nil : port, callbacks: callbacks))
  }

  /// Tells that the server answers on `port`; wakes `waitUntilListening`.
  package func listening(port: Int) {
    let callbacks = Self.callbacks(
      host: host, port: port, publicUrl: publicUrl, callbackUrl: callbackUrl)
    let waiting = state.withLock { state in
      state.port = port
      state.callbacks = callbacks
      state.isListening = true
      defer { state.waiting = [:] }
      return state.waiting
    }
    for continuation in waiting.values { continuation.resume() }
  }

  /// Returns once the server answers; throws when cancelled.
  package func waitUntilListening() async throws {
    let waiter = state.withLock { state in
      state.lastWaiter += 1
      return state.lastWaiter
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let outcome: Result<Void, any Error>? = state.withLock { state in
          if state.isListening { return .success(()) }
          if Task.isCancelled { return .failure(CancellationError()) }
          state.waiting[waiter] = continuation
          return nil
        }
        if let outcome { continuation.resume(with: outcome) }
      }
    } onCancel: {
      let waiting = state.withLock { $0.waiting.removeValue(forKey: waiter) }
      waiting?.resume(throwing: CancellationError())
    }
  }

  /// The port, once it is known.
  package var port: Int? { state.withLock { $0.port } }

  /// Whether only this machine can reach the server.
  package var isLoopback: Bool {
    if let address = boundAddress { return PublicAddresses.isLoopback(address) }
    return host.lowercased() == "localhost"
  }

  /// The address that the server binds to, if the host is one.
  var boundAddress: IPAddress? { IPAddress(host) }

  /// Where reports go.
  package var callbacks: CallbackAddresses { state.withLock { $0.callbacks } }

  /// How a process on this machine reaches the server.
  package var localUrl: String { Self.localUrl(host: host, port: port ?? 0) }

  // MARK: Forms

  private static func callbacks(
    host: String, port: Int, publicUrl: String?, callbackUrl: String?
  ) -> CallbackAddresses {
    let origin = publicUrl ?? localUrl(host: host, port: port)
    let callback = callbackUrl ?? "\(origin)/api/agent-callback"
    var progressOrigin = origin
    if let callbackUrl {
      do throws(EndpointURL.Problem) {
        progressOrigin = try EndpointURL(callbackUrl).origin
      } catch { assertionFailure("the configuration checks callbacks.url") }
    }
    return CallbackAddresses(callbackUrl: callback, progressOrigin: progressOrigin)
  }

  private static func localUrl(host: String, port: Int) -> String {
    guard let address = IPAddress(host) else { return "http://\(host):\(port)" }
    switch (address.family, address.bits) {
    case (.v4, 0): return "http://127.0.0.1:\(port)"
    case (.v6, 0): return "http://[::1]:\(port)"
    case (.v4, _): return "http://\(address):\(port)"
    case (.v6, _): return "http://[\(address)]:\(port)"
    }
  }
}

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
  private let isEncrypted: Bool
  private let state: Mutex<State>

  /// - Parameters:
  ///   - host: What the server binds to, a name or an address.
  ///   - port: 0 if the system chooses.
  ///   - publicUrl: How the server is reached from elsewhere; without a slash at the end.
  ///   - isEncrypted: The server does TLS itself.
  ///   - callbackUrl: The configured callback address, if it differs from the public one.
  package init(
    host: String, port: Int, publicUrl: String? = nil, callbackUrl: String? = nil,
    isEncrypted: Bool = false
  ) {
    self.host = host
    self.publicUrl = publicUrl
    self.callbackUrl = callbackUrl
    self.isEncrypted = isEncrypted
    let callbacks = Self.callbacks(
      origin: publicUrl ?? Self.localUrl(host: host, port: port, isEncrypted),
      callbackUrl: callbackUrl)
    state = Mutex(State(port: port == 0 ? nil : port, callbacks: callbacks))
  }

  /// Tells that the server answers on `port`; wakes `waitUntilListening`.
  package func listening(port: Int) {
    let callbacks = Self.callbacks(
      origin: publicUrl ?? Self.localUrl(host: host, port: port, isEncrypted),
      callbackUrl: callbackUrl)
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

  /// How a process on this machine reaches the server. With TLS that is by the name in its
  /// certificate, which the public address has.
  package var localUrl: String {
    if isEncrypted, let publicUrl { return publicUrl }
    return Self.localUrl(host: host, port: port ?? 0, isEncrypted)
  }

  // MARK: Forms

  private static func callbacks(
    origin: String, callbackUrl: String?
  ) -> CallbackAddresses {
    let callback = callbackUrl ?? "\(origin)/api/agent-callback"
    var progressOrigin = origin
    if let callbackUrl {
      do throws(EndpointURL.Problem) {
        progressOrigin = try EndpointURL(callbackUrl).origin
      } catch { assertionFailure("the configuration checks callbacks.url") }
    }
    return CallbackAddresses(callbackUrl: callback, progressOrigin: progressOrigin)
  }

  private static func localUrl(host: String, port: Int, _ isEncrypted: Bool) -> String {
    let scheme = isEncrypted ? "https" : "http"
    guard let address = IPAddress(host) else { return "\(scheme)://\(host):\(port)" }
    switch (address.family, address.bits) {
    case (.v4, 0): return "\(scheme)://127.0.0.1:\(port)"
    case (.v6, 0): return "\(scheme)://[::1]:\(port)"
    case (.v4, _): return "\(scheme)://\(address):\(port)"
    case (.v6, _): return "\(scheme)://[\(address)]:\(port)"
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
// Work that is only worth doing while its client is there.
import Domain
import NIOCore

/// The connection that a request came on.
struct ClientConnection: Sendable {
  let channel: any Channel

  /// Runs `work`, and cancels it when the client closes its connection or its sending half of it.
  func whileThere<Value: Sendable>(
    _ work: @escaping @Sendable () async throws(ControlError) -> Value
  ) async throws(ControlError) -> Value {
    let task = Task { () async -> Result<Value, ControlError> in
      do throws(ControlError) { return .success(try await work()) } catch { return .failure(error) }
    }
    let watched = channel.eventLoop.makePromise(of: Void.self)
    watched.futureResult.whenFailure { _ in task.cancel() }
    channel.triggerUserOutboundEvent(
      ConnectionEdge.Watch { task.cancel() }, promise: watched)
    return try await withTaskCancellationHandler {
      await task.value
    } onCancel: {
      task.cancel()
    }
    .get()
  }
}

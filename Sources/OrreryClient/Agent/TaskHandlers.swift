// SPDX-License-Identifier: Apache-2.0
// Which handler does which type of task.

/// The handlers of an agent, by type of task.
///
/// ```swift
/// var handlers = TaskHandlers()
/// handlers.on("resize") { (context, payload: ResizeRequest) in
///   context.progress(10, "reading")
///   return ResizeAnswer(url: try await resize(payload.url))
/// }
/// ```
public struct TaskHandlers: Sendable {
  /// A handler that sees the payload as it came.
  public typealias Handler = @Sendable (TaskContext, JSONText) async throws -> TaskResult

  private var table: [String: Handler] = [:]

  public init() {}

  /// The types that are handled.
  public var types: [String] { table.keys.sorted() }

  /// Sets the handler of a type: payload and result are Swift values.
  ///
  /// A payload that cannot be decoded fails the task with `INVALID_PAYLOAD`.
  public mutating func on<Payload, Value>(
    _ type: String,
    _ handler: @escaping @Sendable (TaskContext, Payload) async throws -> Value
  ) where Payload: Decodable & SendableMetatype, Value: Encodable & SendableMetatype {
    table[type] = { context, json in
      let payload: Payload
      do {
        payload = try json.decode()
      } catch {
        throw TaskFailure("INVALID_PAYLOAD", String(describing: error), isRetryable: false)
      }
      return try TaskResult(encoding: try await handler(context, payload))
    }
  }

  /// Sets the handler of a type: payload as JSON, result with everything it may have.
  public mutating func on(_ type: String, json handler: @escaping Handler) {
    table[type] = handler
  }

  subscript(type: String) -> Handler? { table[type] }
}

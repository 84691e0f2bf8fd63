// SPDX-License-Identifier: Apache-2.0
// Tasks: submit, read, wait, cancel, retry, acknowledge.
import Domain
import Engine
import NIOHTTP1

enum TaskRoutes {
  static func submit(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let key = try idempotencyKey(request)
    let document = try await request.json()
    var task = try services.tasks.parse(
      document.root, idempotencyKey: key, now: request.now)
    task.trace = request.taskTrace
    let submission = try services.submission(task)
    let submitted = try await services.engine.submit([submission])
    guard let first = submitted.first else {
      throw ControlError(.internalError, "The task was not stored.")
    }
    guard !first.isNew else { return answer(.created, first.id, .queued) }
    return try await answerRepeat(first.id, services)
  }

  /// The first task of an idempotency key. It may be purged while its key is remembered: then it is
  /// known to have ended, and not how. The contract asks for a state; `completed` says no more than
  /// "there is nothing to wait for" here, which `purged` makes plain.
  private static func answerRepeat(
    _ id: TaskID, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    do {
      return answer(.ok, id, try await services.engine.task(id).state)
    } catch {
      guard error.code == .notFound else { throw error }
      return answer(.ok, id, .completed, isPurged: true)
    }
  }

  static func answer(
    _ status: HTTPResponseStatus, _ id: TaskID, _ state: TaskState, isPurged: Bool = false
  ) -> APIResponse {
    .json(status) {
      $0.object {
        $0.field("taskId", id.description)
        $0.field("state", state.name)
        if isPurged { $0.field("purged", true) }
      }
    }
  }

  /// The header, which must be there once and be well formed if it is there.
  private static func idempotencyKey(_ request: APIRequest) throws(ControlError) -> String? {
    let values = request.headers("idempotency-key")
    guard let key = values.first else { return nil }
    // Other bytes have no certain meaning in a header: two keys could be taken for one.
    guard values.count == 1, (1...request.limits.identifier).contains(key.utf8.count),
      key.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
    else {
      throw ControlError(
        .invalidField,
        "Send one Idempotency-Key of 1 to \(request.limits.identifier) printable ASCII characters.",
        path: "Idempotency-Key")
    }
    return key
  }

  static func list(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let query = try TaskListQuery.parse(request)
    let page = try await services.engine.list(query)
    return .json {
      $0.object {
        $0.key(literal: "tasks")
        $0.array {
          for task in page.tasks {
            $0.task(task, waitingFor: services.engine.reason(task), isListed: true)
          }
        }
        $0.key(literal: "nextCursor")
        if let next = page.next { $0.string(next.description) } else { $0.null() }
      }
    }
  }

  static func get(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let task = try await services.engine.task(request.taskID())
    return .json { $0.task(task, waitingFor: services.engine.reason(task)) }
  }

  static func wait(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let query = request.query()
    let seconds = try QueryInt.parse(
      query, "timeoutSeconds", in: Limits.waitSecondsRange, default: 30)
    let id = try request.taskID()
    let task = try await request.client.whileThere { () throws(ControlError) in
      try await services.engine.wait(id, milliseconds: Int64(seconds) * 1_000)
    }
    return .json { $0.task(task, waitingFor: services.engine.reason(task)) }
  }

  static func logs(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let query = request.query()
    let limit = try QueryInt.parse(
      query, "limit", in: 1...services.limits.pageSize, default: 100)
    let after = try query["cursor"]?.first.map { text throws(ControlError) in
      guard let after = Int64(text), after >= 0 else {
        throw ControlError(.invalidCursor, "Pass on a nextCursor as it came.", path: "cursor")
      }
      return after
    }
    let page = try await services.engine.logs(
      request.taskID(), after: after ?? 0, limit: limit)
    return .json {
      $0.object {
        $0.key(literal: "logs")
        $0.array { for line in page.lines { $0.log(line) } }
        $0.key(literal: "nextCursor")
        if let next = page.next { $0.string(String(next)) } else { $0.null() }
      }
    }
  }

  static func cancel(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let id = try request.taskID()
    try await services.engine.cancel(id)
    return answer(.ok, id, .cancelled)
  }

  static func retry(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let id = try request.taskID()
    switch try await services.engine.retry(id, in: request.taskTrace) {
    case .newTask(let new): return answer(.created, new, .queued)
    case .hastened: return answer(.ok, id, .queued)
    }
  }

  static func acknowledge(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let id = try request.taskID()
    try await services.engine.acknowledge(id)
    return answer(.ok, id, try await services.engine.task(id).state)
  }
}

extension ControlServices {
  /// Adds the hash by which repeats of an idempotency key are compared.
  func submission(_ task: NewTask) throws(ControlError) -> Engine.Submission {
    guard task.idempotencyKey != nil else {
      return Engine.Submission(task: filled(task), bodyHash: nil)
    }
    do throws(JSONError) {
      return Engine.Submission(
        task: filled(task), bodyHash: try task.bodyHash(defaultRetry: defaultRetry))
    } catch {
      throw ControlError(error)
    }
  }

  /// The configuration's retry policy, where it differs from the contract's default.
  private func filled(_ task: NewTask) -> NewTask {
    guard task.retry == nil, defaultRetry != RetryPolicy() else { return task }
    var task = task
    task.retry = defaultRetry
    return task
  }
}

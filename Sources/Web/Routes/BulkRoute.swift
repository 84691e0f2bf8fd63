// SPDX-License-Identifier: Apache-2.0
// Many tasks in one request: a JSON array or NDJSON, all or none.
import Domain
import Engine
import HTTPTypes

enum BulkRoute {
  static func submit(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    guard request.header(.idempotencyKey) == nil else {
      throw ControlError(
        .invalidField, "Give each task its own idempotencyKey; this header is for single ones.",
        path: "Idempotency-Key")
    }
    let body = try await request.body(most: services.limits.bulkBody)
    let isArray = body.first { $0 > 0x20 } == UInt8(ascii: "[")
    let batch =
      isArray
      ? try await array(body, request, services) : try await lines(body, request, services)
    guard !batch.isEmpty else {
      throw ControlError(.invalidField, "Send at least one task.")
    }
    let submitted = try await services.engine.submit(batch)
    return .json(submitted.contains { $0.isNew } ? .created : .ok) {
      $0.object {
        $0.key(literal: "taskIds")
        $0.array { for task in submitted { $0.string(task.id.description) } }
      }
    }
  }

  private static func array(
    _ body: [UInt8], _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> [Engine.Submission] {
    let limits = services.limits
    let root: JSONNode
    do throws(JSONError) {
      // Each task may be as rich as a single one; the array as a whole is bounded by its bytes.
      root = try JSONDocument(
        body,
        limits: JSONLimits(maxDepth: limits.jsonDepth + 1, maxValues: limits.jsonValues * 50)
      ).root
    } catch { throw ControlError(error) }
    guard root.count <= limits.bulkTasks else { throw tooMany(limits) }
    var batch: [Engine.Submission] = []
    batch.reserveCapacity(root.count)
    for (index, element) in root.elements.enumerated() {
      await yield(after: index)
      let task = try services.tasks.parse(element, path: "[\(index)]", now: request.now)
      batch.append(try services.submission(task))
    }
    return batch
  }

  private static func lines(
    _ body: [UInt8], _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> [Engine.Submission] {
    let limits = services.limits
    var scanner = JSONScanner(
      limits: JSONLimits(maxDepth: limits.jsonDepth, maxValues: limits.jsonValues))
    var batch: [Engine.Submission] = []
    for line in JSONLines(body) {
      guard batch.count < limits.bulkTasks else { throw tooMany(limits) }
      await yield(after: batch.count)
      let document: JSONDocument
      do throws(JSONError) {
        document = try scanner.scan(body, in: line.range)
      } catch {
        var problem = ControlError(error)
        problem.message = "Line \(line.number): \(problem.message)"
        problem.path = "[\(batch.count)]" + (problem.path.map { ".\($0)" } ?? "")
        throw problem
      }
      let task = try services.tasks.parse(
        document.root, path: "[\(batch.count)]", now: request.now)
      batch.append(try services.submission(task))
    }
    return batch
  }

  /// Lets others have the thread now and then: reading a large batch takes long.
  private static func yield(after count: Int) async {
    if count.isMultiple(of: 500), count > 0 { await Task.yield() }
  }

  private static func tooMany(_ limits: Limits) -> ControlError {
    ControlError(.payloadTooLarge, "Send at most \(limits.bulkTasks) tasks at once.")
  }
}

// SPDX-License-Identifier: Apache-2.0
// Many tasks in one request: a JSON array or NDJSON, all or none.
import Domain
import Engine
import NIOHTTP1

enum BulkRoute {
  static func submit(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    guard request.headers("idempotency-key").isEmpty else {
      throw ControlError(
        .invalidField, "Give each task its own idempotencyKey; this header is for single ones.",
        path: "Idempotency-Key")
    }
    let body = try await request.body(most: services.limits.bulkBody)
    let isArray = body.first { $0 > 0x20 } == UInt8(ascii: "[")
    let submitted =
      isArray
      ? try await array(body, request, services) : try await lines(body, request, services)
    guard !submitted.isEmpty else {
      throw ControlError(.invalidField, "Send at least one task.")
    }
    return .json(submitted.contains { $0.isNew } ? .created : .ok) {
      $0.object {
        $0.key(literal: "taskIds")
        $0.array { for task in submitted { $0.string(task.id.description) } }
      }
    }
  }

  private static func array(
    _ body: [UInt8], _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> [Engine.Submitted] {
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
    var elements = root.elements.makeIterator()
    var index = 0
    return try await services.engine.submitBulk(ofAtMost: root.count) {
      () throws(ControlError) in
      try part { () throws(ControlError) in
        guard let element = elements.next() else { return nil }
        defer { index += 1 }
        return try submission(element, at: index, of: request, services)
      }
    }
  }

  private static func lines(
    _ body: [UInt8], _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> [Engine.Submitted] {
    let limits = services.limits
    let count = JSONLines(body).reduce(0) { count, _ in count + 1 }
    guard count <= limits.bulkTasks else { throw tooMany(limits) }
    var scanner = JSONScanner(
      limits: JSONLimits(maxDepth: limits.jsonDepth, maxValues: limits.jsonValues))
    var lines = JSONLines(body)
    var index = 0
    return try await services.engine.submitBulk(ofAtMost: count) { () throws(ControlError) in
      try part { () throws(ControlError) in
        guard let line = lines.next() else { return nil }
        defer { index += 1 }
        let document = try scan(line, at: index, of: body, with: &scanner)
        return try submission(document.root, at: index, of: request, services)
      }
    }
  }

  private static func submission(
    _ node: JSONNode, at index: Int, of request: APIRequest, _ services: ControlServices
  ) throws(ControlError) -> Engine.Submission {
    var task = try services.tasks.parse(node, path: "[\(index)]", now: request.now)
    task.trace = request.bulkTrace
    return try services.submission(task)
  }

  /// Reads as many tasks as are written at once; nil at the end.
  private static func part(
    _ next: () throws(ControlError) -> Engine.Submission?
  ) throws(ControlError) -> [Engine.Submission]? {
    var part: [Engine.Submission] = []
    part.reserveCapacity(Engine.bulkPart)
    while part.count < Engine.bulkPart, let submission = try next() { part.append(submission) }
    return part.isEmpty ? nil : part
  }

  private static func scan(
    _ line: JSONLines.Line, at index: Int, of body: [UInt8], with scanner: inout JSONScanner
  ) throws(ControlError) -> JSONDocument {
    do throws(JSONError) {
      return try scanner.scan(body, in: line.range)
    } catch {
      var problem = ControlError(error)
      problem.message = "Line \(line.number): \(problem.message)"
      problem.path = "[\(index)]" + (problem.path.map { ".\($0)" } ?? "")
      throw problem
    }
  }

  private static func tooMany(_ limits: Limits) -> ControlError {
    ControlError(.payloadTooLarge, "Send at most \(limits.bulkTasks) tasks at once.")
  }
}

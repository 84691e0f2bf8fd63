// SPDX-License-Identifier: Apache-2.0
// Reads the results of a report and brings them into their one stored form.

/// Results are stored as `{"data","artifacts","logs","metrics"}`; the values stay as written.
struct ResultsParser {
  let limits: Limits

  /// - Parameter path: Where `node` stands, for errors.
  func parse(
    _ node: JSONNode, path: String, receivedAt: Timestamp
  ) throws(ControlError) -> (results: [UInt8], logs: [TaskLog]) {
    guard node.rawByteCount <= limits.results else {
      throw ControlError(
        .payloadTooLarge, "Results may have at most \(limits.results) bytes.", path: path)
    }
    guard isNormal(node) else { return (write(data: node, of: nil), []) }
    let fields = try ControlError.field { () throws(FieldError) in
      try JSONFields(node, path: path, allowed: [], unknown: .ignore)
    }
    try checkArtifacts(fields)
    let logs = try ControlError.field { () throws(FieldError) in
      _ = try fields.optionalObject("metrics")
      return try LogLines.parse(fields, limits: limits, receivedAt: receivedAt)
    }
    return (write(data: fields.optional("data"), of: fields), logs)
  }

  /// Whether any of the four keys is there; otherwise the whole value is the data.
  private func isNormal(_ node: JSONNode) -> Bool {
    ["data", "artifacts", "logs", "metrics"].contains { node[$0] != nil }
  }

  private func write(data: JSONNode?, of fields: JSONFields?) -> [UInt8] {
    var writer = JSONWriter(
      reservingCapacity: ((fields?.node ?? data)?.rawByteCount ?? 0) + 64)
    writer.beginObject()
    member("data", data, default: "null", &writer)
    member("artifacts", fields?.optional("artifacts"), default: "[]", &writer)
    member("logs", fields?.optional("logs"), default: "[]", &writer)
    member("metrics", fields?.optional("metrics"), default: "{}", &writer)
    writer.endObject()
    return writer.bytes
  }

  private func member(
    _ name: StaticString, _ value: JSONNode?, default missing: StaticString,
    _ writer: inout JSONWriter
  ) {
    if let value {
      writer.field(name, raw: value.rawSlice)
    } else {
      writer.field(name, raw: missing.description.utf8)
    }
  }

  // MARK: Artifacts

  private static let nameBytes = 1...255
  private static let mediaTypeBytes = 1...128

  private func checkArtifacts(_ fields: JSONFields) throws(ControlError) {
    let array = try ControlError.field { () throws(FieldError) in
      try fields.optionalArray("artifacts")
    }
    guard let array else { return }
    for (position, element) in array.elements.enumerated() {
      let path = JSONPath.element(position, of: fields.path("artifacts"))
      let artifact = try ControlError.field { () throws(FieldError) in
        let artifact = try JSONFields(element, path: path, allowed: [], unknown: .ignore)
        _ = try artifact.string("name", bytes: Self.nameBytes)
        _ = try artifact.optionalString("mediaType", bytes: Self.mediaTypeBytes)
        return artifact
      }
      if artifact.optional("base64") == nil, artifact.optional("sha256") != nil {
        throw ControlError(
          .artifactUnknown,
          "There is no artifact store yet; send the artifact inline as base64.", path: path)
      }
      try ControlError.field { () throws(FieldError) in try checkContent(artifact) }
    }
  }

  private func checkContent(_ artifact: JSONFields) throws(FieldError) {
    let text = try artifact.required("base64")
    guard let encoded = text.stringBytes else {
      throw artifact.error("base64", .wrongType, "A string was expected.")
    }
    let padding = encoded.suffix(2).count { $0 == UInt8(ascii: "=") }
    guard encoded.count / 4 * 3 - padding <= limits.artifact else {
      throw artifact.error(
        "base64", .outOfRange, "An inline artifact may have at most \(limits.artifact) bytes.")
    }
    guard Base64.decode(encoded) != nil else {
      throw artifact.error("base64", .invalid, "Base64 with padding was expected (RFC 4648, 4).")
    }
  }
}

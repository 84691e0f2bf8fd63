// SPDX-License-Identifier: Apache-2.0
// The export of traces: off, on, and told wrongly.
import Domain
import Engine
import Testing

@testable import CLI

@Suite struct TelemetryConfigTests {
  private static let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"

  private func telemetry(
    _ environment: [String: String], file: String? = nil
  ) throws -> TelemetryConfig? {
    try Loading.load(file: file, environment: environment).telemetry
  }

  @Test func `without an endpoint there is none`() throws {
    #expect(try telemetry([:]) == nil)
    #expect(try telemetry(["OTEL_SERVICE_NAME": "x", Self.endpoint: ""]) == nil)
  }

  @Test(arguments: [
    ("http://localhost:4318", "http://localhost:4318/v1/traces"),
    ("https://c.example/base/", "https://c.example/base/v1/traces"),
  ])
  func `an endpoint becomes the address of the traces`(given: String, url: String) throws {
    #expect(try telemetry([Self.endpoint: given])?.endpoint.text == url)
    let file = #"{"agents":[],"telemetry":{"otlp":{"endpoint":"\#(given)"}}}"#
    #expect(try telemetry([:], file: file)?.endpoint.text == url)
    let traces = "http://other:1/x"
    #expect(
      try telemetry(
        [Self.endpoint: given, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": traces])?.endpoint.text
        == traces)
  }

  @Test func `the service has a name, and whatever else is said of it`() throws {
    func resource(_ more: [String: String]) throws -> [String: String] {
      let given = [Self.endpoint: "http://c:1"].merging(more) { _, new in new }
      let pairs = try #require(try telemetry(given)).resource
      return Dictionary(pairs.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 + "twice" })
    }
    #expect(try resource([:])["service.name"] == "orrery")
    let attributes = ["OTEL_RESOURCE_ATTRIBUTES": "service.name=a, zone=eu%20west,x=1=2"]
    let found = try resource(attributes)
    #expect(found["service.name"] == "a" && found["zone"] == "eu west" && found["x"] == "1=2")
    let named = try resource(attributes.merging(["OTEL_SERVICE_NAME": "b"]) { $1 })
    #expect(named["service.name"] == "b" && named["service.version"] == Version.current)
  }

  @Test func `headers are read and never shown`() throws {
    let telemetry = try telemetry([
      Self.endpoint: "http://c:1",
      "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20c2VjcmV0,x-team=a",
    ])
    let headers = try #require(telemetry).headers
    #expect(headers.map(\.name) == ["authorization", "x-team"])
    #expect(headers.map(\.value.value) == ["Basic c2VjcmV0", "a"])
    #expect(!"\(telemetry as Any)".contains("c2VjcmV0"))
  }

  @Test(arguments: [
    ("always_on", nil, TraceSampler(root: .always, followsParent: false)),
    ("always_off", "0.5", TraceSampler(root: .never, followsParent: false)),
    ("traceidratio", "0.25", TraceSampler(root: .ratio(0.25), followsParent: false)),
    ("parentbased_always_on", nil, TraceSampler()),
    ("parentbased_always_off", nil, TraceSampler(root: .never)),
    ("parentbased_traceidratio", nil, TraceSampler(root: .ratio(1))),
    (nil, nil, TraceSampler()),
  ])
  func `samplers have their standard names`(
    name: String?, share: String?, sampler: TraceSampler
  ) throws {
    var environment = [Self.endpoint: "http://c:1"]
    environment["OTEL_TRACES_SAMPLER"] = name
    environment["OTEL_TRACES_SAMPLER_ARG"] = share
    #expect(try telemetry(environment)?.sampler == sampler)
  }

  @Test(arguments: [
    (endpoint, "localhost:4318"), (endpoint, "unix:///x"), (endpoint, "http://c:1/?x=1"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "nowhere"),
    ("OTEL_TRACES_SAMPLER", "sometimes"), ("OTEL_RESOURCE_ATTRIBUTES", "zone"),
    ("OTEL_RESOURCE_ATTRIBUTES", "a=%zz"), ("OTEL_EXPORTER_OTLP_HEADERS", "host=x"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%0Ac"), ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c"),
  ])
  func `what is wrong is named`(variable: String, value: String) throws {
    let environment = [Self.endpoint: "http://c:1"].merging([variable: value]) { _, new in new }
    let error = try #require(try Loading.error(environment: environment))
    #expect(error.setting == variable && !error.message.contains(value))
  }

  @Test(arguments: ["2", "-0.1", "half", "nan"])
  func `a share is from 0 to 1`(share: String) throws {
    let error = try Loading.error(environment: [
      Self.endpoint: "http://c:1", "OTEL_TRACES_SAMPLER": "traceidratio",
      "OTEL_TRACES_SAMPLER_ARG": share,
    ])
    #expect(error?.setting == "OTEL_TRACES_SAMPLER_ARG")
  }

  @Test func `the format of the log is text unless it is said`() throws {
    #expect(try Loading.load().logFormat == .text)
    #expect(try Loading.load(environment: ["ORRERY_LOG_FORMAT": "json"]).logFormat == .json)
    let file = #"{"agents":[],"log":{"format":"json"}}"#
    #expect(try Loading.load(file: file).logFormat == .json)
    var flags = ServeFlags()
    flags.logFormat = "text"
    #expect(try Loading.load(file: file, flags: flags).logFormat == .text)
    flags.logFormat = "xml"
    #expect(try Loading.error(flags: flags)?.setting == "--log-format")
  }
}

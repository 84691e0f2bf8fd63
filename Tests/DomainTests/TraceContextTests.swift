// SPDX-License-Identifier: Apache-2.0
// Trace context: what is taken, what is not, and what is passed on.
import Testing

@testable import Domain

@Suite struct TraceContextTests {
  private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
  private static let span = "00f067aa0ba902b7"

  @Test func `the example of the recommendation comes back as it was`() throws {
    let text = "00-\(Self.trace)-\(Self.span)-01"
    let context = try #require(TraceContext(traceparent: text))
    #expect(context.traceID.description == Self.trace && context.spanID.description == Self.span)
    #expect(context.isSampled && context.state == nil)
    #expect(context.traceparent == text)
  }

  @Test(arguments: [
    ("00", false), ("01", true), ("02", false), ("03", true), ("ff", true),
  ])
  func `of the flags only the sampled bit counts`(flags: String, isSampled: Bool) throws {
    let context = try #require(
      TraceContext(traceparent: "00-\(Self.trace)-\(Self.span)-\(flags)"))
    #expect(context.isSampled == isSampled)
    #expect(context.traceparent.hasSuffix(isSampled ? "-01" : "-00"))
  }

  @Test(arguments: [
    "", "00", "00-", "00-\(trace)-\(span)", "00-\(trace)-\(span)-", "00-\(trace)-\(span)-1",
    "00-\(trace)-\(span)-01-", "00-\(trace)-\(span)-01-extra", "00-\(trace)-\(span)-011",
    "ff-\(trace)-\(span)-01", "FF-\(trace)-\(span)-01", "0-\(trace)-\(span)-01",
    "00-00000000000000000000000000000000-\(span)-01", "00-\(trace)-0000000000000000-01",
    "00-4BF92F3577B34DA6A3CE929D0E0E4736-\(span)-01", "00-\(trace)-00F067AA0BA902B7-01",
    "00-\(trace)-\(span)-0G", "00-\(trace)-\(span)-0A", "00_\(trace)_\(span)_01",
    "00-\(trace)x\(span)-01", " 00-\(trace)-\(span)-01", "00-\(trace)-\(span)-01 ",
    "00-4bf92f3577b34da6a3ce929d0e0e473-\(span)-011", "0x-\(trace)-\(span)-01",
    "00-\(trace)-\(span)-01,00-\(trace)-\(span)-01", "01-\(trace)-\(span)-01x",
    "cc-\(trace)-\(span)-01.what-the-future-will-be", "00-\(trace)-é0f067aa0ba902b-01",
  ])
  func `what is not valid is not taken`(text: String) {
    #expect(TraceContext(traceparent: text) == nil)
  }

  @Test(arguments: ["01-\(trace)-\(span)-01", "cc-\(trace)-\(span)-01-what-the-future-will-be"])
  func `a later version is read as far as it is known`(text: String) throws {
    let context = try #require(TraceContext(traceparent: text))
    #expect(context.traceparent == "00-\(Self.trace)-\(Self.span)-01")
  }

  @Test func `two headers are as good as none`() {
    let text = "00-\(Self.trace)-\(Self.span)-01"
    #expect(TraceContext(traceparent: [text, text], tracestate: []) == nil)
    #expect(TraceContext(traceparent: [], tracestate: ["a=1"]) == nil)
  }

  @Test func `tracestate is joined and passed on`() throws {
    let context = try #require(
      TraceContext(
        traceparent: ["00-\(Self.trace)-\(Self.span)-00"],
        tracestate: ["rojo=00f067aa0ba902b7 , ", "congo=t61rcWkgMzE,1a-_*/@x= y"]))
    #expect(context.state == "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE,1a-_*/@x= y")
    #expect(TraceContext(stored: context.stored) == context)
  }

  @Test(arguments: [
    ["A=1"], ["a"], ["=1"], ["a="], ["a=1,a=2"], ["a=b=c"], ["a=\u{7F}"], ["a=é"], ["a@b@c=1"],
    [""], [(0..<33).map { "k\($0)=1" }.joined(separator: ",")],
    ["k=" + String(repeating: "v", count: 257)], [String(repeating: "k", count: 257) + "=v"],
  ])
  func `a tracestate that is not valid is left out`(values: [String]) throws {
    let context = try #require(
      TraceContext(traceparent: ["00-\(Self.trace)-\(Self.span)-00"], tracestate: values))
    #expect(context.state == nil)
  }

  @Test func `a long tracestate loses its oldest members`() throws {
    let members = (0..<5).map { "k\($0)=" + String(repeating: "v", count: 120) }
    let context = try #require(
      TraceContext(
        traceparent: ["00-\(Self.trace)-\(Self.span)-00"],
        tracestate: [members.joined(separator: ",")]))
    #expect(context.state == members.prefix(4).joined(separator: ","))
    #expect(context.state?.utf8.count ?? 0 <= TraceContext.longestState)
  }

  @Test func `what is stored comes back`() throws {
    let context = try #require(TraceContext(traceparent: "00-\(Self.trace)-\(Self.span)-01"))
    #expect(TraceContext(stored: context.stored) == context)
    #expect(TraceContext(stored: "") == nil && TraceContext(stored: "nonsense") == nil)
  }
}

// SPDX-License-Identifier: Apache-2.0
// Live events: their text, broken connections, and servers that have none.

import Foundation
import Testing

@testable import OrreryClient

@Suite(.timeLimit(.minutes(1))) struct EventTests {
  // MARK: Text

  private func parse(_ text: String, pieces: Int) throws -> (EventStreamParser, [StreamMessage]) {
    var parser = EventStreamParser()
    var messages: [StreamMessage] = []
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      messages += try parser.take(rest.prefix(pieces))
      rest = rest.dropFirst(pieces)
    }
    return (parser, messages)
  }

  @Test(arguments: [1, 2, 3, 1_000])
  func `messages come out however the bytes come in`(pieces: Int) throws {
    let (parser, messages) = try parse(
      "\u{FEFF}x\nretry: 70\nid: 1\n\n:note\ndata: a\ndata:b\nevent: e\n\nid\rdata\r\rid: 3\r\n"
        + "data:  é\r\nretry: x\r\nother: y\r\n\r\nevent: lost\n\ndata: unfinished", pieces: pieces)
    #expect(
      messages == [
        StreamMessage(event: "e", data: "a\nb", id: "1"), StreamMessage(data: "", id: ""),
        StreamMessage(data: " é", id: "3"),
      ])
    #expect(parser.lastID == "3" && parser.retry == 70)
  }

  @Test func `a line without end is refused`() throws {
    var parser = EventStreamParser()
    let piece = [UInt8](repeating: 0x61, count: EventStreamParser.longest)
    #expect(try parser.take(piece).isEmpty)
    #expect(throws: EventStreamParser.TooLong.self) { try parser.take([0x61]) }
  }

  // MARK: Connections

  private static func stream(_ body: String) -> Reply {
    Reply(headers: [("content-type", "text/event-stream")], body: body)
  }

  private static func event(_ number: Int, _ state: String) -> String {
    """
    id: \(number)
    event: task
    data: {"k":"task","id":"T1","v":\(number),"at":"2026-01-13T17:00:00.000Z",\
    "d":{"type":"t","state":"\(state)","attempt":1,"agentId":"a","progress":40,"message":"m"}}


    """
  }

  private func client(_ server: LoopbackServer) throws -> OrreryClient {
    try OrreryClient(url: server.url, token: "orr_x")
  }

  @Test func `a broken connection goes on where it ended`() async throws {
    try await LoopbackServer.serving({ seen in
      switch seen.header("last-event-id") {
      case nil: Self.stream("retry: 1\nid: 5\n\n")
      case "5": Self.stream(Self.event(6, "queued") + Self.event(7, "running"))
      case "7": .problem(503, "store_unavailable")
      default: .problem(404, "not_found")
      }
    }) { server in
      var events = try client(server).events(topics: ["task:T1", "agents"]).makeAsyncIterator()
      let first = try #require(try await events.next())
      #expect(first.kind == .task && first.id == "T1" && first.sequence == 6)
      #expect(first.state == "queued" && first.attempt == 1 && first.agentID == "a")
      #expect(first.progress == 40 && first.message == "m" && first.status == nil)
      #expect(first.at == Date(timeIntervalSince1970: 1_768_323_600))
      #expect(events.cursor == "6")
      #expect(try await events.next()?.state == "running" && events.cursor == "7")
      #expect(server.seen.first?.query == "topic=task:T1&topic=agents")
      #expect(server.seen.first?.header("authorization") == "Bearer orr_x")
    }
  }

  @Test func `a cursor of the caller's is where it begins`() async throws {
    try await LoopbackServer.serving({ seen in
      seen.header("last-event-id") == "41"
        ? Self.stream("id: 50\nevent: resync\ndata: {\"cursor\":\"50\"}\n\n")
        : .problem(400, "invalid_query")
    }) { server in
      var events = try client(server).events(topics: ["tasks"], since: "41").makeAsyncIterator()
      let event = try #require(try await events.next())
      #expect(event.kind == .resync && event.json.text == #"{"k":"resync","cursor":"50"}"#)
      await #expect(throws: OrreryError.self) { try await events.next() }
    }
  }

  @Test func `a server without events is asked for the one task`() async throws {
    try await LoopbackServer.serving({ seen in
      if seen.path == "/events" { return .problem(404, "not_found") }
      let state = seen.query == "timeoutSeconds=0" ? "queued" : "completed"
      return .json(#"{"id":"T1","type":"t","state":"\#(state)"}"#)
    }) { server in
      var events = try client(server).events(topics: [LiveTopic.task("T1")]).makeAsyncIterator()
      #expect(try await events.next()?.state == "queued")
      #expect(try await events.next()?.state == "completed")
      let all = try client(server).events(topics: [LiveTopic.tasks()])
      var other = all.makeAsyncIterator()
      await #expect { try await other.next() } throws: { error in
        (error as? OrreryError)?.code == .notFound
      }
    }
  }

  @Test func `a server that sends signs of life only is not given up`() async throws {
    let script = Script(
      Self.stream("retry: 1\n\n"), Self.stream(":\n\n"), Self.stream(":\n\n"),
      Self.stream(":\n\n"), Self.stream(Self.event(6, "queued")))
    var options = OrreryClient.Options()
    options.longestWait = .milliseconds(250)
    try await LoopbackServer.serving({ _ in script.next() }) { server in
      let client = try OrreryClient(url: server.url, token: nil, options: options)
      var events = client.events(topics: ["tasks"]).makeAsyncIterator()
      #expect(try await events.next()?.sequence == 6)
    }
  }

  @Test func `it is given up when nobody answers for long`() async throws {
    var options = OrreryClient.Options()
    options.longestWait = .milliseconds(300)
    try await LoopbackServer.serving({ _ in .hangUp }) { server in
      let client = try OrreryClient(url: server.url, token: nil, options: options)
      var events = client.events(topics: ["tasks"]).makeAsyncIterator()
      await #expect { try await events.next() } throws: { error in
        (error as? OrreryError)?.code == .unreachable
      }
    }
  }
}

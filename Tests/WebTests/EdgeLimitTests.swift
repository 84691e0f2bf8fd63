// SPDX-License-Identifier: Apache-2.0
// Clients that take too much: connections of one address, and answers that nobody reads.
import Domain
import Engine
import NIOCore
import Testing

@testable import Web

@Suite(.timeLimit(.minutes(1))) struct EdgeLimitTests {
  @Test func `one address has so many connections`() async throws {
    var limits = Limits()
    limits.connectionsPerAddress = 1
    try await Served.run(limits: limits) { served in
      try await RawClient.connect(served.port) { first in
        try await first.send("GET /healthz HTTP/1.1", "host: x")
        #expect(try await first.read(until: "200 OK"))
        try await RawClient.connect(served.port) { second in
          let all = try await second.readToEnd()
          #expect(all == "")
        }
        #expect(served.engine.meters.snapshot.limits[.connectionsPerAddress] == 1)
      }
      try await until { served.engine.meters.snapshot.limits[.connectionsPerAddress] == 1 }
    }
  }

  @Test func `loopback does not count by itself`() {
    #expect(!Limits().countsLoopbackConnections)
  }

  @Test func `an answer that is not taken ends the connection`() async throws {
    let times = SlowReader.Times(window: .milliseconds(200), bytes: 32 << 10)
    try await Served.run(slowReader: times) { served in
      let page = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"
      try await RawClient.connect(served.port) { client in
        try await client.sendPart(String(repeating: page, count: 150))
        try await until { served.engine.meters.snapshot.limits[.slowReader] == 1 }
      }
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
// The outbound address rules, as tables of URLs and addresses.

import Agents
import Domain
import Testing

@Suite struct OutboundPolicyTests {
  static func code(
    _ url: String, host: String = "127.0.0.1", port: Int = 3_000, allow: [String] = [],
    isEndpoint: Bool = true
  ) async throws -> ControlError.Code? {
    let policy = OutboundPolicy(
      allowed: try allow.map { try #require(AddressRange($0)) },
      server: ServerAddress(host: host, port: port))
    do {
      try await policy.check(url: url, path: "endpoint", isEndpoint: isEndpoint)
      return nil
    } catch {
      #expect(error.path == "endpoint")
      return error.code
    }
  }

  // MARK: Addresses

  static let forbidden = [
    "http://0.0.0.0/", "http://0.1.2.3/", "http://10.0.0.1/", "http://10.255.255.255:8080/x",
    "http://100.64.0.1/", "http://100.127.255.255/", "http://127.0.0.1/", "http://127.255.0.1/",
    "http://169.254.169.254/latest/meta-data/", "http://172.16.0.1/", "http://172.31.255.255/",
    "http://192.0.0.1/", "http://192.0.2.5/", "http://192.88.99.1/", "http://192.168.1.1/",
    "http://198.18.0.1/", "http://198.19.255.255/", "http://198.51.100.7/", "http://203.0.113.9/",
    "http://224.0.0.1/", "http://239.255.255.250/", "http://240.0.0.1/",
    "http://255.255.255.255/",
    // Old spellings of IPv4, as the resolver reads them.
    "http://127.1/", "http://127.0.1/", "http://0/", "http://0x7f.1/", "http://0x7f000001/",
    "http://2130706433/", "http://017700000001/", "http://0177.0.0.1/", "http://0xa9.254.169.254/",
    "http://2852039166/", "http://10.1/", "http://192.168.257/",
    // IPv6.
    "http://[::]/", "http://[::1]/", "http://[0:0:0:0:0:0:0:1]/", "http://[fc00::1]/",
    "http://[fd00:ec2::254]/", "http://[fe80::1]/", "http://[fec0::1]/", "http://[ff02::1]/",
    "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::ffff:10.0.0.1]/",
    "http://[::127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[64:ff9b::10.0.0.1]/",
    "http://[64:ff9b:1::a00:1]/", "http://[2001::1]/", "http://[2001:0:4136:e378::1]/",
    "http://[2001:db8::1]/", "http://[2002:7f00:1::]/", "http://[2002:a00:1::1]/",
    "http://[3fff::1]/", "http://[100::1]/", "http://[5f00::1]/", "http://[4000::1]/",
    // Names of this machine.
    "http://localhost/", "http://LOCALHOST:80/",
  ]

  @Test(arguments: forbidden)
  func `is refused`(url: String) async throws {
    #expect(try await Self.code(url, isEndpoint: false) == .addressNotAllowed)
  }

  @Test(arguments: [
    "http://1.1.1.1/", "https://8.8.8.8:8443/x?y=z", "http://172.32.0.1/", "http://100.128.0.1/",
    "http://198.20.0.1/", "http://223.255.255.255/", "http://[2606:4700:4700::1111]/",
    "http://[2a00:1450::1]:443/", "http://[::ffff:8.8.8.8]/", "http://16843009/",
    "https://no-such-host.invalid/dispatch",
  ])
  func `is accepted`(url: String) async throws {
    #expect(try await Self.code(url, isEndpoint: false) == nil)
  }

  @Test(arguments: [
    "", "x", "/x", "http:", "http:/x", "http://", "http:///x", "http://?x", "http://:80/",
    "ftp://1.1.1.1/", "file:///etc/passwd", "unix:///run/x.sock", "http+unix://%2Frun%2Fx/y",
    "https+unix://x/y", "gopher://1.1.1.1/", "javascript:alert(1)", "//1.1.1.1/",
    "http://user@1.1.1.1/", "http://user:pw@1.1.1.1/", "http://1.1.1.1@10.0.0.1/", "http://@x/",
    "http://1.1.1.1:0/", "http://1.1.1.1:65536/", "http://1.1.1.1:99999999999999999999/",
    "http://1.1.1.1:/", "http://1.1.1.1:-1/", "http://1.1.1.1:8o/", "http://1.1.1.1:80:80/",
    "http://[::1/", "http://::1/", "http://[::1]x/", "http://[fe80::1%25eth0]/",
    "http://[1.1.1.1]/",
    "http://%31%32%37.0.0.1/", "http://1.1.1.1 /", " http://1.1.1.1/", "http://1.1.1.1/\r\nx: y",
    "http://1.1.1.1\\@10.0.0.1/", "http://exämple.com/", "http://①②⑦.0.0.1/", "http://1.1.1.1/#x",
    "http://1.1.1.1/%", "http://1.1.1.1/%zz", "http://a\u{0}b/", "http://.../",
    "http://1.1.1.1/" + String(repeating: "a", count: 2_048),
  ])
  func `is not an address`(url: String) async throws {
    #expect(try await Self.code(url) == .invalidField)
  }

  // MARK: Exceptions

  @Test func `endpoints may be on loopback while the server is`() async throws {
    for url in ["http://127.0.0.1:3001/", "http://127.9.9.9:3001/", "http://[::1]:3001/"] {
      #expect(try await Self.code(url) == nil)
      #expect(try await Self.code(url, host: "::1") == nil)
      #expect(try await Self.code(url, host: "localhost") == nil)
      #expect(try await Self.code(url, isEndpoint: false) == .addressNotAllowed)
      #expect(try await Self.code(url, host: "0.0.0.0") == .addressNotAllowed)
      #expect(try await Self.code(url, host: "192.168.1.5") == .addressNotAllowed)
      #expect(try await Self.code(url, host: "agents.example") == .addressNotAllowed)
    }
    #expect(try await Self.code("http://10.0.0.1:3001/") == .addressNotAllowed)
    #expect(try await Self.code("http://0.0.0.0:3001/") == .addressNotAllowed)
  }

  @Test(arguments: [
    "http://127.0.0.1:3000/", "http://127.0.0.2:3000/", "http://[::1]:3000/",
    "http://localhost:3000/", "http://[::ffff:127.0.0.1]:3000/", "http://0.0.0.0:3000/",
    "http://[::]:3000/", "http://127.1:3000/",
  ])
  func `the server's own port is refused`(url: String) async throws {
    #expect(try await Self.code(url, allow: ["0.0.0.0/0", "::/0"]) == .addressNotAllowed)
  }

  @Test func `its own port is known once it listens`() async throws {
    let server = ServerAddress(host: "127.0.0.1", port: 0)
    let policy = OutboundPolicy(allowed: [], server: server)
    let url = "http://127.0.0.1:4321/"
    try await policy.check(url: url, path: "endpoint", isEndpoint: true)
    server.listening(port: 4_321)
    await #expect(throws: ControlError.self) {
      try await policy.check(url: url, path: "endpoint", isEndpoint: true)
    }
    #expect(server.callbacks.callbackUrl == "http://127.0.0.1:4321/api/agent-callback")
    try await server.waitUntilListening()
  }

  @Test func `what the operator allows is reached`() async throws {
    let allow = ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8", "64:ff9b::/96"]
    for url in [
      "http://10.2.3.4/", "http://127.0.0.1/", "http://[fd12::1]/", "http://[::ffff:10.0.0.1]/",
      "http://[64:ff9b::a00:1]/", "http://10.1/",
    ] {
      #expect(try await Self.code(url, allow: allow, isEndpoint: false) == nil, "\(url)")
    }
    for url in ["http://127.0.0.2/", "http://11.0.0.1:70000/", "http://[fe80::1]/"] {
      #expect(try await Self.code(url, allow: allow, isEndpoint: false) != nil, "\(url)")
    }
  }

  @Test func `ranges are read strictly`() throws {
    for text in [
      "10.0.0.0/8", "0.0.0.0/0", "127.0.0.1", "127.0.0.1/32", "::/0", "::1", "fd00::/8",
      "::ffff:10.0.0.0/104",
    ] {
      #expect(AddressRange(text) != nil, "\(text)")
    }
    for text in [
      "", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.1/8", "10/8",
      "x/8",
      "10.0.0.0/8/8", "fd00::/129", "fd00::1/8", "127.1/32", "10.0.0.0/08888", "::ffff:10.0.0.0/8",
    ] {
      #expect(AddressRange(text) == nil, "\(text)")
    }
    #expect(AddressRange("10.0.0.0/8")?.description == "10.0.0.0/8")
    #expect(AddressRange("fd00::/8")?.description == "fd00::/8")
    #expect(AddressRange("::1")?.description == "::1/128")
  }
}

// SPDX-License-Identifier: Apache-2.0
// Import direction: each folder of Sources may see what is listed here, and nothing else.

import Testing

@Suite struct ImportRules {
  /// Modules of the toolchain that decide nothing about the architecture.
  static let standard: Set<String> = ["Foundation", "FoundationEssentials", "Synchronization"]
  static let platform: Set<String> = [
    "Dispatch", "Glibc", "Darwin", "Musl", "System", "SystemPackage",
  ]
  static let server: Set<String> = ["Logging", "ServiceLifecycle"]
  static let nio: Set<String> = [
    "NIOCore", "NIOPosix", "NIOHTTP1", "NIOFoundationCompat", "NIOConcurrencyHelpers", "NIOTLS",
    "NIOSSL",
  ]

  /// Data structures without I/O.
  static let collections: Set<String> = [
    "BasicContainers", "BitCollections", "Collections", "DequeModule", "HashTreeCollections",
    "HeapModule", "OrderedCollections",
  ]

  /// Target → modules that it may import besides the standard ones. A target that is not listed
  /// has no place in the architecture yet: give it one here.
  static let allowed: [String: Set<String>] = [
    "Domain": ["Crypto"],
    "Engine": server.union(collections).union(["Domain", "Crypto"]),
    "Simulation": server.union(collections).union(["Domain", "Engine"]),
    "Simulate": ["Domain", "Engine", "Simulation", "ArgumentParser"],
    "StoreSQLite": platform.union(["Domain", "Engine", "Logging", "GRDB", "GRDBSQLite", "Crypto"]),
    "Agents": platform.union(server).union(nio)
      .union(collections).union(["Domain", "Engine", "Subprocess", "Crypto"]),
    "Web": platform.union(server).union(nio)
      .union(["Domain", "Engine", "HummingbirdCore", "Crypto"]),
    "OrreryClient": platform.union(nio).union(["Domain", "AsyncHTTPClient", "Logging", "Crypto"]),
  ]

  /// The edge that wires everything may see everything.
  static let unrestricted: Set<String> = ["CLI"]

  @Test(arguments: SourceFile.sources)
  func `imports point inwards`(file: SourceFile) throws {
    let target = try #require(file.target, "\(file.path) lies in no target")
    if Self.unrestricted.contains(target) { return }
    let allowed = try #require(
      Self.allowed[target], "Sources/\(target) has no entry in ImportRules.allowed")
    let seen = BannedCalls.isDoor(file) ? allowed.union(Self.platform) : allowed
    for (line, module) in file.imports
    where !seen.contains(module) && !Self.standard.contains(module) {
      Issue.record("\(file.path):\(line): \(target) must not import \(module)")
    }
  }
}

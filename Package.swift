// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .treatAllWarnings(as: .error),
]

let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let lifecycle = Target.Dependency.product(
  name: "ServiceLifecycle", package: "swift-service-lifecycle")
let http = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")

let package = Package(
  name: "orrery",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "orrery", targets: ["CLI"]),
    .library(name: "OrreryClient", targets: ["OrreryClient"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(
      url: "https://github.com/apple/swift-configuration", from: "1.4.0",
      traits: ["JSON"]),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
    .package(url: "https://github.com/apple/swift-system", from: "1.6.0"),
  ],
  targets: [
    .target(name: "Domain", dependencies: [crypto], swiftSettings: strict),
    .target(
      name: "Engine",
      dependencies: [
        "Domain", logging, lifecycle, crypto,
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "HeapModule", package: "swift-collections"),
      ],
      swiftSettings: strict),
    .target(
      name: "StoreSQLite",
      dependencies: [
        "Domain", "Engine", logging,
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "GRDBSQLite", package: "GRDB.swift"),
      ],
      resources: [.embedInCode("Migrations")], swiftSettings: strict),
    .target(
      name: "Simulation",
      dependencies: [
        "Domain", "Engine",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "HeapModule", package: "swift-collections"),
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "Simulate",
      dependencies: [
        "Simulation", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),
    .target(
      name: "Agents",
      dependencies: [
        "Domain", "Engine", logging, lifecycle, nioCore, nioPosix, nioHTTP1, nioTLS, nioSSL,
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: strict),
    .target(
      name: "Web",
      dependencies: [
        "Domain", "Engine", logging, lifecycle, crypto, nioCore, nioPosix, nioHTTP1, nioTLS,
        nioSSL, .product(name: "HummingbirdCore", package: "hummingbird"),
      ],
      swiftSettings: strict),
    .target(
      name: "OrreryClient",
      dependencies: ["Domain", http, nioCore, nioPosix, nioHTTP1, nioSSL, logging],
      swiftSettings: strict),
    .target(name: "COpenAPI"),
    .executableTarget(
      name: "OrreryBench",
      dependencies: [
        "Domain", "Engine", "StoreSQLite", logging,
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Benchmarks/Sources/OrreryBench", swiftSettings: strict),
    .executableTarget(
      name: "CLI",
      dependencies: [
        "COpenAPI", "Domain", "Engine", "StoreSQLite", "Agents", "Web", "OrreryClient", logging,
        lifecycle, crypto,
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Configuration", package: "swift-configuration"),
      ],
      swiftSettings: strict),
    .testTarget(name: "DomainTests", dependencies: ["Domain"], swiftSettings: strict),
    .testTarget(
      name: "AgentsTests",
      dependencies: [
        "Agents", "Domain", "Engine", logging, lifecycle, nioCore, nioPosix, nioHTTP1,
        .product(name: "Subprocess", package: "swift-subprocess"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "ConfigTests",
      dependencies: [
        "CLI", "Agents", "Domain", "Engine", logging,
        .product(name: "Configuration", package: "swift-configuration"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "EngineTests",
      dependencies: [
        "Domain", "Engine", "Simulation", logging,
        .product(name: "HeapModule", package: "swift-collections"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "SimulationTests", dependencies: ["Domain", "Engine", "Simulation"],
      swiftSettings: strict),
    .testTarget(name: "HouseRulesTests", swiftSettings: strict),
    .testTarget(
      name: "CLITests",
      dependencies: [
        "CLI", "Domain", "OrreryClient", logging, nioCore, nioPosix, nioHTTP1,
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "OrreryClientTests",
      dependencies: ["OrreryClient", logging, nioCore, nioPosix, nioHTTP1], swiftSettings: strict),
    .testTarget(
      name: "WebTests",
      dependencies: [
        "Domain", "Engine", "Simulation", "Web", logging, lifecycle, nioCore, nioPosix, nioHTTP1,
        nioSSL, nioEmbedded,
      ],
      swiftSettings: strict),
    .testTarget(
      name: "StoreContractTests",
      dependencies: [
        "Domain", "Engine", "StoreSQLite", "Simulation", logging,
        .product(name: "GRDB", package: "GRDB.swift"),
      ],
      swiftSettings: strict),
  ]
)

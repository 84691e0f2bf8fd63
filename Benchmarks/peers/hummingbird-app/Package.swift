// SPDX-License-Identifier: Apache-2.0
// A stock hummingbird application, built by the benchmark to compare a plain GET with.

// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "hummingbird-peer",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1")
  ],
  targets: [
    .executableTarget(
      name: "HummingbirdPeer",
      dependencies: [.product(name: "Hummingbird", package: "hummingbird")])
  ]
)

// SPDX-License-Identifier: Apache-2.0
// Puts the settings together: flags over variables over the file over the defaults.
import Agents
import Domain
import Foundation
import Logging
import Web

extension ServerConfig {
  /// Reads every setting; the first one that is wrong ends it.
  ///
  /// - Parameter folder: The working directory, from which relative names count.
  static func load(
    flags: ServeFlags, environment: [String: String], folder: String, now: Timestamp
  ) throws(ConfigError) -> ServerConfig {
    var sources = ConfigSources(flags: flags, environment: environment)
    var config = ServerConfig()
    config.dataFolder = try sources.text(.data) ?? config.dataFolder
    if let name = try config.fileName(sources, folder: folder) {
      let file = try ConfigFile(name: name, in: folder, now: now)
      sources.use(file)
      config.configFile = name
      config.agents = file.agents
      config.types = file.types
    }
    try config.readTLS(sources)
    try config.readServer(sources)
    try config.readLog(sources)
    config.telemetry = try TelemetryConfig(sources)
    try config.readStore(sources)
    try config.readCallbacks(sources)
    try config.readLimits(sources)
    try config.readSecrets(sources)
    config.warnings = strayVariables(environment).map {
      "\($0) is not a setting of this version and was ignored."
    }
    return config
  }

  /// The named file, or the first of the standard ones that exists.
  private func fileName(
    _ sources: ConfigSources, folder: String
  ) throws(ConfigError) -> String? {
    if let given = try sources.find(.config) {
      let path = given.text.hasPrefix("/") ? given.text : "\(folder)/\(given.text)"
      guard FileManager.default.isReadableFile(atPath: path) else {
        throw given.wrong("There is no readable file \(given.text).")
      }
      return given.text
    }
    return ["config/agents.json", "\(dataFolder)/agents.json"].first { name in
      FileManager.default.fileExists(atPath: name.hasPrefix("/") ? name : "\(folder)/\(name)")
    }
  }

  // MARK: Groups

  private mutating func readServer(_ sources: ConfigSources) throws(ConfigError) {
    if let found = try sources.find(.host) {
      guard Self.isHost(found.text) else {
        throw found.wrong("Must be an IP address or a host name.")
      }
      host = found.text
    }
    port = try sources.int(.port, in: 0...65_535) ?? port
    publicUrl = try url(sources, .publicUrl).map { url in
      url.text.hasSuffix("/") ? String(url.text.dropLast()) : url.text
    }
    let isInsecureAllowed = try sources.bool(.insecureHTTP) ?? false
    guard isInsecureAllowed || tls != nil || ServerAddress(host: host, port: port).isLoopback else {
      throw ConfigError(
        try sources.find(.host)?.setting ?? "--host",
        "Listening on \(host) without TLS shows every token to the network. Give --tls-cert "
          + "and --tls-key, listen on 127.0.0.1 behind a proxy that does TLS, or give "
          + "--insecure-http.")
    }
    for network in try sources.list(.allowNet) {
      guard let range = AddressRange(network.text) else {
        throw network.wrong(
          "\(network.text) is no network; write an address with the length of its prefix and no "
            + "bits behind it, like 10.0.0.0/8 or fd00::/8.")
      }
      if !allowNet.contains(range) { allowNet.append(range) }
    }
    for origin in try sources.list(.allowOrigin) {
      guard OriginPolicy.isOrigin(origin.text) else {
        throw origin.wrong(
          "\(origin.text) is no origin; write scheme and host, and the port if it is not the "
            + "usual one, like https://that.page, or * for every page.")
      }
      allowOrigins.append(origin.text)
    }
  }

  private mutating func readTLS(_ sources: ConfigSources) throws(ConfigError) {
    if let found = try sources.find(.tlsClientCA) {
      throw found.wrong("Certificates of clients are not built yet; this name is reserved.")
    }
    switch (try sources.find(.tlsCertificate), try sources.find(.tlsKey)) {
    case (nil, nil): tls = nil
    case (let certificate?, let key?): tls = (certificate.text, key.text)
    case (let found?, nil): throw found.wrong("A certificate needs its key: give --tls-key too.")
    case (nil, let found?): throw found.wrong("A key needs its certificate: give --tls-cert too.")
    }
  }

  private mutating func readLog(_ sources: ConfigSources) throws(ConfigError) {
    if let found = try sources.find(.logLevel) {
      guard let level = Logger.Level(rawValue: found.text.lowercased()) else {
        throw found.wrong(Self.oneOf(Logger.Level.allCases.map(\.rawValue)))
      }
      logLevel = level
    }
    if let found = try sources.find(.logFormat) {
      guard let format = LogFormat(rawValue: found.text.lowercased()) else {
        throw found.wrong(Self.oneOf(LogFormat.allCases.map(\.rawValue)))
      }
      logFormat = format
    }
  }

  private static func oneOf(_ known: [String]) -> String {
    "Must be one of: \(known.joined(separator: ", "))."
  }

  private mutating func readStore(_ sources: ConfigSources) throws(ConfigError) {
    if let found = try sources.find(.queueType), found.text != "sqlite" {
      throw found.wrong(Self.notBuilt(found.text))
    }
    if let found = try sources.find(.database), !["", "sqlite", "sqlite:"].contains(found.text) {
      guard found.text.hasPrefix("sqlite:") else {
        let scheme = found.text.split(separator: ":").first.map(String.init) ?? found.text
        throw found.wrong(Self.notBuilt(scheme))
      }
      var path = found.text.dropFirst("sqlite:".count)
      if path.hasPrefix("//") { path = path.dropFirst(2) }
      guard !path.isEmpty, !path.utf8.contains(0) else {
        throw found.wrong("Write sqlite:PATH, or leave it out for a file in the data folder.")
      }
      databaseFile = String(path)
    }
    if let retries = try sources.int(.maxRetries, in: 0...Limits.attemptsRange.upperBound - 1) {
      retry.maxAttempts = retries + 1
    }
    let delays = Int(Limits.delayRange.lowerBound)...Int(Limits.delayRange.upperBound)
    if let delay = try sources.int(.retryDelay, in: delays) {
      retry.base = Int64(delay)
      retry.cap = max(retry.cap, retry.base)
    }
  }

  /// The sentence for a store that this version does not have.
  private static func notBuilt(_ kind: String) -> String {
    let planned = ["postgres", "postgresql", "redis", "rabbitmq", "nats"]
    return planned.contains(kind.lowercased())
      ? "\(kind) is not built yet; this version has sqlite." : "Must be sqlite."
  }

  private mutating func readCallbacks(_ sources: ConfigSources) throws(ConfigError) {
    callbackUrl = try url(sources, .callbackUrl)?.text
    answerTimeout =
      try sources.int(.callbackTimeout, in: 100...600_000).map(Int64.init) ?? answerTimeout
    if let found = try sources.find(.callbackSecret) {
      guard Identifier.isValid(found.text) else {
        throw found.wrong("Must be the name of an environment variable or a named secret.")
      }
      callbackSecretName = found.text
    }
    allowsCompatSignatures = try !(sources.bool(.noCompatSignatures) ?? false)
  }

  private mutating func readLimits(_ sources: ConfigSources) throws(ConfigError) {
    for limit in LimitKey.all {
      if let value = try sources.int(limit.key, in: limit.range) { limit.set(&limits, value) }
    }
    limits.retentionDays =
      try sources.int(.retentionDays, in: 1...36_500) ?? limits.retentionDays
  }

  private static let tokenLength = 32...512

  private mutating func readSecrets(_ sources: ConfigSources) throws(ConfigError) {
    if let found = try sources.find(.adminToken) {
      guard Self.tokenLength.contains(found.text.utf8.count),
        found.text.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
      else {
        throw found.wrong("Must have 32 to 512 printable ASCII characters and no spaces.")
      }
      adminToken = SecretText(value: found.text)
    }
    if let found = try sources.find(.masterKey) {
      guard Base64.decode(found.text)?.count == AgentSecret.keyLength else {
        throw found.wrong("Must be the base64 of 32 bytes, as `openssl rand -base64 32` makes it.")
      }
      masterKey = SecretText(value: found.text)
    }
  }

  // MARK: Forms

  private func url(
    _ sources: ConfigSources, _ key: ConfigKey
  ) throws(ConfigError) -> EndpointURL? {
    guard let found = try sources.find(key) else { return nil }
    do throws(EndpointURL.Problem) { return try EndpointURL(found.text) } catch {
      throw found.wrong(error.rawValue)
    }
  }

  private static func isHost(_ text: String) -> Bool {
    if IPAddress(text) != nil { return true }
    return (1...253).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."): true
        default: false
        }
      }
  }

  private static func strayVariables(_ environment: [String: String]) -> [String] {
    let known = Set(ConfigKey.all.compactMap(\.variable)).union(ConfigKey.foreignVariables)
    return environment.keys.filter { $0.hasPrefix("ORRERY_") && !known.contains($0) }.sorted()
  }
}

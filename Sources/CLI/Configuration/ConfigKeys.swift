// SPDX-License-Identifier: Apache-2.0
// Every setting of the server: its names, its default and its meaning. Nothing else knows them.
import Configuration
import Domain

/// One scalar setting and the names by which the sources know it.
struct ConfigKey: Sendable, Hashable {
  /// The path in the file, and the name of the setting everywhere inside.
  let path: String
  /// Whether the file may hold it.
  var isInFile = true
  /// The long flag of `orrery serve`, without dashes.
  var flag: String?
  /// The variable.
  var variable: String?
  var isSecret = false
  /// What counts where nothing is said, as text for people.
  var standard: String
  var help: String
}

extension ConfigKey {
  static let host = ConfigKey(
    path: "server.host", flag: "host", variable: "ORRERY_HOST", standard: "127.0.0.1",
    help: "address to listen on")
  static let port = ConfigKey(
    path: "server.port", flag: "port", variable: "ORRERY_PORT", standard: "3000",
    help: "port to listen on; 0 takes a free one")
  static let publicUrl = ConfigKey(
    path: "server.publicUrl", flag: "public-url", variable: "ORRERY_PUBLIC_URL",
    standard: "http://HOST:PORT", help: "address by which agents reach the server")
  static let tlsCertificate = ConfigKey(
    path: "tls.cert", flag: "tls-cert", variable: "ORRERY_TLS_CERT", standard: "",
    help: "PEM file with the server's certificate and those that lead to its CA; turns TLS on")
  static let tlsKey = ConfigKey(
    path: "tls.key", flag: "tls-key", variable: "ORRERY_TLS_KEY", standard: "",
    help: "PEM file with the certificate's key")
  static let tlsClientCA = ConfigKey(
    path: "tls.clientCA", standard: "", help: "reserved: certificates of clients")
  static let insecureHTTP = ConfigKey(
    path: "insecure-http", isInFile: false, flag: "insecure-http",
    variable: "ORRERY_INSECURE_HTTP", standard: "false",
    help: "listen beyond loopback without TLS")
  static let data = ConfigKey(
    path: "data", isInFile: false, flag: "data", variable: "ORRERY_DATA", standard: "./data",
    help: "folder of everything durable")
  static let config = ConfigKey(
    path: "config", isInFile: false, flag: "config", variable: "ORRERY_CONFIG",
    standard: "config/agents.json or DATA/agents.json, if there is one",
    help: "the configuration file")
  static let database = ConfigKey(
    path: "database", isInFile: false, flag: "database", variable: "ORRERY_DATABASE",
    standard: "sqlite in the data folder", help: "the store; sqlite:PATH for another file")
  static let queueType = ConfigKey(
    path: "queue.type", standard: "sqlite", help: "the kind of store")
  static let maxRetries = ConfigKey(
    path: "queue.maxRetries", variable: "ORRERY_QUEUE_MAX_RETRIES", standard: "3",
    help: "retries of a task that says nothing of them; n retries are n + 1 attempts")
  static let retryDelay = ConfigKey(
    path: "queue.retryDelay", variable: "ORRERY_QUEUE_RETRY_DELAY", standard: "5000",
    help: "first delay before a retry, milliseconds")
  static let callbackUrl = ConfigKey(
    path: "callbacks.url", variable: "ORRERY_CALLBACKS_URL", standard: "from the public address",
    help: "where agents send their reports")
  static let callbackTimeout = ConfigKey(
    path: "callbacks.timeout", variable: "ORRERY_CALLBACKS_TIMEOUT", standard: "10000",
    help: "how long a push agent may take to answer a dispatch, milliseconds")
  static let callbackSecret = ConfigKey(
    path: "callbacks.authentication.secretKey", standard: "",
    help: "variable or named secret that holds the secret which all agents share")
  static let noCompatSignatures = ConfigKey(
    path: "no-compat-signatures", isInFile: false, flag: "no-compat-signatures",
    variable: "ORRERY_NO_COMPAT_SIGNATURES", standard: "false",
    help: "refuse the second signature scheme")
  static let allowNet = ConfigKey(
    path: "network.allow", flag: "allow-net", variable: "ORRERY_ALLOW_NET", standard: "",
    help: "networks (CIDR) that may be called besides public ones")
  static let allowOrigin = ConfigKey(
    path: "server.allowOrigins", flag: "allow-origin", variable: "ORRERY_ALLOW_ORIGIN",
    standard: "", help: "pages (https://HOST) that may open live connections; * is every page")
  static let logLevel = ConfigKey(
    path: "log.level", flag: "log-level", variable: "ORRERY_LOG_LEVEL", standard: "info",
    help: "trace, debug, info, notice, warning, error or critical")
  static let logFormat = ConfigKey(
    path: "log.format", flag: "log-format", variable: "ORRERY_LOG_FORMAT", standard: "text",
    help: "text for people, or json: one object a line")
  static let otlpEndpoint = ConfigKey(
    path: "telemetry.otlp.endpoint", variable: "OTEL_EXPORTER_OTLP_ENDPOINT", standard: "",
    help: "collector of traces (OTLP over HTTP, JSON); none: nothing is recorded")
  static let otlpTracesEndpoint = ConfigKey(
    path: "otlp-traces-endpoint", isInFile: false,
    variable: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", standard: "ENDPOINT/v1/traces",
    help: "the whole address of the traces")
  static let otlpHeaders = ConfigKey(
    path: "otlp-headers", isInFile: false, variable: "OTEL_EXPORTER_OTLP_HEADERS",
    isSecret: true, standard: "", help: "headers for the collector, name=value,name=value")
  static let otelServiceName = ConfigKey(
    path: "otel-service-name", isInFile: false, variable: "OTEL_SERVICE_NAME",
    standard: "orrery", help: "service.name of the spans")
  static let otelResource = ConfigKey(
    path: "otel-resource-attributes", isInFile: false, variable: "OTEL_RESOURCE_ATTRIBUTES",
    standard: "", help: "more about this server, name=value,name=value")
  static let otelSampler = ConfigKey(
    path: "otel-traces-sampler", isInFile: false, variable: "OTEL_TRACES_SAMPLER",
    standard: "parentbased_always_on", help: "which traces are recorded")
  static let otelSamplerArgument = ConfigKey(
    path: "otel-traces-sampler-arg", isInFile: false, variable: "OTEL_TRACES_SAMPLER_ARG",
    standard: "1", help: "the share of traces for traceidratio")
  static let retentionDays = ConfigKey(
    path: "retention.days", flag: "retention-days", variable: "ORRERY_RETENTION_DAYS",
    standard: "30", help: "how long ended tasks are kept")
  static let adminToken = ConfigKey(
    path: "admin-token", isInFile: false, variable: "ORRERY_ADMIN_TOKEN", isSecret: true,
    standard: "made at first start", help: "first admin token, at least 32 printable characters")
  static let masterKey = ConfigKey(
    path: "master-key", isInFile: false, variable: "ORRERY_MASTER_KEY", isSecret: true,
    standard: "DATA/master.key", help: "base64 of the 32 bytes that seal secrets")

  static let all: [ConfigKey] =
    [
      host, port, publicUrl, tlsCertificate, tlsKey, tlsClientCA, insecureHTTP, data, config,
      database, queueType, maxRetries,
      retryDelay, callbackUrl, callbackTimeout, callbackSecret, noCompatSignatures, allowNet,
      allowOrigin,
      logLevel, logFormat, otlpEndpoint, otlpTracesEndpoint, otlpHeaders, otelServiceName,
      otelResource, otelSampler, otelSamplerArgument, retentionDays, adminToken, masterKey,
    ] + LimitKey.all.map(\.key)

  /// Variables of other parts of Orrery, which the server knows and does not read.
  static let foreignVariables: Set<String> = [
    "ORRERY_URL", "ORRERY_TOKEN", "ORRERY_AGENT_ID", "ORRERY_AGENT_SECRET",
    "ORRERY_AGENT_NAME", "ORRERY_JOIN_TOKEN", "ORRERY_CA_FILE", "ORRERY_WEB_AGENT_PYTHON",
    "ORRERY_DATA",
  ]

  /// The key of our own providers.
  var absolute: AbsoluteConfigKey { AbsoluteConfigKey([path]) }

  /// The key that the provider of the environment spells as `variable`.
  var environment: AbsoluteConfigKey? {
    variable.map { AbsoluteConfigKey($0.lowercased().split(separator: "_").map(String.init)) }
  }
}

/// A numeric bound of `Limits` that an operator may set.
struct LimitKey: Sendable {
  let name: String
  let range: ClosedRange<Int>
  let set: @Sendable (inout Limits, Int) -> Void

  private init(
    _ name: String, _ path: any WritableKeyPath<Limits, Int> & Sendable,
    _ range: ClosedRange<Int> = 1...Int(Int32.max)
  ) {
    self.name = name
    self.range = range
    set = { $0[keyPath: path] = $1 }
  }

  static let all: [LimitKey] = [
    LimitKey("body", \.body, 1_024...JSONLimits.byteCeiling),
    LimitKey("bulkBody", \.bulkBody, 1_024...JSONLimits.byteCeiling),
    LimitKey("bulkTasks", \.bulkTasks, 1...1_000_000),
    LimitKey("payload", \.payload, 2...JSONLimits.byteCeiling),
    LimitKey("results", \.results, 64...JSONLimits.byteCeiling),
    LimitKey("artifact", \.artifact),
    LimitKey("jsonDepth", \.jsonDepth, 4...JSONLimits.depthCeiling),
    LimitKey("jsonValues", \.jsonValues, 100...JSONLimits.valueCeiling),
    LimitKey("identifier", \.identifier, 16...128),
    LimitKey("labels", \.labels, 0...1_024),
    LimitKey("label", \.label, 1...4_096),
    LimitKey("message", \.message, 64...1 << 20),
    LimitKey("logLinesPerReport", \.logLinesPerReport, 0...10_000),
    LimitKey("logLinesPerTask", \.logLinesPerTask, 0...10_000_000),
    LimitKey("connections", \.connections, 16...1_000_000),
    LimitKey("connectionsPerAddress", \.connectionsPerAddress, 1...1_000_000),
    LimitKey("sockets", \.sockets, 1...1_000_000),
    LimitKey("pingInterval", \.pingInterval, 100...300_000),
    LimitKey("pingTimeout", \.pingTimeout, 100...300_000),
    LimitKey("signInTime", \.signInTime, 100...300_000),
    LimitKey("agents", \.agents, 1...1_000_000),
    LimitKey("capabilities", \.capabilities, 1...10_000),
    LimitKey("concurrency", \.concurrency, 1...100_000),
    LimitKey("tokens", \.tokens, 1...1_000_000),
    LimitKey("secrets", \.secrets, 1...1_000_000),
    LimitKey("secretValue", \.secretValue, 64...1 << 20),
    LimitKey("types", \.types, 1...1_000_000),
    LimitKey("demands", \.demands, 1...10_000_000),
    LimitKey("queuedTasks", \.queuedTasks, 1...1_000_000_000),
    LimitKey("pendingWrites", \.pendingWrites, 1...10_000_000),
    LimitKey("waiters", \.waiters, 1...1_000_000),
    LimitKey("pageSize", \.pageSize, 1...10_000),
    LimitKey("pageScan", \.pageScan, 100...10_000_000),
  ]

  var key: ConfigKey {
    var words = ""
    for character in name {
      if character.isUppercase { words.append("_") }
      words.append(character.uppercased())
    }
    return ConfigKey(
      path: "limits.\(name)", variable: "ORRERY_LIMITS_\(words)", standard: "",
      help: "see Limits")
  }
}

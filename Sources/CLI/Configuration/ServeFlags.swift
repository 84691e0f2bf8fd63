// SPDX-License-Identifier: Apache-2.0
// The flags of `orrery serve` as a source of settings.
import Configuration

/// What was given on the command line; nil or empty where nothing was.
struct ServeFlags: Sendable {
  var host: String?
  var port: Int?
  var data: String?
  var config: String?
  var database: String?
  /// Each may hold several networks, separated by commas.
  var allowNet: [String] = []
  /// Each may hold several origins, separated by commas.
  var allowOrigin: [String] = []
  var publicUrl: String?
  var tlsCertificate: String?
  var tlsKey: String?
  var insecureHTTP = false
  var noCompatSignatures = false
  var logLevel: String?
  var logFormat: String?
  var retentionDays: Int?

  var provider: InMemoryProvider {
    let texts: [(ConfigKey, String?)] = [
      (.host, host), (.port, port.map(String.init)), (.data, data), (.config, config),
      (.database, database), (.allowNet, allowNet.isEmpty ? nil : allowNet.joined(separator: ",")),
      (.allowOrigin, allowOrigin.isEmpty ? nil : allowOrigin.joined(separator: ",")),
      (.tlsCertificate, tlsCertificate), (.tlsKey, tlsKey), (.publicUrl, publicUrl),
      (.insecureHTTP, insecureHTTP ? "true" : nil),
      (.noCompatSignatures, noCompatSignatures ? "true" : nil), (.logLevel, logLevel),
      (.logFormat, logFormat), (.retentionDays, retentionDays.map(String.init)),
    ]
    var values: [AbsoluteConfigKey: ConfigValue] = [:]
    for (key, text) in texts {
      if let text { values[key.absolute] = ConfigValue(.string(text), isSecret: key.isSecret) }
    }
    return InMemoryProvider(name: "flags", values: values)
  }
}

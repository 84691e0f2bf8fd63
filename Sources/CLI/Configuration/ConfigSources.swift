// SPDX-License-Identifier: Apache-2.0
// The sources of settings, the stronger first, and where each value comes from.
import Configuration
import Domain

/// Looks settings up: flags, then variables, then the file.
struct ConfigSources: Sendable {
  /// A value with the name under which its source knows it, for errors.
  struct Found: Sendable {
    var text: String
    var setting: String

    func wrong(_ message: String) -> ConfigError { ConfigError(setting, message) }
  }

  private let flags: InMemoryProvider
  private let environment: EnvironmentVariablesProvider
  private var file: InMemoryProvider?
  private var fileName = ""

  init(flags: ServeFlags, environment: [String: String]) {
    self.flags = flags.provider
    self.environment = EnvironmentVariablesProvider(
      environmentVariables: environment,
      secretsSpecifier: .specific(Set(ConfigKey.all.filter(\.isSecret).compactMap(\.variable))))
  }

  mutating func use(_ file: ConfigFile) {
    let values = file.scalars.map { key, text in
      (key.absolute, ConfigValue(.string(text), isSecret: key.isSecret))
    }
    self.file = InMemoryProvider(
      name: file.name, values: Dictionary(values, uniquingKeysWith: { first, _ in first }))
    fileName = file.name
  }

  /// The strongest source's value; an empty variable counts as absent.
  func find(_ key: ConfigKey) throws(ConfigError) -> Found? {
    if let flag = key.flag, let text = try text(flags, key.absolute, key) {
      return Found(text: text, setting: "--\(flag)")
    }
    if let variable = key.variable, let name = key.environment,
      let text = try text(environment, name, key), !text.isEmpty
    {
      return Found(text: text, setting: variable)
    }
    if let file, let text = try text(file, key.absolute, key) {
      return Found(text: text, setting: "\(fileName): \(key.path)")
    }
    return nil
  }

  private func text(
    _ provider: some ConfigProvider, _ name: AbsoluteConfigKey, _ key: ConfigKey
  ) throws(ConfigError) -> String? {
    do {
      guard case .string(let text) = try provider.value(forKey: name, type: .string).value?.content
      else { return nil }
      return text
    } catch {
      throw ConfigError(key.variable ?? key.path, "This setting cannot be read as text.")
    }
  }

  // MARK: Forms

  func text(_ key: ConfigKey) throws(ConfigError) -> String? { try find(key)?.text }

  func int(_ key: ConfigKey, in range: ClosedRange<Int>) throws(ConfigError) -> Int? {
    guard let found = try find(key) else { return nil }
    guard let number = Int(found.text), range.contains(number), !found.text.hasPrefix("+") else {
      throw found.wrong("Must be a whole number from \(range.lowerBound) to \(range.upperBound).")
    }
    return number
  }

  func bool(_ key: ConfigKey) throws(ConfigError) -> Bool? {
    guard let found = try find(key) else { return nil }
    switch found.text.lowercased() {
    case "true", "1", "yes", "on": return true
    case "false", "0", "no", "off": return false
    default: throw found.wrong("Must be true or false.")
    }
  }

  /// The parts between commas, trimmed.
  func list(_ key: ConfigKey) throws(ConfigError) -> [Found] {
    guard let found = try find(key) else { return [] }
    return found.text.split(separator: ",").compactMap { part in
      let text = part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()
      return text.isEmpty ? nil : Found(text: String(text), setting: found.setting)
    }
  }
}

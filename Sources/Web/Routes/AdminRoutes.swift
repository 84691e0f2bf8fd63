// SPDX-License-Identifier: Apache-2.0
// What only admins do: tokens, secrets, keys, backups.
import Domain
import Engine
import NIOHTTP1

enum AdminRoutes {
  static func listTokens(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    return .json {
      $0.object {
        $0.key(literal: "tokens")
        $0.array { for token in services.tokens.all { $0.token(token, text: nil) } }
      }
    }
  }

  static func createToken(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let document = try await request.json()
    let (name, role) = try ControlError.field { () throws(FieldError) in
      let fields = try JSONFields(document.root, allowed: ["name", "role"])
      return (
        try fields.string("name", bytes: 1...services.limits.identifier),
        try fields.choice("role", of: Role.self)
      )
    }
    let (token, text) = try await services.tokens.create(name: name, role: role)
    return .json(.created) { $0.token(token, text: text) }
  }

  static func removeToken(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    try await services.tokens.remove(request.parameter("id"))
    return .noContent
  }

  static func listSecrets(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let secrets = try await services.engine.secretNames()
    return .json {
      $0.object {
        $0.key(literal: "secrets")
        $0.array {
          for secret in secrets {
            $0.object {
              $0.field("name", secret.name)
              $0.field("createdAt", secret.createdAt)
              $0.field("updatedAt", secret.updatedAt)
            }
          }
        }
      }
    }
  }

  static func setSecret(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let name = try secretName(request)
    let document = try await request.json()
    let value = try ControlError.field { () throws(FieldError) in
      try JSONFields(document.root, allowed: ["value"])
        .string("value", bytes: 1...services.limits.secretValue)
    }
    try await services.engine.setSecret(name, Array(value.utf8))
    return .noContent
  }

  private static func secretName(_ request: APIRequest) throws(ControlError) -> String {
    let name = try request.parameter("name")
    guard Identifier.isValid(name, most: request.limits.identifier) else {
      throw ControlError(
        .invalidID, "Names are 1 to 128 of the characters A-Z a-z 0-9 . _ : -", path: "name")
    }
    return name
  }

  static func removeSecret(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    try await services.engine.removeSecret(secretName(request))
    return .noContent
  }

  static func rotateKey(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let id = try await services.rotateMasterKey()
    return .json { $0.object { $0.field("keyId", id) } }
  }

  static func backup(
    _ request: APIRequest, _ services: ControlServices
  ) async throws(ControlError) -> APIResponse {
    let document = try await request.json(mayBeEmpty: true)
    let path = try ControlError.field { () throws(FieldError) in
      try JSONFields(document.root, allowed: ["path"]).optionalString("path", bytes: 1...1_024)
    }
    let written = try await services.backup(path)
    return .json {
      $0.object {
        $0.field("path", written.path)
        $0.field("bytes", written.bytes)
      }
    }
  }
}

extension JSONWriter {
  fileprivate mutating func token(_ token: StoredToken, text: String?) {
    object {
      $0.field("id", token.id)
      $0.field("name", token.name)
      $0.field("role", token.role)
      $0.field("createdAt", token.createdAt)
      $0.field(ifPresent: "token", text)
    }
  }
}

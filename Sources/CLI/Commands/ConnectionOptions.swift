// SPDX-License-Identifier: Apache-2.0
// Options that every command has: where the server is, with which token, and in which form.

import ArgumentParser
import Foundation
import OrreryClient

/// How to reach the server, and how to show what it says.
struct ConnectionOptions: ParsableArguments {
  @Option(help: "The server's address (ORRERY_URL; default http://127.0.0.1:3000).")
  var server: String?

  @Option(
    help: "The server's data folder, for its admin-token (ORRERY_DATA; default ./data).",
    completion: .directory)
  var data: String?

  @Option(
    help: "PEM file with certificates to trust besides the system's (ORRERY_CA_FILE).",
    completion: .file())
  var caFile: String?

  @Flag(help: "Write JSON, as the API sends it.")
  var json = false

  @Flag(help: "Allow http to another machine: the token is readable on the way.")
  var insecureHttp = false

  static let defaultServer = "http://127.0.0.1:3000"
  static let tokenFile = "admin-token"

  private var environment: [String: String] { ProcessInfo.processInfo.environment }

  var address: String { server ?? environment["ORRERY_URL"].nonEmpty ?? Self.defaultServer }
  var dataFolder: String { data ?? environment["ORRERY_DATA"].nonEmpty ?? "./data" }
  var output: Output { Output(isJSON: json) }

  /// A client with a token.
  func client() throws -> OrreryClient {
    try client(token: token())
  }

  /// A client for the open calls, or with a token that is known.
  func client(token: String?) throws -> OrreryClient {
    var options = OrreryClient.Options()
    options.allowsInsecureHTTP = insecureHttp
    options.caFile = caFile
    return try OrreryClient(url: address, token: token, options: options)
  }

  /// `ORRERY_TOKEN`, else the token in the data folder.
  ///
  /// The folder that nobody named is only looked into for a server on this machine, so that one
  /// server's token does not go to another.
  func token() throws -> String {
    if let token = environment["ORRERY_TOKEN"].nonEmpty { return token }
    let isNamed = data != nil || environment["ORRERY_DATA"].nonEmpty != nil
    let path = (dataFolder as NSString).appendingPathComponent(Self.tokenFile)
    guard isNamed || isOnThisMachine else {
      throw OrreryError(.unauthorized, "There is no token for \(address).")
    }
    do {
      let text = try String(contentsOfFile: path, encoding: .utf8)
      return text.trimmingCharacters(in: .whitespacesAndNewlines)
    } catch {
      throw OrreryError(
        .unauthorized, "There is no token: ORRERY_TOKEN is not set and \(path) cannot be read.")
    }
  }

  private var isOnThisMachine: Bool {
    do {
      // A client that refuses `http` to other machines knows which ones are others.
      guard var parts = URLComponents(string: address), parts.scheme != nil else { return false }
      parts.scheme = "http"
      guard let plain = parts.string else { return false }
      _ = try OrreryClient(url: plain, token: nil)
      return true
    } catch {
      return false
    }
  }
}

extension String? {
  /// Nil for the empty text, as a variable that is set to nothing.
  var nonEmpty: String? { self.flatMap { $0.isEmpty ? nil : $0 } }
}

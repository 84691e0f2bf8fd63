// SPDX-License-Identifier: Apache-2.0
// Sends one HTTP request and reads its answer; knows whether a failed one can have arrived.

import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

#if canImport(Glibc)
private import Glibc
#elseif canImport(Darwin)
private import Darwin
#endif

/// One request.
struct Outgoing: Sendable {
  var method: String
  var url: String
  var headers: [(name: String, value: String)] = []
  var body: [UInt8]?
  var contentType = "application/json"
  /// Milliseconds until the whole answer has to be there.
  var timeout: Int64 = 30_000
  /// Bytes that an answer may have.
  var longestAnswer = 256 << 20
  /// Certificates to trust besides the system's; `ORRERY_CA_FILE` if nil.
  var caFile: String?
}

/// Why there is no answer.
struct TransportFailure: Error, Sendable {
  /// The request cannot have reached the server, so that any call may be repeated.
  var isUndelivered: Bool
  var isTimeout = false
  /// A few words without a full stop.
  var reason: String
}

/// The process's HTTP client. Redirects are never followed: a token or a signature belongs to one
/// address.
enum Transport {
  /// What clients differ in: whom they trust, and how long an answer may be silent.
  private struct Kind: Hashable {
    var caFile: String
    var longestSilence: TimeAmount?
  }

  /// As good as always one or two.
  private static let clients = Mutex<[Kind: HTTPClient]>([:])
  private static let standardCAFile = ProcessInfo.processInfo.environment["ORRERY_CA_FILE"] ?? ""

  static func client(
    _ caFile: String?, longestSilence: TimeAmount? = nil
  ) throws -> HTTPClient {
    let kind = Kind(caFile: caFile ?? standardCAFile, longestSilence: longestSilence)
    return try clients.withLock { clients in
      if let client = clients[kind] { return client }
      let client = try newClient(kind)
      clients[kind] = client
      return client
    }
  }

  private static func newClient(_ kind: Kind) throws -> HTTPClient {
    let caFile = kind.caFile
    var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
    configuration.timeout.connect = .seconds(5)
    configuration.timeout.read = kind.longestSilence
    configuration.httpVersion = .http1Only
    configuration.connectionPool.idleTimeout = .seconds(15)
    configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 512
    configuration.connectionPool.retryConnectionEstablishment = false
    if !caFile.isEmpty {
      do { _ = try NIOSSLCertificate.fromPEMFile(caFile) } catch {
        throw TransportFailure(
          isUndelivered: false, reason: "\(caFile) is no readable PEM file with certificates")
      }
      var tls = TLSConfiguration.makeClientConfiguration()
      tls.additionalTrustRoots = [.file(caFile)]
      configuration.tlsConfiguration = tls
    }
    return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
  }

  /// - Throws: `TransportFailure`, or `CancellationError` when the calling task is cancelled.
  static func send(_ request: Outgoing) async throws -> Answer {
    try Task.checkCancellation()
    var message = HTTPClientRequest(url: request.url)
    message.method = HTTPMethod(rawValue: request.method)
    for (name, value) in request.headers { message.headers.add(name: name, value: value) }
    message.headers.add(name: "user-agent", value: "orrery-swift/1")
    message.headers.add(name: "accept", value: "application/json, application/problem+json")
    if let body = request.body {
      message.headers.add(name: "content-type", value: request.contentType)
      message.body = .bytes(ByteBuffer(bytes: body))
    }
    do {
      let answer = try await client(request.caFile).execute(
        message, timeout: .milliseconds(request.timeout))
      let body = try await answer.body.collect(upTo: request.longestAnswer)
      return Answer(
        status: Int(answer.status.code),
        headers: answer.headers.map { ($0.name.lowercased(), $0.value) },
        body: Array(body.readableBytesView))
    } catch {
      if Task.isCancelled { throw CancellationError() }
      throw failure(error)
    }
  }

  static func failure(_ error: any Error) -> TransportFailure {
    switch error {
    case let error as TransportFailure: return error
    case is NIOSSLError:
      return TransportFailure(
        isUndelivered: true, reason: "the server's certificate is not trusted; see --ca-file")
    case let error as NIOConnectionError:
      if let first = error.connectionErrors.first {
        return TransportFailure(isUndelivered: true, reason: reason(first.error))
      }
      return TransportFailure(isUndelivered: true, reason: "the host name is not known")
    case let error as IOError:
      let isRefused = error.errnoCode == ECONNREFUSED
      return TransportFailure(isUndelivered: isRefused, reason: reason(error))
    case let error as HTTPClientError: return failure(error)
    case is NIOTooManyBytesError:
      return TransportFailure(isUndelivered: false, reason: "the answer is too large")
    default:
      return TransportFailure(isUndelivered: false, reason: String(describing: error))
    }
  }

  private static func failure(_ error: HTTPClientError) -> TransportFailure {
    switch error {
    case .connectTimeout, .tlsHandshakeTimeout, .getConnectionFromPoolTimeout:
      TransportFailure(isUndelivered: true, reason: "no connection in time")
    case .deadlineExceeded, .readTimeout:
      TransportFailure(isUndelivered: false, isTimeout: true, reason: "no answer in time")
    case .remoteConnectionClosed:
      TransportFailure(isUndelivered: false, reason: "the connection was closed")
    default:
      TransportFailure(isUndelivered: false, reason: error.shortDescription)
    }
  }

  private static func reason(_ error: any Error) -> String {
    guard let error = error as? IOError else {
      return error is ChannelError ? "no connection in time" : String(describing: error)
    }
    return switch error.errnoCode {
    case ECONNREFUSED: "connection refused"
    case ECONNRESET, EPIPE: "the connection was reset"
    case ENETUNREACH, EHOSTUNREACH: "no route to the host"
    case ETIMEDOUT: "no connection in time"
    default: error.description
    }
  }
}

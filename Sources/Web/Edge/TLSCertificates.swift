// SPDX-License-Identifier: Apache-2.0
// The server's certificate and key, read again when their files change.
package import Logging
import NIOCore
import NIOSSL
import ServiceLifecycle
import Synchronization

#if canImport(Glibc)
private import Glibc
#elseif canImport(Darwin)
private import Darwin
#endif

/// Connections take what is current when they come; open ones keep what they began with.
package final class TLSCertificates: Service {
  /// Why a pair cannot be used, in one sentence.
  package struct Problem: Error, CustomStringConvertible {
    package var description: String
  }

  /// Tells one version of a file from another.
  private struct Version: Equatable {
    var inode: UInt64
    var size: Int64
    var seconds: Int
    var nanoseconds: Int
  }

  private let certificate: String
  private let key: String
  private let logger: Logger
  private let pause: @Sendable () async throws -> Void
  private let current: Mutex<NIOSSLContext>
  private let seen: Mutex<[Version?]>

  /// - Parameters:
  ///   - certificate: A PEM file: the server's certificate first, then those that lead to its CA.
  ///   - key: A PEM file with the key, not encrypted.
  ///   - pause: Sleeps between two looks at the files.
  package init(
    certificate: String, key: String, logger: Logger,
    pause: @escaping @Sendable () async throws -> Void
  ) throws(Problem) {
    self.certificate = certificate
    self.key = key
    self.logger = logger
    self.pause = pause
    seen = Mutex(Self.versions(certificate, key))
    current = Mutex(try Self.load(certificate, key))
  }

  var context: NIOSSLContext { current.withLock { $0 } }

  /// Looks at the files until the server stops.
  package func run() async throws {
    await cancelWhenGracefulShutdown {
      while true {
        do { try await self.pause() } catch { return }
        self.reloadIfChanged()
      }
    }
    do { try await gracefulShutdown() } catch is CancellationError { return }
  }

  /// Takes a new pair, or says why it cannot and keeps the old one.
  package func reload() {
    do throws(Problem) {
      let context = try Self.load(certificate, key)
      current.withLock { $0 = context }
      logger.notice("the certificate was read again", metadata: ["file": "\(certificate)"])
    } catch {
      logger.error("the certificate in use is kept: \(error)")
    }
  }

  private func reloadIfChanged() {
    let versions = Self.versions(certificate, key)
    let isNew = seen.withLock { seen in
      defer { seen = versions }
      return seen != versions
    }
    if isNew { reload() }
  }

  // MARK: Files

  private static func versions(_ paths: String...) -> [Version?] {
    paths.map { path in
      var info = stat()
      guard stat(path, &info) == 0 else { return nil }
      return Version(
        inode: UInt64(info.st_ino), size: Int64(info.st_size), seconds: info.st_mtim.tv_sec,
        nanoseconds: info.st_mtim.tv_nsec)
    }
  }

  private static func load(_ certificate: String, _ key: String) throws(Problem) -> NIOSSLContext {
    let chain: [NIOSSLCertificate]
    do { chain = try NIOSSLCertificate.fromPEMFile(certificate) } catch {
      throw Problem(description: "\(certificate) is no readable PEM file with certificates.")
    }
    guard !chain.isEmpty else {
      throw Problem(description: "\(certificate) holds no certificate.")
    }
    let privateKey: NIOSSLPrivateKey
    do { privateKey = try NIOSSLPrivateKey(file: key, format: .pem) } catch {
      throw Problem(description: "\(key) is no readable PEM file with a key without passphrase.")
    }
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey))
    configuration.minimumTLSVersion = .tlsv12
    configuration.applicationProtocols = ["http/1.1"]
    do { return try NIOSSLContext(configuration: configuration) } catch {
      throw Problem(description: "\(key) is not the key of the certificate in \(certificate).")
    }
  }
}

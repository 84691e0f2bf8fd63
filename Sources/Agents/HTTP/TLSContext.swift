// SPDX-License-Identifier: Apache-2.0
// The TLS settings of outgoing connections, made when the first one needs them.
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
private import Synchronization

/// Full verification against the system's certificate authorities. Reading those takes
/// milliseconds, so it is done once, and away from the event loops.
final class TLSContext: Sendable {
  private let made = Mutex<EventLoopFuture<NIOSSLContext>?>(nil)

  func context(on loop: any EventLoop) -> EventLoopFuture<NIOSSLContext> {
    let future = made.withLock { made in
      if let made { return made }
      let future = NIOThreadPool.singleton.runIfActive(eventLoop: loop) {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.applicationProtocols = ["http/1.1"]
        return try NIOSSLContext(configuration: configuration)
      }
      made = future
      return future
    }
    // A file that could not be read now may be readable for the next connection.
    future.whenFailure { _ in self.made.withLock { $0 = nil } }
    return future.hop(to: loop)
  }
}

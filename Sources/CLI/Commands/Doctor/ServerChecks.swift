// SPDX-License-Identifier: Apache-2.0
// Is there a server, is it ready, does it take our token, do the clocks agree?

import Foundation
import OrreryClient

struct ServerChecks {
  let connection: ConnectionOptions

  /// Signed requests more than 300 s off are refused; this is well before.
  private static let largestSkew = 60.0
  /// 2025-01-01T00:00:00Z.
  private static let earliestTime = 1_735_689_600.0

  func run() async -> [Finding] {
    let health: ServerHealth
    do {
      health = try await connection.client(token: nil).health()
    } catch let error as OrreryError {
      return [unreachable(error), storedToken(), clock(nil)]
    } catch {
      return [Finding.fail("server", "\(error)", "Try again.")]
    }
    var findings = [await ready()]
    let (token, version) = await acceptedToken()
    findings.insert(
      .ok("server", "\(connection.address) answers" + (version.map { ", version \($0)" } ?? "")),
      at: 0)
    findings.append(token)
    findings.append(clock(health.date))
    return findings
  }

  private func unreachable(_ error: OrreryError) -> Finding {
    let step = error.code.nextStep ?? "Check --server and ORRERY_URL."
    if error.code == .unreachable { return .warn("server", error.message, step) }
    return .fail("server", error.message, step)
  }

  private func ready() async -> Finding {
    do {
      let readiness = try await connection.client(token: nil).readiness()
      if readiness.isGood { return .ok("ready", readiness.status) }
      return .fail("ready", readiness.status, "See the server's log; it takes no work now.")
    } catch {
      return .fail("ready", Self.words(error), "See the server's log.")
    }
  }

  private func acceptedToken() async -> (Finding, version: String?) {
    do {
      let stats = try await connection.client().stats()
      return (.ok("token", "accepted"), stats.version)
    } catch let error as OrreryError {
      return (.fail("token", error.message, error.code.nextStep ?? "Try another token."), nil)
    } catch {
      return (.fail("token", Self.words(error), "Try again."), nil)
    }
  }

  private func storedToken() -> Finding {
    do {
      _ = try connection.token()
      return .ok("token", "found; not tried, since no server answers")
    } catch {
      return .warn(
        "token", Self.words(error),
        "The server's first start makes one; then set ORRERY_TOKEN, or name its --data folder.")
    }
  }

  private func clock(_ server: Date?) -> Finding {
    let now = Double(SystemClock.live.now()) / 1_000
    let time = Figure.time(Date(timeIntervalSince1970: now)) ?? "?"
    guard now > Self.earliestTime else {
      return .fail("clock", "This machine says \(time).", "Set the clock, best by NTP.")
    }
    guard let server else { return .ok("clock", time) }
    let skew = (server.timeIntervalSince1970 - now).rounded()
    guard abs(skew) > Self.largestSkew else { return .ok("clock", "\(time), as the server's") }
    return .fail(
      "clock", "The server's clock is \(Int(skew)) s from this machine's.",
      "Set both by NTP: signatures more than 300 s off are refused.")
  }

  private static func words(_ error: any Error) -> String {
    (error as? OrreryError)?.message ?? "\(error)"
  }
}

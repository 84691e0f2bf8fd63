// SPDX-License-Identifier: Apache-2.0
// Whole planes played by seed: the promises hold, a planted bug is found, a run can be repeated.
import Simulation
import Testing

@Suite struct SimulatorTests {
  /// The first broken promise of a run, and how long the run was.
  static func play(
    _ seed: UInt64, _ options: Simulator.Options = Simulator.Options()
  ) -> (violation: Violation?, steps: Int) {
    let simulator = Simulator(seed: seed, options: options)
    do throws(Violation) {
      try simulator.run()
      return (nil, simulator.steps)
    } catch {
      return (error, simulator.steps)
    }
  }

  @Test(arguments: 0..<10) func `every promise holds`(batch: UInt64) {
    for seed in (batch * 30)..<(batch * 30 + 30) {
      let run = Self.play(seed + 1)
      if let violation = run.violation { Issue.record("seed \(seed + 1): \(violation)") }
    }
  }

  @Test func `a plane without the fence is caught`() {
    var options = Simulator.Options()
    options.ignoresFence = true
    let caught = (1...UInt64(60)).compactMap { Self.play($0, options).violation }
    #expect(caught.contains { $0.promise == "fencing" })
  }

  @Test(arguments: [UInt64(1), 7, 42, 1_000_003]) func `a seed is one run`(seed: UInt64) {
    let first = Self.play(seed)
    let second = Self.play(seed)
    #expect(first.steps == second.steps)
    #expect(first.steps > 25)
  }

  @Test func `seeds differ`() {
    #expect(Set((1...UInt64(10)).map { Self.play($0).steps }).count > 5)
  }
}

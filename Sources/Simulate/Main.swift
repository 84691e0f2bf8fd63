// SPDX-License-Identifier: Apache-2.0
// Runs the simulation over many seeds; ends with a line of counts.
import ArgumentParser
import Simulation

@main
struct Simulate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Play seeded runs of the whole control plane and check its promises.")

  @Option(help: "How many seeds.") var seeds: UInt64 = 10_000
  @Option(help: "The first seed.") var first: UInt64 = 1
  @Option(help: "Tasks per run.") var tasks: Int = 25
  @Flag(help: "Plant a known bug: no fence check. The run must then fail.")
  var plantNoFence = false

  func run() throws {
    var options = Simulator.Options()
    options.tasks = tasks
    options.ignoresFence = plantNoFence
    let clock = ContinuousClock()
    let start = clock.now
    var failed = 0
    var steps = 0
    for seed in first..<(first + seeds) {
      let simulator = Simulator(seed: seed, options: options)
      do throws(Violation) { try simulator.run() } catch {
        failed += 1
        if failed <= 10 { print("seed \(seed): \(error)") }
      }
      steps += simulator.steps
    }
    print("\(seeds) seeds, \(steps) events, \((clock.now - start) / .seconds(1)) s")
    print("\(seeds - UInt64(failed)) passed, \(failed) failed")
    if failed > 0 { throw ExitCode(1) }
  }
}

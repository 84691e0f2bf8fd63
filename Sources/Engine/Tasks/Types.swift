// SPDX-License-Identifier: Apache-2.0
// Types of task: settings and counts.
package import Domain
import Synchronization

extension Engine {
  package struct TypeView: Sendable {
    package var settings: TypeSettings
    package var counts: TypeCounts
  }

  package func types() async throws(ControlError) -> [TypeView] {
    let counts = try await stored { () throws(StoreError) in try await store.counts() }
    let names = Set(core.withLock { $0.typeNames }).union(counts.keys).sorted()
    return names.map { name in
      TypeView(
        settings: core.withLock { $0.settings(of: name) } ?? TypeSettings(type: name),
        counts: counts[name] ?? TypeCounts())
    }
  }

  package func type(_ name: String) async throws(ControlError) -> TypeView {
    let counts = try await stored { () throws(StoreError) in try await store.counts() }
    return TypeView(
      settings: core.withLock { $0.settings(of: name) } ?? TypeSettings(type: name),
      counts: counts[name] ?? TypeCounts())
  }

  /// Changes the settings of a type, which need not have tasks yet.
  package func set(
    _ name: String, _ change: @Sendable (inout TypeSettings) -> Void
  ) async throws(ControlError) -> TypeView {
    try await registry.hold { () throws(ControlError) in
      let known = core.withLock { $0.typeNames }
      guard known.contains(name) || known.count < limits.types else {
        throw ControlError(.limitReached, "There are \(known.count) types; no more fit.")
      }
      var settings = core.withLock { $0.settings(of: name) } ?? TypeSettings(type: name)
      change(&settings)
      let saved = settings
      try await stored { () throws(StoreError) in try await store.save(saved) }
      core.withLock { $0.apply(saved, now: world.now()) }
    }
    kick()
    return try await type(name)
  }
}

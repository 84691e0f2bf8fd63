// SPDX-License-Identifier: Apache-2.0
// Measures how long something took.

extension Engine {
  /// How long a call of the store took, failures included.
  func timed<Value>(
    _ call: Meters.StoreCall, _ body: () async throws(StoreError) -> Value
  ) async throws(StoreError) -> Value {
    let began = world.nanoseconds()
    defer { meters.stored(call, seconds: seconds(since: began)) }
    return try await body()
  }

  package func seconds(since began: UInt64) -> Double {
    let now = world.nanoseconds()
    return now > began ? Double(now - began) / 1e9 : 0
  }
}

// SPDX-License-Identifier: Apache-2.0
// Short ways to scan text, and a seeded source of random numbers.

import Domain

/// A repeatable random generator (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}

func document(_ text: String, limits: JSONLimits = .standard) throws(JSONError) -> JSONDocument {
  try JSONDocument(Array(text.utf8), limits: limits)
}

/// The refusal of `bytes`; nil if they are accepted.
func refusal(_ bytes: [UInt8], limits: JSONLimits = .standard) -> JSONError? {
  do throws(JSONError) {
    _ = try JSONDocument(bytes, limits: limits)
    return nil
  } catch {
    return error
  }
}

func refusal(_ text: String, limits: JSONLimits = .standard) -> JSONError? {
  refusal(Array(text.utf8), limits: limits)
}

/// The error of one field; nil if `body` succeeds.
func fieldError<Value>(_ body: () throws(FieldError) -> Value) -> FieldError? {
  do throws(FieldError) {
    _ = try body()
    return nil
  } catch {
    return error
  }
}

func text(_ bytes: some Collection<UInt8>) -> String {
  String(decoding: bytes, as: UTF8.self)
}

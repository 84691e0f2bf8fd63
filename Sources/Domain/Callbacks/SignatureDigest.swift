// SPDX-License-Identifier: Apache-2.0
// SHA-256 and HMAC-SHA256 over plain bytes, the only two uses of the crypto library here.

import Crypto

/// The SHA-256 of `bytes`, 32 bytes.
package func sha256(_ bytes: some Collection<UInt8>) -> [UInt8] {
  var hash = SHA256()
  withContiguousBytes(bytes) { hash.update(bufferPointer: $0) }
  return Array(hash.finalize())
}

/// HMAC-SHA256 with the key already taken in; a copy of it is all that a message costs.
struct SignatureKey: Sendable {
  private let keyed: HMAC<SHA256>

  init(_ key: [UInt8]) {
    keyed = HMAC<SHA256>(key: SymmetricKey(data: key))
  }

  /// The 32 bytes of the code of `prefix` followed by `body`.
  func code(prefix: [UInt8], body: some Collection<UInt8>) -> [UInt8] {
    var hmac = keyed
    hmac.update(data: prefix)
    withContiguousBytes(body) { hmac.update(data: $0) }
    return hmac.finalize().withUnsafeBytes { Array($0) }
  }
}

/// Compares without stopping at the first difference; lengths are no secret.
func constantTimeEqual(_ first: [UInt8], _ second: [UInt8]) -> Bool {
  guard first.count == second.count else { return false }
  var difference: UInt8 = 0
  for index in first.indices { difference |= first[index] ^ second[index] }
  return difference == 0
}

private func withContiguousBytes(
  _ bytes: some Collection<UInt8>, _ body: (UnsafeRawBufferPointer) -> Void
) {
  let isDone: Void? = bytes.withContiguousStorageIfAvailable { body(UnsafeRawBufferPointer($0)) }
  if isDone == nil { Array(bytes).withUnsafeBytes(body) }
}

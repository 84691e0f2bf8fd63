// SPDX-License-Identifier: Apache-2.0
// What libFuzzer calls with each input: the scanner and the reference must agree on it.

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: data, count: count))
  let difference = JSONReference.difference(bytes)
  precondition(difference == nil, difference ?? "")
  return 0
}

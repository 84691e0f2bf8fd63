// SPDX-License-Identifier: Apache-2.0
// Times as headers spell them; the example is that of RFC 9110, 5.6.7.
import Domain
import Testing

@Suite struct HTTPDateTests {
  @Test(arguments: [
    ("1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("2024-02-29T23:59:59.999Z", "Thu, 29 Feb 2024 23:59:59 GMT"),
  ])
  func `a time`(text: String, expected: String) throws {
    #expect(try #require(Timestamp(text)).httpDate == expected)
  }
}

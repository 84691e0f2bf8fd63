// SPDX-License-Identifier: Apache-2.0
// The second header of W3C Trace Context: other systems' notes, checked and passed on.

/// Checks `tracestate`, of which nothing is ours.
enum TraceState {
  private static let mostMembers = 32
  private static let longestKey = 256
  private static let longestValue = 256

  /// The values of all headers as one; nil if there is none or one that is not valid. What does
  /// not fit `TraceContext.longestState` is cut off behind: the oldest notes stand there.
  static func checked(_ values: [String]) -> String? {
    guard !values.isEmpty, values.allSatisfy({ $0.utf8.count <= 16 << 10 }) else { return nil }
    let members = values.flatMap { $0.utf8.split(separator: UInt8(ascii: ",")) }
      .map { trimmed(Array($0)) }.filter { !$0.isEmpty }
    guard (1...mostMembers).contains(members.count), members.allSatisfy(isMember),
      Set(members.map(key)).count == members.count
    else { return nil }
    var kept: [UInt8] = []
    for member in members {
      let added = member.count + (kept.isEmpty ? 0 : 1)
      guard kept.count + added <= TraceContext.longestState else { break }
      if !kept.isEmpty { kept.append(UInt8(ascii: ",")) }
      kept += member
    }
    return kept.isEmpty ? nil : String(decoding: kept, as: UTF8.self)
  }

  private static func trimmed(_ bytes: [UInt8]) -> [UInt8] {
    let isBlank = { (byte: UInt8) in byte == 0x20 || byte == 0x09 }
    let rest = bytes.drop(while: isBlank)
    let end = rest.lastIndex { !isBlank($0) }
    return end.map { Array(rest[...$0]) } ?? []
  }

  private static func key(_ member: [UInt8]) -> ArraySlice<UInt8> {
    member.prefix { $0 != UInt8(ascii: "=") }
  }

  /// `key=value`
  private static func isMember(_ member: [UInt8]) -> Bool {
    let key = key(member)
    let value = member.dropFirst(key.count + 1)
    return key.count < member.count && isKey(key) && (1...longestValue).contains(value.count)
      && value.allSatisfy { (0x20...0x7E).contains($0) && $0 != UInt8(ascii: "=") }
  }

  private static func isKey(_ key: ArraySlice<UInt8>) -> Bool {
    guard (1...longestKey).contains(key.count), let first = key.first,
      isLowerOrDigit(first)
    else { return false }
    return key.count { $0 == UInt8(ascii: "@") } <= 1
      && key.allSatisfy { isLowerOrDigit($0) || "_-*/@".utf8.contains($0) }
  }

  private static func isLowerOrDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x61...0x7A: true
    default: false
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
// Sizes: files, functions and lines stay small enough to read.

import Testing

@Suite struct SizeRules {
  static let fileLimit = 600
  static let functionLimit = 70
  static let lineLimit = 100

  @Test(arguments: SourceFile.all)
  func `no file passes 600 lines`(file: SourceFile) {
    #expect(file.lines.count <= Self.fileLimit, "\(file.path): \(file.lines.count) lines")
  }

  @Test(arguments: SourceFile.all)
  func `no function passes 70 lines`(file: SourceFile) {
    for function in file.functions where function.length > Self.functionLimit {
      Issue.record("\(file.path):\(function.line): \(function.name): \(function.length) lines")
    }
  }

  @Test(arguments: SourceFile.all)
  func `no line passes 100 columns`(file: SourceFile) {
    for (index, line) in file.lines.enumerated() where line.count > Self.lineLimit {
      Issue.record("\(file.path):\(index + 1): \(line.count) columns")
    }
  }

  /// A report, so that drift is seen before a limit is hit.
  @Test func `medians`() {
    let files = SourceFile.sources.map(\.lines.count).sorted()
    let functions = SourceFile.sources.flatMap(\.functions).map(\.length).sorted()
    guard !files.isEmpty, !functions.isEmpty else { return }
    let soft = files.count { $0 > 400 }
    print(
      "Sources: \(files.count) files, median \(files[files.count / 2]) lines, \(soft) over 400;",
      "\(functions.count) functions, median \(functions[functions.count / 2]) lines,",
      "\(functions.count { $0 > 40 }) over 40")
  }
}

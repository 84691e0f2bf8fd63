// SPDX-License-Identifier: Apache-2.0
// Every file says its licence and, in one sentence, its job.

import Testing

@Suite struct HeaderRules {
  static let licence = "// SPDX-License-Identifier: Apache-2.0"

  @Test(arguments: SourceFile.all)
  func `opens with licence and purpose`(file: SourceFile) {
    #expect(file.lines.first == Self.licence, "\(file.path): the first line is the licence")
    let sentence = file.lines.dropFirst().prefix { $0.hasPrefix("// ") }
    #expect(!sentence.isEmpty, "\(file.path): the second line says the file's job")
    #expect(
      sentence.last?.last.map { ".?".contains($0) } ?? false, "\(file.path): the job is a sentence")
  }
}

// SPDX-License-Identifier: Apache-2.0
// Reads a secret: from a pipe, or from the keyboard without showing it.

import Foundation
import OrreryClient

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

enum HiddenPrompt {
  /// Bytes that a secret may have.
  private static let longest = 64 << 10

  /// All of standard input without the last line end; from a terminal one line, not echoed.
  static func read(_ prompt: String) throws -> String {
    guard isatty(STDIN_FILENO) == 1 else { return try readPipe() }
    Terminal.error.write(prompt)
    var shown = termios()
    guard tcgetattr(STDIN_FILENO, &shown) == 0 else { return try readPipe() }
    var hidden = shown
    hidden.c_lflag &= ~tcflag_t(ECHO)
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden)
    defer {
      tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown)
      Terminal.error.write("\n")
    }
    return try checked(readLine() ?? "")
  }

  private static func readPipe() throws -> String {
    let data = try StandardInput.read(atMost: longest)
    guard var text = String(data: data, encoding: .utf8) else {
      throw OrreryError(.invalidField, "The value on standard input is not UTF-8 text.")
    }
    if text.hasSuffix("\r\n") || text.hasSuffix("\n") { text.removeLast() }
    return try checked(text)
  }

  private static func checked(_ text: String) throws -> String {
    guard !text.isEmpty else {
      throw OrreryError(
        .invalidField, "The value is empty; type it, or pipe it in: `… < file`.")
    }
    return text
  }
}

/// Standard input and files as whole values.
enum StandardInput {
  static func read(atMost most: Int) throws -> Data {
    try read(FileHandle.standardInput, "Standard input", most)
  }

  /// A file, or standard input for `-`.
  static func read(path: String, atMost most: Int) throws -> Data {
    if path == "-" { return try read(atMost: most) }
    guard let file = FileHandle(forReadingAtPath: path) else {
      throw OrreryError(.invalidField, "The file \(path) cannot be read.")
    }
    return try read(file, "The file \(path)", most)
  }

  private static func read(_ file: FileHandle, _ name: String, _ most: Int) throws -> Data {
    let data: Data
    do {
      data = try file.read(upToCount: most + 1) ?? Data()
    } catch {
      throw OrreryError(.invalidField, "\(name) cannot be read.")
    }
    guard data.count <= most else {
      throw OrreryError(.payloadTooLarge, "\(name) has more than \(Figure.bytes(most)).")
    }
    return data
  }
}

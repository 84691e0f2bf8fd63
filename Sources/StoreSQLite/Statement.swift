// SPDX-License-Identifier: Apache-2.0
// A prepared statement: binding, stepping and reading columns without boxes in between.
internal import Engine
internal import GRDBSQLite

/// A prepared statement of one connection; used where that connection is. Whoever prepared it
/// finalizes it. Indices of parameters start at 1, of columns at 0, as in SQLite.
struct Statement {
  let handle: OpaquePointer

  /// For a statement that somebody else prepared and will finalize.
  init(borrowing handle: OpaquePointer) { self.handle = handle }

  /// Prepares a statement that is kept for long.
  init(_ connection: OpaquePointer, _ sql: String) throws(StoreError) {
    var handle: OpaquePointer?
    let flags = UInt32(SQLITE_PREPARE_PERSISTENT)
    let code = sqlite3_prepare_v3(connection, sql, -1, flags, &handle, nil)
    guard code == SQLITE_OK, let handle else { throw StoreError(sqlite: code, connection) }
    self.handle = handle
  }

  func finalize() { sqlite3_finalize(handle) }

  // MARK: Running

  /// True if there is a row to read.
  func step() throws(StoreError) -> Bool {
    switch sqlite3_step(handle) {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    case let code:
      let error = StoreError(sqlite: code, sqlite3_db_handle(handle))
      sqlite3_reset(handle)
      throw error
    }
  }

  /// Runs a statement that returns no rows.
  func run() throws(StoreError) {
    _ = try step()
    sqlite3_reset(handle)
  }

  /// Runs it with a last text that is not copied.
  func run(bindingInPlace bytes: [UInt8], to index: Int32) throws(StoreError) {
    try bytes.withUnsafeBufferPointer { buffer throws(StoreError) in
      try check(bindText(index, UnsafeRawBufferPointer(buffer), nil))
      try run()
    }
  }

  func reset() { sqlite3_reset(handle) }

  /// Rows that the last INSERT, UPDATE or DELETE of the connection changed.
  var changes: Int { Int(sqlite3_changes(sqlite3_db_handle(handle))) }

  // MARK: Binding

  func bind(_ index: Int32, _ value: Int64) throws(StoreError) {
    try check(sqlite3_bind_int64(handle, index, value))
  }

  func bind(_ index: Int32, _ value: Int64?) throws(StoreError) {
    guard let value else { return try bindNull(index) }
    try check(sqlite3_bind_int64(handle, index, value))
  }

  func bind(_ index: Int32, _ value: Double?) throws(StoreError) {
    guard let value else { return try bindNull(index) }
    try check(sqlite3_bind_double(handle, index, value))
  }

  func bind(_ index: Int32, _ value: Bool) throws(StoreError) {
    try check(sqlite3_bind_int64(handle, index, value ? 1 : 0))
  }

  func bindNull(_ index: Int32) throws(StoreError) {
    try check(sqlite3_bind_null(handle, index))
  }

  /// Binds a copy of a short text.
  func bind(_ index: Int32, text: String) throws(StoreError) {
    var text = text
    try check(text.withUTF8 { bindText(index, UnsafeRawBufferPointer($0), Self.transient) })
  }

  func bind(_ index: Int32, text: String?) throws(StoreError) {
    guard let text else { return try bindNull(index) }
    try bind(index, text: text)
  }

  /// Binds a copy of UTF-8 bytes.
  func bind(_ index: Int32, utf8 bytes: [UInt8]?) throws(StoreError) {
    guard let bytes else { return try bindNull(index) }
    try check(bytes.withUnsafeBytes { bindText(index, $0, Self.transient) })
  }

  /// Binds a copy of bytes.
  func bind(_ index: Int32, blob bytes: [UInt8]?) throws(StoreError) {
    guard let bytes else { return try bindNull(index) }
    if bytes.isEmpty { return try check(sqlite3_bind_zeroblob(handle, index, 0)) }
    try check(
      bytes.withUnsafeBytes {
        sqlite3_bind_blob64(handle, index, $0.baseAddress, UInt64($0.count), Self.transient)
      })
  }

  private func bindText(
    _ index: Int32, _ bytes: UnsafeRawBufferPointer, _ lifetime: sqlite3_destructor_type?
  ) -> Int32 {
    guard let base = bytes.baseAddress, !bytes.isEmpty else {
      // A null address would bind NULL.
      return sqlite3_bind_text(handle, index, "", 0, Self.transient)
    }
    return sqlite3_bind_text64(
      handle, index, base.assumingMemoryBound(to: CChar.self), UInt64(bytes.count), lifetime,
      UInt8(SQLITE_UTF8))
  }

  private static var transient: sqlite3_destructor_type {
    unsafeBitCast(-1, to: sqlite3_destructor_type.self)
  }

  private func check(_ code: Int32) throws(StoreError) {
    guard code == SQLITE_OK else { throw StoreError(sqlite: code, sqlite3_db_handle(handle)) }
  }

  // MARK: Reading

  func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }

  func int64(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

  func int(_ column: Int32) -> Int { Int(sqlite3_column_int64(handle, column)) }

  func bool(_ column: Int32) -> Bool { sqlite3_column_int64(handle, column) != 0 }

  func optionalInt64(_ column: Int32) -> Int64? { isNull(column) ? nil : int64(column) }

  func optionalDouble(_ column: Int32) -> Double? {
    isNull(column) ? nil : sqlite3_column_double(handle, column)
  }

  func text(_ column: Int32) -> String {
    guard let start = sqlite3_column_text(handle, column) else { return "" }
    let count = Int(sqlite3_column_bytes(handle, column))
    return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
  }

  func optionalText(_ column: Int32) -> String? { isNull(column) ? nil : text(column) }

  /// The bytes of a text or blob.
  func bytes(_ column: Int32) -> [UInt8] {
    guard let start = sqlite3_column_blob(handle, column) else { return [] }
    return Array(
      UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))))
  }

  func optionalBytes(_ column: Int32) -> [UInt8]? { isNull(column) ? nil : bytes(column) }
}

extension StoreError {
  /// What a result code of SQLite means for callers.
  init(sqlite code: Int32, _ connection: OpaquePointer?) {
    if code & 0xFF == SQLITE_FULL {
      self = .diskFull
    } else {
      let words = sqlite3_errmsg(connection).map { String(cString: $0) } ?? "no message"
      let extended = connection.map { sqlite3_extended_errcode($0) } ?? code
      self = .unavailable("SQLite failed with code \(extended): \(words).")
    }
  }
}

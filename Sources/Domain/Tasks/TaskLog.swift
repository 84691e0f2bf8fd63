// SPDX-License-Identifier: Apache-2.0
// Lines of a task's log.

package enum LogLevel: String, Sendable, CaseIterable {
  case debug, info, warning, error
}

/// One line of a task's log, written by its agent or by the control plane.
package struct TaskLog: Sendable {
  package var time: Timestamp
  package var level: LogLevel
  package var message: String
  /// A JSON object as it came.
  package var metadata: [UInt8]?

  package init(time: Timestamp, level: LogLevel, message: String, metadata: [UInt8]? = nil) {
    self.time = time
    self.level = level
    self.message = message
    self.metadata = metadata
  }
}

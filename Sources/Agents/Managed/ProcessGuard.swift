// SPDX-License-Identifier: Apache-2.0
// The small shell program that stands between the server and a managed agent.

/// Runs a command so that nothing of it survives the server.
///
/// A managed agent runs under `/bin/sh`, as the leader of its own session and process group. The
/// shell's standard input is a pipe whose other end the server holds open and nobody else has. If
/// the server ends in any way, `kill -9` included, the pipe closes, and a guard in the shell sends
/// SIGTERM to the group and, after the grace, SIGKILL. When the agent itself ends, the shell writes
/// its exit code as a last line and kills the group, itself and whatever the agent left behind. A
/// process that starts a session of its own leaves the group and is not reached.
enum ProcessGuard {
  static let shell = "/bin/sh"
  /// Starts the last line; the exit code follows.
  static let endMark = "orrery-agent-exit-code "

  /// Arguments of the shell that run `command`.
  static func arguments(_ command: [String], graceSeconds: Int) -> [String] {
    ["-c", script(graceSeconds: graceSeconds), "orrery-agent"] + command
  }

  /// POSIX shell. `$@` is the command; it gets no standard input.
  private static func script(graceSeconds: Int) -> String {
    """
    trap : TERM INT HUP
    exec 3<&0 0</dev/null
    "$@" 3<&- &
    agent=$!
    (
      trap '' TERM INT HUP
      read -r _ <&3
      kill -TERM 0
      sleep \(graceSeconds)
      kill -KILL 0
    ) >/dev/null 2>&1 &
    exec 3<&-
    while :; do
      wait "$agent"
      code=$?
      kill -0 "$agent" 2>/dev/null || break
    done
    trap '' TERM INT HUP PIPE
    printf '\\n%s%s\\n' '\(endMark)' "$code" 2>/dev/null
    kill -KILL 0
    """
  }
}

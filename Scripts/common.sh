# SPDX-License-Identifier: Apache-2.0
# What the scripts share: the root, how they speak, which Python they use. Sourced, not run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' PLAIN=$'\e[0m'
else
  BOLD='' DIM='' RED='' PLAIN=''
fi

say() { printf '%s▸ %s%s\n' "$BOLD" "$*" "$PLAIN"; }
note() { printf '%s  %s%s\n' "$DIM" "$*" "$PLAIN"; }
die() {
  printf '%s✘ %s%s\n' "$RED" "$1" "$PLAIN" >&2
  shift
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit 1
}

# A Python that can make virtual environments, 3.11 or newer; prints its path.
find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 /usr/bin/python3; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
      >/dev/null 2>&1; then
      command -v "$candidate"
      return 0
    fi
  done
  return 1
}

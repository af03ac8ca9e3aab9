#!/bin/sh
# Bring .venv up to what the lock files say; called by make. Does nothing when it is already so.
#
#   install.sh run       what the gateway needs
#   install.sh dev       that, and what its tests and checks need
#   install.sh python    only print the Python that a new .venv would be made with
set -eu
cd "$(dirname "$0")/.."

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# The newest of these that starts, is new enough and can make environments. $PYTHON overrides the search.
find_python() {
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    die "no Python >= 3.11 with the venv module found (tried: ${PYTHON:-python3.13 python3.12 python3.11 python3 python})"
}

# Run a command without its output, unless it fails.
quietly() {
    if ! "$@" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        die "failed: $*"
    fi
}

case "${1:-}" in
    python) find_python; exit ;;
    run) lock=requirements.lock ;;
    dev) lock=requirements-dev.lock ;;
    *) die "usage: install.sh run|dev|python" ;;
esac

# A stamp holds for these files' contents, in this place: an environment that was copied elsewhere is not trusted.
key=$({ pwd; cat pyproject.toml requirements.lock requirements-dev.lock; } | cksum | cut -d ' ' -f 1)
# What is installed for development is enough for running.
if .venv/bin/python -c '' 2>/dev/null; then
    if [ -e ".venv/.installed-dev-$key" ] || [ -e ".venv/.installed-$1-$key" ]; then
        exit 0
    fi
else
    python=$(find_python)
    say "creating .venv with $("$python" --version)"
    log=$(mktemp)
    quietly "$python" -m venv --clear .venv
fi

log=$(mktemp)
rm -f .venv/.installed-*
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_USER=0
say "installing $(grep -c '==' "$lock") pinned packages from $lock (a minute or two the first time)"
quietly .venv/bin/python -m pip install --require-hashes -r "$lock"
say "installing ledgergate itself, editable"
quietly .venv/bin/python -m pip install --no-deps --no-build-isolation --editable .
rm -f "$log"
touch ".venv/.installed-$1-$key"
say "ready: .venv, $(.venv/bin/python --version)"

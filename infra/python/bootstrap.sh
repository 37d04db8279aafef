#!/bin/sh
# bootstrap.sh local|dev: make .venv, or bring it up to infra/python/<name>.lock; a few milliseconds when nothing changed.
# Only what must run before any Python is known stands here; the rest is install.py.
set -u

lock=$1
stamps=.venv/installed

unchanged() {
    cmp -s "infra/python/$lock.lock" "$stamps/$lock.lock" && cmp -s pyproject.toml "$stamps/pyproject.toml" &&
        [ "$(cat "$stamps/folder" 2>/dev/null)" = "$(pwd -P)" ] && .venv/bin/python -c '' 2>/dev/null
}

if unchanged; then
    exit 0
fi

if ! python=$(sh infra/python/find.sh); then
    if [ -n "${PYTHON:-}" ]; then
        echo "PYTHON=$PYTHON does not run or is older than Python 3.11: name another one, or unset PYTHON." >&2
    else
        echo "No Python 3.11 or newer was found: sudo apt-get install python3 python3-venv, or name one: make PYTHON=/path/to/python3.11 ..." >&2
    fi
    exit 1
fi
exec "$python" infra/python/install.py "$lock" .venv

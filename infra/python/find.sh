#!/bin/sh
# find.sh [NAME...]: print the first interpreter that really runs and is Python 3.11 or newer; exit 1 when there is none.
# Without names: $PYTHON alone when it is set, else python3.11 to python3.14, else python3. "Really runs" is tried, because
# a version manager leaves names on PATH that only print an error; the interpreters behind such names are looked at too.
set -u

runs() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

if [ "$#" -eq 0 ]; then
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- python3.11 python3.12 python3.13 python3.14 python3
    fi
fi

for name in "$@"; do
    for candidate in "$name" "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/${name#python}".*/bin/"$name"; do
        if runs "$candidate"; then
            printf '%s\n' "$candidate"
            exit 0
        fi
    done
done
exit 1

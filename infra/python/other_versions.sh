#!/bin/sh
# Run the unit tests on every other supported Python that is present and really runs, each in an environment of its own.
set -u

ours=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
for version in 3.11 3.12 3.13 3.14; do
    if [ "$version" = "$ours" ]; then
        continue
    fi
    if ! python=$(sh infra/python/find.sh "python$version"); then
        echo "Python $version: none on this machine"
        continue
    fi
    echo "Python $version: unit tests"
    "$python" infra/python/install.py dev ".venv-$version" || exit 1
    ".venv-$version/bin/python" -m pytest -q -p no:cacheprovider tests/unit || exit 1
done

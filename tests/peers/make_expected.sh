#!/bin/sh
# make_expected.sh - makes tests/peers/expected/*.tsv again, with the peers themselves, on whole corpora: minutes to hours.
# Run by `make peers-full` in a build folder where ./bootstrap check has made the Python environment.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-venv/bin/python}
for script in "$here"/make_expected*.py; do
    echo "== $script"
    "$python" "$script"
done

#!/bin/sh
# check_symbols.sh LIBRARY HEADER - the shared library exports every function of the header, and nothing else.
set -eu
library=${1:-$PM_LIBRARY}
header=${2:-$PM_HEADER}
exported=$(nm -D --defined-only "$library" | awk '{ print $3 }' | sed 's/@.*//' | grep -v '^_' | sort)
declared=$(tr '\n' ' ' < "$header" | grep -o 'PM_API [^;]*(' | grep -o 'pm_[a-z0-9_]* *(' | tr -d ' (' | sort -u)
if [ "$exported" = "$declared" ]; then
    echo "symbols: 1 passed, 0 failed"
else
    printf 'exported and declared functions differ:\n'
    printf '%s\n' "$exported" > exported.tmp
    printf '%s\n' "$declared" | diff exported.tmp - || true
    rm -f exported.tmp
    echo "symbols: 0 passed, 1 failed"
    exit 1
fi

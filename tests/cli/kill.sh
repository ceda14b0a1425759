#!/bin/sh
# kill.sh - training that is killed at random moments (SIGKILL, sometimes SIGTERM or SIGINT) and begun again gives the same bytes.
#
#     PM_COMMAND=build/piecemill PM_SOURCE=. sh tests/cli/kill.sh [LOOPS [SIZE [SEED]]]
#
# BPE and BytePiece in turn. Each loop is one training of SIZE bytes of made text (18M) in a folder of its own, begun again until it gets through, each time with another
# number of threads and with or without a limit of memory. The output must not be there before a run gets through, and be whole then. Without
# LOOPS there are two, the short form of `make check`; `make kill` makes a hundred. PM_GROWTH: corpora/make_growth, compiled with CC unless given.
# Prints a line for each failure and a summary; exits 1 if something failed.
set -u
LC_ALL=C
export LC_ALL

loops=${1:-2} size=${2:-18M} seed=${3:-1}
command=${PM_COMMAND:-piecemill}
source=${PM_SOURCE:-$(dirname "$0")/../..}
work=$(mktemp -d "${TMPDIR:-/tmp}/piecemill-kill.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 99' INT TERM
mkdir "$work/tmp"
growth=${PM_GROWTH:-}
if [ -z "$growth" ]; then
    growth=$work/make_growth
    ${CC:-cc} -O2 -o "$growth" "$source/corpora/make_growth.c" -lm || exit 99
fi
"$growth" zh "$size" "$seed" > "$work/text.txt" || exit 99

failed=0 killed=0
fail() {
    failed=$((failed + 1))
    echo "FAILED: $*"
}

# train ARGUMENT...: to be called in a subshell, whose process becomes the command
train() { exec "$command" train -q -a "$algorithm" -v 8000 -p gpt2 --tmpdir "$work/tmp" -o "$work/out.piecemill" "$@" "$work/text.txt" 2> "$work/err"; }

now() { date +%s%N; }
for algorithm in bpe bytepiece; do
    begun=$(now)
    (train) || { cat "$work/err"; exit 99; }
    eval "span_$algorithm=$(($(now) - begun))"
    mv "$work/out.piecemill" "$work/expected.$algorithm"
done

# A random number of nanoseconds up to 1.5 times what a whole run took, as seconds.
moment() { awk -v seed="$1" -v span="$span" 'BEGIN { srand(seed); rand(); printf "%.6f", rand() * span * 1.5e-9 }'; }

# once LOOP TRY: a run that may be killed. 0: it got through.
once() {
    case $(($2 % 3)) in 0) set -- "$1" "$2" KILL 137 ;; 1) set -- "$1" "$2" TERM 143 ;; 2) set -- "$1" "$2" KILL 137 ;; esac
    limit=
    [ $(($2 % 2)) = 0 ] || limit="--memory-limit 400M"
    train --checkpoint "$work/checkpoint" --threads $(($2 % 3 + 1)) $limit &
    pid=$!
    [ "$2" -gt 30 ] || { sleep "$(moment $((seed * 1000003 + $1 * 1009 + $2)))"; kill -"$3" $pid 2> "$work/ignored"; }
    wait $pid 2> "$work/ignored"
    code=$?
    [ $code = 0 ] && return 0
    killed=$((killed + 1))
    [ $code = "$4" ] || fail "loop $1, run $2: left with $code instead of $4: $(cat "$work/err")"
    # killed between the end of saving and its own: the output is whole
    [ ! -e "$work/out.piecemill" ] || cmp -s "$work/out.piecemill" "$work/expected.$algorithm" || fail "loop $1, run $2: the output is not whole"
    return 1
}

loop=0
while [ $loop -lt "$loops" ]; do
    case $((loop % 2)) in 0) algorithm=bpe span=$span_bpe ;; 1) algorithm=bytepiece span=$span_bytepiece ;; esac
    try=0
    while ! once $loop $try; do
        try=$((try + 1))
        [ $try -lt 40 ] || { fail "loop $loop never ends"; break; }
    done
    cmp "$work/out.piecemill" "$work/expected.$algorithm" || fail "loop $loop: other bytes after $try kills"
    [ -z "$(ls "$work/tmp")" ] || fail "loop $loop: temporary files are left: $(ls "$work/tmp")"
    rm -rf "$work/out.piecemill" "$work/checkpoint"
    rm -f "$work"/out.piecemill.*.tmp # a run that was killed while it saved
    loop=$((loop + 1))
done
echo "kill: $loops trainings, killed $killed times, $failed failures"
[ $failed = 0 ]

#!/bin/sh
# each_cpu.sh - suites that split and encode, once with each PIECEMILL_CPU that this machine has; and the command's words
# about those it has not. Runs in the build folder, where `unit` is. The usual run of all suites takes the best one.
command=${PM_COMMAND:-./piecemill}
model=${PM_SOURCE:-.}/tests/models/good-bpe.tiktoken
passed=0
failed=0
best=$(env -u PIECEMILL_CPU "$command" --version | sed -n 's/.*cpu=\([a-z0-9]*\).*/\1/p')

say() { # WORD WHAT
    if [ "$1" = passed ]; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "FAILED: $2"; fi
}

for cpu in portable avx2 avx512 neon; do
    words=$(PIECEMILL_CPU=$cpu "$command" encode -m "$model" </dev/null 2>&1)
    code=$?
    case "$code $words" in
    "0 "*) ;;
    "1 "*PIECEMILL_CPU="$cpu"*"this machine has portable"*) say passed; continue ;;
    *) say failed "PIECEMILL_CPU=$cpu: exit code $code, \"$words\""; continue ;;
    esac
    if [ ! -x ./unit ]; then
        echo "SKIPPED: suites for each processor: Check is not installed"
        echo "each_cpu: $passed passed, $failed failed, 1 skipped"
        exit 0
    fi
    [ "$cpu" != "$best" ] || continue
    if PIECEMILL_CPU=$cpu ./unit split encode prune; then say passed; else say failed "suites with PIECEMILL_CPU=$cpu"; fi
done

words=$(PIECEMILL_CPU=abacus "$command" encode -m "$model" </dev/null 2>&1)
code=$?
case "$code $words" in
"2 "*PIECEMILL_CPU=abacus*"portable, avx2, avx512, neon"*) say passed ;;
*) say failed "PIECEMILL_CPU=abacus: exit code $code, \"$words\"" ;;
esac
echo "each_cpu: $passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]

#!/bin/sh
# run.sh - the command from outside: every kind of wrong call and wrong input, streams, signals, round trips, each example of the manual.
#
#     PM_COMMAND=build/piecemill PM_SOURCE=. sh tests/cli/run.sh
#
# PM_LONG=1: a line of 1 GB instead of 64 MB (3 GB of disk and of memory, some minutes). CC, PM_LIBRARY: for what is compiled here.
# Prints a line for each failure and "cli: N passed, N failed, N skipped"; exits 1 if something failed.
set -u
LC_ALL=C
export LC_ALL

command=${PM_COMMAND:-piecemill}
source=${PM_SOURCE:-$(dirname "$0")/../..}
case $command in */*) command=$(cd "$(dirname "$command")" && pwd)/$(basename "$command") ;; esac
source=$(cd "$source" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/piecemill-cli.XXXXXX") || exit 99
trap 'chmod -R u+rwx "$work"; rm -rf "$work"' EXIT
trap 'exit 99' INT TERM
cd "$work" || exit 99
mkdir bin tmp
TMPDIR=$work/tmp
export TMPDIR
printf '#!/bin/sh\nexec $prefix "%s" "$@"\n' "$command" > bin/piecemill # $prefix: a program that runs it, if any
chmod +x bin/piecemill
PATH=$work/bin:$PATH
cp "$source"/corpora/*.txt . 2> /dev/null

passed=0 failed=0 skipped=0
pass() { passed=$((passed + 1)); }
fail() {
    failed=$((failed + 1))
    echo "FAILED: $*"
}
skip() {
    skipped=$((skipped + 1))
    echo "SKIPPED: $*"
}

# call CODE WORDS ARGUMENT...: piecemill must leave with CODE and its stderr hold WORDS ("": must be empty). stdout goes to ./out.
call() {
    wanted=$1 words=$2
    shift 2
    piecemill "$@" > out 2> err < "${input:-/dev/null}"
    got=$?
    if [ $got -ne "$wanted" ]; then
        fail "piecemill $*: exit code $got instead of $wanted: $(head -c 300 err)"
    elif [ -z "$words" ] && [ -s err ]; then
        fail "piecemill $*: not quiet: $(head -c 300 err)"
    elif ! grep -qF -e "$words" err; then
        [ -z "$words" ] && pass || fail "piecemill $*: \"$words\" is not in: $(head -c 300 err)"
    else
        pass
    fi
}

# holds FILE WORDS, lacks FILE, same FILE FILE, equal VALUE VALUE: facts about what a call left behind.
holds() { if grep -qF -e "$2" "$1"; then pass; else fail "\"$2\" is not in $1: $(head -c 300 "$1")"; fi; }
lacks() { if ls -d "$1"* > /dev/null 2>&1; then fail "$1 was left behind: $(ls -d "$1"*)"; else pass; fi; }
same() { if cmp "$1" "$2" > cmp.out 2>&1; then pass; else fail "${3:-files differ}: $(cat cmp.out)"; fi; }
equal() { if [ "$1" = "$2" ]; then pass; else fail "${3:-values differ}: \"$1\" is not \"$2\""; fi; }

# ---------------------------------------------------------------- models to work with

head -c 200000 en.txt > small_en.txt
head -c 200000 zh.txt > small_zh.txt
printf 'one\ntwo\n\nthree\n' > few.txt
call 0 "" train -q -a bpe -v 2000 --special '<|endoftext|>' -o tokenizer.json small_en.txt
call 0 "" train -q -a bytepiece -v 2000 -o zh.piecemill small_zh.txt
[ -s tokenizer.json ] && [ -s zh.piecemill ] || { fail "no models, nothing else can be tried"; echo "cli: $passed passed, $failed failed, $skipped skipped"; exit 1; }

# ---------------------------------------------------------------- calls that are wrong

call 2 "a command is missing"
call 2 "inspect" fly
call 2 "is not a command" fly
call 0 "" --help
call 0 "" --version
holds out "piecemill 0."
for each in train count merge encode decode convert inspect; do
    call 0 "" $each --help
    holds out "usage: piecemill $each"
    call 0 "" $each -h
    call 2 "--nonsense" $each --nonsense
    call 2 "unknown option -Z" $each -Z
    # Every option of the help has its place in the manual.
    sed -n 's/^  \(-., \|    \)--\([a-z-]*\).*/\2/p' out > options
    while read -r option; do
        if grep -q -- "-$(echo "$option" | sed 's/-/\\\\-/g')\|-$option" "$source/cli/piecemill.1"; then pass; else fail "the manual does not tell of --$option"; fi
    done < options
done
call 2 "-a bytepiece|bpe is missing" train -v 1000 -o x.piecemill few.txt
call 2 "-v SIZE is missing" train -a bpe -o x.piecemill few.txt
call 2 "-o FILE is missing" train -a bpe -v 1000 few.txt
call 2 "expected bytepiece or bpe" train -a bpm -v 1000 -o x.piecemill few.txt
call 2 "needs an argument" train -a
call 2 "expected a number" train -a bpe -v many -o x.piecemill few.txt
call 2 "expected a number" train -a bpe -v 1000, -o x.piecemill few.txt
call 2 "expected a number" train -a bpe -v -5 -o x.piecemill few.txt
call 2 "too large" train -a bpe -v 9999G -o x.piecemill few.txt
call 2 "expected FILE=N" train -a bpe -v 1000 -o x.piecemill --mix few.txt
call 2 "expected FILE=N" train -a bpe -v 1000 -o x.piecemill --mix =2
call 2 "expected a number" train -a bpe -v 1000 -o x.piecemill --mix few.txt=
call 2 "expected a number" train -a bpe -v 1000 -o x.piecemill --mix few.txt=-1
call 2 "too large" train -a bpe -v 1000 -o x.piecemill --mix few.txt=1025K
call 2 "few.txt: a weight of 0" train -a bpe -v 1000 -o x.piecemill --mix few.txt=0
call 2 "has a weight already" train -a bpe -v 1000 -o x.piecemill --mix few.txt=2 --mix few.txt=2
call 1 "missing.txt" train -q -a bpe -v 1000 -o x.piecemill --mix missing.txt=2
for each in 0 0% 100.1% 101% 99999999999% 0.00001% % .5% -1% 1e1% 10 1%%; do
    case $each in
    0) call 2 "nothing would be taken" train -a bpe -v 1000 -o x.piecemill --sample 0 few.txt ;;
    10) call 2 "can be read twice" train -q -a bpe -v 1000 -o x.piecemill --sample 10 - ;;
    *) call 2 "expected a share from" train -a bpe -v 1000 -o x.piecemill --sample $each few.txt ;;
    esac
done
call 2 "expected a number" train -a bpe -v 1000 -o x.piecemill --sample 10X few.txt
call 2 "expected a number" train -a bpe -v 1000 -o x.piecemill --sample 1GBB few.txt
call 2 "expected a number" train -a bpe -v 1000 -o x.piecemill --sample 1B few.txt
call 2 "expected line, paragraph or document" train -a bpe -v 1000 --split word -o x.piecemill few.txt
call 2 "the ending tells no format" train -a bpe -v 1000 -o x.vocab few.txt
call 2 "not a format" train -a bpe -v 1000 --format zip -o x few.txt
call 2 "is not there" train -a bpe -v 1000 -o nowhere/x.piecemill few.txt
call 2 "is a folder" train -a bpe -v 1000 -o tmp --format native few.txt
call 2 "at least 256" train -q -a bpe -v 100 -o x.piecemill few.txt
call 2 "at least 257" train -q -a bpe -v 256 --special '<s>' -o x.piecemill few.txt
call 2 "at least 259" train -q -a bytepiece -v 258 -o x.piecemill few.txt
call 2 "pattern:1: a parenthesis" train -q -a bpe -v 1000 -p 'a(b' -o x.piecemill few.txt
call 2 "pattern:2: pattern 2 of 2" train -q -a bpe -v 1000 -p '\d' -p 'ab[c' -o x.piecemill few.txt
for each in bpe bytepiece; do
    call 2 "'<s>' is given twice" train -q -a $each -v 1000 --special '<s>' --special '<s>' -o x.piecemill few.txt
done
call 2 "cannot be empty" train -q -a bpe -v 1000 --special '' -o x.piecemill few.txt
call 2 "a tokenizer is missing" encode few.txt
call 2 "a tokenizer is missing" decode few.txt
call 2 "inspect takes one file" inspect
call 2 "inspect takes one file" inspect a b
call 2 "decode reads one file" decode -m tokenizer.json a b
call 2 "expected text or u32" encode -m tokenizer.json --format u16 few.txt
call 2 "expected 0 or more" encode -m zh.piecemill --alpha -1 few.txt
lacks x

# ---------------------------------------------------------------- which documents are taken

# A weight is that many readings, in whatever way the file is named; the summary tells it.
call 0 "" train -q -a bpe -v 600 -o thrice.tiktoken small_en.txt small_zh.txt small_zh.txt small_zh.txt
call 0 "" train -q -a bpe -v 600 -o mix.tiktoken --mix small_zh.txt=3 small_en.txt
same thrice.tiktoken mix.tiktoken "--mix"
call 0 "small_zh.txt: took" train -a bpe -v 600 -o mix.tiktoken --mix small_zh.txt=3 small_zh.txt small_en.txt
holds err "KiB, 3 times"
holds err "bytes by script: "
same thrice.tiktoken mix.tiktoken "--mix of an operand"
call 0 "" train -q -a bpe -v 600 -o once.tiktoken small_en.txt small_zh.txt
if cmp -s once.tiktoken mix.tiktoken; then fail "a weight changes nothing"; else pass; fi
# Equal documents count once.
call 0 "small_en.txt: took 0 of" train -a bpe -v 600 -o dup.tiktoken --remove-duplicates small_en.txt small_en.txt
call 0 "" train -q -a bpe -v 600 -o nodup.tiktoken --remove-duplicates small_en.txt
same dup.tiktoken nodup.tiktoken "--remove-duplicates"
awk '!seen[$0]++' small_en.txt > unique.txt
call 0 "" train -q -a bpe -v 600 -o unique.tiktoken unique.txt
same unique.tiktoken nodup.tiktoken "--remove-duplicates beside awk"
awk 'BEGIN { for (i = 0; i < 900000; i++) print i }' > lines.txt # their hashes need 32 MB, and get half of the limit
call 0 "" train -q -a bpe -v 600 -o x.tiktoken --remove-duplicates lines.txt small_en.txt lines.txt small_en.txt
call 0 "" train -q -a bpe -v 600 -o y.tiktoken --remove-duplicates --memory 57M --threads 1 lines.txt small_en.txt lines.txt small_en.txt
same x.tiktoken y.tiktoken "duplicates found on disk"
call 1 "No such file" train -q -a bpe -v 600 -o y.tiktoken --remove-duplicates --memory 57M --threads 1 --tmpdir /nowhere lines.txt
rm -f lines.txt x.tiktoken y.tiktoken
# A sample does not depend on threads or on how the text lies in files; its size is about what was asked for.
call 0 "" train -q -a bpe -v 400 -o a.piecemill --sample 30% --seed 5 --threads 1 small_en.txt
head -c 70000 small_en.txt | head -n -1 > en1.txt
tail -c +$(($(wc -c < en1.txt) + 1)) small_en.txt > en2.txt
call 0 "" train -q -a bpe -v 400 -o b.piecemill --sample 30% --seed 5 --threads 3 en2.txt en1.txt
same a.piecemill b.piecemill "--sample over other files"
call 0 "" train -q -a bpe -v 400 -o b.piecemill --sample 30% --seed 6 small_en.txt
if cmp -s a.piecemill b.piecemill; then fail "the seed changes nothing"; else pass; fi
call 0 "" train -q --json -a bpe -v 400 -o b.piecemill --sample 50KiB --mix small_zh.txt=2 --remove-duplicates small_en.txt
if command -v python3 > python.path; then
    python3 - << 'END' && pass || fail "the summary of a sample: $(cat out)"
import json
s = json.load(open("out"))
assert [(r["name"], r["weight"]) for r in s["sources"]] == [("small_en.txt", 1), ("small_zh.txt", 2)], s
assert sum(r["taken_bytes"] for r in s["sources"]) == s["bytes"] == sum(s["scripts"].values()) and 20_000 < s["bytes"] < 90_000, s
assert sum(r["taken_documents"] for r in s["sources"]) == s["documents"] and s["scripts"]["Han"] > 1000, s
END
else
    skip "no python3 to read the summary"
fi
call 0 "" inspect b.piecemill
holds out "sample=51200 bytes"
holds out "remove_duplicates=true"
# Which pieces want a look: what is repeated in one document, what mixes scripts; counts beside those of the ids themselves.
awk 'BEGIN { for (i = 0; i < 60; i++) print "the cat " i % 7 " sat with \316\261\316\262ab"; for (i = 0; i < 90; i++) printf "casino "; print "" }' > spam.txt
call 0 "" train -q -a bpe -v 280 -p gpt2 -o spam.piecemill spam.txt
call 0 "" inspect -q --report 2 spam.piecemill
holds out "pieces found in the fewest documents (2 of 24): at most as many as it was counted"
call 0 "" inspect -q --report 1 spam.piecemill spam.txt
holds out "61 documents, "
equal "$(sed -n '/in the fewest/{n;n;p;}' out | tr -s ' ')" ' 262 7 89 1 89 " casino"' "the piece in the fewest documents"
holds out "Greek, Latin"
call 0 "" inspect -q --json --report 1000 spam.piecemill small_en.txt spam.txt
cp out report.json
call 0 "" encode -q -m spam.piecemill --split line small_en.txt spam.txt
if command -v python3 > python.path; then
    python3 - << 'END' && pass || fail "the report does not count what is encoded"
import collections, json
r = json.load(open("report.json"))["report"]
tokens, documents = collections.Counter(), collections.Counter()
lines = [line.split() for line in open("out")]
for ids in lines:
    tokens.update(map(int, ids))
    documents.update(set(map(int, ids)))
assert (r["documents"], r["tokens"]) == (len(lines), sum(tokens.values()))
rows = r["longest"] + r["rarest"] + r["mixed"]
assert len(r["longest"]) == 24 == len(r["rarest"]) + r["n_unused"] and r["n_mixed"] == len(r["mixed"]) > 0, r
assert all((documents[row["id"]], tokens[row["id"]]) == (row["documents"], row["tokens"]) for row in rows)
assert [row["len"] for row in r["longest"]] == sorted((row["len"] for row in rows[:24]), reverse=True)
assert [row["documents"] for row in r["rarest"]] == sorted(row["documents"] for row in r["rarest"])
END
else
    skip "no python3 to read the report"
fi
call 0 "" count -q -a bpe -p gpt2 --documents -o spam.counts small_en.txt spam.txt
call 0 "" inspect -q --json --report 1000 --counts spam.counts spam.piecemill
if command -v python3 > python.path; then
    python3 - << 'END' && pass || fail "the report of a count file does not bound that of its text"
import json
text, counts = json.load(open("report.json"))["report"], json.load(open("out"))["report"]
assert counts["documents_at_most"] and not text["documents_at_most"]
assert (counts["documents"], counts["tokens"]) == (text["documents"], text["tokens"])
exact, bound = ({row["id"]: (row["tokens"], row["documents"]) for row in r["longest"]} for r in (text, counts))
assert exact.keys() == bound.keys() and all(exact[i][0] == bound[i][0] and exact[i][1] <= bound[i][1] for i in exact)
assert sum(exact[i][1] == bound[i][1] for i in exact) > 3 and max(b[1] for b in bound.values()) <= counts["documents"]
END
else
    skip "no python3 to read the report"
fi
call 2 "in the place of texts" inspect --report 3 --counts spam.counts spam.piecemill spam.txt
call 2 "in the place of texts" inspect --counts spam.counts spam.piecemill
call 2 "count files are for bpe" inspect --report 3 --counts spam.counts zh.piecemill
call 1 "missing.counts" inspect --report 3 --counts missing.counts spam.piecemill
call 1 "spam.txt" inspect --report 3 --counts spam.txt spam.piecemill
call 2 "expected a number" inspect --report many spam.piecemill
call 1 "missing.txt" inspect --report 3 spam.piecemill missing.txt
call 2 "with --report texts behind it" inspect spam.piecemill spam.txt
# A file that is written to while it is read.
( for i in 1 2 3 4 5 6 7 8 9; do cat small_en.txt small_zh.txt; done ) > growing.txt
mkfifo first.txt
( exec 3> first.txt; sleep 0.2; echo more >> growing.txt; echo text >&3 ) & # the second file changes while the first one is waited for
call 1 "growing.txt: was changed while the corpus was read" train -q -a bpe -v 600 -o x.piecemill first.txt growing.txt
wait
lacks x

# ---------------------------------------------------------------- inputs that are wrong

: > empty.txt
for each in "train -q -a bpe -v 1000 -o x.piecemill" "train -q -a bytepiece -v 1000 -o x.piecemill" "encode -m tokenizer.json"; do
    call 1 "piecemill: missing.txt: " $each missing.txt
    call 1 "tmp: is a folder" $each tmp
    call 1 "missing.txt" $each few.txt missing.txt
    printf '{"text":"a"}\n{"text":1}\n' > bad.jsonl
    call 1 "bad.jsonl:21: " $each bad.jsonl
    printf '{"text":"a"}\n{"txt":"b"}\n' > bad.jsonl
    call 1 "bad.jsonl:13: the object has no field" $each bad.jsonl
    touch closed.txt && chmod 0 closed.txt
    if [ "$(id -u)" = 0 ]; then # root may read every file, unless without these capabilities
        prefix="setpriv --bounding-set -dac_override,-dac_read_search"
        export prefix
    fi
    if [ "$(id -u)" = 0 ] && ! $prefix true 2> /dev/null; then
        skip "root may read every file, and setpriv cannot take that away here"
    else
        call 1 "closed.txt: " $each closed.txt
    fi
    unset prefix
    rm -f closed.txt
done
call 1 "the corpus holds no text" train -q -a bpe -v 1000 -o x.piecemill empty.txt
call 1 "the corpus holds no text" train -q -a bytepiece -v 1000 -o x.piecemill empty.txt
call 1 "the corpus holds no text" train -q -a bpe -v 1000 -o x.piecemill empty.txt empty.txt -
lacks x
call 0 "" encode -m tokenizer.json empty.txt
equal "$(od -An -c out | tr -d ' ')" '\n' "an empty file is an empty document"

if command -v gzip > gzip.path; then
    gzip -c small_en.txt > small_en.txt.gz
    cp small_en.txt.gz nameless
    call 0 "" encode -m tokenizer.json small_en.txt
    mv out plain.ids
    call 0 "" encode -m tokenizer.json small_en.txt.gz
    same out plain.ids "gzip"
    call 0 "" encode -m tokenizer.json nameless
    same out plain.ids "gzip by its first bytes"
    input=nameless call 0 "" encode -m tokenizer.json -
    same out plain.ids "gzip on standard input"
    head -c 5000 small_en.txt.gz > short.txt.gz
    call 1 "short.txt.gz:" encode -m tokenizer.json short.txt.gz
    call 1 "short.txt.gz:" train -q -a bpe -v 1000 -o x.piecemill short.txt.gz
    (cat small_en.txt.gz && echo tail) > tail.txt.gz
    call 1 "tail.txt.gz:200000: garbage" encode -m tokenizer.json tail.txt.gz
else
    skip "no gzip"
fi
if command -v zstd > zstd.path; then
    (head -c 1000 small_en.txt | zstd -q && tail -c +1001 small_en.txt | zstd -q) > small_en.txt.zst
    call 0 "" encode -m tokenizer.json small_en.txt
    mv out plain.ids
    call 0 "" encode -m tokenizer.json small_en.txt.zst
    same out plain.ids "zstd"
    head -c 30000 small_en.txt.zst > short.txt.zst
    call 1 "short.txt.zst:" encode -m tokenizer.json short.txt.zst
    (cat small_en.txt.zst && echo tail) > tail.txt.zst
    call 1 "tail.txt.zst:200000: garbage" encode -m tokenizer.json tail.txt.zst
    call 1 "tail.txt.zst:200000: garbage" train -q -a bpe -v 1000 -o x.piecemill tail.txt.zst
    # A window of 2^31 bytes, as a stream of unknown length has it: taken when asked for.
    zstd -q --ultra -1 --long=31 < small_en.txt > wide.txt.zst
    call 1 "wide.txt.zst:0: the zstd window" encode -m tokenizer.json wide.txt.zst
    call 1 "max_window" train -q -a bpe -v 1000 -o x.piecemill wide.txt.zst
    call 0 "" encode --max-window 2G -m tokenizer.json wide.txt.zst
    same out plain.ids "zstd with a wide window"
    call 0 "" train -q --max-window 2G -a bpe -v 1000 -o wide.piecemill wide.txt.zst
    call 2 "2^31" encode --max-window 3G -m tokenizer.json wide.txt.zst
else
    skip "no zstd"
fi

# A document that does not fit into memory: said, and the machine's fault.
if (ulimit -v 400000 && piecemill --version) > tried 2>&1; then
    head -c 600000000 /dev/zero | (ulimit -v 400000 && piecemill encode --count -m tokenizer.json) > out 2> err
    equal $? 3 "a document larger than memory"
    holds err "out of memory"
    head -c 600000000 /dev/zero | (ulimit -v 400000 && piecemill train -q -a bpe -v 1000 --threads 1 -o x.piecemill) > out 2> err
    equal $? 3 "a line larger than memory"
    holds err "out of memory"
    lacks x
else
    skip "memory cannot be limited here"
fi

# One that does not fit into the memory allowed is not even read.
head -c 64000000 /dev/zero > zeros.txt
call 3 "zeros.txt: memory_limit is too small for the document" train -q -a bpe -v 300 --threads 1 --memory-limit 32M -o x.piecemill zeros.txt
call 3 "memory_limit of 8388608 bytes is too small: with 2 threads it must be 33554432 at least" train -q -a bpe -v 300 --threads 2 --memory-limit 8M -o x.piecemill zeros.txt
lacks x

# Models: missing, a folder, empty, cut off anywhere, not a model.
for each in "encode -m" "decode -m" "inspect"; do
    call 1 "missing.piecemill: " $each missing.piecemill
    call 1 "tmp: " $each tmp
    call 1 "empty.piecemill" $each empty.piecemill
    call 1 "few.txt" $each few.txt
    for size in 1 7 16 40 200 5000 20000; do
        head -c $size zh.piecemill > cut.piecemill
        call 1 "cut.piecemill" $each cut.piecemill
    done
    head -c 5000 tokenizer.json > cut.json
    call 1 "cut.json" $each cut.json
done 2> /dev/null

# Every file of the table in tests/models, by its verdict: 0, or 1 and the words of the table.
while IFS='|' read -r nothing file format status offset words why; do
    file=$(echo $file) format=$(echo $format) words=$(echo "$words" | sed 's/^ *//; s/ *$//')
    case $file in
    good-*) call 0 "" inspect --from "$format" "$source/tests/models/$file" ;;
    bad-*) call 1 "${words:-piecemill: }" inspect $([ "$format" = auto ] || echo "--from $format") "$source/tests/models/$file" ;;
    esac
done < "$source/tests/models/README.md"
call 0 "" train -q -a bpe -v 300 -p '' -o few.tiktoken few.txt
call 0 "the format holds neither" train -a bpe -v 300 -p '' -o few.tiktoken few.txt
call 0 "few.tiktoken: the format holds no pattern and none was given (-p): text is not split" encode -m few.tiktoken few.txt
call 0 "" encode -m few.tiktoken -p '' few.txt
call 2 "'<s>' is given twice" encode -m few.tiktoken --special '<s>' --special '<s>' few.txt

# A regex made for another version of Unicode: refused, unless asked for.
other=$source/tests/models/bad-pattern-unicode.piecemill
echo 65 66 67 > other.ids
call 1 "--any-unicode" encode -m "$other" few.txt
call 1 "--any-unicode" decode -m "$other" other.ids
call 1 "--any-unicode" inspect "$other"
call 0 "" encode --any-unicode -m "$other" few.txt
call 0 "" decode --any-unicode -m "$other" other.ids
call 0 "" inspect --any-unicode "$other"
holds out "[a-z]+"

# Ids.
printf '1 2\n3 x\n' > ids
call 1 "ids:6: expected decimal ids" decode -m tokenizer.json ids
printf '65 66\n77 99999\n' > ids
call 1 "ids:9: id 99999 is not in the vocabulary" decode -m tokenizer.json ids
printf '65 99999999999999999999\n' > ids
call 1 "ids:3: the number is too large" decode -m tokenizer.json ids
printf '65 -1\n' > ids
call 1 "ids:3: expected" decode -m tokenizer.json ids
printf 'abc' > ids
call 1 "ids:0: the input ends inside an id" decode -m tokenizer.json --format u32 ids
call 1 "missing: cannot open" decode -m tokenizer.json missing
call 1 "tmp:" decode -m tokenizer.json tmp
input=few.txt call 1 "standard input:0: expected" decode -m tokenizer.json

# A pattern without end: a limit and its place, not a hang.
awk 'BEGIN { for (i = 0; i < 5000; i++) printf "a"; print "!" }' > backtrack.txt
call 1 "too many steps" train -q -a bpe -v 400 -p '^(a+)+$' -o x.piecemill backtrack.txt
lacks x
call 1 "backtrack.txt:0: the pattern needs too many steps here" encode -m few.tiktoken -p '^(a+)+$' backtrack.txt
call 1 "backtrack.txt:0: the pattern needs too many steps here" encode -m few.tiktoken -p '^(a+)+$' few.txt backtrack.txt

# Zero bytes and line ends of Windows: text like any other, and white space between ids.
printf 'one\r\n\0two\0\r\n\r\nthree\r\n%s' "$(cat few.txt)" > crlf.txt
for each in bpe bytepiece; do
    call 0 "" train -q --min-count 1 -a $each -v 300 -o crlf.piecemill crlf.txt
    for split in line paragraph document; do
        call 0 "" encode --no-normalize --split $split -m crlf.piecemill crlf.txt
        sed 's/$/\r/' out > crlf.ids
        call 0 "" decode -m crlf.piecemill crlf.ids
        same out crlf.txt "zero bytes and CRLF by $each, $split"
    done
done
printf '{"text":"a\\u0000\\r\\n"}\r\n\r\n{"text":"b"}\r\n' > crlf.jsonl
printf 'a\0\r\nb' > wanted
call 0 "" encode -m tokenizer.json crlf.jsonl
mv out crlf.ids
call 0 "" decode -m tokenizer.json crlf.ids
same out wanted "records that end in CRLF"
printf '65\0 66\n' > nul.ids
call 1 "nul.ids:2: expected decimal ids" decode -m tokenizer.json nul.ids

# A very long line between two short ones: nothing lost, nothing slow.
if [ "${PM_LONG:-}" = 1 ]; then long=1073741824; else long=67108864; fi
printf 'first\n' > long.txt
tr '\n' ' ' < en.txt > one_line
while [ "$(wc -c < long.txt)" -lt $long ]; do cat one_line one_line one_line one_line one_line one_line one_line one_line; done >> long.txt
printf '\nlast\n' >> long.txt
for each in bpe bytepiece; do
    call 0 "" train -q --json -a $each -v 1000 -o long.piecemill long.txt
    holds out '"documents": 3, "bytes": '"$(wc -c < long.txt | tr -d ' ')"
    call 0 "" encode --no-normalize --split line --format u32 -m long.piecemill long.txt
    mv out long.ids
    if piecemill decode --format u32 -m long.piecemill long.ids | cmp - long.txt > cmp.out 2>&1; then pass; else fail "a long line by $each: $(cat cmp.out)"; fi
done
rm -f long.txt long.ids one_line

# ---------------------------------------------------------------- outputs

call 0 "fewer than the 3,000 asked for" train -a bpe -v 3000 -o few.piecemill few.txt
call 0 "fewer than the 30,000 asked for" train -a bytepiece -v 30000 -o few.piecemill few.txt
call 0 "" train -q --json -a bpe -v 3000 -o few.piecemill few.txt
holds out '"smaller_than_asked": true'
call 0 "" train -q -a bytepiece -v 600,1K -o many.piecemill small_zh.txt
if [ -s many.600.piecemill ] && [ -s many.1024.piecemill ]; then pass; else fail "sizes are not in the names"; fi
call 0 "" train -q -a bpe -v 1000 -p superbpe --split-scripts -o scripts.piecemill small_en.txt small_zh.txt
call 0 "" train -q -a bpe -v 1000 -p superbpe -p scripts -o twice.piecemill small_en.txt small_zh.txt
cmp -s scripts.piecemill twice.piecemill && pass || fail "--split-scripts is not -p scripts behind the pattern"
call 0 "" train -q -a bytepiece -v 1000 --split-scripts -o scripts_b.piecemill small_en.txt
call 0 "" inspect scripts_b.piecemill
holds out "scripts"
call 0 "" train -q -a bpe --level char --character-coverage 0.9 -v 3000 -o chars.piecemill small_en.txt small_zh.txt
call 0 "" encode -m chars.piecemill small_zh.txt
cp out chars.ids
call 0 "" decode -m chars.piecemill chars.ids
same out small_zh.txt "--level char"
call 2 "expected byte or char" train -q -a bpe --level word -v 3000 -o x.piecemill small_en.txt
call 2 "above 0, at most 1" train -q -a bpe --level char --character-coverage 2 -v 3000 -o x.piecemill small_en.txt
call 0 "" train -q -a bpe -v 400 -p gpt2 --special '<|a|>' -o base.piecemill small_en.txt
call 0 "" train -q -a bpe -v 700 -p gpt2 --special '<|a|>' -o whole.tiktoken small_en.txt
call 0 "" train -q -a bpe -v 700 --extend base.piecemill -o extended.tiktoken small_en.txt
same whole.tiktoken extended.tiktoken "at once and extended"
call 0 "" train -q -a bpe -v 700 --extend base.piecemill -p superbpe --max-words 2 --max-piece-length 9 --utf8-boundaries \
    --required-pieces 'of the' --required-pieces that --excluded-pieces ' people' -o second.piecemill small_en.txt
call 0 "" inspect second.piecemill
for each in max_piece_length=9 max_words=2 utf8_boundaries=1 required_pieces=2 excluded_pieces=1 extends=; do holds out "$each"; done
call 2 "holds no pattern" train -q -a bpe -v 900 --extend whole.tiktoken -o x.piecemill small_en.txt
call 0 "" train -q -a bpe -v 900 --extend whole.tiktoken -p gpt2 -o gpt2.piecemill small_en.txt
call 1 "none.piecemill" train -q -a bpe -v 900 --extend none.piecemill -o x.piecemill small_en.txt
call 2 "leaves room for" train -q -a bpe -v 300 --extend base.piecemill -o x.piecemill small_en.txt
call 2 "an option of BPE" train -q -a bytepiece -v 300 --max-words 2 -o x.piecemill small_en.txt
call 2 "a single byte" train -q -a bpe -v 300 --excluded-pieces x -o x.piecemill small_en.txt
call 2 "has 0 bytes" train -q -a bpe -v 300 --required-pieces '' -o x.piecemill small_en.txt
call 0 "" train -q -a bpe -v 1000 --special '<|a|>' --special '<|b,c|>' --reserve 3 --round-to 64 --layout hf -o other --format hf small_en.txt
call 0 "" inspect other
holds out "special tokens     2"
call 0 "" train -q --json -a bpe -v 700 --threads 1 -o one.piecemill small_en.txt small_zh.txt
holds out '"smaller_than_asked": false'
call 0 "" train -q -a bpe -v 700 --threads 3 -o three.piecemill small_en.txt small_zh.txt
same one.piecemill three.piecemill "one thread and three"
cat small_en.txt > stream
input=stream call 0 "" train -q -a bpe -v 2000 --special '<|endoftext|>' -o stream.tokenizer.json -
same tokenizer.json stream.tokenizer.json "standard input"
call 0 "" inspect --json zh.piecemill
if command -v python3 > python.path; then
    if python3 -m json.tool < out > /dev/null; then pass; else fail "inspect --json is not JSON"; fi
    call 0 "" train -q --json -a bytepiece -v 600,700 -o j.piecemill small_zh.txt
    if python3 -m json.tool < out > /dev/null; then pass; else fail "train --json is not JSON"; fi
else
    skip "no python3 to read JSON"
fi

if [ -c /dev/full ]; then
    for each in "encode -m tokenizer.json small_en.txt" "inspect zh.piecemill" "encode --count -m tokenizer.json few.txt" "--help" "train --help"; do
        piecemill $each > /dev/full 2> err
        equal $? 3 "piecemill $each > /dev/full"
        holds err "standard output: cannot write"
    done
    piecemill encode -m tokenizer.json small_en.txt | piecemill decode -m tokenizer.json > /dev/full 2> err
    equal $? 3 "decode > /dev/full"
    call 3 "/dev/full: cannot write" train -q -a bpe -v 700 --format native -o /dev/full small_en.txt
else
    skip "no /dev/full"
fi

# A disk that is full in the middle of a model: the old file stays, nothing lies beside it.
mkdir full
call 0 "" train -q -a bpe -v 300 -o full/x.piecemill few.txt
cp full/x.piecemill old.piecemill
for each in bpe bytepiece; do
    (trap '' XFSZ && ulimit -f 8 && piecemill train -q -a $each -v 2000 -o full/x.piecemill small_en.txt) > out 2> err
    equal $? 3 "train -a $each onto a full disk"
    holds err "full/x.piecemill: cannot write"
    same full/x.piecemill old.piecemill "the old file"
    equal "$(ls full)" x.piecemill "a full disk leaves nothing beside"
done

# A reader that goes away: no word, the end of other tools.
for i in 1 2 3 4 5 6 7 8; do cat en.txt; done > big.txt
(piecemill encode --split line -m tokenizer.json big.txt 2> err; echo $? > code) | head -n 1 > first
equal "$(cat code)" 141 "encode | head -n 1"
same err empty.txt "a closed pipe is quiet"
(piecemill encode -m tokenizer.json big.txt | piecemill decode -m tokenizer.json 2> err; :) | head -c 10 > first
same err empty.txt "a closed pipe is quiet (decode)"

# ---------------------------------------------------------------- signals

mkdir signals
mkfifo fifo
sleep 20 > fifo &
sleeper=$!
piecemill train -a bpe -v 1000 -o signals/x.piecemill - < fifo 2> err &
pid=$!
sleep 1
kill -TERM $pid
wait $pid
equal $? 143 "train dies by SIGTERM while it waits for input"
kill $sleeper
wait $sleeper 2> /dev/null
lacks signals/x

for each in bpe bytepiece; do
    while cat big.txt; do :; done > fifo 2> /dev/null &
    piecemill train -q -a $each -v 3000 -o signals/x.piecemill fifo 2> err &
    pid=$!
    sleep 1
    kill -TERM $pid
    wait $pid
    equal $? 143 "train -a $each dies by SIGTERM while it reads"
    same err empty.txt "train -a $each says nothing when it is ended"
    wait
    lacks signals/x
done
if timeout -s INT --preserve-status 5 env --default-signal=INT true > tried 2>&1; then
    sleep 20 > fifo &
    sleeper=$!
    timeout -s INT --preserve-status 1 env --default-signal=INT piecemill train -a bpe -v 1000 -o signals/x.piecemill - < fifo 2> err
    equal $? 130 "train dies by SIGINT"
    kill $sleeper
    wait $sleeper 2> /dev/null
    lacks signals/x
else
    skip "no timeout and env that set signals"
fi
equal "$(ls tmp)" "" "temporary files are left"

# ---------------------------------------------------------------- checkpoints: kill.sh has the random moments
train="train -q -a bpe -v 600 -p gpt2"
call 0 "" $train -o plain.piecemill en.txt
call 0 "" $train --checkpoint begun -o gone.piecemill en.txt
same gone.piecemill plain.piecemill "a checkpoint changes nothing"
call 0 "" $train --checkpoint begun -o gone.piecemill en.txt
same gone.piecemill plain.piecemill "a finished checkpoint gives the same again"
rm gone.piecemill
call 2 "begun/checkpoint: counted with other settings: pattern" train -q -a bpe -v 600 --checkpoint begun -o gone.piecemill en.txt
call 2 "begun/checkpoint: counted with other settings: min_count" $train --min-count 3 --checkpoint begun -o gone.piecemill en.txt
call 1 "begun: the corpus is not the one that this checkpoint was begun with" $train --checkpoint begun -o gone.piecemill zh.txt
cp begun/checkpoint-merges kept
echo more >> begun/checkpoint-merges
call 1 "begun/checkpoint-merges: damaged: its checksum is wrong" $train --checkpoint begun -o gone.piecemill en.txt
mv kept begun/checkpoint-merges
rm begun/checkpoint-0001.counts
call 1 "begun/checkpoint-0001.counts: cannot open" $train --checkpoint begun -o gone.piecemill en.txt
call 1 "no/such/folder: cannot create this folder" $train --checkpoint no/such/folder -o gone.piecemill en.txt
call 3 "en.txt/checkpoint-lock: cannot open: Not a directory" $train --checkpoint en.txt -o gone.piecemill en.txt
call 2 "checkpoint" train -q -a bytepiece -v 600 --checkpoint begun -o gone.piecemill en.txt
lacks gone.piecemill
if [ -z "${prefix:-}" ]; then
    if PM_COMMAND=$command PM_SOURCE=$source sh "$source/tests/cli/kill.sh" > killed 2>&1; then pass; else fail "$(cat killed)"; fi
else
    skip "kill.sh: the command runs inside another program"
fi

# ---------------------------------------------------------------- text to ids to text

for each in en zh code mixed; do
    [ -f $each.txt ] || { skip "no corpora/$each.txt"; continue; }
    for model in tokenizer.json zh.piecemill; do
        for split in document paragraph line; do
            call 0 "" encode --no-normalize --split $split -m $model $each.txt
            mv out ids
            call 0 "" decode -m $model ids
            same out $each.txt "$each.txt by $model, $split"
        done
        call 0 "" encode --no-normalize --format u32 --threads 1 -m $model $each.txt
        mv out ids
        call 0 "" decode --format u32 -m $model ids
        same out $each.txt "$each.txt by $model, u32"
    done
done
if command -v python3 > python.path; then
    python3 "$source/corpora/make_hostile.py" hostile 65536
    for each in hostile/*; do
        for model in tokenizer.json zh.piecemill; do
            if piecemill encode -q --no-normalize -m $model "$each" | piecemill decode -m $model | cmp - "$each" > cmp.out 2>&1; then pass; else fail "$each by $model: $(cat cmp.out)"; fi
        done
    done
else
    skip "no python3 to make hostile text"
fi

call 0 "" encode --split line -m tokenizer.json few.txt
equal "$(wc -l < out | tr -d ' ')" 4 "lines of ids"
call 0 "" encode --split line --threads 3 -m tokenizer.json big.txt
mv out ids
call 0 "" encode --split line --threads 1 -m tokenizer.json big.txt
same out ids "three threads and one"
call 0 "" encode --count -m tokenizer.json small_en.txt small_zh.txt
mv out counts
call 0 "" encode -m tokenizer.json small_en.txt small_zh.txt
equal "$(awk '{ print NF }' out)" "$(cat counts)" "counts"
printf '{"text":"one\\n"}\n\n{"id":3,"text":"\\u4e2d\\ud83d\\ude00"}\n{"text":""}\n' > r.jsonl
call 0 "" encode -m tokenizer.json r.jsonl
mv out ids
equal "$(wc -l < ids | tr -d ' ')" 3 "records of JSONL"
call 0 "" decode -m tokenizer.json ids
printf 'one\n\344\270\255\360\237\230\200' > wanted
same out wanted "text of JSONL"
printf '{"body":"one"}\n' > body
input=body call 0 "" encode --field body -m tokenizer.json
mv out ids
call 0 "" decode -m tokenizer.json ids
equal "$(cat out)" one "a field of JSONL on standard input"

# Special tokens: ordinary text unless allowed, an error where disallowed.
printf 'a<|endoftext|>b' > special.txt
call 0 "1 documents held the text of a special token" encode -m tokenizer.json special.txt
mv out ordinary
call 0 "" encode --allowed-special all -m tokenizer.json special.txt
equal "$(wc -w < out | tr -d ' ')" 3 "ids with the special token allowed"
mv out allowed
call 0 "" encode --allowed-special '<|endoftext|>' -m tokenizer.json special.txt
same out allowed "allowed by name"
call 0 "" decode -m tokenizer.json allowed
same out special.txt "a special token decodes to its text"
call 1 "special.txt:1: " encode --disallowed-special all -m tokenizer.json special.txt
call 1 "special.txt:1: " encode --disallowed-special all -m tokenizer.json few.txt special.txt
printf 'x\ny\na<|endoftext|>b' > special.txt
call 1 "special.txt:5: " encode --split line --disallowed-special all -m tokenizer.json few.txt special.txt
call 1 "special.txt:5: " encode --split line --disallowed-special '<|endoftext|>' -m tokenizer.json special.txt
call 2 "nobody" encode -q --allowed-special '<|nobody|>' -m tokenizer.json special.txt
call 0 "" encode --add-special-tokens -m zh.piecemill few.txt
holds out "1 "
call 0 "" encode --alpha 0.2 --seed 7 -m zh.piecemill small_zh.txt
mv out drawn
call 0 "" encode --alpha 0.2 --seed 7 --threads 2 -m zh.piecemill small_zh.txt
same out drawn "same seed"
call 0 "" encode --alpha 0.2 --seed 8 -m zh.piecemill small_zh.txt
if cmp -s out drawn; then fail "another seed, the same ids"; else pass; fi
call 0 "" encode --split line -m zh.piecemill few.txt
mv out lines
call 0 "" encode --split line --nbest 3 -m zh.piecemill few.txt
awk -F '\t' '!seen[$1]++ { print $3 }' out > first
same first lines "the first of the n best is the best"
awk -F '\t' 'n[$1]++ && $2 + 0 > before { exit 1 } n[$1] > 3 { exit 1 } { before = $2 + 0 }' out || fail "n-best is not in order"
cut -f 3 out | sort | uniq -d > twice
equal "$(wc -c < twice | tr -d ' ')" 0 "n-best gives no segmentation twice"
call 2 "expected 1 or more" encode -m zh.piecemill --nbest 0 few.txt
call 2 "goes with none of" encode -m zh.piecemill --nbest 2 --count few.txt
call 2 "goes with none of" encode -m zh.piecemill --nbest 2 --alpha 0.1 few.txt
call 2 "BPE" encode --nbest 2 -m tokenizer.json few.txt
printf 'a low\nlower' > fix.txt
call 0 "" encode --offsets --split line -m tokenizer.json fix.txt
awk -F '\t' 'NF != 4 || $2 >= $3 || $2 != end[$1] + 0 { exit 1 } { end[$1] = $3 } END { if (end[1] != 6 || end[2] != 5) exit 1 }' out || fail "offsets leave a gap"
call 2 "goes with none of" encode -m tokenizer.json --offsets --count fix.txt
call 2 "goes with none of" encode -m zh.piecemill --offsets --marginals fix.txt
head -n 2 small_zh.txt | tail -n 1 > fix.txt
call 0 "" encode --marginals -m zh.piecemill fix.txt
awk -F '\t' 'NF != 5 || $1 != 1 || $2 >= $3 || $5 < 0 || $5 > 1 { exit 1 } { for (i = $2; i < $3; i++) sum[i] += $5; n = i }
    END { for (i = 0; i < n; i++) if (sum[i] < 0.999999 || sum[i] > 1.000001) exit 1 }' out || fail "marginals of a byte do not sum to 1"
mv out ones
call 0 "" encode --marginals --alpha 0.1 -m zh.piecemill fix.txt
if cmp -s out ones; then fail "alpha does not change marginals"; else pass; fi
call 2 "goes with none of" encode -m zh.piecemill --marginals --nbest 2 few.txt
call 2 "goes with none of" encode -m zh.piecemill --marginals --format u32 few.txt
call 2 "BPE" encode --marginals -m tokenizer.json few.txt

# ---------------------------------------------------------------- convert

call 2 "convert takes two files" convert
call 2 "convert takes two files" convert zh.piecemill
call 2 "standard output" convert zh.piecemill -
call 2 "is not a format" convert --to word zh.piecemill converted
call 2 "the ending names no format" convert zh.piecemill converted
lacks converted
call 1 "missing.piecemill" convert missing.piecemill converted.piecemill
call 2 "replace a file it is made from" convert zh.piecemill small_zh.txt small_zh.txt
call 2 "tiktoken files hold BPE" convert zh.piecemill converted.tiktoken
lacks converted
call 2 "cannot create" convert tokenizer.json "$work/not/there.piecemill"
call 0 "" convert tokenizer.json converted.piecemill
call 0 "" convert converted.piecemill back.tokenizer.json
same tokenizer.json back.tokenizer.json "to the native format and back"
call 0 "" convert --to tiktoken tokenizer.json converted.ranks
call 0 "0 of " convert tokenizer.json converted.tiktoken small_en.txt
call 0 "" convert -q --json tokenizer.json converted.piecemill small_en.txt few.txt
holds out '"lost": [], "documents": '
holds out '"differ": 0, "tokens": ['
holds out '"first": null}'
call 0 "other ids" convert --from hf --to native tokenizer.json converted.two few.txt
call 1 "missing.txt" convert tokenizer.json converted.piecemill missing.txt

# ---------------------------------------------------------------- languages by temperature

head -c 20000 small_zh.txt > little.txt
call 0 "% of all" train -a bpe -v 1000 --temperature 3.3 -o warm.piecemill small_en.txt little.txt
call 0 "" inspect warm.piecemill
holds out "temperature=3.3 by file"
call 0 "" train -q --json -a bytepiece -v 1000 --temperature 1e9 -o warm.piecemill small_en.txt little.txt
holds out '"share": 0.50'
call 0 "" train -q --json -a bytepiece -v 1000 --temperature 1e9 --temperature-by folder -o warm.piecemill small_en.txt little.txt
holds out '"weight": 64'
call 2 "expected 1 or more" train -q -a bpe -v 1000 --temperature 0.9 -o warm.piecemill small_en.txt
call 2 "expected file or folder" train -q -a bpe -v 1000 --temperature 2 --temperature-by script -o warm.piecemill small_en.txt
call 2 "no temperature is given" train -q -a bpe -v 1000 --temperature-by folder -o warm.piecemill small_en.txt
input=small_en.txt
call 2 "read twice" train -q -a bpe -v 1000 --temperature 2 -o warm.piecemill
input=
call 2 "temperature" count -q -a bpe --temperature 2 -o warm.counts small_en.txt

# ---------------------------------------------------------------- examples of the manual and of --help, in a folder with zh.txt and en.txt

example() {
    if (cd examples && eval "$1") > out 2> err < /dev/null; then pass; else fail "example: $1: $(head -c 300 err)"; fi
}
mkdir examples
cp small_en.txt examples/en.txt
cp small_zh.txt examples/zh.txt
printf '{"text":"one"}\n{"text":"two"}\n' > examples/records.jsonl
sed -n 's/^\.Dl \$ //p' "$source/cli/piecemill.1" | sed 's/\\-/-/g; s/\\e/\\/g; s/\\(aq/'"'"'/g; s/\\&//g' > lines
while read -r line; do
    example "$line"
done < lines
n=$(wc -l < lines)
if [ "$n" -ge 8 ]; then pass; else fail "only $n examples in the manual"; fi
for each in train count merge encode decode convert inspect; do
    piecemill $each --help | sed -n '/^examples:/,$ s/^  //p' > lines
    while read -r line; do
        example "$line"
    done < lines
done

# The README's commands, in a clean folder with corpora/; its lines of C as a program.
block() { sed -n "/^## $1/,/^## /p" "$source/README.md" | sed -n '/^```/,/^```$/p' | sed '/^```/d'; }
mkdir readme && cp -R "$source/corpora" readme/
if command -v zstd > zstd.path && [ -s readme/corpora/en.txt ]; then
    zstd -q -o readme/more.txt.zst readme/corpora/en.txt
    (block "From the shell" && echo 'cmp corpora/zh.txt zh.again') > readme/commands
    if [ "$(wc -l < readme/commands)" -ge 8 ]; then pass; else fail "no commands in the README"; fi
    if (cd readme && sh -e ./commands) > out 2> err < /dev/null; then pass; else fail "the README's commands: $(tail -n 3 err)"; fi
    if [ -s readme/zh.again ] && [ -s readme/en.tiktoken ] && [ -s readme/more.piecemill ]; then pass; else fail "the README's commands left no files"; fi
else
    skip "no zstd or no corpora/ for the README's commands"
fi
if [ -n "${CC:-}" ] && [ -n "${PM_LIBRARY:-}" ] && [ -s readme/zh.piecemill ]; then
    block "From C" > lines
    (echo '#include <stdio.h>' && grep '^#include' lines && echo 'int main(void) {' && grep -v '^#include' lines &&
        echo 'puts(n ? "ids" : "no ids"); return n == 0; }') > readme.c
    if $CC -I"$source/lib/include" -o readme/program readme.c "$PM_LIBRARY" 2> err &&
        (cd readme && LD_LIBRARY_PATH=$(dirname "$PM_LIBRARY") ./program) > out 2>> err; then pass; else fail "the README's C: $(head -c 300 err)"; fi
    holds out "ids"
else
    skip "no CC or PM_LIBRARY for the README's C"
fi

# All commands of the guide to training.
if [ -s readme/corpora/en.txt ]; then
    sed -n '/^```sh$/,/^```$/p' "$source/docs/training.md" | sed '/^```/d' > readme/guide
    if [ "$(grep -c '^piecemill' readme/guide)" -ge 25 ]; then pass; else fail "no commands in docs/training.md"; fi
    if (cd readme && sh -e ./guide) > out 2> err < /dev/null; then pass; else fail "the commands of docs/training.md: $(tail -n 3 err)"; fi
else
    skip "no corpora/ for the commands of docs/training.md"
fi

# ---------------------------------------------------------------- count files

head -c 100000 zh.txt > a.txt && head -c 100000 en.txt > b.txt
cat a.txt b.txt > ab.txt
call 2 "-a bpe|bytepiece is missing" count -o x.counts a.txt
call 2 "expected bytepiece or bpe" count -a unigram -o x.counts a.txt
call 2 "-o FILE is missing" count -a bpe a.txt
call 2 "is not there" count -a bpe -o nowhere/x.counts a.txt
call 2 "a count file is missing" merge -o x.counts
# The text is not replaced by what is made from it, under any of its names.
cp a.txt kept.txt
ln -sf kept.txt kept.piecemill
call 2 "kept.txt: the result would replace" count -q -a bpe -o kept.txt kept.txt
call 2 "kept.txt: the result would replace" count -q -a bpe -o kept.txt --mix ./kept.txt=2
call 2 "kept.piecemill: the result would replace" train -q -a bpe -v 300 -o kept.piecemill a.txt kept.txt
cmp -s a.txt kept.txt && pass || fail "the corpus was replaced"
call 2 "cannot go to standard output" count -q -a bpe -o - a.txt
call 2 "-o FILE is missing" merge a.counts
call 2 "pattern:1: a parenthesis" count -q -a bpe -p 'a(b' -o x.counts a.txt
call 1 "missing.txt" count -q -a bpe -o x.counts missing.txt
call 1 "holds no text" count -q -a bpe -o x.counts empty.txt
call 1 "missing.counts" merge -q -o x.counts missing.counts
call 1 "a.txt:0: not a count file" merge -q -o x.counts a.txt
lacks x.counts
for part in a b ab; do
    call 0 "distinct" count -a bpe --documents --split document --json -o $part.counts $part.txt
    holds out '"documents": 1, "bytes": '
done
call 0 "" merge -q -o merged.counts b.counts a.counts
call 0 "" count -q -a bpe --documents --split document --threads 1 -o one.counts a.txt b.txt
same merged.counts one.counts "counts of parts"
call 0 "" merge -q -o a.counts a.counts b.counts
same a.counts one.counts "a merge onto one of its files"
call 0 "" train -q -a bpe -v 1000 --counts one.counts -o counted.piecemill
call 0 "" train -q -a bpe -v 1000 --split document -o trained.piecemill a.txt b.txt
same counted.piecemill trained.piecemill "trained from counts and from text"
call 0 "counted before: 2 documents" train -a bpe -v 1000 --min-documents 2 --counts one.counts -o counted.piecemill
call 0 "" train -q -a bpe -v 1000 --split document --min-documents 2 -o trained.piecemill a.txt b.txt
same counted.piecemill trained.piecemill "min_documents from counts and from text"
call 0 "" count -q -a bpe --split document -o plain.counts a.txt
call 1 "plain.counts: counted with other settings: documents=yes is true not here but in one.counts" merge -q -o x.counts one.counts plain.counts
call 0 "" count -q -a bpe -p gpt2 --split document --documents -o gpt2.counts a.txt
call 1 "gpt2.counts: counted with other settings: pattern is 'gpt2' here and 'o200k_base' in one.counts" merge -q -o x.counts one.counts gpt2.counts
call 1 "gpt2.counts: counted with other settings: pattern is 'gpt2' here and 'cl100k_base' in this call" \
    train -q -a bpe -p cl100k_base -v 1000 --counts gpt2.counts -o x.piecemill
call 1 "documents were not counted" train -q -a bpe -v 1000 --min-documents 2 --counts plain.counts -o x.piecemill
call 2 "--split is about text" train -q -a bpe -v 1000 --counts one.counts --split document -o x.piecemill
call 2 "--seed is about text" train -q -a bpe -v 1000 --counts one.counts --seed 3 -o x.piecemill
call 2 "a.txt: there are count files to train from" train -q -a bpe -v 1000 --counts one.counts -o x.piecemill a.txt
call 1 "one.counts: holds pre-tokens for BPE" train -q -a bytepiece -v 1000 --counts one.counts -o x.piecemill
for part in a b; do
    call 0 "n-grams, " count -a bytepiece --ngram-order 5 --split document -o $part.ngrams $part.txt
done
call 0 "n-grams, " merge -o ab.ngrams b.ngrams a.ngrams
for part in a b; do
    call 0 "pieces, " count -a bytepiece --pieces ab.ngrams --documents --min-count 3 --split document -o $part.pieces $part.txt
done
call 0 "pieces, " merge -o ab.pieces b.pieces a.pieces
call 0 "" train -q -a bytepiece -v 1000,700 --counts ab.pieces -o counted.piecemill
call 0 "" train -q -a bytepiece -v 1000,700 --ngram-order 5 --min-count 3 --split document -o trained.piecemill a.txt b.txt
same counted.700.piecemill trained.700.piecemill "BytePiece from counts and from text"
same counted.1000.piecemill trained.1000.piecemill "BytePiece from counts and from text"
call 0 "" train -q -a bytepiece -v 1000 --min-documents 2 --counts a.pieces --counts b.pieces -o counted.piecemill
call 0 "" train -q -a bytepiece -v 1000 --min-documents 2 --ngram-order 5 --min-count 3 --split document --memory-limit 60M -o trained.piecemill a.txt b.txt
same counted.piecemill trained.piecemill "min_documents of BytePiece from counts and from text"
call 0 "" inspect ab.pieces
holds out "counts=pieces"
call 1 "ab.ngrams: holds n-grams: count pieces with them first" train -q -a bytepiece -v 1000 --counts ab.ngrams -o x.piecemill
call 1 "ab.pieces: holds pieces, not n-grams" count -q -a bytepiece --pieces ab.pieces -o x.counts a.txt
call 1 "split is 'document' here and 'line' in this call" count -q -a bytepiece --pieces ab.ngrams -o x.counts a.txt
call 2 "documents is an option of counting pre-tokens and pieces" count -q -a bytepiece --documents -o x.counts a.txt
call 2 "ngrams is an option of counting BytePiece" count -q -a bpe --pieces ab.ngrams -o x.counts a.txt
call 0 "" train -q -a bytepiece -v 1000 -p gpt2 --mix b.txt=2 --required-pieces "quite new" --excluded-pieces " the" -o words.piecemill a.txt
call 0 "" encode -q -m words.piecemill b.txt
call 0 "" decode -q -m words.piecemill out
call 0 "" train -q -a bytepiece -v 1000 --checkpoint kept -o trained.piecemill a.txt b.txt
call 0 "" train -q -a bytepiece -v 1000,800 --checkpoint kept --threads 1 -o again.piecemill a.txt b.txt
same again.1000.piecemill trained.piecemill "BytePiece from a finished checkpoint"
call 1 "the corpus is not the one" train -q -a bytepiece -v 1000 --checkpoint kept -o x.piecemill b.txt
call 0 "" count -q -a bpe --split document --mix b.txt=3 --sample 90% --seed 2 -o mixed.counts a.txt
call 0 "" train -q -a bpe -v 1000 --counts mixed.counts -o counted.piecemill
call 0 "" train -q -a bpe -v 1000 --split document --mix b.txt=3 --sample 90% --seed 2 -o trained.piecemill a.txt
same counted.piecemill trained.piecemill "a mix and a sample from counts and from text"
call 2 "there are count files to train from" train -q -a bpe -v 1000 --mix a.txt=2 --counts one.counts -o x.piecemill
call 0 "" inspect one.counts
holds out "algorithm=bpe"
holds out "documents=yes"
call 0 "" inspect --json mixed.counts
holds out '"sample=900000 of 1000000", "seed=2"]}'
head -c 5000 one.counts > cut.counts
call 1 "cut.counts:5000: truncated" merge -q -o x.counts cut.counts
call 1 "cut.counts:5000: truncated" inspect cut.counts
call 1 "cut.counts:5000: truncated" train -q -a bpe -v 1000 --counts cut.counts -o x.piecemill
(head -c 3000 one.counts && printf 'XXXX' && tail -c +3005 one.counts) > damaged.counts
call 1 "damaged.counts:" merge -q -o x.counts damaged.counts
holds err "damaged: "
call 1 "damaged: " train -q -a bpe -v 1000 --counts damaged.counts -o x.piecemill
(head -c 8 one.counts && printf '\002' && tail -c +10 one.counts) > later.counts
call 1 "later.counts:8: version 2" merge -q -o x.counts later.counts
call 1 "tmp: is a folder" merge -q -o x.counts tmp
many=$(printf 'one.counts %.0s' 1 2 3 4 5 6 7 8) # more than are merged at once need temporary files
call 1 "nowhere: cannot create a temporary file in this folder" merge -q --tmpdir nowhere -o x.counts $many $many $many $many $many $many $many $many $many
if [ -w /dev/full ]; then call 3 "No space left" merge -q -o /dev/full one.counts; else skip "no /dev/full"; fi
lacks x.

# ---------------------------------------------------------------- each allocation of the program fails once

nth=$work/nth_malloc.so
rm -f struck
bare=$command libraries=${LD_LIBRARY_PATH:-} # without libtool's wrapper, which takes longer than the program
if [ -x "$(dirname "$command")/.libs/piecemill" ]; then
    bare=$(dirname "$command")/.libs/piecemill
    libraries=$(dirname "$bare")
fi
PM_FAIL_IN=piecemill PM_FAIL_LOG=$work/struck
export PM_FAIL_IN PM_FAIL_LOG
failing() { # N ARGUMENT...: the N-th allocation fails
    PM_FAIL_AT=$1 && export PM_FAIL_AT
    shift
    LD_LIBRARY_PATH=$libraries LD_PRELOAD=$nth "$bare" "$@" > out 2> err
}
sweep() { # ARGUMENT...: "out of memory" and exit code 3, or the same as ever where the program can do without
    n=0 good=yes
    rm -f swept.piecemill
    piecemill "$@" > as_ever 2> /dev/null
    mv -f swept.piecemill ever.piecemill 2> /dev/null
    while [ $good = yes ]; do
        rm -f struck swept.piecemill
        n=$((n + 1))
        failing $n "$@"
        got=$?
        [ -e struck ] || break
        case $got in
        0) cmp -s out as_ever && { [ ! -e swept.piecemill ] || cmp -s swept.piecemill ever.piecemill; } || good=no ;;
        3) grep -q 'out of memory' err && [ ! -e swept.piecemill ] || good=no ;;
        *) good=no ;;
        esac
    done
    if [ $good = yes ] && [ $n -gt 50 ]; then pass; else fail "allocation $n of piecemill $*: exit code $got: $(head -c 300 err)"; fi
    rm -f swept.piecemill
    lacks swept.
}
if [ -n "${CC:-}" ] && $CC -shared -fPIC -o "$nth" "$source/tests/faults/nth_malloc.c" 2> err && { failing 1 inspect zh.piecemill || :; } && [ -e struck ]; then
    head -c 2000 en.txt > little.txt
    piecemill encode -m zh.piecemill little.txt > little.ids
    sweep train -q -a bpe -v 300 --threads 1 --special '<s>' -p '[a-z]+' -o swept.piecemill little.txt
    sweep train -q -a bytepiece -v 280 --threads 1 -o swept.piecemill few.txt
    sweep encode -q -m zh.piecemill --threads 1 --split line little.txt
    sweep encode -q -m few.tiktoken -p gpt2 --special '<s>' --special '<t>' --allowed-special '<s>,<t>' --threads 2 little.txt
    sweep decode -m zh.piecemill little.ids
    sweep inspect --json zh.piecemill
    rm -f swept.*
    sweep count -q -a bpe -p gpt2 --threads 1 -o swept.piecemill little.txt
    cp ever.piecemill little.counts
    sweep merge -q -o swept.piecemill little.counts little.counts little.counts
    sweep train -q -a bpe -v 300 --threads 1 --counts little.counts -o swept.piecemill
else
    skip "no CC to make allocations fail, or nothing can be preloaded"
fi

echo "cli: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]

"""bench/bench.py and bench/phases.py on made-up figures: ratios, refusing other ids, the targets, the record, phases of samples."""

import importlib
import math
import os
import re
import sys
import xml.etree.ElementTree

import pytest

from conftest import ROOT

FOLDER = os.path.join(ROOT, "bench")
if not os.path.exists(os.path.join(FOLDER, "bench.py")):
    pytest.skip("bench/ is not here", allow_module_level=True)
sys.path.insert(0, FOLDER)
bench = importlib.import_module("bench")
plot = importlib.import_module("plot")
phases = importlib.import_module("phases")
sys.path.remove(FOLDER)


def test_ratio_is_above_one_in_our_favour():
    assert bench.ratio(200, 100) == 2
    assert bench.ratio(1, 4, inverted=True) == 4
    assert math.isnan(bench.ratio(None, 1)) and math.isnan(bench.ratio(1, 0))


def test_other_ids_get_no_speed():
    rows = {"piecemill": {"sha1": "a", "cold_mb_s": 2.0}, "same": {"sha1": "a", "cold_mb_s": 1.0}, "other": {"sha1": "b", "cold_mb_s": 9.0}}
    good, complaints = bench.agreeing(rows, ["sha1"])
    assert list(good) == ["piecemill", "same"]
    assert len(complaints) == 1 and "other" in complaints[0] and "no speed" in complaints[0]
    printed = list(bench.beside("work", "/x/zh.txt", good, [("cold_mb_s", "cold MB/s", False)]))
    assert printed == [["work", "zh.txt", "cold MB/s", "2", "same", "1", "2.00"]]


def test_a_result_that_cannot_be_read_is_said_to_be_so():
    good, complaints = bench.agreeing({"piecemill": {"sha1": "a"}, "mute": {"sha1": None}}, ["sha1"])
    assert "mute" in good and "cannot be read" in complaints[0]


def test_the_best_of_several_runs():
    best = bench.keep_best({"sha1": "a", "mb": 1, "s": 5}, {"sha1": "a", "mb": 3, "s": 7}, {"mb": max, "s": min})
    assert best == {"sha1": "a", "mb": 3, "s": 5}
    with pytest.raises(SystemExit, match="different results"):
        bench.keep_best(best, {"sha1": "b"}, {})


def made_up_facts():
    """Every target is met, narrowly."""
    facts = {("beside", "zh", 1, "gigatoken", "cold"): 10.0, ("beside", "zh", 1, "quicktok", "cold"): 1.0, ("beside", "zh", 1, "gigatoken", "warm"): 24.0}
    asked = {"zh": (6, 2.3), "en": (2, 1.15), "code": (2.2, 1.15), "multi": (3, 1.2)}
    for name, (cold, warm) in asked.items():
        for key, times in (("cold", cold), ("warm", warm)):
            facts["python", name, 1, "gigatoken", key] = 10.0
            facts["python", name, 1, "quicktok", key] = 5.0
            facts["python", name, 1, "piecemill", key] = 10.0 * times + 0.1
            facts["python", name, 2, "piecemill", key] = 20.0 * times
        for pattern in bench.VOCABS:
            facts["c", pattern, name, 1] = {"cold_mb_s": 71.0, "warm_mb_s": 60.0, "beyond_mb": 63.0, "sha1": "a"}
        facts["c", bench.MAIN, name, 2] = {"cold_mb_s": 140.0, "warm_mb_s": 119.0, "beyond_mb": 64.0, "sha1": "a"}
        facts["cpu", bench.MAIN, name, "portable"] = {"cold_mb_s": 20.0, "warm_mb_s": 30.0, "sha1": "a"}
        facts["str", bench.MAIN, name] = {"cold_mb_s": 50.0, "warm_mb_s": 50.0, "sha1": "a"}
        facts["short", bench.MAIN, name] = {"cold_mb_s": 43.0, "warm_mb_s": 36.0}
        facts["single", bench.MAIN, name] = {"warm_mb_s": 60.0, "count_mb_s": 61.0, "decode_mb_s": 1001.0, "sha1": "a"}
        facts["normal", name] = {"cold_mb_s": 60.0, "warm_mb_s": 60.0}
    for name in ("en", "zh"):
        facts["calls", name] = {"different_ns": 299.0, "repeated_ns": 100.0}
    facts["bytepiece", "zh"] = {"cold_mb_s": 50.0, "warm_mb_s": 50.0}
    facts["load", bench.MAIN] = {"native_ms": 99.0}
    for name in bench.HOSTILE:
        facts["hostile", name] = {"cold_mb_s": 20.5, "warm_mb_s": 21.0}
    for name in ("zh", "en"):
        facts["train bytepiece", name, 1, 1, "piecemill"], facts["train bytepiece", name, 1, 1, "bytepiece"] = {"encode_mb_s": 81.0}, {"encode_mb_s": 4.0}
    return facts


def test_targets_that_are_met():
    rows = bench.targets(made_up_facts())
    assert {row[3] for row in rows} == {"yes"}, [row for row in rows if row[3] != "yes"]
    assert rows[0][2].startswith("6.01 (") and "gigatoken 10" in rows[0][2]  # against the best peer, not the slower one


def test_targets_that_are_not_measured():
    assert {row[3] for row in bench.targets({})} == {"not measured"}


@pytest.mark.parametrize("change, words", [
    (lambda f: f.update({("python", "code", 1, "quicktok", "cold"): 11.0}), "code cold, from str"),
    (lambda f: f["c", "gpt2", "multi", 1].update(warm_mb_s=50.0), "gpt2 against"),
    (lambda f: f["c", bench.MAIN, "en", 2].update(beyond_mb=65.0), "memory beyond"),
    (lambda f: f["calls", "zh"].update(different_ns=301.0), "ns, zh"),
    (lambda f: f["hostile", "emoji.txt"].update(cold_mb_s=19.0), "emoji.txt"),
    (lambda f: f["load", bench.MAIN].update(native_ms=101.0), "native file"),
    (lambda f: f.update({("train bytepiece", "en", 1, 1, "bytepiece"): {"encode_mb_s": 5.5}}), "BytePiece en"),
    (lambda f: f["single", bench.MAIN, "code"].update(decode_mb_s=999.0), "decoding"),
])
def test_a_target_that_is_missed_says_no(change, words):
    facts = made_up_facts()
    change(facts)
    missed = [row for row in bench.targets(facts) if row[3] == "no"]
    assert len(missed) == 1 and words in missed[0][0], missed


def test_rows_of_c_with_other_ids_than_a_peer_are_left_out(capsys):
    measuring = bench.Bench.__new__(bench.Bench)
    measuring.hashes = {(bench.MAIN, "zh"): "a", ("cl100k_base", "zh"): "b", ("gpt2", "zh"): None}
    row = lambda sha1: {"sha1": sha1, "cold_mb_s": 1.0, "warm_mb_s": 1.0, "beyond_mb": 1.0}
    best = {("c", bench.MAIN, "zh", 1): row("a"), ("c", bench.MAIN, "zh", 2): row("x"), ("c", "cl100k_base", "zh", 1): row("b"),
            ("c", "llama3", "zh", 1): row("c"), ("cpu", bench.MAIN, "zh", "portable"): row("y"), ("c", "gpt2", "zh", 1): row("d"), ("c", "qwen2", "zh", 1): row("e")}
    good = measuring.refuse(best)
    assert set(best) - set(good) == {("c", bench.MAIN, "zh", 2), ("c", "llama3", "zh", 1), ("cpu", bench.MAIN, "zh", "portable")}
    out = capsys.readouterr().out
    assert out.count("other ids") == 3 and "no peer gives ids for gpt2" in out


def test_every_row_of_c_can_be_printed():
    facts = made_up_facts()
    for key, row in facts.items():
        if isinstance(row, dict):
            row.setdefault("text", "x.txt")
            row.setdefault("cold_mb_s", 1.0)
            row.setdefault("load_ms", 1.0)
    rows = list(bench.c_rows({k: v for k, v in facts.items() if isinstance(v, dict) and k[0] != "single"},
                             [{"bytes": 1 << 20, "what": "scan", "unit": "GB/s", "value": 3.0}]))
    assert rows[0] == ["the machine", "1 MiB", "scan, GB/s", "3", "", "", ""]
    assert all(len(row) == 7 and all(isinstance(cell, str) for cell in row) for row in rows)
    assert any(row[0] == "C: llama3 with the ranks of cl100k_base, 1 thread" for row in rows)


def made_up_training():
    """Every target is met, narrowly."""
    facts = {("limit", "zh", "64M"): {"seconds": 1.0, "above_base_mb": 70.0}, ("limit", "zh", "28M"): {"seconds": 1.0, "above_base_mb": 30.0}}
    for name, mb, faster, smaller in (("zh", 20, 10, 5), ("zh", 47, 10, 7), ("en", 17, 3.5, 2), ("en", 39, 3.5, 2)):
        facts["bpe", name, mb, "gigabpe"] = {"seconds": 4.1, "above_base_mb": 70}
        facts["bpe", name, mb, "piecemill"] = {"seconds": 4.0 / faster, "above_base_mb": 69 / smaller}
    return facts


def test_targets_of_training():
    assert [row[3] for row in bench.training_targets(made_up_training())] == ["yes"] * 11
    assert [row[3] for row in bench.training_targets({})] == ["not measured"] * 11
    slow = made_up_training()
    slow["bpe", "zh", 20, "piecemill"]["seconds"] = 0.5
    slow["limit", "zh", "28M"]["above_base_mb"] = 31.0
    assert [row[0] for row in bench.training_targets(slow) if row[3] == "no"] == ["BPE, zh 20 MB, times faster than gigabpe", "BPE, zh 47 MB with a limit of 28 MB, memory in MB"]


def made_up_bytepiece():
    """Every target is met, narrowly."""
    facts = {}
    for name, sizes in bench.BYTEPIECE_MB.items():
        facts["train bytepiece", name, 1, 1, "bytepiece"] = {"train_s": 10.0, "train_mb_s": 0.1, "encode_mb_s": 4.0, "above_base_mb": 500, "model_sha1": "a"}
        for mb in sizes:
            for threads in (1, 2):
                rate = 12.1 * (1.75 if threads == 2 else 1)
                facts["train bytepiece", name, mb, threads, "piecemill"] = {"train_s": mb / rate, "train_mb_s": rate, "encode_mb_s": 101.0, "above_base_mb": 19 if mb == 1 else 7 * mb, "model_sha1": "a"}
    facts["large bytepiece", 1024, 2, "512M"], facts["large bytepiece", 10240, 2, "1G"] = {"above_base_mb": 560.0}, {"above_base_mb": 1100.0}
    return facts


def test_targets_of_bytepiece():
    facts = made_up_bytepiece()
    rows = bench.bytepiece_targets(facts)
    assert [row[3] for row in rows] == ["yes"] * 16, rows
    assert {row[3] for row in bench.bytepiece_targets({})} == {"not measured"}
    facts["train bytepiece", "zh", 40, 2, "piecemill"]["train_mb_s"] = 20.0
    facts["large bytepiece", 1024, 2, "512M"]["above_base_mb"] = 570.0
    assert [row[0] for row in bench.bytepiece_targets(facts) if row[3] == "no"] == ["BytePiece, zh 40 MB, two threads against one", "BytePiece, 1 GB with a limit of 512 MB, memory in MB"]


def test_rows_of_bytepiece_stand_beside_what_they_are_compared_with():
    facts = made_up_bytepiece()
    rows = [row for name, sizes in bench.BYTEPIECE_MB.items() for mb in sizes for threads in (1, 2) for row in bench.bytepiece_rows(facts, name, mb, threads)]
    assert len({(row[0], row[1], row[2], row[4]) for row in rows}) == len(rows) and all(len(row) == 7 for row in rows)
    assert [plot.BYTEPIECE[1], "zh-1MB.txt", "training MB/s", "12.1", "bytepiece", "0.1", "121.00"] in rows
    assert [plot.BYTEPIECE[1], "zh-40MB.txt", "training MB/s", "12.1", "bytepiece, 1 MB", "0.1", "121.00"] in rows
    assert [plot.BYTEPIECE[2], "zh-40MB.txt", "training MB/s", "21.18", "1 thread", "12.1", "1.75"] in rows
    drawn = plot.points(rows, plot.CHARTS["bytepiece.svg"][0])["zh", "seconds"]
    assert set(drawn) == {"piecemill", "piecemill, 2 threads", "bytepiece"} and set(drawn["piecemill"]) == {1, 10, 40} and drawn["bytepiece"] == {1: 10.0}
    xml.etree.ElementTree.fromstring(plot.svg(rows, *plot.CHARTS["bytepiece.svg"]))
    facts["train bytepiece", "en", 1, 2, "piecemill"]["model_sha1"] = "b"
    with pytest.raises(SystemExit, match="other models"):
        list(bench.bytepiece_rows(facts, "en", 1, 2))


def test_large_text_must_give_one_model():
    free = {"sha1": "a", "seconds": 80.0, "mb_s": 13.0, "above_base_mb": 3000.0, "spilled_mb": 0.0}
    rows = list(bench.large_rows("growth zh 1024M", 2, "512M", {"min_count": 32}, free, free))
    assert rows[0] == ["train BytePiece 16,000, 2 threads, memory_limit 512M, min_count 32", "growth zh 1024M", "seconds", "80", "", "", ""] and len(rows) == 4
    assert list(bench.large_rows("x", 1, None, {}, None, None)) == []
    with pytest.raises(SystemExit, match="another model"):
        list(bench.large_rows("x", 1, None, {}, {**free, "sha1": "b"}, free))


def test_a_limit_is_compared_only_where_merges_are_the_same():
    free = {"sha1": "a", "seconds": 2.0, "cpu_seconds": 4.0, "above_base_mb": 100.0, "spilled_mb": 0.0}
    limited = {"sha1": "a", "seconds": 4.0, "cpu_seconds": 5.0, "above_base_mb": 50.0, "spilled_mb": 70.0}
    rows = list(bench.limit_rows("zh.txt", 1, "64M", limited, free))
    assert rows[0] == ["train BPE 32,000, 1 thread, memory_limit 64M", "zh.txt", "seconds", "4", "no limit", "2", "0.50"] and len(rows) == 4
    assert list(bench.limit_rows("zh.txt", 1, "64M", None, free)) == []
    with pytest.raises(SystemExit, match="other merges"):
        list(bench.limit_rows("zh.txt", 1, "64M", {**limited, "sha1": "b"}, free))


def test_the_plot_shows_each_library_at_each_size():
    rows = []
    for kind in ("zh", "en"):
        for mb in (5, 10, 40):
            for peer, factor in (("gigabpe", 8), ("tokenizers", 80)):
                rows.append([plot.WORK, f"{kind}-{mb}MB.txt", "seconds", str(0.02 * mb), peer, str(0.02 * mb * factor), "8", "machine", "aaa", "2026-01-01"])
    rows += [["other work", "zh-5MB.txt", "seconds", "1", "gigabpe", "2", "2"], [plot.WORK, "zh.txt", "seconds", "1", "gigabpe", "2", "2"]]
    assert plot.points(rows, {plot.WORK: ""})["zh", "seconds"] == {"piecemill": {5: 0.1, 10: 0.2, 40: 0.8}, "gigabpe": {5: 0.8, 10: 1.6, 40: 6.4}, "tokenizers": {5: 8, 10: 16, 40: 64}}
    drawn = xml.etree.ElementTree.fromstring(plot.svg(rows, {plot.WORK: ""}, "a title"))
    lines = [e.get("points").split() for e in drawn.iter("{http://www.w3.org/2000/svg}polyline")]
    assert len(lines) == 6 and all(len(line) == 3 for line in lines)
    for line in lines:  # more text to the right, more seconds higher up
        x, y = zip(*(map(float, point.split(",")) for point in line))
        assert list(x) == sorted(x) and list(y) == sorted(y, reverse=True) and 0 < min(y) and max(x) < float(drawn.get("width"))
    labels = [e.text for e in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert labels.count("piecemill") == labels.count("tokenizers") == 2


def test_labels_of_a_plot_do_not_cover_each_other():
    assert plot.spread({"a": 10.0, "b": 12.0, "c": 80.0}, 14) == {"a": 10.0, "b": 24.0, "c": 80.0}


def test_the_record_keeps_the_newest_of_each_kind(tmp_path):
    path = str(tmp_path / "RESULTS.md")
    row = lambda text, ours: ["encode", text, "cold MB/s", ours, "gigatoken", "1", "2.00"]
    bench.record(path, [row("zh.txt", "1"), row("en.txt", "2")], {"Targets": [["a target", "at least 1", "2", "yes"]]}, ["machine", "aaa", "2026-01-01"])
    bench.record(path, [row("zh.txt", "3")], {"Targets of training": [["a third", "at least 1", "2", "yes"]]}, ["machine", "bbb", "2026-01-02"])
    with open(path) as file:
        text = file.read()
    assert bench.read_table(text, len(bench.COLUMNS)) == [row("zh.txt", "3") + ["machine", "bbb", "2026-01-02"], row("en.txt", "2") + ["machine", "aaa", "2026-01-01"]]
    assert "machine, aaa, 2026-01-01" in text and text.count("a target") == 1  # targets of the last run that measured them
    bench.record(path, [], {"Targets": [["another", "at least 1", "0", "no"]], "Targets of training": []}, ["machine", "ccc", "2026-01-03"])
    with open(path) as file:
        text = file.read()
    assert "a target" not in text and "another" in text and "machine, bbb, 2026-01-02\n\n" in text and text.count("a third") == 1 and len(bench.read_table(text, len(bench.COLUMNS))) == 2


def test_the_record_in_the_tree_can_be_read():
    with open(os.path.join(FOLDER, "RESULTS.md")) as file:
        rows = bench.read_table(file.read(), len(bench.COLUMNS))
    assert rows and len({(r[0], r[1], r[2], r[4]) for r in rows}) == len(rows)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", r[-1]) for r in rows)


def test_a_sample_has_the_phase_of_the_innermost_function_that_has_one():
    assert phases.phase_of([("pm_hash", "/x/lib/base/hash.h"), ("pm_word_key_of", "/x/lib/encode/words.h"), ("prepare", "/x/lib/encode/bpe.c")]) == "making keys"
    assert phases.phase_of([("pm_classes_avx2", "/x/lib/pretok/classes_avx2.c")]) == "classes of characters"
    assert phases.phase_of([("pm_scan", "/x/lib/pretok/scan.c")]) == "starts of pre-tokens"
    assert phases.phase_of([("memmove", "libc.so.6")]) == "other"
    assert phases.shown([("_mm_add", "/usr/lib/gcc/x/emmintrin.h"), ("f", "/x/lib/encode/bpe.c")]) == "f (encode/bpe.c)"


def test_every_file_of_encoding_has_a_phase():
    """A new file wants a line in PHASES of bench/phases.py, or to be named here."""
    not_encoding = {"version.c", "derive.c", "derive.h", "decode.c", "encoder.c"}
    for room in ("pretok", "encode"):
        for name in set(os.listdir(os.path.join(ROOT, "lib", room))) - not_encoding:
            assert phases.phase_of([("anything", f"/x/lib/{room}/{name}")]) != "other", f"{name}: no phase in bench/phases.py"


def test_a_program_that_fails_leaves_no_row_and_is_told(tmp_path, capsys):
    program = tmp_path / "bench_c"
    program.write_text("#!/bin/sh\necho 'bench_c: no luck' >&2\nexit 1\n")
    program.chmod(0o755)
    measuring = bench.Bench.__new__(bench.Bench)
    measuring.program = str(program)
    assert measuring.run_c("encode", "a.tiktoken", "b.txt") == []
    assert "# bench_c encode a.tiktoken b.txt: ends with 1, bench_c: no luck" in capsys.readouterr().out


def test_the_choice_of_the_processor_reaches_the_program(tmp_path):
    program = tmp_path / "bench_c"
    program.write_text('#!/bin/sh\necho "{\\"cpu\\": \\"$PIECEMILL_CPU\\"}"\n')
    program.chmod(0o755)
    measuring = bench.Bench.__new__(bench.Bench)
    measuring.program = str(program)
    assert measuring.run_c("encode", cpu="portable") == [{"cpu": "portable"}]

"""What the tests of BPE training, scale.py and make_expected_bpe_*.py share: merges of Hugging Face tokenizers' trainer as pairs of bytes, their hash,
and runs of ours in a process of their own."""
import hashlib
import json
import os
import subprocess
import sys

CORPORA = ("zh", "en", "code", "multi")
VOCAB_SIZE = 32000
N_HASHED = VOCAB_SIZE - 256 - 200  # libraries count the alphabet differently: the last merges are left out


def _bytes_of_letters():
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}


_TABLE = _bytes_of_letters()


def hf_merges(path, vocab_size, use_regex=True, **options):
    """Merges of a byte-level BPE trained by tokenizers on the lines of a file."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, **options
    )
    tokenizer.train([str(path)], trainer)
    pairs = json.loads(tokenizer.to_str())["model"]["merges"]
    return [(bytes(_TABLE[c] for c in left), bytes(_TABLE[c] for c in right)) for left, right in pairs]


def hash_of(merges):
    return hashlib.sha1(b"\0".join(left + b"\1" + right for left, right in merges[:N_HASHED])).hexdigest()


def growth_program():
    """make_growth, which lies beside the command that is tested (PM_COMMAND), else in build/."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    return os.path.join(os.path.dirname(os.environ.get("PM_COMMAND") or os.path.join(root, "build", "piecemill")), "make_growth")


def measured_run(path, threads, memory=None, vocab_size=VOCAB_SIZE, options=None, stdin=None):
    """The row that bench/train_once.py prints: the hash of the merges, time, peak memory. memory: as "32M"."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench", "train_once.py")
    call = [sys.executable, script, str(path), "--vocab-size", str(vocab_size), "--threads", str(threads), "--options", json.dumps(options or {})]
    run = subprocess.run(call + (["--memory", memory] if memory else []), stdin=stdin, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def our_options(theirs):
    """Options of tokenizers' trainer as ours; a piece of its must be shorter than max_token_length, ours is the longest that may be."""
    ours = {}
    for name, value in theirs.items():
        if name == "max_token_length":
            ours["max_piece_length"] = value - 1
        else:
            ours[{"min_frequency": "min_count", "special_tokens": "special_tokens"}[name]] = value
    return ours

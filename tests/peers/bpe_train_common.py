"""What test_bpe_train.py and make_expected_bpe_train.py share: merges of Hugging Face tokenizers' trainer as pairs of bytes, and their hash."""
import hashlib
import json

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

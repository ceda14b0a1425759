"""What the tests against sentencepiece share: its BPE trained with the settings that ours can be held against, and its model file read as pairs."""


def train(path, prefix, vocab_size, **options):
    """A model of its trainer, from the lines of a file; options replace those that make it comparable."""
    import sentencepiece

    settings = {"normalization_rule_name": "identity", "add_dummy_prefix": False, "remove_extra_whitespaces": False, "character_coverage": 1.0,
                "split_by_unicode_script": False, "split_by_number": False, "byte_fallback": True, "max_sentence_length": 1 << 28,
                "hard_vocab_limit": False, "minloglevel": 2, "num_threads": 1}
    settings.update(options)
    sentencepiece.SentencePieceTrainer.train(input=str(path), model_prefix=str(prefix), model_type="bpe", vocab_size=vocab_size, **settings)
    return load(str(prefix) + ".model")


def load(path):
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_file=str(path))


def entries(theirs):
    """Of each id its text and what it is, as ours says it: (b"\\x0a", "byte"), (b"<s>", "control"), (b" the", "piece")."""
    made = []
    for i in range(theirs.get_piece_size()):
        text = theirs.id_to_piece(i)
        if theirs.is_byte(i):
            made.append((bytes([int(text[3:5], 16)]), "byte"))
        elif theirs.is_control(i) or theirs.is_unknown(i):
            made.append((text.encode(), "control"))
        else:
            made.append((text.replace("\u2581", " ").encode(), "piece"))
    return made

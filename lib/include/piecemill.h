/* piecemill.h - train tokenizer vocabularies and tokenize text.
 *
 * Copyright 2026 the piecemill developers. Licence: Apache-2.0.
 *
 * How to read this file: it is the manual. A program needs, in this order,
 *
 *     pm_corpus     where documents come from              -> pm_train(), pm_count()
 *     pm_tokenizer  a vocabulary, trained or loaded        -> pm_tokenizer_load(), pm_tokenizer_save()
 *     pm_encoder    one thread's scratch memory            -> pm_encode(), pm_decode(), pm_encode_batch()
 *
 * Conventions, which hold for every function below unless it says otherwise:
 *
 *   - Text is bytes. UTF-8 is expected and anything else is accepted: a byte that is not part of well-formed UTF-8 splits
 *     as one U+FFFD would and is kept as it is. Lengths are explicit; NUL is a byte like any other.
 *   - A function that can fail returns a pm_status, PM_OK (0) when it did what it says. On failure outputs are set to
 *     NULL or 0 and nothing is leaked. `err` may be NULL; where it is not, it holds the status, a sentence and a position.
 *   - A pm_bytes that a function returns is borrowed from the object it came from and lives as long as that object.
 *   - `*_new`, `*_load` and pm_train give an object to the caller, who frees it with `*_free`; `*_free(NULL)` does nothing.
 *   - Options structs begin with their size and are initialised with their `_INIT` macro; zero means the default.
 *   - The library never prints, never exits, never aborts, and keeps no global state.
 *   - Threads: a pm_tokenizer never changes, any number of threads may use one. A pm_encoder and a pm_corpus belong to
 *     one thread at a time. Callbacks are called on the thread that called the library, and on no other.
 */
#ifndef PIECEMILL_H
#define PIECEMILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PM_API __attribute__((visibility("default")))
#else
#define PM_API
#endif

#define PM_VERSION_MAJOR 0
#define PM_VERSION_MINOR 1
#define PM_VERSION_PATCH 0
#define PM_VERSION_STRING "0.1.0"

/* The version of the library that is linked, as "0.1.0". */
PM_API const char *pm_version(void);

/* What was compiled in, as a static string of words separated by spaces: "pcre2 zlib zstd yajl protobuf threads". */
PM_API const char *pm_features(void);

/* Whose code encodes on this machine: "avx512", "avx2", "neon" or "portable", the best that the processor can unless the
 * environment variable PIECEMILL_CPU names another; it is read each time a tokenizer is loaded or trained. The results are the same.
 * NULL where PIECEMILL_CPU is not one of these or not on this machine: then loading and training fail with PM_INVALID_ARGUMENT
 * or PM_UNSUPPORTED and a sentence. A static string. */
PM_API const char *pm_processor(void);

/* ---------------------------------------------------------------- errors ---------------------------------------------- */

/* The numbers are pinned: they never change and are never reused. */
typedef enum pm_status {
    PM_OK = 0,
    PM_INVALID_ARGUMENT = 1,  /* an option or argument is out of its range or contradicts another; nothing was read */
    PM_NO_MEMORY = 2,         /* an allocation failed; everything made so far was released */
    PM_IO = 3,                /* reading or writing failed; the sentence holds the system's reason */
    PM_NOT_FOUND = 4,         /* the file does not exist */
    PM_BAD_FORMAT = 5,        /* a model file is malformed, truncated or corrupted, at `offset` */
    PM_BAD_VERSION = 6,       /* a model file is of a version that this library does not read */
    PM_BAD_PATTERN = 7,       /* a regex has a syntax error or an untranslatable construct, at `offset` in the pattern */
    PM_LIMIT = 8,             /* a limit was passed: a regex's matching steps (`offset` in the text), memory_limit */
    PM_BAD_ID = 9,            /* an id is not in the vocabulary; `offset` is its index in the array */
    PM_SPECIAL_IN_TEXT = 10,  /* text holds a special token that is not allowed, at `offset` */
    PM_EMPTY_CORPUS = 11,     /* no document held a byte */
    PM_CANCELLED = 12,        /* a callback asked to stop */
    PM_BAD_INPUT = 13,        /* a corpus file is damaged: truncated or trailing garbage, a line that is not JSON, ...; or a pm_text is no text */
    PM_UNSUPPORTED = 14,      /* not compiled in, or the target format cannot express this tokenizer */
    PM_NO_SPACE = 15          /* the caller's array is too short; the needed length was reported */
} pm_status;

#define PM_NO_OFFSET UINT64_MAX

/* What went wrong. Filled on failure only; may be used again without being cleared. */
typedef struct pm_error {
    pm_status status;
    uint64_t offset;    /* byte position the sentence speaks of (see the status), or PM_NO_OFFSET */
    char file[512];     /* the file it speaks of, "" if none; a longer path keeps its end */
    char message[512];  /* one sentence without full stop, NUL-terminated UTF-8: "expected a digit" */
} pm_error;

/* A short fixed name of a status: "PM_NO_MEMORY"; "PM_?" for an unknown number. */
PM_API const char *pm_status_name(pm_status status);

/* ---------------------------------------------------------------- basic types ------------------------------------------ */

typedef uint32_t pm_id; /* a token id */
#define PM_ID_NONE UINT32_MAX

/* A view of bytes that somebody else owns. data may be NULL when len is 0. */
typedef struct pm_bytes {
    const uint8_t *data;
    size_t len;
} pm_bytes;

/* How a text lies in memory: bytes of UTF-8 as everywhere else in this file, or units in the machine's byte order as the strings of other
 * languages have them. */
typedef enum pm_text_form {
    PM_TEXT_UTF8 = 0,   /* bytes; need not be well-formed */
    PM_TEXT_LATIN1 = 1, /* 8-bit units, each a character: Python's narrowest str, Java's compact strings */
    PM_TEXT_UCS2 = 2,   /* 16-bit units, each a character; a surrogate is an error: Python's str up to U+FFFF */
    PM_TEXT_UTF16 = 3,  /* 16-bit units, two surrogates make a character, a lone one is an error: Java, JavaScript, .NET, Qt */
    PM_TEXT_UTF32 = 4   /* 32-bit units, each a character: Python's widest str, wchar_t on most systems */
} pm_text_form;

/* A view of a text that somebody else owns. It need not be aligned. data may be NULL when len is 0. */
typedef struct pm_text {
    const void *data;
    size_t len; /* in units */
    pm_text_form form;
} pm_text;

/* Writes a text as UTF-8, at most `cap` bytes of it; *n_out is always the number needed. out NULL with cap 0: measure only. At most len bytes for
 * PM_TEXT_UTF8, 2 * len for LATIN1, 3 * len for UCS2 and UTF16, 4 * len for UTF32. Errors: PM_BAD_INPUT (a lone surrogate, a number above U+10FFFF; offset is
 * the unit's index), PM_NO_SPACE (what was written is unspecified), PM_INVALID_ARGUMENT (an unknown form). */
PM_API pm_status pm_text_to_utf8(pm_text text, uint8_t *out, size_t cap, size_t *n_out, pm_error *err);

/* The scripts of Unicode 16 by number: "not UTF-8" (bytes outside well-formed text), "Common" (spaces, digits, punctuation), "Inherited",
 * "Unknown", then "Adlam" to "Zanabazar_Square". NULL behind the last. */
PM_API const char *pm_script_name(unsigned script);

/* Adds to bytes[s] how many of the text's bytes are characters of script s. */
#define PM_SCRIPTS_MAX 256
PM_API void pm_text_scripts(pm_bytes text, uint64_t bytes[PM_SCRIPTS_MAX]);

typedef enum pm_algorithm {
    PM_ALGORITHM_BYTEPIECE = 1, /* unigram over bytes, trained from n-gram counts (Su Jianlin's BytePiece) */
    PM_ALGORITHM_BPE = 2,       /* byte-pair encoding, over bytes or characters */
    PM_ALGORITHM_UNIGRAM = 3,   /* the best segmentation by pieces' scores (sentencepiece, Hugging Face); loaded only, as the next two */
    PM_ALGORITHM_WORDPIECE = 4, /* the longest pieces from the left (BERT) */
    PM_ALGORITHM_WORDLEVEL = 5  /* whole words */
} pm_algorithm;

typedef enum pm_format {
    PM_FORMAT_AUTO = 0,      /* load: by a look at the content; save: by the ending of the path */
    PM_FORMAT_NATIVE = 1,    /* .piecemill; docs/FORMAT.md */
    PM_FORMAT_TIKTOKEN = 2,  /* .tiktoken: base64 of the bytes, a space, the rank */
    PM_FORMAT_HF = 3,        /* tokenizer.json of Hugging Face tokenizers */
    PM_FORMAT_BYTEPIECE = 4, /* JSON of bytepiece 0.6.3 */
    PM_FORMAT_SENTENCEPIECE = 5, /* .model of sentencepiece: Unigram, BPE, words, characters */
    PM_FORMAT_HF_VOCAB = 6,  /* vocab.json and merges.txt, which lies beside it */
    PM_FORMAT_BERT = 7,      /* vocab.txt of BERT: a piece a line */
    PM_FORMAT_TEKKEN = 8,    /* tekken.json of Mistral; read only */
    PM_FORMAT_LLAMA2C = 9,   /* tokenizer.bin of llama2.c */
    PM_FORMAT_GGUF = 10      /* .gguf, the file of llama.cpp: what its metadata say of a vocabulary; written without tensors */
} pm_format;

/* "native", "tiktoken", "hf", "bytepiece", "sentencepiece", "hf-vocab", "bert", "tekken", "llama2c", "gguf" <-> the enumeration. pm_format_from_name gives false
 * for an unknown name. */
PM_API const char *pm_format_name(pm_format format);
PM_API bool pm_format_from_name(const char *name, pm_format *format);

/* What a long call is doing. */
typedef struct pm_progress {
    const char *phase;       /* "count words", "count n-grams", "merge", ...: a static string */
    uint64_t done, total;    /* in `unit`; total is 0 when it is not known */
    const char *unit;        /* "bytes", "merges", "shards", ...: a static string */
    double seconds;          /* since the call began */
    uint64_t memory;         /* resident bytes of the process now less those at the start of the call; 0 if unknown */
} pm_progress;

/* Called at most some twenty times a second and at each change of phase. A value other than 0 cancels: the call ends soon
 * with PM_CANCELLED and leaves nothing behind. */
typedef int (*pm_progress_fn)(void *user, const pm_progress *progress);

/* ---------------------------------------------------------------- corpus ----------------------------------------------- */

typedef struct pm_corpus pm_corpus;

/* How a plain text file becomes documents. Records of JSONL are whole documents whatever this says. */
typedef enum pm_split {
    PM_SPLIT_LINE = 0,      /* each line, its "\n" kept (a last line without one is a document too) */
    PM_SPLIT_PARAGRAPH = 1, /* up to and with each run of two or more "\n" */
    PM_SPLIT_DOCUMENT = 2   /* the whole file */
} pm_split;

typedef struct pm_corpus_options {
    size_t size;
    pm_split split;
    const char *field;       /* JSONL: the field that holds the text; NULL: "text" */
    uint64_t max_window;     /* zstd: largest window accepted, in bytes, rounded down to a power of two; 0: 128 MiB. At most 2^31. */
    /* A sample: each document is taken or not by a hash of its text and the seed, whatever stands beside it. So the same share is taken of
     * each source, equal documents go together, and machines that read parts of a corpus take together what one would take. */
    uint32_t sample_ppm;     /* take this many of a million documents; 0: all */
    uint64_t sample_bytes;   /* take about this many bytes of text; 0: all. Packed files and JSONL are read twice to know their length, so
                              * streams and callbacks are PM_INVALID_ARGUMENT at the first read. At most one of the two */
    uint64_t seed;           /* another one gives another sample */
    bool remove_duplicates;  /* of equal documents (by a 128-bit hash) the first is taken; 21 to 43 bytes of memory each distinct one, of a
                              * memory_limit at most half, then 16 to 32 bytes of disk */
    bool count_scripts;      /* pm_corpus_scripts tells what was taken; reading then takes up to 1 ns a byte longer */
    /* Training only: languages of n bytes of text count as much as n^(1/temperature), so that small ones get more of the vocabulary. It is 1 or more; 1 and 0:
     * all as it is; 3.3 is the usual exponent 0.3. Done by weights, in parts of PM_TEMPERATURE_UNIT of those of the largest language, beside those that sources
     * have; min_count is multiplied by that unit, and counts in the tokenizer are in it. Sizes are of the text before a sample is taken or duplicates are removed:
     * packed files and JSONL are read twice, as for sample_bytes. */
    double temperature;
    bool temperature_by_folder; /* the files of one folder (what stands before the last '/' of their paths) are a language; else each file is one */
} pm_corpus_options;
#define PM_CORPUS_OPTIONS_INIT { sizeof(pm_corpus_options), PM_SPLIT_LINE, NULL, 0, 0, 0, 0, false, false, 0, false }
#define PM_TEMPERATURE_UNIT 64

/* Makes an empty corpus. `options` may be NULL. Sources are added next, and read in the order they were added. */
PM_API pm_status pm_corpus_new(pm_corpus **out, const pm_corpus_options *options, pm_error *err);
PM_API void pm_corpus_free(pm_corpus *corpus);

/* Adds a file, or standard input for "-". The kind goes by the ending: .txt and any other is text, .jsonl (.ndjson) one JSON
 * object a line; .gz and .zst behind either is decompressed through all members and frames. Standard input and files
 * without one of these endings are decompressed when their first bytes are those of gzip or zstd; standard input holds
 * JSONL when the options name a field, else text. Lines of white space only are no records; of equal fields the last counts.
 * The file is opened here, so that a missing one is known at once: PM_NOT_FOUND, PM_IO (a folder, no permission),
 * PM_UNSUPPORTED (.gz, .zst: not compiled in). One that is written to or replaced from now until it is read to its end fails the read
 * with PM_BAD_INPUT. */
PM_API pm_status pm_corpus_add_file(pm_corpus *corpus, const char *path, pm_error *err);

/* As above, and each document of the file counts in training as if it were there `weight` times: 1 to PM_WEIGHT_MAX, else
 * PM_INVALID_ARGUMENT. pm_corpus_read gives each document once. */
#define PM_WEIGHT_MAX (1 << 20)
PM_API pm_status pm_corpus_add_file_weighted(pm_corpus *corpus, const char *path, uint32_t weight, pm_error *err);

/* Adds one document in memory. The bytes are borrowed until the corpus is freed. */
PM_API pm_status pm_corpus_add_document(pm_corpus *corpus, pm_bytes document, pm_error *err);

/* Gives the next document in *document (borrowed until the next call) and 1; or 0 at the end; or -1 to fail the read with
 * PM_CANCELLED. Called on the thread that called pm_train or pm_corpus_read. Each document is whole: it is not split further. */
typedef int (*pm_next_fn)(void *user, pm_bytes *document);
PM_API pm_status pm_corpus_add_callback(pm_corpus *corpus, pm_next_fn next, void *user, pm_error *err);

/* Reads the next documents, about `want` bytes of them (at least one; 0: 1 MiB). *docs and the bytes are borrowed until
 * the next call. *n is 0 at the end. A corpus that failed fails again. Errors: PM_IO, PM_BAD_INPUT (with file and offset in
 * the decompressed text; a file that changed meanwhile), PM_LIMIT (a zstd window above max_window), PM_CANCELLED, PM_UNSUPPORTED,
 * PM_INVALID_ARGUMENT (a sample in bytes or a temperature of what cannot be read twice; a language so small that its documents would count more than 16,384
 * times as much as those of the largest), PM_NO_MEMORY. */
PM_API pm_status pm_corpus_read(pm_corpus *corpus, size_t want, const pm_bytes **docs, size_t *n, pm_error *err);

/* Bytes read so far from the sources as they lie on disk, and the sum of the sizes of all sources (0 if one is not known). */
PM_API void pm_corpus_position(const pm_corpus *corpus, uint64_t *done, uint64_t *total);

/* What was read of a source so far, and what was taken of it: all, unless the options ask for a sample or remove duplicates. */
typedef struct pm_source_report {
    const char *name;        /* the path; "standard input", "documents in memory" (one row for all of them), "callback". The corpus's */
    uint32_t weight;         /* with a temperature, after the first read: in parts of PM_TEMPERATURE_UNIT */
    uint64_t documents, bytes;
    uint64_t taken_documents, taken_bytes;
    uint64_t duplicates;     /* documents left out because an equal one was taken before */
} pm_source_report;

/* The i-th row, in the order in which sources were added; false behind the last. While nothing is read. */
PM_API bool pm_corpus_source(const pm_corpus *corpus, size_t i, pm_source_report *row);

/* Bytes of the documents taken so far, by script (pm_script_name); NULL unless the options ask for it. The corpus's. */
PM_API const uint64_t *pm_corpus_scripts(const pm_corpus *corpus);

/* ---------------------------------------------------------------- training --------------------------------------------- */

typedef struct pm_tokenizer pm_tokenizer;

typedef struct pm_special_token {
    pm_bytes text; /* not empty */
    pm_id id;      /* PM_ID_NONE: the next free one */
} pm_special_token;

typedef enum pm_layout {
    PM_LAYOUT_DEFAULT = 0, /* BPE: 256 bytes, merges, special tokens, reserved slots; BytePiece: pad, bos, eos, pieces, special tokens, reserved slots */
    PM_LAYOUT_HF = 1       /* BPE: special tokens first, then bytes and merges */
} pm_layout;

/* What words are made of before the first merge. */
typedef enum pm_level {
    PM_LEVEL_BYTE = 0,     /* the 256 bytes: any text is pieces */
    PM_LEVEL_CHARACTER = 1 /* the characters of an alphabet, and byte tokens for all others: sentencepiece's BPE with byte fallback. A blank and U+2581 are one
                              character. Ids: <unk>, <s>, </s>, special tokens, byte tokens, merges, characters, reserved slots */
} pm_level;

/* What a training run saw and did. */
typedef struct pm_train_summary {
    uint64_t documents, bytes;      /* read (bytes after decompression) */
    uint64_t words;                 /* BPE: pre-tokens; BytePiece: chunks */
    uint64_t distinct;              /* BPE: distinct pre-tokens, with memory_limit perhaps more (one that left the tables and came again counts again); BytePiece: distinct pieces before pruning */
    uint64_t documents_with_special;/* documents that held the text of a special token; it was treated as ordinary text */
    uint32_t vocab_size;            /* of the first tokenizer made */
    bool smaller_than_asked;        /* the corpus did not give as many pieces as asked for */
    bool lines_split;               /* documents were single lines: no piece can span a line break */
    double seconds;
} pm_train_summary;

typedef struct pm_train_options {
    size_t size;
    pm_algorithm algorithm;
    const uint32_t *vocab_sizes;    /* total sizes asked for, special tokens and reserved slots included; BPE takes one, of 2,097,152 at most */
    size_t n_vocab_sizes;
    const char *const *patterns;    /* one name ("gpt2", "cl100k_base", ...) or one or more regexes applied in turn; 0: "o200k_base" for BPE, none for */
    size_t n_patterns;              /*      BytePiece; one empty string: no splitting. With one, BytePiece cuts inside pre-tokens, in training and encoding */
    const pm_special_token *special_tokens;
    size_t n_special_tokens;
    uint32_t reserve;               /* further slots without text, for special tokens to come */
    uint32_t round_to;              /* more such slots until the size is a multiple of this; 0 or 1: none */
    pm_layout layout;
    uint64_t min_count;             /* a pair (BPE) or n-gram and piece (BytePiece) seen less often is not used; see PM_MIN_COUNT_DEFAULT */
    unsigned threads;               /* 0: as many as pm_default_threads() */
    uint64_t memory_limit;          /* bytes above what the process held at the start; 0: none. Training goes on in temporary files, with the same result; BPE
                                       wants 24 MB and 4 MB a thread, BytePiece 32 MB and 8 MB a thread. What cannot be done in so little stops with PM_LIMIT */
    const char *tmpdir;             /* for temporary files; NULL: $TMPDIR, else /tmp */
    uint32_t ngram_order;           /* BytePiece: 1 to 7; 0: 6 */
    uint32_t max_piece_length;      /* in bytes; 0: 36 (BytePiece), no limit (BPE: pieces of N bytes are tokenizers' max_token_length=N + 1) */
    bool ensure_unicode;            /* BytePiece: no piece begins inside a character (single bytes excepted) */
    bool isolate_digits;            /* BytePiece: each ASCII or Unicode decimal digit is a piece of its own */
    pm_progress_fn progress;
    void *progress_user;
    pm_train_summary *summary;      /* filled on success; may be NULL */
    /* 0, NULL and false leave out what follows. */
    const char *const *counts;      /* count files (pm_count, pm_counts_merge) to train from; then the corpus is NULL. BytePiece: of pieces; what is 0 or default */
    size_t n_counts;                /*     of ngram_order, min_count, pattern, ensure_unicode and isolate_digits is then as the files say */
    const char *checkpoint;         /* a folder, created if need be, where the run leaves what it needs to go on after it was stopped at any moment: the
                                       same call with the same documents goes on then; other vocab_sizes are the only change that is taken */
    const pm_tokenizer *extend;     /* BPE only: a tokenizer whose merges come first; vocab_sizes counts them too. Its pattern and special tokens are used
                                       where none are given. Each of its pieces must come of one merge; the rules below are for new pieces */
    const pm_bytes *required_pieces;/* pieces that must be in the vocabulary, 1 to 65,536 bytes each: merges that make them come before those learned
                                       from the corpus (BPE on these pieces alone); BytePiece: they stay whatever their count. The pattern must leave them in one pre-token to be of use */
    size_t n_required_pieces;
    const pm_bytes *excluded_pieces;/* pieces that must not be in it, of two bytes or more */
    size_t n_excluded_pieces;
    uint64_t min_documents;         /* a pre-token (BytePiece: piece) found in fewer documents is not used */
    uint64_t max_count_per_document;/* of a document's occurrences of a pre-token (piece) no more than this many are counted */
    uint32_t max_words;             /* BPE only, as the next: no piece holds more than this many words (runs of bytes that are no ASCII white space) */
    bool utf8_boundaries;           /* a piece is whole characters or a part of one: none joins a part with anything outside it; not as Hugging Face */
    bool split_scripts;             /* the pattern "scripts" behind those given: Latin, Han, kana, Hangul and other scripts are split apart */
    pm_level level;                 /* CHARACTER: no extend, no required_pieces, layout DEFAULT; patterns: 0: "sentencepiece"; max_piece_length is in characters, 0: 16 */
    double character_coverage;      /* level CHARACTER: the most frequent characters are the alphabet, until they are this share of all; 0: 0.9995; at most 1 */
} pm_train_options;
#define PM_MIN_COUNT_DEFAULT UINT64_MAX /* 0 for BPE, 2 for BytePiece */
#define PM_TRAIN_OPTIONS_INIT { sizeof(pm_train_options), PM_ALGORITHM_BYTEPIECE, NULL, 0, NULL, 0, NULL, 0, 0, 0, \
    PM_LAYOUT_DEFAULT, PM_MIN_COUNT_DEFAULT, 0, 0, NULL, 0, 0, true, false, NULL, NULL, NULL, \
    NULL, 0, NULL, NULL, NULL, 0, NULL, 0, 0, 0, 0, false, false, PM_LEVEL_BYTE, 0.0 }

/* Trains from all documents of `corpus`, which is read to its end, or from options->counts, and makes one tokenizer for each vocabulary size, in the
 * order of `vocab_sizes`. The result depends on the documents and the options only, not on the number of threads.
 *
 * BPE merges equal those of Hugging Face tokenizers' BpeTrainer, at PM_LEVEL_CHARACTER those of sentencepiece; BytePiece models equal those of bytepiece 0.6.3. Sources
 * are named in train/bpe.c and train/bytepiece.c.
 *
 * n_out must equal options->n_vocab_sizes. A corpus too small for a size gives a smaller model, and the summary says so.
 * Errors: PM_INVALID_ARGUMENT (size below 256 + special tokens, a special token twice, ...), PM_BAD_PATTERN, PM_EMPTY_CORPUS, PM_LIMIT,
 * PM_UNSUPPORTED (a regex without PCRE2, text that needs normalization without utf8proc), PM_CANCELLED, PM_NO_MEMORY and
 * those of pm_corpus_read; with a checkpoint also PM_BAD_INPUT (begun with another corpus), PM_BAD_FORMAT, PM_BAD_VERSION, PM_NOT_FOUND (a file of it is
 * damaged or gone) and PM_IO (also: another run is using it). After a failure the corpus was read in part and can only be freed. */
PM_API pm_status pm_train(pm_tokenizer **out, size_t n_out, pm_corpus *corpus, const pm_train_options *options, pm_error *err);

/* min(processors this process may run on, the cgroup's quota, PIECEMILL_NUM_THREADS), at least 1. */
PM_API unsigned pm_default_threads(void);

/* ---------------------------------------------------------------- count files ------------------------------------------ */

/* Counting apart from training: where a corpus lies on many machines, or is trained from more than once. A count file holds the words of a corpus in the
 * order of their bytes, each with how often it occurs, and the settings that decide which words there are. Files with equal settings merge, in whatever
 * order and grouping, into the file that one run over all their documents would have made, byte for byte; and pm_train (options->counts) makes of them the
 * tokenizer that this run would have made. docs/FORMAT.md describes the files. Words are pre-tokens for BPE. For BytePiece there are two kinds, since
 * pieces need a model of the whole corpus: n-grams are counted and merged first, then pieces are counted with that one file of n-grams, merged, and trained from. */
typedef struct pm_counts_options {
    size_t size;
    const char *const *patterns;     /* these as in pm_train_options */
    size_t n_patterns;
    bool split_scripts;
    bool documents;                  /* count too in how many documents each pre-token or piece is: min_documents needs it */
    uint64_t max_count_per_document;
    unsigned threads;
    uint64_t memory_limit;
    const char *tmpdir;
    pm_progress_fn progress;
    void *progress_user;
    pm_train_summary *summary;       /* filled on success but for vocab_size and smaller_than_asked; may be NULL */
    pm_algorithm algorithm;          /* 0: BPE */
    const char *ngrams;              /* BytePiece: a count file of n-grams, whose model cuts the text into pieces, which are counted; NULL: n-grams are counted */
    uint32_t ngram_order;            /* these as in pm_train_options; with `ngrams`, what is 0 (order), none (pattern) and false (digits) is as that file says */
    bool isolate_digits;
    uint64_t min_count;              /* of n-grams in the model; only with `ngrams` */
    bool ensure_unicode;             /* likewise */
} pm_counts_options;
#define PM_COUNTS_OPTIONS_INIT { sizeof(pm_counts_options), NULL, 0, false, false, 0, 0, 0, NULL, NULL, NULL, NULL, (pm_algorithm)0, NULL, 0, false, \
    PM_MIN_COUNT_DEFAULT, true }

/* Counts all documents of `corpus` into a count file, which is written beside `path` and renamed. `options` may be NULL. Errors: those of pm_train. */
PM_API pm_status pm_count(const char *path, pm_corpus *corpus, const pm_counts_options *options, pm_error *err);

/* Merges n count files (at least one) into one at `path`, which may be one of them. It reads and writes as a stream: any size, little
 * memory. Of the options, which may be NULL, tmpdir, progress and summary are used. Errors: PM_INVALID_ARGUMENT (settings differ: the sentence tells which,
 * the error's file where), those of pm_counts_open and pm_counts_next, PM_LIMIT (a count above 2^64), PM_CANCELLED. */
PM_API pm_status pm_counts_merge(const char *path, const char *const *paths, size_t n, const pm_counts_options *options, pm_error *err);

/* A count file that is read from front to back. One thread at a time. */
typedef struct pm_counts pm_counts;

typedef struct pm_counts_totals {
    uint64_t documents, bytes; /* of text that was read */
    uint64_t words, distinct;  /* pre-tokens counted (the sum of all counts), and distinct ones: so many pm_counts_next gives */
    bool has_documents;        /* the number of documents is counted too */
    bool lines_split;          /* documents were single lines */
} pm_counts_totals;

typedef struct pm_counted_word {
    pm_bytes text;      /* not empty; lives until the next call */
    uint64_t count;
    uint64_t documents; /* 0 if they are not counted */
} pm_counted_word;

/* Errors: PM_NOT_FOUND, PM_IO, PM_BAD_FORMAT (no count file, truncated, damaged; with offset), PM_BAD_VERSION, PM_NO_MEMORY. */
PM_API pm_status pm_counts_open(pm_counts **out, const char *path, pm_error *err);
PM_API void pm_counts_free(pm_counts *counts);
PM_API pm_counts_totals pm_counts_get_totals(const pm_counts *counts);
/* Lines "key=value": algorithm, pattern, regex (one or more), unicode, split, ...; a line that begins with a tab goes on with the value before it. */
PM_API const char *pm_counts_settings(const pm_counts *counts);
/* The next word; *more is false behind the last. The end comes only when the whole file was found to be undamaged. Errors as pm_counts_open. */
PM_API pm_status pm_counts_next(pm_counts *counts, pm_counted_word *word, bool *more, pm_error *err);

/* ---------------------------------------------------------------- tokenizer -------------------------------------------- */

enum {
    PM_LOAD_COPY = 1,       /* read the file into memory instead of mapping it: for files that may change under us */
    PM_LOAD_ANY_UNICODE = 2 /* accept a .piecemill file whose regex depends on Unicode tables of PCRE2 of another version (else PM_UNSUPPORTED) */
};

typedef struct pm_load_options {
    size_t size;
    pm_format format;
    unsigned flags;
    const char *const *patterns;    /* as in pm_train_options; wanted by formats that lack them (.tiktoken: 0 means no splitting) */
    size_t n_patterns;
    const pm_special_token *special_tokens; /* likewise; added to those of the file */
    size_t n_special_tokens;
} pm_load_options;
#define PM_LOAD_OPTIONS_INIT { sizeof(pm_load_options), PM_FORMAT_AUTO, 0, NULL, 0, NULL, 0 }

/* Loads a tokenizer from a file. `options` may be NULL. Errors: PM_NOT_FOUND, PM_IO, PM_BAD_FORMAT (with offset), PM_BAD_VERSION,
 * PM_BAD_PATTERN, PM_UNSUPPORTED, PM_INVALID_ARGUMENT (special tokens that clash), PM_NO_MEMORY. */
PM_API pm_status pm_tokenizer_load(pm_tokenizer **out, const char *path, const pm_load_options *options, pm_error *err);

/* Writes a tokenizer beside `path` and renames it there, so that a killed run leaves the old file or none. Errors:
 * PM_INVALID_ARGUMENT (format AUTO and an unknown ending), PM_UNSUPPORTED (the format cannot carry this tokenizer), PM_IO, PM_NO_MEMORY. */
PM_API pm_status pm_tokenizer_save(const pm_tokenizer *tok, const char *path, pm_format format, pm_error *err);

/* pm_tokenizer_save writes only what gives the same ids for every text. With PM_SAVE_LOSSY a format writes what it can, where its writer knows how to go on, and
 * tells what was lost: one sentence without full stop each, on the calling thread. */
enum {
    PM_SAVE_LOSSY = 1,
    PM_SAVE_TABLES = 2 /* native: with the encoder's tables ready-made, so that loading takes some milliseconds and processes share their pages: a file several times as
                        * large. Byte-level BPE and little-endian machines, else PM_UNSUPPORTED. Other formats: PM_INVALID_ARGUMENT */
};
typedef void (*pm_lost_fn)(void *user, const char *what);
typedef struct pm_save_options {
    size_t size;
    pm_format format;
    unsigned flags;
    pm_lost_fn lost; /* may be NULL */
    void *lost_user;
} pm_save_options;
#define PM_SAVE_OPTIONS_INIT { sizeof(pm_save_options), PM_FORMAT_AUTO, 0, NULL, NULL }

/* As pm_tokenizer_save, with options; NULL: none. Errors: also PM_INVALID_ARGUMENT (flags that are not known). */
PM_API pm_status pm_tokenizer_save_with(const pm_tokenizer *tok, const char *path, const pm_save_options *options, pm_error *err);

PM_API void pm_tokenizer_free(pm_tokenizer *tok);

PM_API pm_algorithm pm_tokenizer_algorithm(const pm_tokenizer *tok);
PM_API uint32_t pm_tokenizer_vocab_size(const pm_tokenizer *tok); /* highest id + 1 */
PM_API bool pm_tokenizer_lossless(const pm_tokenizer *tok);       /* decode(encode(x)) == x for every x */

/* What an id is. */
typedef enum pm_kind {
    PM_KIND_HOLE = 0,     /* no token has this id */
    PM_KIND_PIECE = 1,    /* bytes of text */
    PM_KIND_SPECIAL = 2,  /* a special token: matched in text only when allowed, decodes to its text */
    PM_KIND_CONTROL = 3,  /* BytePiece's <pad>, <bos>, <eos>; of BPE over characters <unk>, <s>, </s>, <pad>, <bos>, <eos>: never in text, decodes to nothing */
    PM_KIND_RESERVED = 4, /* a slot without text, for special tokens to come; decodes to nothing */
    PM_KIND_BYTE = 5      /* one byte, of a character that is no piece, where text begins as characters; "<0x0A>" in files */
} pm_kind;
PM_API pm_kind pm_tokenizer_kind(const pm_tokenizer *tok, pm_id id); /* PM_KIND_HOLE for ids past the end */

/* The bytes of an id (a special token's text, a control's name), {NULL, 0} for a hole, a reserved slot and ids past the end. */
PM_API pm_bytes pm_tokenizer_piece(const pm_tokenizer *tok, pm_id id);
/* The id of a piece, else of a special token or control with these bytes, else PM_ID_NONE. */
PM_API pm_id pm_tokenizer_find(const pm_tokenizer *tok, pm_bytes piece);
/* How often a piece was counted in training: BytePiece's weight; BPE: the pair's count when it was merged; 0 if unknown. */
PM_API uint64_t pm_tokenizer_count(const pm_tokenizer *tok, pm_id id);

/* BPE: merges in rank order; merge i < n joins *left and *right into *result. Returns false when i is too large. */
PM_API uint32_t pm_tokenizer_n_merges(const pm_tokenizer *tok);
PM_API bool pm_tokenizer_merge(const pm_tokenizer *tok, uint32_t i, pm_id *left, pm_id *right, pm_id *result);

/* Special tokens in order of id; i < n. */
PM_API size_t pm_tokenizer_n_special_tokens(const pm_tokenizer *tok);
PM_API pm_special_token pm_tokenizer_special_token(const pm_tokenizer *tok, size_t i);

/* The splitting pattern: its name ("o200k_base"; "" when it has none), and its regexes in turn, NUL-terminated UTF-8; n is 0 without splitting.
 * BytePiece mostly has none. */
PM_API const char *pm_tokenizer_pattern_name(const pm_tokenizer *tok);
PM_API size_t pm_tokenizer_n_patterns(const pm_tokenizer *tok);
PM_API const char *pm_tokenizer_pattern(const pm_tokenizer *tok, size_t i);

/* Training settings that the file recorded, as "key=value" lines; "" if none. For people, and for `piecemill inspect`. */
PM_API const char *pm_tokenizer_settings(const pm_tokenizer *tok);

/* The identity of a tokenizer: SHA-256 of a canonical form of what decides ids and decoded text (algorithm, pieces with ids and kinds, scores, merges, pattern
 * or steps, added tokens; not what add_special_tokens adds, nor remarks such as counts of BPE), as 64 hexadecimal digits and a NUL. Equal for tokenizers
 * whatever format they came from, as long as it carries all of that. */
#define PM_HASH_HEX 65
PM_API void pm_tokenizer_hash(const pm_tokenizer *tok, char hex[PM_HASH_HEX]);

/* The names of patterns that this library knows, i < pm_n_pattern_names(); and a name's regexes (NULL past the end). */
PM_API size_t pm_n_pattern_names(void);
PM_API const char *pm_pattern_name(size_t i);
PM_API const char *pm_pattern_regex(const char *name, size_t i);

/* ---------------------------------------------------------------- encoding --------------------------------------------- */

typedef struct pm_encoder pm_encoder;

/* One thread's scratch memory for one tokenizer, which must outlive it. It remembers words that it has merged: up to 24 MB, less for short
 * use; results never depend on that. A freed encoder stays with the tokenizer, at most one for each processor, and the next pm_encoder_new or pm_encode_batch
 * takes it up with what it remembers, without allocating: so both calls are cheap, on any thread, and an encoder may be made for each text.
 * pm_tokenizer_free releases those that are left. The first encoder of a tokenizer that was trained in this process also builds its tables, some milliseconds. */
PM_API pm_status pm_encoder_new(pm_encoder **out, const pm_tokenizer *tok, pm_error *err);
PM_API void pm_encoder_free(pm_encoder *enc);

typedef enum pm_special_mode {
    PM_SPECIAL_DEFAULT = 0, /* pm_encode: every special token that is not allowed is an error; pm_encode_batch: ordinary text */
    PM_SPECIAL_NONE = 1,
    PM_SPECIAL_ALL = 2,
    PM_SPECIAL_LIST = 3
} pm_special_mode;

typedef struct pm_encode_options {
    size_t size;
    pm_special_mode allowed;          /* which special tokens are matched in text; DEFAULT is NONE */
    const pm_bytes *allowed_list;     /* their texts, for PM_SPECIAL_LIST */
    size_t n_allowed;
    pm_special_mode disallowed;       /* which are an error (PM_SPECIAL_IN_TEXT) when text holds them; ALL is all but the allowed ones */
    const pm_bytes *disallowed_list;
    size_t n_disallowed;
    unsigned threads;                 /* pm_encode_batch: 0: pm_default_threads() */
    double alpha;                     /* BytePiece sampling: below 0, the best segmentation; up to 1,000,000: segmentations are drawn, with probability
                                         proportional to exp(alpha * score): 0: all alike, large: nearly the best */
    uint64_t seed;                    /* for alpha: same seed, document index and text, same result on any number of threads */
    bool no_normalize;                /* BytePiece: leave text as it is instead of NFC; then it is lossless */
    bool add_special_tokens;          /* BytePiece: <bos> before and <eos> behind each document; else nothing is ever added */
    uint64_t document;                /* for alpha: the index of the (first) document: who encodes a corpus in parts draws as from the whole */
} pm_encode_options;
#define PM_ENCODE_OPTIONS_INIT { sizeof(pm_encode_options), PM_SPECIAL_DEFAULT, NULL, 0, PM_SPECIAL_DEFAULT, NULL, 0, 0, -1.0, 0, false, false, 0 }

/* Encodes one document. Writes at most `cap` ids; *n_ids is always the number needed. ids NULL with cap 0: count only.
 * `text.len` ids are always enough without BOS/EOS and normalization; BytePiece with NFC may need up to 3 * len (+ 2).
 * Errors: PM_NO_SPACE (cap too small: what fits was written), PM_SPECIAL_IN_TEXT, PM_LIMIT (a user's regex passed its limit), PM_INVALID_ARGUMENT
 * (a listed special token that the tokenizer does not have), PM_NO_MEMORY. */
PM_API pm_status pm_encode(pm_encoder *enc, pm_bytes text, const pm_encode_options *options, pm_id *ids, size_t cap, size_t *n_ids, pm_error *err);

/* As pm_encode, for a text in any form. Offsets in errors are bytes of its UTF-8, but that of PM_BAD_INPUT (a lone surrogate, a number above U+10FFFF) is the
 * unit's index. PM_INVALID_ARGUMENT also for an unknown form. */
PM_API pm_status pm_encode_text(pm_encoder *enc, pm_text text, const pm_encode_options *options, pm_id *ids, size_t cap, size_t *n_ids, pm_error *err);

/* An id, and the bytes of the document's UTF-8 that it stands for: whole characters, so several ids may stand for the same; none (begin == end) where it was added. */
typedef struct pm_token {
    pm_id id;
    uint64_t begin, end;
} pm_token;

typedef struct pm_tokens {
    pm_token *items;
    size_t n, cap;
} pm_tokens;

/* As pm_encode_text, with the place of each id. Where the text is normalized, places are those in the text as it was given, and agree with the library that the tokenizer is from; a
 * tokenizer.json that trims offsets leaves white space at the ends of tokens out. Released with pm_tokens_release. Errors: those of pm_encode_text. */
PM_API pm_status pm_encode_offsets(pm_encoder *enc, pm_text text, const pm_encode_options *options, pm_tokens *out, pm_error *err);
PM_API void pm_tokens_release(pm_tokens *tokens);

/* Result of a batch: document i has ids[offsets[i]] .. ids[offsets[i + 1]]. Released with pm_batch_release. */
typedef struct pm_batch {
    pm_id *ids;
    uint64_t *offsets;                /* n_docs + 1 of them */
    size_t n_docs;
    uint64_t documents_with_special;  /* documents that held the text of a special token that was treated as ordinary text */
    uint64_t reserved_[2];            /* the library's: how the memory was obtained */
} pm_batch;

/* Up to 64 MB of a large result stay with the tokenizer for its next one, marked so that the system takes them when it needs memory; they are
 * freed with it. A batch may outlive its tokenizer. */
PM_API void pm_batch_release(pm_batch *batch);

/* Encodes documents on several threads; results in document order. On failure *out is empty and the error's sentence names
 * the document's index; `offset` is in that document. Errors as pm_encode. Memory besides the result: one encoder a thread, and with several
 * threads the ids of what other threads encode behind a document that takes long. */
PM_API pm_status pm_encode_batch(const pm_tokenizer *tok, const pm_bytes *docs, size_t n, const pm_encode_options *options, pm_batch *out, pm_error *err);

/* As pm_encode_batch, for documents that may each have another form. A document is converted right before it is encoded, on the thread that
 * encodes it, so no more of the batch than that is ever held as UTF-8. Errors as pm_encode_text. */
PM_API pm_status pm_encode_batch_texts(const pm_tokenizer *tok, const pm_text *docs, size_t n, const pm_encode_options *options, pm_batch *out, pm_error *err);

/* The `n` segmentations of a document with the highest scores under a BytePiece model, or all if there are fewer, best first: as the documents of
 * *out, which is released with pm_batch_release. scores, room for n, may be NULL: the sum of the log-probabilities (natural logarithms) of the pieces of
 * each, special tokens being certain. The first is what pm_encode gives. Of equal scores the one comes first whose last chunk (a line with its newlines; a pre-token, where there is a pattern) comes first alone,
 * and in a chunk the one whose last piece is longer, and so on to the left. Memory: 16 * n bytes for each character of the longest chunk, and three
 * times the result. Time: as memory. One thread. Errors: those of pm_encode_text; PM_INVALID_ARGUMENT: n is 0, the tokenizer is BPE, alpha is given. */
PM_API pm_status pm_encode_nbest(pm_encoder *enc, pm_text text, size_t n, const pm_encode_options *options, pm_batch *out, double *scores, pm_error *err);

/* A piece that can stand in a document's segmentation, and the probability that it does. */
typedef struct pm_marginal {
    uint64_t begin, end; /* in bytes of the document's UTF-8 after normalization, where it is normalized */
    pm_id id;
    double probability;
} pm_marginal;

typedef struct pm_marginals {
    pm_marginal *items; /* by end, then from the shortest */
    size_t n, cap;
} pm_marginals;

/* The probabilities that segmentations drawn with options->alpha (below 0: with 1) have in them each of the pieces that they can have, under a BytePiece model.
 * Their sum by id is how often the id is to be expected; the pieces that cover a byte sum to 1. A special token that is matched has 1; <bos> and <eos>
 * are left out. Some 5 to 10 pieces a character. Released with pm_marginals_release. Errors: those of pm_encode_text; PM_INVALID_ARGUMENT: the tokenizer is BPE. */
PM_API pm_status pm_encode_marginals(pm_encoder *enc, pm_text text, const pm_encode_options *options, pm_marginals *out, pm_error *err);
PM_API void pm_marginals_release(pm_marginals *marginals);

/* Writes the bytes of ids, at most `cap` of them; *n_out is always the number needed. out NULL with cap 0: measure only.
 * Control ids and reserved slots give nothing. Errors: PM_BAD_ID (hole or past the end; offset is the index), PM_NO_SPACE. */
PM_API pm_status pm_decode(const pm_tokenizer *tok, const pm_id *ids, size_t n_ids, uint8_t *out, size_t cap, size_t *n_out, pm_error *err);

#ifdef __cplusplus
}
#endif
#endif

/* cmd_train.c - piecemill train. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common.h"

enum {
    OPT_SPECIAL = CLI_LONG, OPT_MIN_COUNT, OPT_THREADS, OPT_MEMORY, OPT_NGRAM_ORDER, OPT_MAX_PIECE_LENGTH,
    OPT_NO_ENSURE_UNICODE, OPT_ISOLATE_DIGITS, OPT_LAYOUT, OPT_RESERVE, OPT_ROUND_TO, OPT_TMPDIR, OPT_CHECKPOINT, OPT_FORMAT, OPT_JSON,
    OPT_SPLIT_SCRIPTS,
    OPT_EXTEND, OPT_REQUIRED, OPT_EXCLUDED, OPT_MAX_WORDS, OPT_UTF8_BOUNDARIES,
    OPT_LEVEL, OPT_CHARACTER_COVERAGE,
    OPT_COUNTS, OPT_MIN_DOCUMENTS, OPT_MAX_COUNT_PER_DOCUMENT
};

static const cli_option options[] = {
    {'a', "algorithm", "NAME", "bytepiece or bpe"},
    {'v', "vocab-size", "SIZE[,SIZE...]", "ids in all, special tokens and reserved ones included (bytepiece: several)"},
    {'o', "output", "FILE", "where the tokenizer goes; its ending tells the format (.piecemill, .tiktoken, .model, tokenizer.json)"},
    {OPT_FORMAT, "format", "NAME", "the format, for other endings: native, tiktoken, hf, bytepiece, sentencepiece"},
    {OPT_FORMAT, "to", "NAME", NULL},
    {'p', "pattern", "PATTERN", "a name (o200k_base, ...) or a regex; several are applied in turn; '' is none [bpe: o200k_base; level char: sentencepiece]"},
    {OPT_SPLIT_SCRIPTS, "split-scripts", NULL, "split Latin, Han, kana, Hangul and other scripts apart, too"},
    {OPT_SPECIAL, "special", "TEXT", "a special token; may be repeated"},
    {OPT_SPECIAL, "special-tokens", "TEXT", NULL},
    {OPT_MIN_COUNT, "min-count", "N", "leave out what is seen less often [bpe: 0, bytepiece: 2]"},
    CLI_SOURCES_ROWS,
    CLI_TEMPERATURE_ROWS,
    {OPT_COUNTS, "counts", "FILE", "train from this count file (piecemill count; bytepiece: --pieces) instead of text; may be repeated"},
    {OPT_MIN_DOCUMENTS, "min-documents", "N", "leave out pre-tokens (bytepiece: pieces) that are in fewer documents"},
    {OPT_MAX_COUNT_PER_DOCUMENT, "max-count-per-document", "N", "of a pre-token's (piece's) occurrences in a document count no more"},
    {OPT_THREADS, "threads", "N", "[all processors that may be used]"},
    {OPT_MEMORY, "memory-limit", "SIZE", "use no more memory, but temporary files: 500M, 2G"},
    {OPT_MEMORY, "memory", "SIZE", NULL},
    {OPT_TMPDIR, "tmpdir", "DIR", "for temporary files [$TMPDIR, else /tmp]"},
    {OPT_CHECKPOINT, "checkpoint", "DIR", "keep there what is needed to go on when the run is killed, and go on"},
    {OPT_NGRAM_ORDER, "ngram-order", "N", "bytepiece: longest n-gram of the model, 1 to 7 [6]"},
    {OPT_MAX_PIECE_LENGTH, "max-piece-length", "N", "in bytes [bytepiece: 36, bpe: no limit]; level char: in characters [16]"},
    {OPT_NO_ENSURE_UNICODE, "no-ensure-unicode", NULL, "bytepiece: let pieces begin inside a character"},
    {OPT_ISOLATE_DIGITS, "isolate-digits", NULL, "bytepiece: each digit is a piece of its own"},
    {OPT_EXTEND, "extend", "FILE", "bpe: go on from this tokenizer's merges, with its pattern and special tokens if none are given"},
    {OPT_REQUIRED, "required-pieces", "TEXT", "a piece that must be in the vocabulary; may be repeated"},
    {OPT_EXCLUDED, "excluded-pieces", "TEXT", "a piece that must not be in it; may be repeated"},
    {OPT_MAX_WORDS, "max-words", "N", "bpe: no piece of more words, between white space"},
    {OPT_UTF8_BOUNDARIES, "utf8-boundaries", NULL, "bpe: a piece is whole characters or a part of one"},
    {OPT_LEVEL, "level", "NAME", "bpe: byte, or char: words of characters, with byte tokens for rare ones, as sentencepiece [byte]"},
    {OPT_CHARACTER_COVERAGE, "character-coverage", "SHARE", "level char: take characters until they are this share of all [0.9995]"},
    {OPT_LAYOUT, "layout", "NAME", "bpe: default, or hf: special tokens get the first ids"},
    {OPT_RESERVE, "reserve", "N", "this many further ids without text, for special tokens to come"},
    {OPT_ROUND_TO, "round-to", "N", "further ones until the size is a multiple of N"},
    {OPT_JSON, "json", NULL, "a summary for programs on standard output"},
    {'q', "quiet", NULL, "no progress and no summary"},
    {0, NULL, NULL, NULL},
};

static const cli_usage usage = {
    "train", "-a bytepiece|bpe -v SIZE[,SIZE...] -o FILE [OPTION]... [FILE...|-]",
    "Trains a vocabulary from text files (.txt and any other), JSON lines (.jsonl, .ndjson), each also .gz\n"
    "or .zst, or standard input. Several sizes put the size before the ending: zh.8000.piecemill.",
    options,
    "  piecemill train -a bytepiece -v 8000 -o zh.piecemill zh.txt\n"
    "  piecemill train -a bpe -p o200k_base -v 4000 --special '<|endoftext|>' -o tokenizer.json en.txt\n"
    "  piecemill train -a bpe -v 4000 --counts all.counts -o en.piecemill\n"};

typedef struct train_call {
    pm_train_options o;
    cli_sources sources;
    cli_list patterns, counts;
    cli_bytes required, excluded;
    const char *extend;
    pm_special_token *specials;
    uint32_t *sizes;
    const char *output;
    pm_format format;
    bool json, quiet, algorithm;
    pm_train_summary summary;
} train_call;

/* ---------------------------------------------------------------- the call ---- */

static bool add_sizes(train_call *call, const char *text) {
    char *copy = strdup(text), *rest = copy, *part;
    bool good = copy != NULL || cli_no_memory() == CLI_OK;
    while (good && (part = strsep(&rest, ",")) != NULL) {
        uint64_t size = 0;
        uint32_t *grown = NULL;
        good = cli_parse_size("vocab-size", part, UINT32_MAX - 1, &size);
        if (good) {
            grown = realloc(call->sizes, (call->o.n_vocab_sizes + 1) * sizeof *grown);
            good = grown != NULL || cli_no_memory() == CLI_OK;
        }
        if (good) {
            grown[call->o.n_vocab_sizes++] = (uint32_t)size;
            call->sizes = grown;
        }
    }
    free(copy);
    return good;
}

static bool set_algorithm(train_call *call, const char *name) {
    call->algorithm = true;
    return cli_parse_algorithm(name, &call->o.algorithm);
}

static bool set_layout(train_call *call, const char *name) {
    if (strcmp(name, "hf") != 0 && strcmp(name, "default") != 0) {
        cli_say("--layout %s: expected default or hf", name);
        return false;
    }
    call->o.layout = name[0] == 'h' ? PM_LAYOUT_HF : PM_LAYOUT_DEFAULT;
    return true;
}

static bool set_level(train_call *call, const char *name) {
    if (strcmp(name, "byte") != 0 && strcmp(name, "char") != 0) {
        cli_say("--level %s: expected byte or char", name);
        return false;
    }
    call->o.level = name[0] == 'c' ? PM_LEVEL_CHARACTER : PM_LEVEL_BYTE;
    return true;
}

static bool set_coverage(train_call *call, const char *text) {
    char *end;
    call->o.character_coverage = strtod(text, &end);
    if (end == text || *end || !(call->o.character_coverage > 0 && call->o.character_coverage <= 1)) {
        cli_say("--character-coverage %s: expected a share above 0, at most 1", text);
        return false;
    }
    return true;
}

/* Options that begin a flag or name a thing. */
static bool set_option(void *ctx, int code, const char *value) {
    train_call *call = ctx;
    switch (code) {
    case 'a': return set_algorithm(call, value);
    case 'v': return add_sizes(call, value);
    case 'o': call->output = value; break;
    case 'p': return cli_list_add(&call->patterns, value);
    case 'q': call->quiet = true; break;
    case OPT_JSON: call->json = true; break;
    case OPT_FORMAT: return cli_parse_model_format(value, &call->format);
    case OPT_SPECIAL: return cli_add_special(&call->specials, &call->o.n_special_tokens, value, false);
    case OPT_LAYOUT: return set_layout(call, value);
    case OPT_LEVEL: return set_level(call, value);
    case OPT_CHARACTER_COVERAGE: return set_coverage(call, value);
    case OPT_TMPDIR: call->o.tmpdir = value; break;
    case OPT_CHECKPOINT: call->o.checkpoint = value; break;
    case OPT_EXTEND: call->extend = value; break;
    case OPT_REQUIRED: return cli_bytes_add(&call->required, value);
    case OPT_EXCLUDED: return cli_bytes_add(&call->excluded, value);
    case OPT_MAX_WORDS: return cli_parse_number("max-words", value, UINT32_MAX, &call->o.max_words);
    case OPT_UTF8_BOUNDARIES: call->o.utf8_boundaries = true; break;
    case OPT_NO_ENSURE_UNICODE: call->o.ensure_unicode = false; break;
    case OPT_SPLIT_SCRIPTS: call->o.split_scripts = true; break;
    case OPT_ISOLATE_DIGITS: call->o.isolate_digits = true; break;
    case OPT_COUNTS: return cli_list_add(&call->counts, value);
    case OPT_MIN_DOCUMENTS: return cli_parse_size("min-documents", value, UINT64_MAX, &call->o.min_documents);
    case OPT_MAX_COUNT_PER_DOCUMENT: return cli_parse_size("max-count-per-document", value, UINT64_MAX, &call->o.max_count_per_document);
    case OPT_MIN_COUNT: return cli_parse_size("min-count", value, UINT64_MAX - 1, &call->o.min_count);
    case OPT_MEMORY: return cli_parse_size("memory-limit", value, UINT64_MAX, &call->o.memory_limit);
    case OPT_NGRAM_ORDER: return cli_parse_number("ngram-order", value, UINT32_MAX, &call->o.ngram_order);
    case OPT_MAX_PIECE_LENGTH: return cli_parse_number("max-piece-length", value, UINT32_MAX, &call->o.max_piece_length);
    case OPT_RESERVE: return cli_parse_number("reserve", value, UINT32_MAX, &call->o.reserve);
    case OPT_ROUND_TO: return cli_parse_number("round-to", value, UINT32_MAX, &call->o.round_to);
    case OPT_THREADS: return cli_parse_number("threads", value, 4096, &call->o.threads);
    default: return cli_sources_set(&call->sources, code, value);
    }
    return true;
}

static int parse(train_call *call, int argc, char **argv) {
    int code = cli_options_read(&usage, argc, argv, set_option, call);
    if (code != CLI_OK) {
        return code;
    }
    const char *missing = !call->algorithm ? "-a bytepiece|bpe" : !call->o.n_vocab_sizes ? "-v SIZE" : !call->output ? "-o FILE" : NULL;
    if (missing) {
        cli_say("%s is missing; see `piecemill train --help`", missing);
        return CLI_USAGE;
    }
    cli_sources_operands(&call->sources, argv + optind, argc - optind);
    if (call->counts.n && call->sources.n_files) {
        cli_say("%s: there are count files to train from (--counts), so no text is read", call->sources.files[0]);
        return CLI_USAGE;
    }
    call->o.vocab_sizes = call->sizes;
    call->o.patterns = call->patterns.items;
    call->o.n_patterns = call->patterns.n;
    call->o.counts = call->counts.items;
    call->o.n_counts = call->counts.n;
    call->o.special_tokens = call->specials;
    call->o.required_pieces = call->required.items;
    call->o.n_required_pieces = call->required.n;
    call->o.excluded_pieces = call->excluded.items;
    call->o.n_excluded_pieces = call->excluded.n;
    call->o.summary = &call->summary;
    if (call->counts.n && call->sources.option) {
        cli_say("--%s is about text, and there are count files to train from (--counts)", call->sources.option);
        return CLI_USAGE;
    }
    return CLI_OK;
}

/* ---------------------------------------------------------------- outputs ---- */

static bool ends_with(const char *path, const char *ending) {
    size_t len = strlen(path), n = strlen(ending);
    return len >= n && strcmp(path + len - n, ending) == 0;
}

/* What would fail after hours of training is told at once, and an ending that tells no format. */
static int check_output(train_call *call) {
    const char *path = call->output;
    if (call->format == PM_FORMAT_AUTO) {
        call->format = ends_with(path, ".piecemill") ? PM_FORMAT_NATIVE
                       : ends_with(path, ".tiktoken") ? PM_FORMAT_TIKTOKEN
                       : ends_with(path, ".model") ? PM_FORMAT_SENTENCEPIECE
                       : ends_with(path, ".gguf") ? PM_FORMAT_GGUF
                       : ends_with(path, "tokenizer.json") ? PM_FORMAT_HF
                                                            : PM_FORMAT_AUTO;
        if (call->format == PM_FORMAT_AUTO) {
            cli_say("%s: the ending tells no format; name one with --format", path);
            return CLI_USAGE;
        }
    }
    int code = cli_check_output(path);
    return code == CLI_OK ? cli_sources_check_output(&call->sources, path) : code;
}

/* The output's name; with several sizes "zh.piecemill" becomes "zh.8000.piecemill". To be freed. */
static char *output_name(const train_call *call, size_t i) {
    const char *path = call->output, *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    size_t room = strlen(path) + 16;
    char *name = malloc(room);
    if (!name) {
        return NULL;
    }
    if (call->o.n_vocab_sizes == 1) {
        snprintf(name, room, "%s", path);
    } else if (dot) {
        snprintf(name, room, "%.*s.%" PRIu32 "%s", (int)(dot - path), path, call->sizes[i], dot);
    } else {
        snprintf(name, room, "%s.%" PRIu32, path, call->sizes[i]);
    }
    return name;
}

static int save_one(const train_call *call, const pm_tokenizer *tok, size_t i) {
    pm_error err;
    char *name = output_name(call, i);
    if (!name) {
        return cli_no_memory();
    }
    pm_status status = pm_tokenizer_save(tok, name, call->format, &err);
    if (status != PM_OK) {
        cli_print_error(&err, name);
    }
    free(name);
    return status == PM_NOT_FOUND ? CLI_USAGE : cli_exit_code(status);
}

/* ---------------------------------------------------------------- summary ---- */

static void say_result(const train_call *call, const pm_tokenizer *tok, size_t i) {
    char got[32], asked[32];
    char *name = output_name(call, i);
    uint32_t size = pm_tokenizer_vocab_size(tok);
    cli_format_count(got, size);
    cli_format_count(asked, call->sizes[i]);
    if (size < call->sizes[i]) {
        cli_say("%s: %s ids, fewer than the %s asked for", name ? name : call->output, got, asked);
    } else {
        cli_say("%s: %s ids", name ? name : call->output, got);
    }
    if (call->format == PM_FORMAT_TIKTOKEN) {
        cli_say("%s: the format holds neither pattern nor special tokens; give -p and --special with it", name ? name : call->output);
    }
    free(name);
}

static void say_summary(const train_call *call, const pm_corpus *corpus, pm_tokenizer *const *toks) {
    const pm_train_summary *s = &call->summary;
    char documents[32], bytes[32], distinct[32], special[32], rate[32];
    cli_format_count(documents, s->documents);
    cli_format_bytes(bytes, (double)s->bytes);
    cli_format_count(distinct, s->distinct);
    cli_format_count(special, s->documents_with_special);
    cli_format_bytes(rate, s->seconds > 0 ? (double)s->bytes / s->seconds : 0);
    cli_say("%s %s documents, %s; %s distinct %s", call->counts.n ? "counted before:" : "read", documents, bytes, distinct,
            call->o.algorithm == PM_ALGORITHM_BPE ? "pre-tokens" : "pieces before pruning");
    if (call->sources.chosen) {
        cli_say_sources(corpus, call->sources.options.temperature > 1);
    }
    if (s->lines_split) {
        cli_say("each line was a document, so no piece spans a line break (--split)");
    }
    if (s->documents_with_special) {
        cli_say("%s documents held the text of a special token; it was treated as ordinary text", special);
    }
    for (size_t i = 0; i < call->o.n_vocab_sizes; i++) {
        say_result(call, toks[i], i);
    }
    cli_say("%.1f s, %s/s", s->seconds, rate);
}

static void print_model(cli_out *out, const train_call *call, const pm_tokenizer *tok, size_t i) {
    char hash[PM_HASH_HEX];
    char *name = output_name(call, i);
    pm_tokenizer_hash(tok, hash);
    cli_out_printf(out, "%s{\"path\": ", i ? ", " : "");
    cli_out_json(out, name ? name : "", name ? strlen(name) : 0);
    cli_out_printf(out, ", \"asked\": %" PRIu32 ", \"vocab_size\": %" PRIu32 ", \"hash\": \"%s\"}", call->sizes[i], pm_tokenizer_vocab_size(tok), hash);
    free(name);
}

static int print_json(const train_call *call, const pm_corpus *corpus, pm_tokenizer *const *toks) {
    const pm_train_summary *s = &call->summary;
    cli_out out;
    cli_out_open(&out);
    cli_out_printf(&out,
                   "{\"algorithm\": \"%s\", \"documents\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"words\": %" PRIu64 ", \"distinct\": %" PRIu64
                   ", \"documents_with_special\": %" PRIu64 ", \"smaller_than_asked\": %s, \"lines_split\": %s, \"seconds\": %.3f",
                   call->o.algorithm == PM_ALGORITHM_BPE ? "bpe" : "bytepiece", s->documents, s->bytes, s->words, s->distinct,
                   s->documents_with_special, s->smaller_than_asked ? "true" : "false", s->lines_split ? "true" : "false", s->seconds);
    if (corpus) {
        cli_out_printf(&out, ", ");
        cli_json_sources(&out, corpus);
    }
    cli_out_printf(&out, ", \"models\": [");
    for (size_t i = 0; i < call->o.n_vocab_sizes; i++) {
        print_model(&out, call, toks[i], i);
    }
    cli_out_printf(&out, "]}\n");
    return cli_out_close(&out, CLI_OK);
}

/* ---------------------------------------------------------------- the work ---- */

static int train(train_call *call, pm_corpus *corpus, pm_tokenizer **toks) {
    cli_progress progress;
    pm_error err;
    cli_progress_begin(&progress, call->quiet);
    call->o.progress = cli_progress_step;
    call->o.progress_user = &progress;
    cli_signals_at_once(true, progress.bar);
    pm_status status = pm_train(toks, call->o.n_vocab_sizes, corpus, &call->o, &err);
    cli_signals_at_once(false, false);
    cli_progress_end(&progress);
    if (status == PM_OK || cli_signals_seen()) {
        return CLI_OK; /* the caller looks for signals */
    }
    cli_print_error(&err, status == PM_BAD_PATTERN ? "pattern" : NULL);
    if (call->counts.n && err.file[0]) {
        return cli_counts_code(&err);
    }
    return status == PM_LIMIT && call->o.memory_limit && err.offset == PM_NO_OFFSET ? CLI_MACHINE : cli_exit_code(status);
}

static int train_and_save(train_call *call, pm_tokenizer **toks) {
    pm_corpus *corpus = NULL;
    int code = call->counts.n ? cli_counts_check(call->counts.items, call->counts.n)
                              : cli_sources_open(&corpus, &call->sources);
    if (code == CLI_OK) {
        code = train(call, corpus, toks);
    }
    for (size_t i = 0; i < call->o.n_vocab_sizes && code == CLI_OK && !cli_signals_seen(); i++) {
        code = save_one(call, toks[i], i);
    }
    if (code == CLI_OK && !cli_signals_seen()) {
        if (!call->quiet) {
            say_summary(call, corpus, toks);
        }
        code = call->json ? print_json(call, corpus, toks) : CLI_OK;
    }
    pm_corpus_free(corpus);
    return code;
}

/* The tokenizer to go on from. */
static int load_extended(const train_call *call, pm_tokenizer **base) {
    cli_model model = {.path = call->extend};
    *base = NULL;
    if (!call->extend) {
        return CLI_OK;
    }
    if (ends_with(call->extend, ".tiktoken") && !call->patterns.n) {
        cli_say("%s: the format holds no pattern; give -p with it", call->extend);
        return CLI_USAGE;
    }
    return cli_model_load(&model, "train", base);
}

static int run(train_call *call, int argc, char **argv) {
    int code = parse(call, argc, argv);
    if (code == CLI_OK) {
        code = check_output(call);
    }
    if (code != CLI_OK) {
        return code == CLI_HELP ? CLI_OK : code;
    }
    pm_tokenizer *base, **toks = calloc(call->o.n_vocab_sizes, sizeof(pm_tokenizer *));
    if (!toks) {
        return cli_no_memory();
    }
    code = load_extended(call, &base);
    if (code != CLI_OK) {
        free(toks);
        return code;
    }
    call->o.extend = base;
    cli_signals_watch();
    code = train_and_save(call, toks);
    for (size_t i = 0; i < call->o.n_vocab_sizes; i++) {
        pm_tokenizer_free(toks[i]);
    }
    free(toks);
    pm_tokenizer_free(base);
    cli_signals_end();
    return code;
}

int cmd_train(int argc, char **argv) {
    train_call call = {.o = PM_TRAIN_OPTIONS_INIT, .sources = CLI_SOURCES_INIT};
    int code = run(&call, argc, argv);
    free(call.patterns.items);
    free(call.required.items);
    free(call.excluded.items);
    cli_sources_release(&call.sources);
    free(call.counts.items);
    free(call.specials);
    free(call.sizes);
    return code;
}

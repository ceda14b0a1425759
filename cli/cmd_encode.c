/* cmd_encode.c - piecemill encode: batches of documents in, lines of decimal ids out. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

enum {
    OPT_FORMAT = CLI_LONG, OPT_FROM, OPT_COUNT, OPT_THREADS, OPT_SPECIAL, OPT_ALLOWED, OPT_DISALLOWED, OPT_ADD_SPECIAL,
    OPT_ALPHA, OPT_SEED, OPT_NBEST, OPT_MARGINALS, OPT_OFFSETS, OPT_NO_NORMALIZE, OPT_ANY_UNICODE
};

static const cli_option options[] = {
    {'m', "model", "FILE", "the tokenizer"},
    {OPT_FROM, "from", "FORMAT", "its format, where the content does not tell: native, tiktoken, hf, bytepiece, sentencepiece"},
    {'p', "pattern", "PATTERN", "what to split by, where the file lacks it (.tiktoken): a name or a regex, several in turn"},
    {OPT_SPECIAL, "special", "TEXT[=ID]", "a special token that the file lacks; may be repeated"},
    {OPT_SPECIAL, "special-tokens", "TEXT[=ID]", NULL},
    {OPT_ANY_UNICODE, "any-unicode", NULL, "take a model whose regex was made for another version of Unicode"},
    {CLI_SPLIT, "split", "HOW", "plain text becomes documents by line, paragraph or document [document]"},
    {CLI_FIELD, "field", "NAME", "the field of JSONL that holds the text [text]; standard input is JSONL then"},
    {CLI_MAX_WINDOW, "max-window", "SIZE", "zstd: the largest window accepted, up to 2G [128M]"},
    {OPT_FORMAT, "format", "text|u32", "a line of ids a document, or raw little-endian 32-bit ids [text]"},
    {OPT_COUNT, "count", NULL, "print the number of ids of each document instead"},
    {OPT_ALLOWED, "allowed-special", "all|none|LIST", "special tokens that are matched in text (comma-separated; repeatable) [none]"},
    {OPT_DISALLOWED, "disallowed-special", "all|none|LIST", "special tokens whose text is an error [none]"},
    {OPT_ADD_SPECIAL, "add-special-tokens", NULL, "bytepiece: <bos> before and <eos> behind each document"},
    {OPT_ALPHA, "alpha", "A", "bytepiece: draw segmentations, log-probabilities times A, instead of the best one"},
    {OPT_SEED, "seed", "N", "for --alpha [0]"},
    {OPT_NBEST, "nbest", "N", "bytepiece: the N best segmentations: lines of document, score (log-probability) and ids, with tabs between"},
    {OPT_OFFSETS, "offsets", NULL, "write where each id is from: lines of document, begin and end in bytes, and id, with tabs between"},
    {OPT_MARGINALS, "marginals", NULL, "bytepiece: for each possible piece its probability, also with --alpha: document, begin, end, id, probability"},
    {OPT_NO_NORMALIZE, "no-normalize", NULL, "bytepiece: leave the text as it is instead of NFC"},
    {OPT_THREADS, "threads", "N", "[all processors that may be used]"},
    {'q', "quiet", NULL, "no progress and no remarks"},
    {0, NULL, NULL, NULL},
};

static const cli_usage usage = {
    "encode", "-m FILE [OPTION]... [FILE...|-]",
    "Writes one line of decimal ids for each document; an empty line is an empty document. Each file is one\n"
    "document unless --split says otherwise; JSON lines give one a record.",
    options,
    "  piecemill encode -m zh.piecemill zh.txt > ids.txt\n"
    "  piecemill encode -m zh.piecemill --split line --count zh.txt\n"};

#define BATCH_BYTES ((size_t)16 << 20)

typedef struct encode_call {
    cli_model model;
    pm_encode_options o;
    cli_sources sources;
    cli_list allowed, disallowed;
    pm_bytes *lists[2];
    bool count, raw, quiet, marginals, offsets;
    unsigned nbest; /* 0: not asked for */
    pm_tokenizer *tok;
    cli_out out;
    uint64_t documents, documents_with_special;
} encode_call;

/* ---------------------------------------------------------------- the call ---- */

static bool set_format(encode_call *call, const char *name) {
    if (strcmp(name, "text") != 0 && strcmp(name, "u32") != 0) {
        cli_say("--format %s: expected text or u32", name);
        return false;
    }
    call->raw = name[0] == 'u';
    return true;
}

static bool set_alpha(encode_call *call, const char *value) {
    if (!cli_parse_double("alpha", value, &call->o.alpha)) {
        return false;
    }
    if (call->o.alpha < 0) {
        cli_say("--alpha %s: expected 0 or more", value);
        return false;
    }
    return true;
}

static bool set_nbest(encode_call *call, const char *value) {
    if (!cli_parse_number("nbest", value, 1000000, &call->nbest)) {
        return false;
    }
    if (call->nbest == 0) {
        cli_say("--nbest 0: expected 1 or more");
        return false;
    }
    return true;
}

static bool set_option(void *ctx, int code, const char *value) {
    encode_call *call = ctx;
    switch (code) {
    case 'm': call->model.path = value; break;
    case 'p': return cli_list_add(&call->model.patterns, value);
    case 'q': call->quiet = true; break;
    case OPT_FROM: return cli_parse_model_format(value, &call->model.format);
    case OPT_SPECIAL: return cli_add_special(&call->model.specials, &call->model.n_specials, value, true);
    case OPT_ANY_UNICODE: call->model.any_unicode = true; break;
    case OPT_FORMAT: return set_format(call, value);
    case OPT_COUNT: call->count = true; break;
    case OPT_ALLOWED: return cli_list_add(&call->allowed, value);
    case OPT_DISALLOWED: return cli_list_add(&call->disallowed, value);
    case OPT_ADD_SPECIAL: call->o.add_special_tokens = true; break;
    case OPT_ALPHA: return set_alpha(call, value);
    case OPT_SEED: return cli_parse_size("seed", value, UINT64_MAX, &call->o.seed);
    case OPT_NBEST: return set_nbest(call, value);
    case OPT_OFFSETS: call->offsets = true; break;
    case OPT_MARGINALS: call->marginals = true; break;
    case OPT_NO_NORMALIZE: call->o.no_normalize = true; break;
    case OPT_THREADS: return cli_parse_number("threads", value, 4096, &call->o.threads);
    default: return cli_sources_set(&call->sources, code, value);
    }
    return true;
}

static int parse(encode_call *call, int argc, char **argv) {
    int code = cli_options_read(&usage, argc, argv, set_option, call);
    if (code != CLI_OK) {
        return code;
    }
    if (call->nbest && (call->count || call->raw || call->o.alpha >= 0)) {
        cli_say("--nbest goes with none of --count, --format u32 and --alpha");
        return CLI_USAGE;
    }
    if (call->marginals && (call->count || call->raw || call->nbest)) {
        cli_say("--marginals goes with none of --count, --format u32 and --nbest");
        return CLI_USAGE;
    }
    if (call->offsets && (call->count || call->raw || call->nbest || call->marginals)) {
        cli_say("--offsets goes with none of --count, --format u32, --nbest and --marginals");
        return CLI_USAGE;
    }
    cli_sources_operands(&call->sources, argv + optind, argc - optind);
    return CLI_OK;
}

/* ---------------------------------------------------------------- lists of special tokens ---- */

static bool is_special(const pm_tokenizer *tok, const char *text) {
    size_t len = strlen(text);
    for (size_t i = 0; i < pm_tokenizer_n_special_tokens(tok); i++) {
        pm_bytes token = pm_tokenizer_special_token(tok, i).text;
        if (token.len == len && memcmp(token.data, text, len) == 0) {
            return true;
        }
    }
    return false;
}

static size_t count_commas(const char *text) {
    size_t n = 0;
    for (; *text; text++) {
        n += *text == ',';
    }
    return n;
}

/* Adds the tokens of one argument: the whole of it if that is a token (it may hold commas), else its parts. */
static size_t add_tokens(const pm_tokenizer *tok, const char *text, pm_bytes *to) {
    size_t n = 0;
    if (is_special(tok, text)) {
        to[0] = (pm_bytes){(const uint8_t *)text, strlen(text)};
        return 1;
    }
    for (;;) {
        size_t len = strcspn(text, ",");
        if (len) {
            to[n++] = (pm_bytes){(const uint8_t *)text, len};
        }
        if (!text[len]) {
            return n;
        }
        text += len + 1;
    }
}

/* What was said behind --allowed-special or --disallowed-special, as the options of the library have it. */
static int resolve(const pm_tokenizer *tok, const cli_list *said, pm_special_mode *mode, pm_bytes **list, size_t *n) {
    size_t most = 0;
    if (said->n == 0) {
        return CLI_OK;
    }
    *mode = PM_SPECIAL_LIST;
    for (size_t i = 0; i < said->n; i++) {
        if (said->n == 1 && strcmp(said->items[i], "all") == 0) {
            *mode = PM_SPECIAL_ALL;
            return CLI_OK;
        }
        if (said->n == 1 && strcmp(said->items[i], "none") == 0) {
            *mode = PM_SPECIAL_NONE;
            return CLI_OK;
        }
        most += count_commas(said->items[i]) + 1;
    }
    *list = malloc(most * sizeof **list);
    if (!*list) {
        return cli_no_memory();
    }
    for (size_t i = 0; i < said->n; i++) {
        *n += add_tokens(tok, said->items[i], *list + *n);
    }
    return CLI_OK;
}

static int resolve_lists(encode_call *call) {
    int code = resolve(call->tok, &call->allowed, &call->o.allowed, &call->lists[0], &call->o.n_allowed);
    if (code == CLI_OK) {
        code = resolve(call->tok, &call->disallowed, &call->o.disallowed, &call->lists[1], &call->o.n_disallowed);
    }
    call->o.allowed_list = call->lists[0];
    call->o.disallowed_list = call->lists[1];
    return code;
}

/* ---------------------------------------------------------------- ids to text ---- */

/* "00" "01" ... "99". */
static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324"
                                  "25262728293031323334353637383940414243444546474849"
                                  "50515253545556575859606162636465666768697071727374"
                                  "75767778798081828384858687888990919293949596979899";

enum { NUMBER_ROOM = 24 };

/* Writes n in decimal, two digits a step from the right, then moved into place as one copy of fixed size. Returns the end; needs NUMBER_ROOM
 * bytes at p. */
static char *put_number(char *p, uint64_t n) {
    char digits[2 * NUMBER_ROOM];
    unsigned at = NUMBER_ROOM;
    while (n >= 100) {
        at -= 2;
        memcpy(digits + at, digit_pairs + n % 100 * 2, 2);
        n /= 100;
    }
    if (n >= 10) {
        at -= 2;
        memcpy(digits + at, digit_pairs + n * 2, 2);
    } else {
        digits[--at] = (char)('0' + n);
    }
    memcpy(p, digits + at, NUMBER_ROOM);
    return p + (NUMBER_ROOM - at);
}

static void write_line(cli_out *out, const pm_id *ids, uint64_t n) {
    enum { STEP = 2000 };
    for (uint64_t i = 0; i < n; i += STEP) {
        uint64_t end = n - i < STEP ? n : i + STEP;
        char *p = cli_out_room(out, STEP * (10 + 1) + NUMBER_ROOM), *start = p;
        if (!p) {
            return;
        }
        for (uint64_t k = i; k < end; k++) {
            p = put_number(p, ids[k]);
            *p++ = ' ';
        }
        out->len += (size_t)(p - start) - (end == n); /* the last space gives way to the newline */
    }
    cli_out_write(out, "\n", 1);
}

static void write_count(cli_out *out, uint64_t n) {
    char *p = cli_out_room(out, NUMBER_ROOM + 1);
    if (p) {
        char *end = put_number(p, n);
        *end++ = '\n';
        out->len += (size_t)(end - p);
    }
}

static void write_raw(cli_out *out, const pm_id *ids, uint64_t n) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (uint64_t i = 0; i < n; i++) {
        uint32_t swapped = __builtin_bswap32(ids[i]);
        cli_out_write(out, &swapped, 4);
    }
#else
    cli_out_write(out, ids, n * sizeof *ids);
#endif
}

static void write_batch(encode_call *call, const pm_batch *batch) {
    for (size_t i = 0; i < batch->n_docs && !call->out.failed; i++) {
        uint64_t begin = batch->offsets[i], n = batch->offsets[i + 1] - begin;
        if (call->count) {
            write_count(&call->out, n);
        } else if (!call->raw) {
            write_line(&call->out, batch->ids + begin, n);
        }
    }
    if (call->raw && !call->count && batch->n_docs) {
        write_raw(&call->out, batch->ids, batch->offsets[batch->n_docs]);
    }
}

/* ---------------------------------------------------------------- n-best, marginals ---- */

static void write_alternatives(encode_call *call, uint64_t document, const pm_batch *best, const double *scores) {
    for (size_t i = 0; i < best->n_docs && !call->out.failed; i++) {
        char head[80];
        int len = snprintf(head, sizeof head, "%" PRIu64 "\t%.10g\t", document, scores[i]);
        cli_out_write(&call->out, head, (size_t)len);
        write_line(&call->out, best->ids + best->offsets[i], best->offsets[i + 1] - best->offsets[i]);
    }
}

static void write_marginals(encode_call *call, uint64_t document, const pm_marginals *marginals) {
    for (size_t i = 0; i < marginals->n && !call->out.failed; i++) {
        const pm_marginal *m = &marginals->items[i];
        char line[128];
        int len = snprintf(line, sizeof line, "%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu32 "\t%.10g\n", document, m->begin, m->end, m->id,
                           m->probability);
        cli_out_write(&call->out, line, (size_t)len);
    }
}

static void write_offsets(encode_call *call, uint64_t document, const pm_tokens *tokens) {
    for (size_t i = 0; i < tokens->n && !call->out.failed; i++) {
        const pm_token *t = &tokens->items[i];
        char line[128];
        int len = snprintf(line, sizeof line, "%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu32 "\n", document, t->begin, t->end, t->id);
        cli_out_write(&call->out, line, (size_t)len);
    }
}

/* One document by itself, as its number says; scores: room for the n best. */
static pm_status write_document(encode_call *call, pm_encoder *encoder, pm_text text, uint64_t number, const pm_encode_options *o, double *scores,
                                pm_error *err) {
    if (call->marginals) {
        pm_marginals marginals;
        pm_status status = pm_encode_marginals(encoder, text, o, &marginals, err);
        if (status == PM_OK) {
            write_marginals(call, number, &marginals);
            pm_marginals_release(&marginals);
        }
        return status;
    }
    if (call->offsets) {
        pm_tokens tokens;
        pm_status status = pm_encode_offsets(encoder, text, o, &tokens, err);
        if (status == PM_OK) {
            write_offsets(call, number, &tokens);
            pm_tokens_release(&tokens);
        }
        return status;
    }
    pm_batch best;
    pm_status status = pm_encode_nbest(encoder, text, call->nbest, o, &best, scores, err);
    if (status == PM_OK) {
        write_alternatives(call, number, &best, scores);
        pm_batch_release(&best);
    }
    return status;
}

/* Writes the n best segmentations of each document, its marginals or where its ids are from; a failure is that of the library. */
static pm_status write_each(encode_call *call, const pm_bytes *docs, size_t n, pm_error *err) {
    pm_encode_options o = call->o;
    pm_encoder *encoder = NULL;
    double *scores = malloc((call->nbest + 1) * sizeof *scores);
    if (o.disallowed == PM_SPECIAL_DEFAULT) {
        o.disallowed = PM_SPECIAL_NONE; /* as in a batch */
    }
    if (!scores) {
        *err = (pm_error){.status = PM_NO_MEMORY, .offset = PM_NO_OFFSET, .message = "out of memory"};
        return PM_NO_MEMORY;
    }
    pm_status status = pm_encoder_new(&encoder, call->tok, err);
    for (size_t i = 0; i < n && status == PM_OK && !call->out.failed; i++) {
        pm_text text = {docs[i].data, docs[i].len, PM_TEXT_UTF8};
        status = write_document(call, encoder, text, call->documents + i + 1, &o, scores, err);
    }
    pm_encoder_free(encoder);
    free(scores);
    return status;
}

/* ---------------------------------------------------------------- where an error is ---- */

/* The document of a failed batch that fails by itself, and its error; n if none does. */
static size_t find_document(const encode_call *call, const pm_bytes *docs, size_t n, pm_error *err) {
    pm_encode_options o = call->o;
    pm_encoder *encoder;
    size_t i = n, needed;
    if (o.disallowed == PM_SPECIAL_DEFAULT) {
        o.disallowed = PM_SPECIAL_NONE; /* as in a batch */
    }
    if (pm_encoder_new(&encoder, call->tok, NULL) == PM_OK) {
        pm_error one;
        for (i = 0; i < n; i++) {
            pm_status status = pm_encode(encoder, docs[i], &o, NULL, 0, &needed, &one);
            if (status != PM_OK && status != PM_NO_SPACE) {
                *err = one;
                break;
            }
        }
        pm_encoder_free(encoder);
    }
    return i;
}

static bool ends_with(const char *path, size_t *len, const char *ending) {
    size_t n = strlen(ending);
    if (*len < n || memcmp(path + *len - n, ending, n) != 0) {
        return false;
    }
    *len -= n;
    return true;
}

static bool is_jsonl(const encode_call *call, const char *path) {
    size_t len = strlen(path);
    if (strcmp(path, "-") == 0) {
        return call->sources.options.field != NULL;
    }
    if (!ends_with(path, &len, ".gz")) {
        (void)ends_with(path, &len, ".zst");
    }
    return ends_with(path, &len, ".jsonl") || ends_with(path, &len, ".ndjson");
}

/* Prints an error in document `index` (from 0, of all documents), whose text begins `before` bytes into its file. */
static void print_in_file(const encode_call *call, pm_error *err, const char *path, uint64_t index, uint64_t before) {
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    if (err->offset == PM_NO_OFFSET) {
        cli_print_error(err, name);
    } else if (is_jsonl(call, path)) {
        cli_say("%s: document %" PRIu64 ", byte %" PRIu64 " of its text: %s", name, index + 1, err->offset, err->message);
    } else {
        err->offset += before;
        cli_print_error(err, name);
    }
}

/* Reads the files again, one by one, to the document `index` of all. False: there was none. */
static bool print_after_reading_again(const encode_call *call, pm_error *err, uint64_t index) {
    for (int i = 0; i < call->sources.n_files && strcmp(call->sources.files[i], "-") != 0; i++) {
        pm_corpus *corpus;
        const pm_bytes *docs;
        size_t n = 0;
        uint64_t before = 0, here = 0;
        bool found = false;
        pm_status status = pm_corpus_new(&corpus, &call->sources.options, NULL);
        status = status == PM_OK ? pm_corpus_add_file(corpus, call->sources.files[i], NULL) : status;
        while (status == PM_OK && !found && (status = pm_corpus_read(corpus, 0, &docs, &n, NULL)) == PM_OK && n > 0) {
            for (size_t k = 0; k < n && !(found = here == index); k++, here++) {
                before += docs[k].len;
            }
        }
        pm_corpus_free(corpus);
        if (found) {
            print_in_file(call, err, call->sources.files[i], here, before);
        }
        if (found || status != PM_OK) {
            return found;
        }
        index -= here;
    }
    return false;
}

/* A batch failed: says in which file and where. `bytes` of text lay before the batch. */
static int encoding_failed(const encode_call *call, const pm_bytes *docs, size_t n, uint64_t bytes, pm_status status, pm_error *err) {
    if (status == PM_NO_MEMORY || status == PM_INVALID_ARGUMENT) {
        cli_print_error(err, NULL);
        return cli_exit_code(status);
    }
    size_t which = find_document(call, docs, n, err);
    uint64_t index = call->documents + which;
    if (call->sources.n_files <= 1) {
        for (size_t i = 0; i < which && i < n; i++) {
            bytes += docs[i].len;
        }
        print_in_file(call, err, call->sources.n_files ? call->sources.files[0] : "-", index, bytes);
    } else if (!print_after_reading_again(call, err, index)) {
        cli_print_error(err, NULL);
    }
    return cli_exit_code(status);
}

/* ---------------------------------------------------------------- the work ---- */

static pm_status encode_documents(encode_call *call, const pm_bytes *docs, size_t n, pm_error *err) {
    pm_encode_options o = call->o;
    pm_batch batch;
    if (call->nbest || call->marginals || call->offsets) {
        return write_each(call, docs, n, err);
    }
    o.document = call->documents;
    pm_status status = pm_encode_batch(call->tok, docs, n, &o, &batch, err);
    if (status == PM_OK) {
        write_batch(call, &batch);
        call->documents_with_special += batch.documents_with_special;
        pm_batch_release(&batch);
    }
    return status;
}

static int encode_batches(encode_call *call, pm_corpus *corpus, cli_progress *progress) {
    const pm_bytes *docs;
    pm_error err;
    uint64_t bytes = 0;
    size_t n;
    while (!call->out.failed) {
        pm_status status = pm_corpus_read(corpus, BATCH_BYTES, &docs, &n, &err);
        if (status != PM_OK) {
            cli_progress_end(progress);
            cli_print_error(&err, NULL);
            return cli_exit_code(status);
        }
        if (n == 0) {
            break;
        }
        status = encode_documents(call, docs, n, &err);
        if (status != PM_OK) {
            cli_progress_end(progress);
            return encoding_failed(call, docs, n, bytes, status, &err);
        }
        call->documents += n;
        for (size_t i = 0; i < n; i++) {
            bytes += docs[i].len;
        }
        cli_progress_tick(progress, "encode", corpus);
    }
    return CLI_OK;
}

static int encode(encode_call *call) {
    cli_progress progress;
    pm_corpus *corpus = NULL;
    int code = cli_sources_open(&corpus, &call->sources);
    if (code == CLI_OK) {
        cli_out_open(&call->out);
        cli_progress_begin(&progress, call->quiet || isatty(STDOUT_FILENO));
        code = encode_batches(call, corpus, &progress);
        cli_progress_end(&progress);
        code = cli_out_close(&call->out, code);
    }
    pm_corpus_free(corpus);
    if (code == CLI_OK && call->documents_with_special && !call->quiet) {
        char n[32];
        cli_format_count(n, call->documents_with_special);
        cli_say("%s documents held the text of a special token; it was treated as ordinary text (--allowed-special)", n);
    }
    return code;
}

/* Ranks alone do not tell how text is split before merging: whoever forgets it gets other ids than the vocabulary's origin gives. */
static void remark_missing_pattern(const encode_call *call) {
    const char *ending = strrchr(call->model.path, '.');
    bool ranks = call->model.format == PM_FORMAT_TIKTOKEN || (ending && strcmp(ending, ".tiktoken") == 0);
    if (ranks && call->model.patterns.n == 0 && !call->quiet) {
        cli_say("%s: the format holds no pattern and none was given (-p): text is not split", call->model.path);
    }
}

int cmd_encode(int argc, char **argv) {
    encode_call call = {.o = PM_ENCODE_OPTIONS_INIT, .sources = CLI_SOURCES_INIT};
    call.sources.options.split = PM_SPLIT_DOCUMENT;
    cli_signals_default();
    int code = parse(&call, argc, argv);
    if (code == CLI_OK) {
        code = cli_model_load(&call.model, "encode", &call.tok);
    }
    if (code == CLI_OK) {
        remark_missing_pattern(&call);
        code = resolve_lists(&call);
    }
    if (code == CLI_OK) {
        code = encode(&call);
    }
    pm_tokenizer_free(call.tok);
    cli_model_release(&call.model);
    free(call.allowed.items);
    free(call.disallowed.items);
    free(call.lists[0]);
    free(call.lists[1]);
    cli_signals_end();
    return code == CLI_HELP ? CLI_OK : code;
}

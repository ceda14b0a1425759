/* cmd_inspect.c - piecemill inspect: what a tokenizer file holds, for people and for programs. */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

enum { OPT_JSON = CLI_LONG, OPT_FROM, OPT_SPECIAL, OPT_ANY_UNICODE, OPT_REPORT, OPT_COUNTS, MOST = 10 };

static const cli_option options[] = {
    {OPT_JSON, "json", NULL, "for programs"},
    {OPT_FROM, "from", "FORMAT", "the file's format, where the content does not tell: native, tiktoken, hf, hf-vocab, bert, sentencepiece, bytepiece, tekken, llama2c, gguf"},
    {'p', "pattern", "PATTERN", "what to split by, where the file lacks it (.tiktoken)"},
    {OPT_SPECIAL, "special", "TEXT[=ID]", "a special token that the file lacks; may be repeated"},
    {OPT_SPECIAL, "special-tokens", "TEXT[=ID]", NULL},
    {OPT_ANY_UNICODE, "any-unicode", NULL, "take a model whose regex was made for another version of Unicode"},
    {OPT_REPORT, "report", "N", "the N longest pieces, those in the fewest documents, those that mix scripts; counted in TEXT, if any"},
    {OPT_COUNTS, "counts", "FILE", "count for the report in a count file (piecemill count --documents) instead of TEXT"},
    {CLI_SPLIT, "split", "HOW", "TEXT becomes documents by line, paragraph or document [line]"},
    {CLI_FIELD, "field", "NAME", "the field of JSONL that holds the text [text]; standard input is JSONL then"},
    {'q', "quiet", NULL, "no progress"},
    {0, NULL, NULL, NULL},
};

static const cli_usage usage = {
    "inspect", "[OPTION]... FILE [TEXT...]", "Tells what a tokenizer holds: sizes, pattern, special tokens, its longest and most frequent pieces,\n"
    "the settings it was trained with, and a hash that is equal for tokenizers that give the same ids. Or what a\n"
    "count file says of itself: its totals and settings.", options,
    "  piecemill inspect zh.piecemill\n"
    "  piecemill inspect --json zh.piecemill\n"
    "  piecemill inspect --report 20 zh.piecemill zh.txt\n"};

/* ---------------------------------------------------------------- what is told ---- */

typedef struct facts {
    const pm_tokenizer *tok;
    const cli_pieces *pieces; /* NULL: no report is asked for */
    uint32_t size;
    uint32_t kinds[8];      /* how many ids of each pm_kind */
    uint64_t piece_bytes;   /* of all pieces */
    pm_id longest[MOST], frequent[MOST];
    size_t n_longest, n_frequent;
    char hash[PM_HASH_HEX];
} facts;

static uint64_t length_of(const pm_tokenizer *tok, pm_id id) { return pm_tokenizer_piece(tok, id).len; }

/* Keeps the ids with the highest measure, in falling order, of equal ones the lowest id first. */
static void keep_highest(const pm_tokenizer *tok, pm_id id, uint64_t (*measure)(const pm_tokenizer *, pm_id), pm_id *ids, size_t *n) {
    uint64_t value = measure(tok, id);
    size_t at = *n;
    while (at > 0 && measure(tok, ids[at - 1]) < value) {
        at--;
    }
    if (at == MOST) {
        return;
    }
    *n += *n < MOST;
    memmove(ids + at + 1, ids + at, (*n - at - 1) * sizeof *ids);
    ids[at] = id;
}

static void gather(facts *f, const pm_tokenizer *tok, const cli_pieces *pieces) {
    *f = (facts){.tok = tok, .pieces = pieces, .size = pm_tokenizer_vocab_size(tok)};
    for (pm_id id = 0; id < f->size; id++) {
        pm_kind kind = pm_tokenizer_kind(tok, id);
        f->kinds[kind & 7]++;
        if (kind == PM_KIND_PIECE) {
            f->piece_bytes += length_of(tok, id);
            keep_highest(tok, id, length_of, f->longest, &f->n_longest);
            if (pm_tokenizer_count(tok, id) > 0) {
                keep_highest(tok, id, pm_tokenizer_count, f->frequent, &f->n_frequent);
            }
        }
    }
    pm_tokenizer_hash(tok, f->hash);
}

static const char *algorithm_name(const facts *f) {
    switch (pm_tokenizer_algorithm(f->tok)) {
    case PM_ALGORITHM_BYTEPIECE: return "bytepiece";
    case PM_ALGORITHM_BPE: return "bpe";
    case PM_ALGORITHM_UNIGRAM: return "unigram";
    case PM_ALGORITHM_WORDPIECE: return "wordpiece";
    case PM_ALGORITHM_WORDLEVEL: return "wordlevel";
    }
    return "?";
}

/* ---------------------------------------------------------------- for people ---- */

static void print_count(cli_out *out, const char *name, uint64_t n) {
    char text[32];
    cli_format_count(text, n);
    cli_out_printf(out, "%-18s %s\n", name, text);
}

static void print_pattern(cli_out *out, const facts *f) {
    const char *name = pm_tokenizer_pattern_name(f->tok);
    size_t n = pm_tokenizer_n_patterns(f->tok);
    if (pm_tokenizer_algorithm(f->tok) == PM_ALGORITHM_BPE) {
        cli_out_printf(out, "%-18s %s\n", "pattern", n == 0 ? "none" : name[0] ? name : "a regex of its own");
    }
    for (size_t i = 0; i < n; i++) {
        const char *regex = pm_tokenizer_pattern(f->tok, i);
        cli_out_printf(out, "%-18s ", "");
        cli_out_write(out, regex, strlen(regex));
        cli_out_write(out, "\n", 1);
    }
}

static void print_pieces(cli_out *out, const facts *f, const char *title, const pm_id *ids, size_t n, bool counts) {
    if (n == 0) {
        return;
    }
    cli_out_printf(out, "\n%s\n", title);
    for (size_t i = 0; i < n; i++) {
        char text[32];
        pm_bytes piece = pm_tokenizer_piece(f->tok, ids[i]);
        cli_format_count(text, counts ? pm_tokenizer_count(f->tok, ids[i]) : piece.len);
        cli_out_printf(out, "  %7" PRIu32 "  %14s%s  ", ids[i], text, counts ? "" : " bytes");
        cli_out_piece(out, piece);
        cli_out_write(out, "\n", 1);
    }
}

static void print_specials(cli_out *out, const facts *f) {
    size_t n = pm_tokenizer_n_special_tokens(f->tok);
    if (n) {
        cli_out_printf(out, "\nspecial tokens\n");
    }
    for (size_t i = 0; i < n; i++) {
        pm_special_token token = pm_tokenizer_special_token(f->tok, i);
        cli_out_printf(out, "  %7" PRIu32 "  ", token.id);
        cli_out_piece(out, token.text);
        cli_out_write(out, "\n", 1);
    }
}

/* The "key=value" lines, indented; of a long one, a chat template say, the beginning. */
static void print_settings(cli_out *out, const facts *f) {
    enum { LONGEST = 160 };
    const char *line = pm_tokenizer_settings(f->tok);
    if (*line) {
        cli_out_printf(out, "\nsettings\n");
    }
    while (*line) {
        size_t n = strcspn(line, "\n");
        cli_out_write(out, "  ", 2);
        size_t shown = n < LONGEST ? n : LONGEST;
        while (shown < n && shown > 0 && ((unsigned char)line[shown] & 0xC0) == 0x80) { /* not inside a character */
            shown--;
        }
        cli_out_write(out, line, shown);
        if (shown < n) {
            cli_out_printf(out, "... (%zu bytes)", n);
        }
        cli_out_write(out, "\n", 1);
        line += n + (line[n] == '\n');
    }
}

static void print_text(cli_out *out, const facts *f) {
    cli_out_printf(out, "%-18s %s\n", "algorithm", algorithm_name(f));
    print_count(out, "vocabulary size", f->size);
    print_count(out, "pieces", f->kinds[PM_KIND_PIECE]);
    print_count(out, "special tokens", f->kinds[PM_KIND_SPECIAL]);
    print_count(out, "control ids", f->kinds[PM_KIND_CONTROL]);
    print_count(out, "byte tokens", f->kinds[PM_KIND_BYTE]);
    print_count(out, "reserved slots", f->kinds[PM_KIND_RESERVED]);
    print_count(out, "holes", f->kinds[PM_KIND_HOLE]);
    if (pm_tokenizer_algorithm(f->tok) == PM_ALGORITHM_BPE) {
        print_count(out, "merges", pm_tokenizer_n_merges(f->tok));
    }
    if (f->kinds[PM_KIND_PIECE]) {
        cli_out_printf(out, "%-18s %.2f\n", "bytes a piece", (double)f->piece_bytes / f->kinds[PM_KIND_PIECE]);
    }
    cli_out_printf(out, "%-18s %s\n", "lossless", pm_tokenizer_lossless(f->tok) ? "yes" : "no");
    cli_out_printf(out, "%-18s %s\n", "hash", f->hash);
    print_pattern(out, f);
    print_specials(out, f);
    if (!f->pieces) {
        print_pieces(out, f, "longest pieces", f->longest, f->n_longest, false);
    }
    print_pieces(out, f, "most frequent pieces", f->frequent, f->n_frequent, true);
    if (f->pieces) {
        cli_pieces_print(out, f->pieces);
    }
    print_settings(out, f);
}

/* ---------------------------------------------------------------- for programs ---- */

static void json_key(cli_out *out, const char *key, bool first) { cli_out_printf(out, "%s\"%s\": ", first ? "" : ", ", key); }

static void json_number(cli_out *out, const char *key, uint64_t n) {
    json_key(out, key, false);
    cli_out_printf(out, "%" PRIu64, n);
}

static void json_string(cli_out *out, const char *key, const char *text, size_t len, bool first) {
    json_key(out, key, first);
    cli_out_json(out, text, len);
}

/* Pieces need not be UTF-8: their bytes in hexadecimal beside the text. */
static void json_pieces(cli_out *out, const facts *f, const char *key, const pm_id *ids, size_t n) {
    json_key(out, key, false);
    cli_out_write(out, "[", 1);
    for (size_t i = 0; i < n; i++) {
        pm_bytes piece = pm_tokenizer_piece(f->tok, ids[i]);
        cli_out_printf(out, "%s{\"id\": %" PRIu32 ", \"count\": %" PRIu64 ", ", i ? ", " : "", ids[i], pm_tokenizer_count(f->tok, ids[i]));
        json_string(out, "text", (const char *)piece.data, piece.len, true);
        cli_out_printf(out, ", \"hex\": \"");
        for (size_t k = 0; k < piece.len; k++) {
            cli_out_printf(out, "%02x", piece.data[k]);
        }
        cli_out_write(out, "\"}", 2);
    }
    cli_out_write(out, "]", 1);
}

static void json_specials(cli_out *out, const facts *f) {
    json_key(out, "special_tokens", false);
    cli_out_write(out, "[", 1);
    for (size_t i = 0; i < pm_tokenizer_n_special_tokens(f->tok); i++) {
        pm_special_token token = pm_tokenizer_special_token(f->tok, i);
        cli_out_printf(out, "%s{\"id\": %" PRIu32, i ? ", " : "", token.id);
        json_string(out, "text", (const char *)token.text.data, token.text.len, false);
        cli_out_write(out, "}", 1);
    }
    cli_out_write(out, "]", 1);
}

static void json_pattern(cli_out *out, const facts *f) {
    const char *name = pm_tokenizer_pattern_name(f->tok);
    json_string(out, "pattern", name, strlen(name), false);
    json_key(out, "regexes", false);
    cli_out_write(out, "[", 1);
    for (size_t i = 0; i < pm_tokenizer_n_patterns(f->tok); i++) {
        const char *regex = pm_tokenizer_pattern(f->tok, i);
        cli_out_write(out, ", ", i ? 2 : 0);
        cli_out_json(out, regex, strlen(regex));
    }
    cli_out_write(out, "]", 1);
}

static void json_settings(cli_out *out, const facts *f) {
    const char *line = pm_tokenizer_settings(f->tok);
    bool first = true;
    json_key(out, "settings", false);
    cli_out_write(out, "{", 1);
    while (*line) {
        size_t n = strcspn(line, "\n"), key = strcspn(line, "=\n");
        cli_out_write(out, ", ", first ? 0 : 2);
        cli_out_json(out, line, key);
        cli_out_write(out, ": ", 2);
        cli_out_json(out, line + key + (key < n), key < n ? n - key - 1 : 0);
        first = false;
        line += n + (line[n] == '\n');
    }
    cli_out_write(out, "}", 1);
}

static void print_json(cli_out *out, const facts *f) {
    cli_out_write(out, "{", 1);
    json_string(out, "algorithm", algorithm_name(f), strlen(algorithm_name(f)), true);
    json_number(out, "vocab_size", f->size);
    json_number(out, "pieces", f->kinds[PM_KIND_PIECE]);
    json_number(out, "specials", f->kinds[PM_KIND_SPECIAL]);
    json_number(out, "controls", f->kinds[PM_KIND_CONTROL]);
    json_number(out, "byte_tokens", f->kinds[PM_KIND_BYTE]);
    json_number(out, "reserved", f->kinds[PM_KIND_RESERVED]);
    json_number(out, "holes", f->kinds[PM_KIND_HOLE]);
    json_number(out, "merges", pm_tokenizer_n_merges(f->tok));
    json_number(out, "piece_bytes", f->piece_bytes);
    json_key(out, "lossless", false);
    cli_out_printf(out, "%s", pm_tokenizer_lossless(f->tok) ? "true" : "false");
    json_string(out, "hash", f->hash, strlen(f->hash), false);
    json_pattern(out, f);
    json_specials(out, f);
    json_pieces(out, f, "longest", f->longest, f->n_longest);
    json_pieces(out, f, "most_frequent", f->frequent, f->n_frequent);
    json_settings(out, f);
    if (f->pieces) {
        json_key(out, "report", false);
        cli_pieces_json(out, f->pieces);
    }
    cli_out_write(out, "}\n", 2);
}

/* ---------------------------------------------------------------- the call ---- */

typedef struct inspect_call {
    cli_model model;
    cli_sources sources;
    uint32_t report; /* rows of each list; 0: none */
    const char *counts;
    bool json, quiet;
} inspect_call;

static bool set_option(void *ctx, int code, const char *value) {
    inspect_call *call = ctx;
    switch (code) {
    case OPT_JSON: call->json = true; break;
    case OPT_ANY_UNICODE: call->model.any_unicode = true; break;
    case OPT_FROM: return cli_parse_model_format(value, &call->model.format);
    case 'p': return cli_list_add(&call->model.patterns, value);
    case OPT_SPECIAL: return cli_add_special(&call->model.specials, &call->model.n_specials, value, true);
    case OPT_REPORT: return cli_parse_number("report", value, UINT32_MAX, &call->report);
    case OPT_COUNTS: call->counts = value; break;
    case 'q': call->quiet = true; break;
    default: return cli_sources_set(&call->sources, code, value);
    }
    return true;
}

static int parse(inspect_call *call, int argc, char **argv) {
    int code = cli_options_read(&usage, argc, argv, set_option, call);
    if (code != CLI_OK) {
        return code;
    }
    int n = argc - optind;
    if (n < 1 || (n > 1 && !call->report)) {
        cli_say("inspect takes one file, and with --report texts behind it; see `piecemill inspect --help`");
        return CLI_USAGE;
    }
    if (call->counts && (n > 1 || !call->report)) {
        cli_say("--counts is for --report, in the place of texts; see `piecemill inspect --help`");
        return CLI_USAGE;
    }
    call->model.path = argv[optind];
    cli_sources_operands(&call->sources, argv + optind + 1, n - 1);
    return CLI_OK;
}

static int report_pieces(const inspect_call *call, const pm_tokenizer *tok, cli_pieces **pieces) {
    pm_corpus *corpus = NULL;
    int code = call->sources.n_files ? cli_sources_open(&corpus, &call->sources) : CLI_OK;
    if (code == CLI_OK) {
        code = cli_pieces_new(pieces, tok, call->report, corpus, call->counts, call->quiet);
    }
    pm_corpus_free(corpus);
    return code;
}

static int inspect(const inspect_call *call, const pm_tokenizer *tok) {
    cli_pieces *pieces = NULL;
    int code = call->report ? report_pieces(call, tok, &pieces) : CLI_OK;
    if (code == CLI_OK) {
        facts f;
        cli_out out;
        gather(&f, tok, pieces);
        cli_out_open(&out);
        (call->json ? print_json : print_text)(&out, &f);
        code = cli_out_close(&out, CLI_OK);
    }
    cli_pieces_free(pieces);
    return code;
}

int cmd_inspect(int argc, char **argv) {
    inspect_call call = {.sources = CLI_SOURCES_INIT};
    pm_tokenizer *tok = NULL;
    cli_signals_default();
    int code = parse(&call, argc, argv);
    if (code == CLI_OK && (call.report || call.model.format || !cli_counts_inspect(call.model.path, call.json, &code))) {
        code = cli_model_load(&call.model, "inspect", &tok);
        code = code == CLI_OK ? inspect(&call, tok) : code;
    }
    pm_tokenizer_free(tok);
    cli_model_release(&call.model);
    cli_signals_end();
    return code == CLI_HELP ? CLI_OK : code;
}

/* cmd_convert.c - piecemill convert: a tokenizer from one format to another. */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

enum { OPT_FROM = CLI_LONG, OPT_TO, OPT_SPECIAL, OPT_ANY_UNICODE, OPT_LOSSY, OPT_TABLES, OPT_JSON, BATCH_BYTES = 4 << 20 };

static const cli_option options[] = {
    {OPT_FROM, "from", "FORMAT", "IN's format, where the content does not tell: native, tiktoken, hf, hf-vocab, bert, sentencepiece, bytepiece, tekken, llama2c, gguf"},
    {OPT_TO, "to", "FORMAT", "OUT's format, where the ending does not tell"},
    {'p', "pattern", "PATTERN", "what to split by, where IN lacks it (.tiktoken)"},
    {OPT_SPECIAL, "special", "TEXT[=ID]", "a special token that IN lacks; may be repeated"},
    {OPT_SPECIAL, "special-tokens", "TEXT[=ID]", NULL},
    {OPT_ANY_UNICODE, "any-unicode", NULL, "take a model whose regex was made for another version of Unicode"},
    {OPT_LOSSY, "lossy", NULL, "go on where OUT cannot give the same ids for every text, and say what is lost"},
    {OPT_TABLES, "tables", NULL, "to .piecemill: with the encoder's tables, so that loading takes milliseconds; a file several times as large"},
    {OPT_JSON, "json", NULL, "what was lost and compared, for programs"},
    {CLI_SPLIT, "split", "HOW", "TEXT becomes documents by line, paragraph or document [line]"},
    {CLI_FIELD, "field", "NAME", "the field of JSONL that holds the text [text]; standard input is JSONL then"},
    {'q', "quiet", NULL, "no progress, and no report"},
    {0, NULL, NULL, NULL},
};

static const cli_usage usage = {
    "convert", "[OPTION]... IN OUT [TEXT...]", "Writes the tokenizer IN in another format. Only where OUT gives the same ids for every text; else it says what\n"
    "OUT cannot hold, and --lossy goes on. OUT may be a folder: tokenizer.json and what lies beside it then. With TEXT\n"
    "both tokenizers encode it, and the share of documents that get other ids is told.", options,
    "  piecemill convert zh.piecemill zh.tokenizer.json\n"
    "  piecemill convert tokenizer.json folder/\n"
    "  piecemill convert --lossy --from hf --to native tokenizer.json bpe.out en.txt\n"};

typedef struct convert_call {
    cli_model in;
    cli_sources texts;
    const char *out;
    pm_format format;
    bool lossy, tables, json, quiet;
} convert_call;

/* What is found out on the way. */
typedef struct findings {
    cli_list lost; /* sentences, each to be freed */
    bool failed;   /* out of memory while one was kept */
    bool compared;
    uint64_t documents, differ, first; /* first: index of the first document that differs */
    uint64_t tokens[2];
} findings;

static bool set_option(void *ctx, int code, const char *value) {
    convert_call *call = ctx;
    switch (code) {
    case OPT_FROM: return cli_parse_model_format(value, &call->in.format);
    case OPT_TO: return cli_parse_model_format(value, &call->format);
    case 'p': return cli_list_add(&call->in.patterns, value);
    case OPT_SPECIAL: return cli_add_special(&call->in.specials, &call->in.n_specials, value, true);
    case OPT_ANY_UNICODE: call->in.any_unicode = true; break;
    case OPT_LOSSY: call->lossy = true; break;
    case OPT_TABLES: call->tables = true; break;
    case OPT_JSON: call->json = true; break;
    case 'q': call->quiet = true; break;
    default: return cli_sources_set(&call->texts, code, value);
    }
    return true;
}

static int parse(convert_call *call, int argc, char **argv) {
    int code = cli_options_read(&usage, argc, argv, set_option, call);
    if (code != CLI_OK) {
        return code;
    }
    int n = argc - optind;
    if (n < 2) {
        cli_say("convert takes two files, IN and OUT; see `piecemill convert --help`");
        return CLI_USAGE;
    }
    call->in.path = argv[optind];
    call->out = argv[optind + 1];
    if (strcmp(call->out, "-") == 0) {
        cli_say("a file that is written whole or not at all cannot go to standard output");
        return CLI_USAGE;
    }
    cli_sources_operands(&call->texts, argv + optind + 2, n - 2);
    return cli_sources_check_output(&call->texts, call->out);
}

/* ---------------------------------------------------------------- writing ---- */

static void keep_sentence(void *user, const char *what) {
    findings *f = user;
    char *copy = strdup(what);
    if (!copy || !cli_list_add(&f->lost, copy)) {
        free(copy);
        f->failed = true;
    }
}

static int save(const convert_call *call, const pm_tokenizer *tok, findings *f) {
    pm_save_options o = PM_SAVE_OPTIONS_INIT;
    pm_error err;
    o.format = call->format;
    o.flags = (call->lossy ? PM_SAVE_LOSSY : 0u) | (call->tables ? PM_SAVE_TABLES : 0u);
    o.lost = keep_sentence;
    o.lost_user = f;
    pm_status status = pm_tokenizer_save_with(tok, call->out, &o, &err);
    if (status != PM_OK) {
        cli_print_error(&err, call->out);
        return status == PM_NOT_FOUND ? CLI_USAGE : cli_exit_code(status);
    }
    return f->failed ? cli_no_memory() : CLI_OK;
}

/* ---------------------------------------------------------------- comparing ---- */

/* A .tiktoken file holds neither pattern nor special tokens: those of the model it was made of go with it. */
static int load_again(const convert_call *call, const pm_tokenizer *tok, pm_tokenizer **out) {
    cli_model model = {.path = call->out, .format = call->format, .any_unicode = true};
    const char *ending = strrchr(call->out, '.');
    bool lacks = call->format == PM_FORMAT_TIKTOKEN || (call->format == PM_FORMAT_AUTO && ending && strcmp(ending, ".tiktoken") == 0);
    bool room = true;
    size_t n = lacks ? pm_tokenizer_n_special_tokens(tok) : 0;
    for (size_t i = 0; lacks && room && i < pm_tokenizer_n_patterns(tok); i++) {
        room = cli_list_add(&model.patterns, pm_tokenizer_pattern(tok, i));
    }
    model.specials = n ? malloc(n * sizeof *model.specials) : NULL;
    for (; model.specials && model.n_specials < n; model.n_specials++) {
        model.specials[model.n_specials] = pm_tokenizer_special_token(tok, model.n_specials);
    }
    int code = !room || model.n_specials < n ? cli_no_memory() : cli_model_load(&model, "convert", out);
    cli_model_release(&model);
    return code;
}

static void compare_batches(findings *f, const pm_batch *a, const pm_batch *b) {
    for (size_t i = 0; i < a->n_docs; i++) {
        size_t n = (size_t)(a->offsets[i + 1] - a->offsets[i]);
        bool same = n == b->offsets[i + 1] - b->offsets[i] && memcmp(a->ids + a->offsets[i], b->ids + b->offsets[i], n * sizeof *a->ids) == 0;
        f->first = same || f->differ ? f->first : f->documents;
        f->differ += !same;
        f->documents++;
    }
    f->tokens[0] += a->offsets[a->n_docs];
    f->tokens[1] += b->offsets[b->n_docs];
}

/* The next documents through both. *more is false at the end. */
static pm_status compare_next(findings *f, pm_corpus *corpus, const pm_tokenizer *const toks[2], bool *more, pm_error *err) {
    const pm_bytes *docs;
    size_t n;
    pm_batch batches[2] = {{0}, {0}};
    pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
    pm_status status = pm_corpus_read(corpus, BATCH_BYTES, &docs, &n, err);
    *more = status == PM_OK && n > 0;
    for (int i = 0; i < 2 && *more && status == PM_OK; i++) {
        status = pm_encode_batch(toks[i], docs, n, &o, &batches[i], err);
    }
    if (status == PM_OK && *more) {
        compare_batches(f, &batches[0], &batches[1]);
    }
    pm_batch_release(&batches[0]);
    pm_batch_release(&batches[1]);
    return status;
}

static int compare(const convert_call *call, findings *f, const pm_tokenizer *const toks[2]) {
    pm_corpus *corpus = NULL;
    cli_progress progress;
    pm_error err;
    pm_status status = PM_OK;
    int code = cli_sources_open(&corpus, &call->texts);
    cli_progress_begin(&progress, call->quiet);
    cli_signals_at_once(true, progress.bar); /* nothing is to be cleaned up */
    for (bool more = code == CLI_OK; more && status == PM_OK;) {
        status = compare_next(f, corpus, toks, &more, &err);
        cli_progress_tick(&progress, "compare", corpus);
    }
    cli_progress_end(&progress);
    cli_signals_at_once(false, false);
    if (status != PM_OK) {
        cli_print_error(&err, NULL);
        code = cli_exit_code(status);
    }
    pm_corpus_free(corpus);
    f->compared = code == CLI_OK;
    return code;
}

/* ---------------------------------------------------------------- the report ---- */

static void say_findings(const convert_call *call, const findings *f) {
    char differ[32], documents[32], a[32], b[32];
    for (size_t i = 0; i < f->lost.n; i++) {
        cli_say("%s: lost: %s", call->out, f->lost.items[i]);
    }
    if (!f->compared) {
        return;
    }
    cli_format_count(differ, f->differ);
    cli_format_count(documents, f->documents);
    cli_format_count(a, f->tokens[0]);
    cli_format_count(b, f->tokens[1]);
    cli_say("%s of %s documents (%.4g%%) get other ids; %s tokens before, %s now", differ, documents,
            f->documents ? 100.0 * (double)f->differ / (double)f->documents : 0.0, a, b);
}

static int print_findings(const findings *f) {
    cli_out out;
    cli_out_open(&out);
    cli_out_printf(&out, "{\"lost\": [");
    for (size_t i = 0; i < f->lost.n; i++) {
        cli_out_write(&out, ", ", i ? 2 : 0);
        cli_out_json(&out, f->lost.items[i], strlen(f->lost.items[i]));
    }
    cli_out_printf(&out, "]");
    if (f->compared) {
        cli_out_printf(&out, ", \"documents\": %" PRIu64 ", \"differ\": %" PRIu64 ", \"tokens\": [%" PRIu64 ", %" PRIu64 "], \"first\": ", f->documents, f->differ,
                       f->tokens[0], f->tokens[1]);
        if (f->differ) {
            cli_out_printf(&out, "%" PRIu64, f->first);
        } else {
            cli_out_printf(&out, "null");
        }
    }
    cli_out_printf(&out, "}\n");
    return cli_out_close(&out, CLI_OK);
}

static int convert(const convert_call *call, const pm_tokenizer *tok, findings *f) {
    pm_tokenizer *again = NULL;
    int code = save(call, tok, f);
    if (code == CLI_OK && call->texts.n_files) {
        code = load_again(call, tok, &again);
        const pm_tokenizer *const toks[2] = {tok, again};
        code = code == CLI_OK ? compare(call, f, toks) : code;
        pm_tokenizer_free(again);
    }
    if (code == CLI_OK && !call->quiet) {
        say_findings(call, f);
    }
    return code == CLI_OK && call->json ? print_findings(f) : code;
}

int cmd_convert(int argc, char **argv) {
    convert_call call = {.texts = CLI_SOURCES_INIT};
    findings f = {0};
    pm_tokenizer *tok = NULL;
    cli_signals_watch();
    int code = parse(&call, argc, argv);
    if (code == CLI_OK) {
        code = cli_model_load(&call.in, "convert", &tok);
        code = code == CLI_OK ? convert(&call, tok, &f) : code;
    }
    for (size_t i = 0; i < f.lost.n; i++) {
        free((char *)(uintptr_t)f.lost.items[i]);
    }
    free(f.lost.items);
    pm_tokenizer_free(tok);
    cli_model_release(&call.in);
    cli_sources_release(&call.texts);
    cli_signals_end();
    return code == CLI_HELP ? CLI_OK : code;
}

/* cmd_count.c - piecemill count and piecemill merge: files of counted words. */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

enum {
    OPT_THREADS = CLI_LONG, OPT_MEMORY, OPT_TMPDIR, OPT_JSON, OPT_DOCUMENTS, OPT_MAX_COUNT_PER_DOCUMENT, OPT_SPLIT_SCRIPTS,
    OPT_PIECES, OPT_NGRAM_ORDER, OPT_ISOLATE_DIGITS, OPT_MIN_COUNT, OPT_NO_ENSURE_UNICODE
};

static const cli_option count_options[] = {
    {'a', "algorithm", "NAME", "what the counts are for: bpe or bytepiece"},
    {'o', "output", "FILE", "where the counts go"},
    {OPT_PIECES, "pieces", "FILE", "bytepiece: count pieces, which the n-grams of this count file cut; else n-grams are counted"},
    {'p', "pattern", "PATTERN", "a name (o200k_base, ...) or a regex; several are applied in turn; '' is none [bpe: o200k_base]"},
    {OPT_SPLIT_SCRIPTS, "split-scripts", NULL, "split Latin, Han, kana, Hangul and other scripts apart, too"},
    {OPT_DOCUMENTS, "documents", NULL, "count too in how many documents each is, for train --min-documents"},
    {OPT_MAX_COUNT_PER_DOCUMENT, "max-count-per-document", "N", "of a pre-token's or piece's occurrences in a document count no more"},
    {OPT_NGRAM_ORDER, "ngram-order", "N", "bytepiece: longest n-gram of the model, 1 to 7 [6; with --pieces: as there]"},
    {OPT_ISOLATE_DIGITS, "isolate-digits", NULL, "bytepiece: each digit is a piece of its own"},
    {OPT_MIN_COUNT, "min-count", "N", "bytepiece, with --pieces: leave out n-grams that are seen less often [2]"},
    {OPT_NO_ENSURE_UNICODE, "no-ensure-unicode", NULL, "bytepiece, with --pieces: let pieces begin inside a character"},
    CLI_SOURCES_ROWS,
    {OPT_THREADS, "threads", "N", "[all processors that may be used]"},
    {OPT_MEMORY, "memory-limit", "SIZE", "use no more memory than this: 500M, 2G"},
    {OPT_MEMORY, "memory", "SIZE", NULL},
    {OPT_TMPDIR, "tmpdir", "DIR", "for temporary files [$TMPDIR, else /tmp]"},
    {OPT_JSON, "json", NULL, "a summary for programs on standard output"},
    {'q', "quiet", NULL, "no progress and no summary"},
    {0, NULL, NULL, NULL},
};

static const cli_usage count_usage = {
    "count", "-a bpe|bytepiece -o FILE [OPTION]... [FILE...|-]",
    "Counts the pre-tokens of text files, as train would, into a count file. Count files of equal settings are added\n"
    "up with merge, and trained from with train --counts: with the same result as one run over all the text.\n"
    "BytePiece has two passes: n-grams are counted and merged, then pieces with all n-grams (--pieces), and merged.",
    count_options,
    "  piecemill count -a bpe -o en.counts en.txt\n"
    "  piecemill count -a bpe -o zh.counts zh.txt\n"
    "  piecemill merge -o all.counts en.counts zh.counts\n"
    "  piecemill train -a bpe -v 4000 --counts all.counts -o both.piecemill\n"
    "  piecemill count -a bytepiece -o zh.ngrams zh.txt\n"
    "  piecemill count -a bytepiece --pieces zh.ngrams -o zh.pieces zh.txt\n"
    "  piecemill train -a bytepiece -v 4000 --counts zh.pieces -o zh.piecemill\n"};

static const cli_option merge_options[] = {
    {'o', "output", "FILE", "where the sum goes; may be one of the files"},
    {OPT_TMPDIR, "tmpdir", "DIR", "for temporary files [$TMPDIR, else /tmp]"},
    {OPT_JSON, "json", NULL, "a summary for programs on standard output"},
    {'q', "quiet", NULL, "no progress and no summary"},
    {0, NULL, NULL, NULL},
};

static const cli_usage merge_usage = {
    "merge", "-o FILE [OPTION]... FILE...",
    "Adds up count files. They must have been counted with equal settings; order and grouping do not matter.", merge_options,
    "  piecemill count -a bpe -o en.counts en.txt\n"
    "  piecemill count -a bpe -o zh.counts zh.txt\n"
    "  piecemill merge -o all.counts en.counts zh.counts\n"};

typedef struct count_call {
    const cli_usage *usage;
    pm_counts_options o;
    cli_sources sources; /* merge: its files are the count files */
    cli_list patterns;
    const char *output;
    bool json, quiet, algorithm;
    pm_train_summary summary;
} count_call;

/* ---------------------------------------------------------------- the call ---- */

static bool set_algorithm(count_call *call, const char *name) {
    call->algorithm = true;
    return cli_parse_algorithm(name, &call->o.algorithm);
}

static bool set_option(void *ctx, int code, const char *value) {
    count_call *call = ctx;
    switch (code) {
    case 'a': return set_algorithm(call, value);
    case 'o': call->output = value; break;
    case 'p': return cli_list_add(&call->patterns, value);
    case 'q': call->quiet = true; break;
    case OPT_JSON: call->json = true; break;
    case OPT_SPLIT_SCRIPTS: call->o.split_scripts = true; break;
    case OPT_DOCUMENTS: call->o.documents = true; break;
    case OPT_MAX_COUNT_PER_DOCUMENT: return cli_parse_size("max-count-per-document", value, UINT64_MAX, &call->o.max_count_per_document);
    case OPT_PIECES: call->o.ngrams = value; break;
    case OPT_NGRAM_ORDER: return cli_parse_number("ngram-order", value, UINT32_MAX, &call->o.ngram_order);
    case OPT_ISOLATE_DIGITS: call->o.isolate_digits = true; break;
    case OPT_MIN_COUNT: return cli_parse_size("min-count", value, UINT64_MAX - 1, &call->o.min_count);
    case OPT_NO_ENSURE_UNICODE: call->o.ensure_unicode = false; break;
    case OPT_THREADS: return cli_parse_number("threads", value, 4096, &call->o.threads);
    case OPT_MEMORY: return cli_parse_size("memory-limit", value, UINT64_MAX, &call->o.memory_limit);
    case OPT_TMPDIR: call->o.tmpdir = value; break;
    default: return cli_sources_set(&call->sources, code, value);
    }
    return true;
}

static int parse(count_call *call, int argc, char **argv) {
    int code = cli_options_read(call->usage, argc, argv, set_option, call);
    if (code != CLI_OK) {
        return code;
    }
    cli_sources_operands(&call->sources, argv + optind, argc - optind);
    bool merge = call->usage == &merge_usage;
    const char *missing = !merge && !call->algorithm ? "-a bpe|bytepiece" : !call->output ? "-o FILE" : merge && !call->sources.n_files ? "a count file" : NULL;
    if (missing) {
        cli_say("%s is missing; see `piecemill %s --help`", missing, call->usage->command);
        return CLI_USAGE;
    }
    call->o.patterns = call->patterns.items;
    call->o.n_patterns = call->patterns.n;
    call->o.summary = &call->summary;
    code = cli_check_output(call->output);
    return code == CLI_OK && !merge ? cli_sources_check_output(&call->sources, call->output) : code;
}

/* ---------------------------------------------------------------- summary ---- */

/* What the words of a count file are called. */
static const char *noun(const pm_counts *counts) {
    const char *settings = pm_counts_settings(counts);
    return strstr(settings, "\ncounts=ngrams\n") ? "n-grams" : strstr(settings, "\ncounts=pieces\n") ? "pieces" : "pre-tokens";
}

static const char *noun_of(const char *path) {
    pm_counts *counts;
    pm_error err;
    const char *found = "words";
    if (pm_counts_open(&counts, path, &err) == PM_OK) {
        found = noun(counts);
        pm_counts_free(counts);
    }
    return found;
}

static void say_summary(const count_call *call, const pm_corpus *corpus) {
    const pm_train_summary *s = &call->summary;
    char documents[32], bytes[32], words[32], distinct[32];
    cli_format_count(documents, s->documents);
    cli_format_bytes(bytes, (double)s->bytes);
    cli_format_count(words, s->words);
    cli_format_count(distinct, s->distinct);
    cli_say("%s: %s %s, %s distinct, of %s documents, %s", call->output, words, noun_of(call->output), distinct, documents, bytes);
    if (call->sources.chosen) {
        cli_say_sources(corpus, false);
    }
}

static int print_json(const count_call *call, const pm_corpus *corpus) {
    const pm_train_summary *s = &call->summary;
    cli_out out;
    cli_out_open(&out);
    cli_out_printf(&out, "{\"path\": ");
    cli_out_json(&out, call->output, strlen(call->output));
    cli_out_printf(&out,
                   ", \"documents\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"words\": %" PRIu64 ", \"distinct\": %" PRIu64
                   ", \"lines_split\": %s, \"seconds\": %.3f",
                   s->documents, s->bytes, s->words, s->distinct, s->lines_split ? "true" : "false", s->seconds);
    if (corpus) {
        cli_out_printf(&out, ", ");
        cli_json_sources(&out, corpus);
    }
    cli_out_printf(&out, "}\n");
    return cli_out_close(&out, CLI_OK);
}

/* ---------------------------------------------------------------- the work ---- */

/* Returns the code after a call of the library; no corpus for a merge. */
static int finish(const count_call *call, const pm_corpus *corpus, cli_progress *progress, pm_status status, const pm_error *err) {
    cli_progress_end(progress);
    if (cli_signals_seen()) {
        return CLI_OK; /* the caller looks for signals */
    }
    if (status != PM_OK) {
        cli_print_error(err, status == PM_BAD_PATTERN ? "pattern" : NULL);
        return cli_counts_code(err);
    }
    if (!call->quiet) {
        say_summary(call, corpus);
    }
    return call->json ? print_json(call, corpus) : CLI_OK;
}

static int count(count_call *call, cli_progress *progress) {
    pm_corpus *corpus = NULL;
    pm_error err;
    int code = cli_sources_open(&corpus, &call->sources);
    if (code == CLI_OK) {
        pm_status status = pm_count(call->output, corpus, &call->o, &err);
        code = finish(call, corpus, progress, status, &err);
    }
    pm_corpus_free(corpus);
    return code;
}

static int merge(count_call *call, cli_progress *progress) {
    pm_error err;
    const char *const *files = (const char *const *)call->sources.files;
    int code = cli_counts_check(files, (size_t)call->sources.n_files);
    if (code == CLI_OK) {
        pm_status status = pm_counts_merge(call->output, files, (size_t)call->sources.n_files, &call->o, &err);
        code = finish(call, NULL, progress, status, &err);
    }
    return code;
}

static int run(const cli_usage *usage, int (*work)(count_call *, cli_progress *), int argc, char **argv) {
    count_call call = {.usage = usage, .o = PM_COUNTS_OPTIONS_INIT, .sources = CLI_SOURCES_INIT};
    int code = parse(&call, argc, argv);
    if (code == CLI_OK) {
        cli_progress progress;
        cli_signals_watch();
        cli_progress_begin(&progress, call.quiet);
        call.o.progress = cli_progress_step;
        call.o.progress_user = &progress;
        code = work(&call, &progress);
        cli_signals_end();
    }
    cli_sources_release(&call.sources);
    free(call.patterns.items);
    return code == CLI_HELP ? CLI_OK : code;
}

int cmd_count(int argc, char **argv) { return run(&count_usage, count, argc, argv); }
int cmd_merge(int argc, char **argv) { return run(&merge_usage, merge, argc, argv); }

/* ---------------------------------------------------------------- for inspect ---- */

/* The length of the setting at `line`: with the lines behind it that begin with a tab. */
static size_t setting_length(const char *line) {
    size_t n = strcspn(line, "\n");
    while (line[n] == '\n' && line[n + 1] == '\t') {
        n += 1 + strcspn(line + n + 1, "\n");
    }
    return n;
}

static void print_counts(cli_out *out, const pm_counts *counts) {
    pm_counts_totals t = pm_counts_get_totals(counts);
    const char *settings = pm_counts_settings(counts);
    char words[32], distinct[32], documents[32], bytes[32];
    cli_format_count(words, t.words);
    cli_format_count(distinct, t.distinct);
    cli_format_count(documents, t.documents);
    cli_format_bytes(bytes, (double)t.bytes);
    cli_out_printf(out, "%-18s %s, %s distinct\n%-18s %s, %s\n", noun(counts), words, distinct, "of documents", documents, bytes);
    cli_out_write(out, settings, strlen(settings));
}

static void print_counts_json(cli_out *out, const pm_counts *counts) {
    pm_counts_totals t = pm_counts_get_totals(counts);
    cli_out_printf(out,
                   "{\"words\": %" PRIu64 ", \"distinct\": %" PRIu64 ", \"documents\": %" PRIu64 ", \"bytes\": %" PRIu64
                   ", \"lines_split\": %s, \"settings\": [",
                   t.words, t.distinct, t.documents, t.bytes, t.lines_split ? "true" : "false");
    for (const char *line = pm_counts_settings(counts); *line;) {
        size_t n = setting_length(line);
        cli_out_json(out, line, n);
        line += n + 1;
        cli_out_write(out, ", ", *line ? 2 : 0);
    }
    cli_out_printf(out, "]}\n");
}

bool cli_counts_inspect(const char *path, bool json, int *code) {
    pm_counts *counts;
    pm_error err;
    cli_out out;
    pm_status status = pm_counts_open(&counts, path, &err);
    if (status == PM_OK) {
        cli_out_open(&out);
        (json ? print_counts_json : print_counts)(&out, counts);
        *code = cli_out_close(&out, CLI_OK);
        pm_counts_free(counts);
        return true;
    }
    bool begins_as_one = status == PM_BAD_VERSION || status == PM_NO_MEMORY || (status == PM_BAD_FORMAT && err.offset > 0);
    if (begins_as_one) {
        cli_print_error(&err, path);
        *code = cli_exit_code(status);
    }
    return begins_as_one;
}

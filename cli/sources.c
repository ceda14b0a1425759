/* sources.c - what a command reads: its operands, weights of files, samples; and what was taken of them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common.h"

enum { MILLION = 1000000, MOST_SOURCES = 20, MOST_SCRIPTS = 8 };

/* ---------------------------------------------------------------- arguments ---- */

typedef struct cli_mixed {
    char *path;
    uint32_t weight;
} cli_mixed;

/* "10%" or "20G" behind --sample. */
static bool parse_sample(const char *text, pm_corpus_options *out) {
    size_t len = strlen(text);
    out->sample_ppm = 0;
    out->sample_bytes = 0;
    if (len == 0 || text[len - 1] != '%') {
        if (!cli_parse_size("sample", text, UINT64_MAX, &out->sample_bytes)) {
            return false;
        }
        if (!out->sample_bytes) {
            cli_say("--sample %s: nothing would be taken", text);
        }
        return out->sample_bytes != 0;
    }
    /* A share in millionths, exactly: "12.5%" is 125000. */
    uint32_t whole = 0, ppm = 0, unit = MILLION / 100;
    const char *p = text;
    for (; *p >= '0' && *p <= '9' && whole <= 100; p++) {
        whole = 10 * whole + (uint32_t)(*p - '0');
    }
    bool good = p > text && whole <= 100;
    ppm = whole * unit;
    if (good && *p == '.') {
        for (p++; *p >= '0' && *p <= '9' && unit > 1; p++) {
            unit /= 10;
            ppm += unit * (uint32_t)(*p - '0');
        }
    }
    if (!good || p != text + len - 1 || ppm == 0 || ppm > MILLION) {
        cli_say("--sample %s: expected a share from 0.0001%% to 100%%, or a size such as 20G", text);
        return false;
    }
    out->sample_ppm = ppm;
    return true;
}

static bool add_mixed(cli_sources *s, const char *name, size_t len, uint32_t weight) {
    cli_mixed *grown = realloc(s->mixed, (s->n_mixed + 1) * sizeof *grown);
    char *copy = grown ? strndup(name, len) : NULL;
    s->mixed = grown ? grown : s->mixed;
    if (!copy) {
        cli_no_memory();
        return false;
    }
    grown[s->n_mixed++] = (cli_mixed){copy, weight};
    return true;
}

/* "FILE=N" behind --mix. */
static bool parse_mix(cli_sources *s, const char *text) {
    const char *equals = strrchr(text, '=');
    uint32_t weight;
    if (!equals || equals == text) {
        cli_say("--mix %s: expected FILE=N", text);
        return false;
    }
    if (!cli_parse_number("mix", equals + 1, PM_WEIGHT_MAX, &weight)) {
        return false;
    }
    size_t len = (size_t)(equals - text);
    for (size_t i = 0; i < s->n_mixed; i++) {
        if (strlen(s->mixed[i].path) == len && memcmp(s->mixed[i].path, text, len) == 0) {
            cli_say("--mix %s: the file has a weight already", text);
            return false;
        }
    }
    return add_mixed(s, text, len, weight);
}

static bool parse_temperature(const char *text, double *out) {
    if (!cli_parse_double("temperature", text, out)) {
        return false;
    }
    if (!(*out >= 1)) {
        cli_say("--temperature %s: expected 1 or more", text);
        return false;
    }
    return true;
}

static bool parse_temperature_by(const char *text, bool *folder) {
    *folder = strcmp(text, "folder") == 0;
    if (!*folder && strcmp(text, "file") != 0) {
        cli_say("--temperature-by %s: expected file or folder", text);
        return false;
    }
    return true;
}

bool cli_sources_set(cli_sources *s, int code, const char *value) {
    static const char *const names[] = {"split", "field", "max-window", "mix", "sample", "seed", "remove-duplicates", "temperature", "temperature-by"};
    s->option = code >= CLI_SPLIT && code <= CLI_TEMPERATURE_BY ? names[code - CLI_SPLIT] : s->option;
    switch (code) {
    case CLI_SPLIT: return cli_parse_split(value, &s->options.split);
    case CLI_FIELD: s->options.field = value; return true;
    case CLI_MAX_WINDOW: return cli_parse_size("max-window", value, UINT64_MAX, &s->options.max_window);
    case CLI_MIX: return parse_mix(s, value);
    case CLI_SAMPLE: return parse_sample(value, &s->options);
    case CLI_SEED: return cli_parse_size("seed", value, UINT64_MAX, &s->options.seed);
    case CLI_REMOVE_DUPLICATES: s->options.remove_duplicates = true; return true;
    case CLI_TEMPERATURE: return parse_temperature(value, &s->options.temperature);
    case CLI_TEMPERATURE_BY: return parse_temperature_by(value, &s->options.temperature_by_folder);
    default: return false;
    }
}

void cli_sources_operands(cli_sources *s, char **files, int n_files) {
    s->files = files;
    s->n_files = n_files;
    s->chosen = s->n_mixed || s->options.sample_ppm || s->options.sample_bytes || s->options.remove_duplicates || s->options.temperature > 1;
    s->options.count_scripts = s->chosen;
}

void cli_sources_release(cli_sources *s) {
    for (size_t i = 0; i < s->n_mixed; i++) {
        free(s->mixed[i].path);
    }
    free(s->mixed);
}

static bool same_file(const struct stat *a, const char *path) {
    struct stat b;
    return stat(path, &b) == 0 && a->st_dev == b.st_dev && a->st_ino == b.st_ino;
}

int cli_sources_check_output(const cli_sources *s, const char *path) {
    struct stat there;
    bool same = false;
    if (stat(path, &there) != 0 || !S_ISREG(there.st_mode)) {
        return CLI_OK;
    }
    for (int i = 0; i < s->n_files; i++) {
        same = same || same_file(&there, s->files[i]);
    }
    for (size_t i = 0; i < s->n_mixed; i++) {
        same = same || same_file(&there, s->mixed[i].path);
    }
    if (same) {
        cli_say("%s: the result would replace a file it is made from", path);
    }
    return same ? CLI_USAGE : CLI_OK;
}

/* ---------------------------------------------------------------- opening ---- */

static pm_status add_files(pm_corpus *corpus, const cli_sources *s, pm_error *err) {
    pm_status status = PM_OK;
    if (s->n_files == 0 && s->n_mixed == 0) {
        return pm_corpus_add_file(corpus, "-", err);
    }
    for (int i = 0; i < s->n_files && status == PM_OK; i++) {
        uint32_t weight = 1;
        for (size_t k = 0; k < s->n_mixed; k++) {
            weight = strcmp(s->mixed[k].path, s->files[i]) == 0 ? s->mixed[k].weight : weight;
        }
        status = pm_corpus_add_file_weighted(corpus, s->files[i], weight, err);
    }
    for (size_t k = 0; k < s->n_mixed && status == PM_OK; k++) {
        bool operand = false;
        for (int i = 0; i < s->n_files; i++) {
            operand = operand || strcmp(s->mixed[k].path, s->files[i]) == 0;
        }
        status = operand ? PM_OK : pm_corpus_add_file_weighted(corpus, s->mixed[k].path, s->mixed[k].weight, err);
    }
    return status;
}

int cli_sources_open(pm_corpus **out, const cli_sources *sources) {
    pm_error err;
    pm_status status = pm_corpus_new(out, &sources->options, &err);
    if (status == PM_OK) {
        status = add_files(*out, sources, &err);
    }
    if (status == PM_OK) {
        return CLI_OK;
    }
    cli_print_error(&err, NULL);
    return status == PM_IO ? CLI_INPUT : cli_exit_code(status); /* a folder, no permission */
}

/* ---------------------------------------------------------------- what was taken ---- */

static pm_source_report sum_sources(const pm_corpus *corpus, size_t *n) {
    pm_source_report sum = {0}, row;
    for (*n = 0; pm_corpus_source(corpus, *n, &row); ++*n) {
        sum.documents += row.documents;
        sum.bytes += row.bytes;
        sum.taken_documents += row.taken_documents;
        sum.taken_bytes += row.taken_bytes;
        sum.duplicates += row.duplicates;
    }
    return sum;
}

/* What a source counts in training, with its weight. */
static double counted(const pm_source_report *row) { return (double)row->taken_bytes * row->weight; }

static double count_all(const pm_corpus *corpus) {
    pm_source_report row;
    double all = 0;
    for (size_t i = 0; corpus && pm_corpus_source(corpus, i, &row); i++) {
        all += counted(&row);
    }
    return all;
}

/* all: what all sources count, where weights are in parts of PM_TEMPERATURE_UNIT; else 0. */
static void say_row(const char *name, const pm_source_report *row, double all) {
    char taken[32], of[32], taken_bytes[32], of_bytes[32], duplicates[32], weight[80] = "", equal[80] = "";
    cli_format_count(taken, row->taken_documents);
    cli_format_count(of, row->documents);
    cli_format_bytes(taken_bytes, (double)row->taken_bytes);
    cli_format_bytes(of_bytes, (double)row->bytes);
    cli_format_count(duplicates, row->duplicates);
    if (all > 0) {
        snprintf(weight, sizeof weight, ", %.4g times, %.1f%% of all", (double)row->weight / PM_TEMPERATURE_UNIT, 100 * counted(row) / all);
    } else if (row->weight > 1) {
        snprintf(weight, sizeof weight, ", %" PRIu32 " times", row->weight);
    }
    if (row->duplicates) {
        snprintf(equal, sizeof equal, "; %s were there before", duplicates);
    }
    cli_say("%s: took %s of %s documents, %s of %s%s%s", name, taken, of, taken_bytes, of_bytes, weight, equal);
}

/* The scripts with the most bytes, in falling order. */
static size_t top_scripts(const uint64_t *bytes, unsigned top[MOST_SCRIPTS], uint64_t *all) {
    size_t n = 0;
    *all = 0;
    for (unsigned s = 0; pm_script_name(s); s++) {
        size_t at = n;
        *all += bytes[s];
        while (at > 0 && bytes[top[at - 1]] < bytes[s]) {
            at--;
        }
        if (bytes[s] && at < MOST_SCRIPTS) {
            n += n < MOST_SCRIPTS;
            memmove(top + at + 1, top + at, (n - at - 1) * sizeof *top);
            top[at] = s;
        }
    }
    return n;
}

static void say_scripts(const uint64_t *bytes) {
    char line[64 * MOST_SCRIPTS] = "";
    unsigned top[MOST_SCRIPTS];
    uint64_t all;
    size_t n = top_scripts(bytes, top, &all), len = 0;
    for (size_t i = 0; i < n; i++) {
        len += (size_t)snprintf(line + len, sizeof line - len, "%s%s %.1f%%", i ? ", " : "", pm_script_name(top[i]),
                                100 * (double)bytes[top[i]] / (double)all);
    }
    if (n) {
        cli_say("bytes by script: %s", line);
    }
}

void cli_say_sources(const pm_corpus *corpus, bool shares) {
    pm_source_report row;
    size_t n;
    pm_source_report sum = sum_sources(corpus, &n);
    double all = shares ? count_all(corpus) : 0;
    for (size_t i = 0; i < n && i < MOST_SOURCES && pm_corpus_source(corpus, i, &row); i++) {
        say_row(row.name, &row, all);
    }
    if (n > MOST_SOURCES) {
        cli_say("... and %zu more", n - MOST_SOURCES);
    }
    if (n > 1) {
        say_row("in all", &sum, 0);
    }
    if (pm_corpus_scripts(corpus)) {
        say_scripts(pm_corpus_scripts(corpus));
    }
}

void cli_json_sources(cli_out *out, const pm_corpus *corpus) {
    const uint64_t *scripts = corpus ? pm_corpus_scripts(corpus) : NULL;
    pm_source_report row;
    bool first = true;
    double all = count_all(corpus);
    cli_out_printf(out, "\"sources\": [");
    for (size_t i = 0; corpus && pm_corpus_source(corpus, i, &row); i++) {
        cli_out_printf(out, "%s{\"name\": ", i ? ", " : "");
        cli_out_json(out, row.name, strlen(row.name));
        cli_out_printf(out,
                       ", \"weight\": %" PRIu32 ", \"documents\": %" PRIu64 ", \"bytes\": %" PRIu64
                       ", \"taken_documents\": %" PRIu64 ", \"taken_bytes\": %" PRIu64 ", \"duplicates\": %" PRIu64 ", \"share\": %.6f}",
                       row.weight, row.documents, row.bytes, row.taken_documents, row.taken_bytes, row.duplicates, all > 0 ? counted(&row) / all : 0);
    }
    cli_out_printf(out, "]");
    cli_out_printf(out, scripts ? ", \"scripts\": {" : ", \"scripts\": null");
    for (unsigned s = 0; scripts && pm_script_name(s); s++) {
        if (scripts[s]) {
            cli_out_printf(out, "%s\"%s\": %" PRIu64, first ? "" : ", ", pm_script_name(s), scripts[s]);
            first = false;
        }
    }
    cli_out_printf(out, scripts ? "}" : "");
}

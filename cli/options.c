/* options.c - options from a table, what their arguments mean, and the model that they name. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common.h"

/* ---------------------------------------------------------------- the table ---- */

static const cli_option help_option = {'h', "help", NULL, "this help"};

static void print_option(const cli_option *o) {
    char left[64];
    int n = o->code < CLI_LONG ? snprintf(left, sizeof left, "-%c, ", (char)o->code) : snprintf(left, sizeof left, "    ");
    snprintf(left + n, sizeof left - (size_t)n, "--%s%s%s", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
    if (strlen(left) > 28) {
        printf("  %s\n  %-28s  %s\n", left, "", o->help);
    } else {
        printf("  %-28s  %s\n", left, o->help);
    }
}

static void print_help(const cli_usage *usage) {
    printf("usage: piecemill %s %s\n\n%s\n\noptions:\n", usage->command, usage->operands, usage->about);
    for (const cli_option *o = usage->options; o->name; o++) {
        if (o->help) {
            print_option(o);
        }
    }
    print_option(&help_option);
    printf("\nexamples:\n%s", usage->examples);
}

enum { CLI_END = -1, CLI_ERROR = -2, CLI_HELPED = -3 }; /* beside the codes of options */

static void begin(void) {
    errno = 0;
#ifdef __GLIBC__
    optind = 0; /* starts over, whatever ran before in this process */
#else
    optind = 1;
#endif
    opterr = 0;
}

/* Fills getopt's own tables; the leading colon tells a missing argument from an unknown option. */
static void make_tables(const cli_usage *usage, char *letters, struct option *longs) {
    *letters++ = ':';
    *letters++ = 'h';
    *longs++ = (struct option){"help", no_argument, NULL, 'h'};
    for (const cli_option *o = usage->options; o->name; o++) {
        *longs++ = (struct option){o->name, o->argument ? required_argument : no_argument, NULL, o->code};
        if (o->code < CLI_LONG && o->help) {
            *letters++ = (char)o->code;
            if (o->argument) {
                *letters++ = ':';
            }
        }
    }
    *letters = '\0';
    *longs = (struct option){0};
}

/* The next option's code, its argument in *value. */
static int next(const cli_usage *usage, int argc, char **argv, const char **value) {
    char letters[2 * CLI_MOST_OPTIONS + 4];
    struct option longs[CLI_MOST_OPTIONS + 2];
    make_tables(usage, letters, longs);
    int code = getopt_long(argc, argv, letters, longs, NULL);
    *value = optarg;
    switch (code) {
    case -1: return CLI_END;
    case 'h': print_help(usage); return CLI_HELPED;
    case ':': cli_say("option %s needs an argument; see `piecemill %s --help`", argv[optind - 1], usage->command); return CLI_ERROR;
    case '?':
        if (optopt > 0 && optopt < CLI_LONG) {
            cli_say("unknown option -%c; see `piecemill %s --help`", optopt, usage->command);
        } else {
            cli_say("unknown, ambiguous or wrongly used option %s; see `piecemill %s --help`", argv[optind - 1], usage->command);
        }
        return CLI_ERROR;
    default: return code;
    }
}

int cli_options_read(const cli_usage *usage, int argc, char **argv, bool (*set)(void *call, int code, const char *value), void *call) {
    const char *value;
    int code;
    begin();
    while ((code = next(usage, argc, argv, &value)) != CLI_END) {
        if (code == CLI_HELPED) {
            return CLI_HELP;
        }
        if (code == CLI_ERROR || !set(call, code, value)) {
            return cli_wrong_call();
        }
    }
    return CLI_OK;
}

/* ---------------------------------------------------------------- arguments ---- */

bool cli_parse_size(const char *option, const char *text, uint64_t most, uint64_t *out) {
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    bool good = text[0] >= '0' && text[0] <= '9' && errno == 0;
    unsigned shift = 0;
    switch (good ? *end : '\0') {
    case 'K': case 'k': shift = 10; end++; break;
    case 'M': case 'm': shift = 20; end++; break;
    case 'G': case 'g': shift = 30; end++; break;
    case 'T': case 't': shift = 40; end++; break;
    default: break;
    }
    end += shift && strcasecmp(end, "iB") == 0 ? 2 : shift && strcasecmp(end, "B") == 0 ? 1 : 0;
    good = good && *end == '\0' && n <= UINT64_MAX >> shift;
    if (!good || (uint64_t)n << shift > most) {
        cli_say("--%s %s: %s", option, text, good ? "the number is too large" : "expected a number such as 500, 64K, 20M or 2G");
        return false;
    }
    *out = (uint64_t)n << shift;
    return true;
}

bool cli_parse_number(const char *option, const char *text, uint32_t most, uint32_t *out) {
    uint64_t n;
    if (!cli_parse_size(option, text, most, &n)) {
        return false;
    }
    *out = (uint32_t)n;
    return true;
}

bool cli_parse_double(const char *option, const char *text, double *out) {
    char *end;
    *out = strtod(text, &end);
    if (end == text || *end || *out != *out || *out > 1e300 || *out < -1e300) {
        cli_say("--%s %s: expected a number", option, text);
        return false;
    }
    return true;
}

bool cli_parse_algorithm(const char *text, pm_algorithm *out) {
    if (strcmp(text, "bytepiece") != 0 && strcmp(text, "bpe") != 0) {
        cli_say("--algorithm %s: expected bytepiece or bpe", text);
        return false;
    }
    *out = text[1] == 'y' ? PM_ALGORITHM_BYTEPIECE : PM_ALGORITHM_BPE;
    return true;
}

bool cli_parse_split(const char *text, pm_split *out) {
    static const char *const names[] = {"line", "paragraph", "document"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (pm_split)i;
            return true;
        }
    }
    cli_say("--split %s: expected line, paragraph or document", text);
    return false;
}

bool cli_parse_model_format(const char *text, pm_format *out) {
    if (pm_format_from_name(text, out)) {
        return true;
    }
    fprintf(stderr, "piecemill: \"%s\" is not a format of tokenizer files; there are:", text);
    for (int i = 1; i < 64; i++) {
        pm_format format;
        const char *name = pm_format_name((pm_format)i);
        if (name && pm_format_from_name(name, &format) && format == (pm_format)i) {
            fprintf(stderr, " %s", name);
        }
    }
    fputc('\n', stderr);
    return false;
}

bool cli_list_add(cli_list *list, const char *item) {
    if (list->n == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 16;
        const char **items = realloc(list->items, cap * sizeof *items);
        if (!items) {
            cli_no_memory();
            return false;
        }
        list->items = items;
        list->cap = cap;
    }
    list->items[list->n++] = item;
    return true;
}

bool cli_bytes_add(cli_bytes *list, const char *text) {
    if (list->n == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 16;
        pm_bytes *items = realloc(list->items, cap * sizeof *items);
        if (!items) {
            cli_no_memory();
            return false;
        }
        list->items = items;
        list->cap = cap;
    }
    list->items[list->n++] = (pm_bytes){(const uint8_t *)text, strlen(text)};
    return true;
}

bool cli_add_special(pm_special_token **specials, size_t *n, const char *text, bool with_id) {
    pm_special_token token = {{(const uint8_t *)text, strlen(text)}, PM_ID_NONE};
    const char *equals = with_id ? strrchr(text, '=') : NULL;
    if (equals && equals[1] && strspn(equals + 1, "0123456789") == strlen(equals + 1)) {
        uint64_t id;
        if (!cli_parse_size("special", equals + 1, PM_ID_NONE - 1, &id)) {
            return false;
        }
        token.id = (pm_id)id;
        token.text.len = (size_t)(equals - text);
    }
    if (token.text.len == 0) {
        cli_say("--special: a special token cannot be empty");
        return false;
    }
    pm_special_token *grown = realloc(*specials, (*n + 1) * sizeof *grown);
    if (!grown) {
        cli_no_memory();
        return false;
    }
    *specials = grown;
    grown[(*n)++] = token;
    return true;
}

/* ---------------------------------------------------------------- -m ---- */

int cli_model_load(const cli_model *model, const char *command, pm_tokenizer **out) {
    pm_load_options options = PM_LOAD_OPTIONS_INIT;
    pm_error err;
    *out = NULL;
    if (!model->path) {
        cli_say("a tokenizer is missing: -m FILE; see `piecemill %s --help`", command);
        return CLI_USAGE;
    }
    options.format = model->format;
    options.patterns = model->patterns.items;
    options.n_patterns = model->patterns.n;
    options.special_tokens = model->specials;
    options.n_special_tokens = model->n_specials;
    options.flags = model->any_unicode ? PM_LOAD_ANY_UNICODE : 0;
    pm_status status = pm_tokenizer_load(out, model->path, &options, &err);
    if (status == PM_OK) {
        return CLI_OK;
    }
    bool pattern = status == PM_BAD_PATTERN && model->patterns.n > 0;
    cli_print_error(&err, pattern ? "pattern" : model->path);
    /* A pattern or another thing of the file itself, a folder, no permission: the input is wrong, not the call or the machine. */
    bool input = status == PM_IO || status == PM_UNSUPPORTED || (status == PM_BAD_PATTERN && !pattern);
    return input ? CLI_INPUT : cli_exit_code(status);
}

void cli_model_release(cli_model *model) {
    free(model->patterns.items);
    free(model->specials);
}

/* ---------------------------------------------------------------- files ---- */

int cli_counts_check(const char *const *files, size_t n) {
    for (size_t i = 0; i < n; i++) {
        pm_counts *counts;
        pm_error err;
        pm_status status = pm_counts_open(&counts, files[i], &err);
        pm_counts_free(counts);
        if (status != PM_OK) {
            cli_print_error(&err, files[i]);
            return status == PM_IO ? CLI_INPUT : cli_exit_code(status);
        }
    }
    return CLI_OK;
}

int cli_check_output(const char *path) {
    struct stat info;
    const char *slash = strrchr(path, '/');
    if (strcmp(path, "-") == 0) {
        cli_say("-o -: a file that is written whole or not at all cannot go to standard output");
        return CLI_USAGE;
    }
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        cli_say("%s: is a folder, not a file", path);
        return CLI_USAGE;
    }
    char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    if (!folder) {
        return cli_no_memory();
    }
    bool there = stat(folder, &info) == 0 && S_ISDIR(info.st_mode);
    if (!there) {
        cli_say("%s: the folder %s is not there", path, folder);
    }
    free(folder);
    return there ? CLI_OK : CLI_USAGE;
}

/* common.h - what the commands share: options, sentences on stderr, data on stdout, signals, progress.
 *
 * Everything here uses the public API only, because the program links the installed library. Functions that return an int
 * return an exit code, CLI_OK when all went well; the sentence has been printed then. */
#ifndef PM_CLI_COMMON_H
#define PM_CLI_COMMON_H

#include <piecemill.h>

enum {
    CLI_OK = 0,
    CLI_INPUT = 1,   /* the input is wrong */
    CLI_USAGE = 2,   /* the call is wrong */
    CLI_MACHINE = 3, /* disk, memory */
    CLI_HELP = -1    /* --help was printed: leave with CLI_OK */
};

/* ---- commands: one row of the table in cli.c, one file ---- */

typedef struct cli_command {
    const char *name, *summary;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
} cli_command;

int cmd_train(int argc, char **argv);
int cmd_encode(int argc, char **argv);
int cmd_decode(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_count(int argc, char **argv);
int cmd_merge(int argc, char **argv);

/* ---- options.c ---- */

/* A row of a command's table, which makes both the parser and the help. A row without name ends the table. */
typedef struct cli_option {
    int code; /* its letter, or a number from CLI_LONG on; those from CLI_SHARED on mean the same in all commands */
    const char *name;
    const char *argument; /* NULL: it takes none */
    const char *help;     /* NULL: a second name of the row with this code */
} cli_option;

enum { CLI_LONG = 256, CLI_SHARED = 512, CLI_MOST_OPTIONS = 64 };

typedef struct cli_usage {
    const char *command, *operands, *about;
    const cli_option *options;
    const char *examples;
} cli_usage;

/* Hands each option's code and argument to `set`, which returns false after printing what is wrong. CLI_OK: optind is the first operand; CLI_HELP. */
int cli_options_read(const cli_usage *usage, int argc, char **argv, bool (*set)(void *call, int code, const char *value), void *call);

/* "12", "2K", "3M", "4G", "5T" (powers of 1024; "GB" and "GiB" too). False after printing what is wrong with it. */
bool cli_parse_size(const char *option, const char *text, uint64_t most, uint64_t *out);
bool cli_parse_number(const char *option, const char *text, uint32_t most, uint32_t *out); /* the same, for 32 bits */
bool cli_parse_double(const char *option, const char *text, double *out);
bool cli_parse_split(const char *text, pm_split *out);
bool cli_parse_algorithm(const char *text, pm_algorithm *out);
bool cli_parse_model_format(const char *text, pm_format *out);

/* A growing list of strings that somebody else owns. */
typedef struct cli_list {
    const char **items;
    size_t n, cap;
} cli_list;
bool cli_list_add(cli_list *list, const char *item); /* false (printed): out of memory */

/* Texts from repeated options, as the library takes them. {0} is an empty list; items is to be freed. */
typedef struct cli_bytes {
    pm_bytes *items;
    size_t n, cap;
} cli_bytes;
bool cli_bytes_add(cli_bytes *list, const char *text); /* false (printed): out of memory */

/* What goes with every -m: the model, and what its format may lack. */
typedef struct cli_model {
    const char *path;
    pm_format format;
    cli_list patterns;
    pm_special_token *specials;
    size_t n_specials;
    bool any_unicode;
} cli_model;

/* "TEXT" or "TEXT=ID" behind --special; `with_id`: look for an id. False (printed): wrong, out of memory. */
bool cli_add_special(pm_special_token **specials, size_t *n, const char *text, bool with_id);
int cli_model_load(const cli_model *model, const char *command, pm_tokenizer **out);
void cli_model_release(cli_model *model);

/* Looks whether these are count files. */
int cli_counts_check(const char *const *files, size_t n);
/* Prints what a count file says of itself (cmd_count.c), the exit code in *code; false: it does not begin as one. */
bool cli_counts_inspect(const char *path, bool json, int *code);

/* What would fail after hours of work is told at once: a path that is a folder, or whose folder is not there. */
int cli_check_output(const char *path);

/* ---- sources.c ---- */

/* What a command reads: files, some with weights, and how. */
typedef struct cli_sources {
    pm_corpus_options options;
    struct cli_mixed *mixed; /* files with weights */
    size_t n_mixed;
    char **files; /* operands */
    int n_files;
    bool chosen;        /* not all documents are taken once: the summary tells which */
    const char *option; /* the last one given of the rows below; NULL: none */
} cli_sources;
#define CLI_SOURCES_INIT {.options = PM_CORPUS_OPTIONS_INIT}

/* What sets them, in any command: false as cli_options_read wants it. The rows of train and count. */
enum { CLI_SPLIT = CLI_SHARED, CLI_FIELD, CLI_MAX_WINDOW, CLI_MIX, CLI_SAMPLE, CLI_SEED, CLI_REMOVE_DUPLICATES, CLI_TEMPERATURE, CLI_TEMPERATURE_BY };
#define CLI_SOURCES_ROWS                                                                                                                                       \
    {CLI_SPLIT, "split", "HOW", "plain text becomes documents by line, paragraph or document [line]"},                                                         \
        {CLI_FIELD, "field", "NAME", "the field of JSONL that holds the text [text]; standard input is JSONL then"},                                           \
        {CLI_MAX_WINDOW, "max-window", "SIZE", "zstd: the largest window accepted, up to 2G [128M]"},                                                          \
        {CLI_MIX, "mix", "FILE=N", "the documents of FILE count N times; may be repeated"},                                                                    \
        {CLI_SAMPLE, "sample", "SHARE", "take 10% of the documents, or 20G bytes of text, by a hash of each"},                                                 \
        {CLI_SEED, "seed", "N", "of the sample: another one gives another sample [0]"},                                                                        \
        {CLI_REMOVE_DUPLICATES, "remove-duplicates", NULL, "take equal documents once"}
/* And those of train alone. */
#define CLI_TEMPERATURE_ROWS                                                                                                                                   \
    {CLI_TEMPERATURE, "temperature", "T", "languages count as much as the T-th root of their sizes: small ones get more pieces; 1 changes nothing"},           \
        {CLI_TEMPERATURE_BY, "temperature-by", "file|folder", "what a language is: a file, or all files of a folder [file]"}
bool cli_sources_set(cli_sources *sources, int code, const char *value);
/* After the options: the operands are the files. */
void cli_sources_operands(cli_sources *sources, char **files, int n_files);
/* A result that would replace one of the files it is made from is refused. */
int cli_sources_check_output(const cli_sources *sources, const char *path);
/* Opens them all; an operand has the weight that --mix names for it, and files that are no operands come behind those; without any, standard input. A wrong
 * one has been printed, and *out is to be freed then too. */
int cli_sources_open(pm_corpus **out, const cli_sources *sources);
void cli_sources_release(cli_sources *sources);

/* What was taken of each source and script, for people; cli_json_sources: "sources": [...], "scripts": {...} for programs. */
void cli_say_sources(const pm_corpus *corpus, bool shares); /* shares: weights are those of a temperature, so the share of each is told */

/* ---- report.c ---- */

/* "piecemill: " and the sentence and a newline, on stderr. */
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints an error as "piecemill: FILE:OFFSET: sentence"; `subject` stands for the file where the error names none. */
void cli_print_error(const pm_error *err, const char *subject);
/* The exit code that fits a status of a call that read input. */
int cli_exit_code(pm_status status);
/* The same for a call with count files: settings that do not fit are wrong input. */
int cli_counts_code(const pm_error *err);
int cli_no_memory(void); /* prints it, returns CLI_MACHINE */
/* The exit code after a parser of options returned false: CLI_MACHINE after cli_no_memory, else CLI_USAGE. */
int cli_wrong_call(void);

void cli_format_count(char out[32], uint64_t n);  /* 1,234,567 */
void cli_format_bytes(char out[32], double bytes);/* 1.2 MiB */

/* ---- output.c: stdout ---- */

/* Buffered bytes to stdout. After a failure everything is dropped and cli_out_close tells the exit code; a closed pipe ends the process
 * by SIGPIPE, as it ends other tools. */
typedef struct cli_out {
    char *data;
    size_t len, cap;
    int failed; /* exit code, 0: none */
} cli_out;

void cli_out_open(cli_out *out);
void cli_out_flush(cli_out *out);
void cli_out_write(cli_out *out, const void *data, size_t len);
void cli_out_printf(cli_out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *cli_out_room(cli_out *out, size_t need); /* room for `need` bytes (up to 64 KiB) behind len; NULL after a failure. The caller adds to len. */
void cli_out_json(cli_out *out, const char *text, size_t len); /* a JSON string; bytes that are no UTF-8 become U+FFFD */
int cli_out_close(cli_out *out, int code);     /* flushes; returns code, or what went wrong here if code was CLI_OK */

void cli_json_sources(cli_out *out, const pm_corpus *corpus); /* of sources.c */

/* Bytes for people: printable UTF-8 as it is, anything else as \xNN or \u{NNNN}; in double quotes. */
void cli_out_piece(cli_out *out, pm_bytes piece);
/* The length of the well-formed UTF-8 sequence at p, and its code point; 0: none. */
size_t cli_utf8(const uint8_t *p, size_t left, uint32_t *cp);

/* ---- pieces.c ---- */

/* A report on a vocabulary's pieces: the `most` longest, those in the fewest documents, those that mix scripts. The corpus is encoded and counted, or the
 * words of a count file; both NULL: the model's own counts tell. To be freed on failure (printed) too. */
typedef struct cli_pieces cli_pieces;
int cli_pieces_new(cli_pieces **out, const pm_tokenizer *tok, uint32_t most, pm_corpus *corpus, const char *counts, bool quiet);
void cli_pieces_free(cli_pieces *pieces);
void cli_pieces_print(cli_out *out, const cli_pieces *pieces);
void cli_pieces_json(cli_out *out, const cli_pieces *pieces); /* an object */

/* ---- signals.c ---- */

/* Begins to watch for SIGINT and SIGTERM: they set a flag, and a second one kills. */
void cli_signals_watch(void);
/* While they are watched for: nothing is to be cleaned up now, so they kill at once, after wiping the bar if there is one. */
void cli_signals_at_once(bool on, bool bar);
/* A command that has nothing to clean up: the signals kill at once, whatever the calling process made of them. */
void cli_signals_default(void);
bool cli_signals_seen(void);
/* Puts back what was; dies by a signal that was seen. */
void cli_signals_end(void);

/* ---- progress.c ---- */

/* A pm_progress_fn's user data: a bar on stderr if that is a terminal, and cancelling by signals. */
typedef struct cli_progress {
    bool bar;
    bool shown;
    int width;
    const char *phase;
    double phase_start;
    uint64_t phase_done; /* of a phase that goes on where it was before */
    uint64_t done;
    double start, last; /* of cli_progress_tick */
} cli_progress;

void cli_progress_begin(cli_progress *progress, bool quiet);
int cli_progress_step(void *user, const pm_progress *now);
/* For a loop of the command's own over a corpus: draws how far that is, ten times a second. */
void cli_progress_tick(cli_progress *progress, const char *phase, const pm_corpus *corpus);
void cli_progress_end(cli_progress *progress); /* wipes the bar */

#endif

/* cmd_decode.c - piecemill decode: decimal ids in, bytes out, as a stream.
 *
 * Ids are separated by white space; which of it ends a line does not matter, because the documents' bytes are written back to back. Each id is looked up
 * as it is read, so that a wrong one is told with its own place. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"

enum { OPT_FORMAT = CLI_LONG, OPT_FROM, OPT_SPECIAL, OPT_ANY_UNICODE };

static const cli_option options[] = {
    {'m', "model", "FILE", "the tokenizer"},
    {OPT_FROM, "from", "FORMAT", "its format, where the content does not tell: native, tiktoken, hf, bytepiece, sentencepiece"},
    {OPT_SPECIAL, "special", "TEXT[=ID]", "a special token that the file lacks; may be repeated"},
    {OPT_SPECIAL, "special-tokens", "TEXT[=ID]", NULL},
    {OPT_ANY_UNICODE, "any-unicode", NULL, "take a model whose regex was made for another version of Unicode"},
    {'p', "pattern", "PATTERN", "taken for the sake of encode's calls; decoding does not need it"},
    {OPT_FORMAT, "format", "text|u32", "lines of decimal ids, or raw little-endian 32-bit ids [text]"},
    {'q', "quiet", NULL, "taken for the sake of other commands' calls"},
    {0, NULL, NULL, NULL},
};

static const cli_usage usage = {
    "decode", "-m FILE [OPTION]... [FILE|-]", "Reads lines of decimal ids and writes the documents' bytes back to back.", options,
    "  piecemill decode -m zh.piecemill ids.txt\n"
    "  piecemill encode -m zh.piecemill zh.txt | piecemill decode -m zh.piecemill | cmp - zh.txt\n"};

enum { IN_BYTES = 1 << 18, IDS = 1 << 16 };

typedef struct decode_call {
    cli_model model;
    bool raw;
    const char *path; /* NULL: standard input */
    pm_tokenizer *tok;
    int fd;
    cli_out out;
    uint8_t *in;
    uint64_t offset; /* of in[0] in the input */
    pm_id *ids;
    size_t n_ids;
    uint8_t *text; /* what they decode to */
    size_t text_cap;
    /* A number or an id that began before in[0]. */
    uint64_t number, begun;
    unsigned digits;
} decode_call;

static bool set_format(decode_call *call, const char *name) {
    if (strcmp(name, "text") != 0 && strcmp(name, "u32") != 0) {
        cli_say("--format %s: expected text or u32", name);
        return false;
    }
    call->raw = name[0] == 'u';
    return true;
}

static bool set_option(void *ctx, int code, const char *value) {
    decode_call *call = ctx;
    switch (code) {
    case 'm': call->model.path = value; break;
    case 'p': return cli_list_add(&call->model.patterns, value);
    case 'q': break;
    case OPT_ANY_UNICODE: call->model.any_unicode = true; break;
    case OPT_FROM: return cli_parse_model_format(value, &call->model.format);
    case OPT_SPECIAL: return cli_add_special(&call->model.specials, &call->model.n_specials, value, true);
    case OPT_FORMAT: return set_format(call, value);
    default: return false;
    }
    return true;
}

static int parse(decode_call *call, int argc, char **argv) {
    int code = cli_options_read(&usage, argc, argv, set_option, call);
    if (code != CLI_OK) {
        return code;
    }
    if (argc - optind > 1) {
        cli_say("decode reads one file; see `piecemill decode --help`");
        return CLI_USAGE;
    }
    call->path = argc > optind && strcmp(argv[optind], "-") != 0 ? argv[optind] : NULL;
    return CLI_OK;
}

static const char *input_name(const decode_call *call) { return call->path ? call->path : "standard input"; }

static int wrong_input(const decode_call *call, uint64_t offset, const char *what) {
    cli_say("%s:%" PRIu64 ": %s", input_name(call), offset, what);
    return CLI_INPUT;
}

/* Decodes and writes the ids that were gathered. */
static int flush_ids(decode_call *call) {
    pm_error err;
    size_t needed;
    pm_status status = pm_decode(call->tok, call->ids, call->n_ids, call->text, call->text_cap, &needed, &err);
    if (status == PM_NO_SPACE) {
        uint8_t *grown = realloc(call->text, needed);
        if (!grown) {
            return cli_no_memory();
        }
        call->text = grown;
        call->text_cap = needed;
        status = pm_decode(call->tok, call->ids, call->n_ids, call->text, call->text_cap, &needed, &err);
    }
    call->n_ids = 0;
    if (status != PM_OK) {
        cli_print_error(&err, input_name(call));
        return cli_exit_code(status);
    }
    cli_out_write(&call->out, call->text, needed);
    return call->out.failed;
}

static int add_id(decode_call *call, uint64_t id, uint64_t offset) {
    if (id >= PM_ID_NONE || pm_tokenizer_kind(call->tok, (pm_id)id) == PM_KIND_HOLE) {
        cli_say("%s:%" PRIu64 ": id %" PRIu64 " is not in the vocabulary", input_name(call), offset, id);
        return CLI_INPUT;
    }
    call->ids[call->n_ids++] = (pm_id)id;
    return call->n_ids == IDS ? flush_ids(call) : CLI_OK;
}

static bool is_space(uint8_t c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

static int end_number(decode_call *call) {
    call->digits = 0;
    return add_id(call, call->number, call->begun);
}

static int take_text(decode_call *call, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint8_t c = call->in[i];
        if (c >= '0' && c <= '9') {
            if (call->digits++ == 0) {
                call->number = 0;
                call->begun = call->offset + i;
            }
            call->number = call->number * 10 + (c - '0');
            if (call->number > PM_ID_NONE) {
                return wrong_input(call, call->begun, "the number is too large for an id");
            }
        } else if (!is_space(c)) {
            return wrong_input(call, call->offset + i, "expected decimal ids separated by spaces");
        } else if (call->digits) {
            int code = end_number(call);
            if (code != CLI_OK) {
                return code;
            }
        }
    }
    return CLI_OK;
}

static int take_raw(decode_call *call, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (call->digits == 0) {
            call->number = 0;
            call->begun = call->offset + i;
        }
        call->number |= (uint64_t)call->in[i] << 8 * call->digits;
        if (++call->digits == 4) {
            int code = end_number(call);
            if (code != CLI_OK) {
                return code;
            }
        }
    }
    return CLI_OK;
}

static int end_of_input(decode_call *call) {
    if (call->raw && call->digits) {
        return wrong_input(call, call->begun, "the input ends inside an id");
    }
    return call->digits ? end_number(call) : CLI_OK;
}

static int decode_stream(decode_call *call) {
    for (;;) {
        ssize_t n = read(call->fd, call->in, IN_BYTES);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            cli_say("%s:%" PRIu64 ": cannot read: %s", input_name(call), call->offset, strerror(errno));
            return errno == EISDIR ? CLI_INPUT : CLI_MACHINE;
        }
        if (n == 0) {
            return end_of_input(call);
        }
        int code = call->raw ? take_raw(call, (size_t)n) : take_text(call, (size_t)n);
        if (code != CLI_OK) {
            return code;
        }
        call->offset += (uint64_t)n;
        /* What came is passed on before more is waited for. */
        if (n < IN_BYTES) {
            code = flush_ids(call);
            cli_out_flush(&call->out);
        }
        if (code != CLI_OK) {
            return code;
        }
    }
}

static int decode(decode_call *call) {
    if (call->path && (call->fd = open(call->path, O_RDONLY | O_CLOEXEC)) < 0) {
        cli_say("%s: cannot open: %s", call->path, strerror(errno));
        return CLI_INPUT;
    }
    call->in = malloc(IN_BYTES);
    call->ids = malloc(IDS * sizeof *call->ids);
    call->text_cap = IDS * 8;
    call->text = malloc(call->text_cap);
    if (!call->in || !call->ids || !call->text) {
        return cli_no_memory();
    }
    cli_out_open(&call->out);
    int code = decode_stream(call);
    if (call->n_ids && !call->out.failed) { /* also what stood before something wrong */
        int last = flush_ids(call);
        code = code == CLI_OK ? last : code;
    }
    return cli_out_close(&call->out, code);
}

int cmd_decode(int argc, char **argv) {
    decode_call call = {.fd = STDIN_FILENO};
    cli_signals_default();
    int code = parse(&call, argc, argv);
    if (code == CLI_OK) {
        code = cli_model_load(&call.model, "decode", &call.tok);
    }
    if (code == CLI_OK) {
        code = decode(&call);
    }
    if (call.fd > STDIN_FILENO) {
        close(call.fd);
    }
    free(call.in);
    free(call.ids);
    free(call.text);
    pm_tokenizer_free(call.tok);
    cli_model_release(&call.model);
    cli_signals_end();
    return code == CLI_HELP ? CLI_OK : code;
}

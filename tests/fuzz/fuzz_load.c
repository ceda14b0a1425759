/* fuzz_load.c - any bytes as a model file: loading gives a tokenizer or an error, never a crash; and what loads can be
 * saved in every format that takes it, loads again as the same tokenizer, and encodes text that decodes to itself.
 *
 * The first byte names the format (0: recognized by content; with its highest bit, the length and checksum of a native
 * file are put right first: else no change gets past them). */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/hash.h"
#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LARGEST = 1 << 16, HEADER = 48 };

static char first[64], second[64];

static void must(bool good, const char *what, const pm_error *err) {
    if (!good) {
        fprintf(stderr, "fuzz_load: %s: %s\n", what, err->message);
        abort();
    }
}

static void remove_files(void) {
    unlink(first);
    unlink(second);
}

static void name_files(void) {
    if (!first[0]) {
        const char *dir = getenv("TMPDIR");
        snprintf(first, sizeof first, "%.40s/fuzz-load-%ld", dir ? dir : "/tmp", (long)getpid());
        snprintf(second, sizeof second, "%.62s2", first);
        atexit(remove_files);
    }
}

static void write_file(const uint8_t *data, size_t size) {
    int fd = open(first, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd) != 0) {
        abort();
    }
}

/* Makes length and checksum right. */
static void repair(uint8_t *data, size_t size) {
    XXH128_canonical_t sum;
    uint64_t length = size;
    if (size >= HEADER) {
        for (int i = 0; i < 8; i++) {
            data[32 + i] = (uint8_t)(length >> 8 * i);
        }
        XXH128_canonicalFromHash(&sum, XXH3_128bits(data + 32, size - 32));
        memcpy(data + 16, &sum, sizeof sum);
    }
}

static pm_status load(pm_tokenizer **tok, const char *path, pm_format format, unsigned flags, pm_error *err) {
    pm_load_options o = PM_LOAD_OPTIONS_INIT;
    o.format = format;
    o.flags = flags;
    return pm_tokenizer_load(tok, path, &o, err);
}

/* What encoding may come to: a regex passed its limit, or a general model has no token for a character. */
static bool is_answer(const pm_tokenizer *tok, pm_status status) {
    return status == PM_OK || status == PM_LIMIT || (tok->model.general && status == PM_INVALID_ARGUMENT);
}

/* Decoding gives the text back where the tokenizer says so. */
static void check_encoding(const pm_tokenizer *tok, pm_bytes text) {
    pm_error err = {0};
    pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
    pm_encoder *enc;
    static pm_id ids[1 << 14];
    static uint8_t back[1 << 16];
    size_t n, n_back;
    o.disallowed = PM_SPECIAL_NONE;
    o.no_normalize = true;
    must(pm_encoder_new(&enc, tok, &err) == PM_OK, "no encoder", &err);
    pm_status status = pm_encode(enc, text, &o, ids, 1 << 14, &n, &err);
    if (tok->model.general) {
        must(is_answer(tok, status) || status == PM_NO_SPACE, "encode", &err);
        if (status == PM_OK) {
            status = pm_decode(tok, ids, n, back, sizeof back, &n_back, &err);
            must(status == PM_OK || status == PM_NO_SPACE || status == PM_LIMIT, "decode", &err);
        }
        pm_encoder_free(enc);
        return;
    }
    must(is_answer(tok, status), "encode", &err);
    bool blank = tok->model.add_prefix && text.len && text.data[0] == ' '; /* which is not decoded */
    if (status == PM_OK && !blank) {
        must(pm_decode(tok, ids, n, back, sizeof back, &n_back, &err) == PM_OK, "decode", &err);
        must(n_back == text.len && (n_back == 0 || memcmp(back, text.data, n_back) == 0), "another text came back",
             &err);
    }
    pm_encoder_free(enc);
}

static void check_same(const pm_tokenizer *a, const pm_tokenizer *b, bool whole) {
    static const pm_error none;
    char x[PM_HASH_HEX], y[PM_HASH_HEX];
    must(a->model.n_merges == b->model.n_merges, "another number of merges", &none);
    must(a->model.n_merges == 0 || memcmp(a->model.merges, b->model.merges, a->model.n_merges * sizeof(pm_merge)) == 0,
         "other merges", &none);
    if (whole) {
        pm_tokenizer_hash(a, x);
        pm_tokenizer_hash(b, y);
        must(strcmp(x, y) == 0, "another hash", &none);
    }
}

/* A .model file has the merges that can apply, no others: the ids are the same. */
static void check_same_ids(const pm_tokenizer *a, const pm_tokenizer *b, pm_bytes text) {
    static const pm_error none;
    const pm_tokenizer *const both[] = {a, b};
    static pm_id ids[2][1024];
    size_t n[2];
    for (int i = 0; i < 2; i++) {
        pm_error err = {0};
        pm_encoder *enc;
        pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
        o.disallowed = PM_SPECIAL_NONE;
        must(pm_encoder_new(&enc, both[i], &err) == PM_OK, "no encoder", &err);
        pm_status status = pm_encode(enc, text, &o, ids[i], 1024, &n[i], &err);
        must(is_answer(both[i], status) || status == PM_NO_SPACE, "encode", &err);
        n[i] = status == PM_OK ? n[i] : 0;
        pm_encoder_free(enc);
        if (status == PM_NO_SPACE || status == PM_LIMIT) {
            return;
        }
    }
    must(n[0] == n[1] && memcmp(ids[0], ids[1], n[0] * sizeof(pm_id)) == 0, "other ids", &none);
}

static void check_saving(const pm_tokenizer *tok, pm_format format, pm_bytes text) {
    pm_error err = {0};
    pm_tokenizer *again;
    pm_status status = pm_tokenizer_save(tok, second, format, &err);
    must(status == PM_OK || status == PM_UNSUPPORTED, "save", &err);
    if (status == PM_OK) {
        status = load(&again, second, format, 0, &err);
        must(status == PM_OK, "what was saved does not load", &err);
        if (format == PM_FORMAT_SENTENCEPIECE || format == PM_FORMAT_GGUF || tok->model.general) {
            check_same_ids(tok, again, text);
        } else {
            check_same(tok, again, format == PM_FORMAT_NATIVE);
        }
        pm_tokenizer_free(again);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t copy[LARGEST];
    pm_error err = {0};
    pm_tokenizer *tok;
    if (size < 1 || size > LARGEST) {
        return 0;
    }
    name_files();
    memcpy(copy, data + 1, size - 1);
    if (data[0] & 0x80) {
        repair(copy, size - 1);
    }
    write_file(copy, size - 1);
    if (load(&tok, first, (pm_format)((data[0] & 0x3F) % (PM_FORMAT_GGUF + 1)), data[0] & 0x40 ? PM_LOAD_COPY : 0, &err) != PM_OK) {
        must(err.status != PM_OK && err.message[0], "no sentence", &err);
        return 0;
    }
    size_t tail = size - 1 < 200 ? size - 1 : 200;
    pm_bytes text = {copy + (size - 1 - tail), tail};
    check_encoding(tok, text);
    for (pm_format format = PM_FORMAT_NATIVE; format <= PM_FORMAT_SENTENCEPIECE; format++) {
        check_saving(tok, format, text);
    }
    check_saving(tok, PM_FORMAT_GGUF, text);
    pm_tokenizer_free(tok);
    return 0;
}

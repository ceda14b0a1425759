/* test_format.c - reading and writing model files. The table of good and bad files is tests/models/README.md. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "model/model.h"
#include "support.h"

/* ---------------------------------------------------------------- helpers ---- */

static const char *model_path(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "tests/models/%s", name);
    return source_path(path);
}

static pm_status load(pm_tokenizer **tok, const char *path, pm_format format, unsigned flags, pm_error *err) {
    pm_load_options options = PM_LOAD_OPTIONS_INIT;
    options.format = format;
    options.flags = flags;
    return pm_tokenizer_load(tok, path, &options, err);
}

static pm_tokenizer *load_model(const char *name) {
    pm_error err = {0};
    pm_tokenizer *tok;
    assert_ok(load(&tok, model_path(name), PM_FORMAT_AUTO, 0, &err));
    return tok;
}

static void assert_bytes_equal(pm_bytes a, pm_bytes b) {
    ck_assert_uint_eq(a.len, b.len);
    ck_assert(a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

enum { COUNTS = 1, SPECIALS = 2, SETTINGS = 4, PATTERN = 8, ALL = 15 };

/* The same ids and merges; and what else `parts` says. */
static void assert_equal(const pm_tokenizer *a, const pm_tokenizer *b, unsigned parts) {
    const pm_model *x = &a->model, *y = &b->model;
    ck_assert_int_eq(x->algorithm, y->algorithm);
    uint32_t n = a->vocab_size > b->vocab_size ? a->vocab_size : b->vocab_size;
    ck_assert(!(parts & SPECIALS) || a->vocab_size == b->vocab_size);
    for (pm_id id = 0; id < n; id++) {
        bool piece = pm_tokenizer_kind(a, id) == PM_KIND_PIECE || pm_tokenizer_kind(b, id) == PM_KIND_PIECE;
        if (piece || parts & SPECIALS) {
            ck_assert_int_eq(pm_tokenizer_kind(a, id), pm_tokenizer_kind(b, id));
            assert_bytes_equal(pm_tokenizer_piece(a, id), pm_tokenizer_piece(b, id));
        }
        if (parts & COUNTS) {
            ck_assert_uint_eq(pm_tokenizer_count(a, id), pm_tokenizer_count(b, id));
        }
    }
    ck_assert_uint_eq(x->n_merges, y->n_merges);
    ck_assert(x->n_merges == 0 || memcmp(x->merges, y->merges, x->n_merges * sizeof *x->merges) == 0);
    if (parts & SETTINGS) {
        ck_assert_str_eq(pm_tokenizer_settings(a), pm_tokenizer_settings(b));
    }
    if (parts & PATTERN) {
        ck_assert_uint_eq(pm_tokenizer_n_patterns(a), pm_tokenizer_n_patterns(b));
        for (size_t i = 0; i < pm_tokenizer_n_patterns(a); i++) {
            ck_assert_str_eq(pm_tokenizer_pattern(a, i), pm_tokenizer_pattern(b, i));
        }
    }
}

static void assert_file_is(const char *path, pm_buf wanted) {
    pm_buf got = read_file(path);
    size_t i = 0;
    while (i < got.len && i < wanted.len && got.data[i] == wanted.data[i]) {
        i++;
    }
    ck_assert_msg(got.len == wanted.len && i == got.len, "%s: %zu bytes instead of %zu, differs at %zu", path, got.len,
                  wanted.len, i);
    pm_buf_release(&got);
}

/* ---------------------------------------------------------------- the table ---- */

typedef struct row {
    char name[128], format[32], status[32], offset[32], words[256];
} row;

/* Reads "| a | b | ... |" into a row; false for other lines. */
static bool parse_row(char *text, row *r) {
    char *cells[5] = {r->name, r->format, r->status, r->offset, r->words};
    size_t rooms[5] = {sizeof r->name, sizeof r->format, sizeof r->status, sizeof r->offset, sizeof r->words};
    if (strncmp(text, "| good-", 7) != 0 && strncmp(text, "| bad-", 6) != 0) {
        return false;
    }
    for (int i = 0; i < 5; i++) {
        char *end = strstr(text + 2, " |");
        ck_assert(end && (size_t)(end - text - 2) < rooms[i]);
        snprintf(cells[i], rooms[i], "%.*s", (int)(end - text - 2), text + 2);
        text = end + 1;
    }
    return true;
}

static void check_bad(const row *r, pm_status status, const pm_error *err) {
    ck_assert_msg(strcmp(pm_status_name(status), r->status) == 0, "%s: %s (%s) instead of %s", r->name,
                  pm_status_name(status), status ? err->message : "", r->status);
    ck_assert_int_eq(err->status, status);
    ck_assert_msg(strstr(err->message, r->words) != NULL, "%s: '%s' does not hold '%s'", r->name, err->message,
                  r->words);
    ck_assert_msg(strstr(err->file, r->name) != NULL, "%s: the error names the file '%s'", r->name, err->file);
    if (strcmp(r->offset, "-") != 0) {
        ck_assert_msg(err->offset == strtoull(r->offset, NULL, 10), "%s: at %llu instead of %s (%s)", r->name,
                      (unsigned long long)err->offset, r->offset, err->message);
    }
}

static void check_row(const row *r) {
    pm_error err = {0};
    pm_format format = PM_FORMAT_AUTO;
    ck_assert_msg(pm_format_from_name(r->format, &format) || strcmp(r->format, "auto") == 0, "%s: format %s", r->name,
                  r->format);
    for (unsigned flags = 0; flags <= PM_LOAD_COPY; flags++) {
        pm_tokenizer *tok = NULL;
        pm_status status = load(&tok, model_path(r->name), format, flags, &err);
        if (strcmp(r->status, "PM_OK") != 0) {
            check_bad(r, status, &err);
            ck_assert_ptr_null(tok);
            continue;
        }
        ck_assert_msg(status == PM_OK, "%s: %s: %s", r->name, pm_status_name(status), err.message);
        pm_tokenizer_free(tok);
        ck_assert_msg(load(&tok, model_path(r->name), PM_FORMAT_AUTO, flags, &err) == PM_OK, "%s: not recognized: %s",
                      r->name, err.message);
        pm_tokenizer_free(tok);
    }
}

START_TEST(every_file_of_the_table_gets_its_verdict) {
    pm_buf table = read_file(model_path("README.md"));
    ck_assert(pm_buf_append(&table, "", 1, NULL) == PM_OK);
    int good = 0, bad = 0;
    row r;
    for (char *line = strtok((char *)table.data, "\n"); line; line = strtok(NULL, "\n")) {
        if (parse_row(line, &r)) {
            check_row(&r);
            *(strncmp(r.name, "good", 4) == 0 ? &good : &bad) += 1;
        }
    }
    pm_buf_release(&table);
    ck_assert_int_ge(good, 20);
    ck_assert_int_ge(bad, 100);
}
END_TEST

/* ---------------------------------------------------------------- equality ---- */

START_TEST(the_formats_of_one_model_hold_the_same) {
    pm_tokenizer *native = load_model("good-bpe.piecemill"), *hf = load_model("good-bpe.tokenizer.json");
    pm_tokenizer *tik = load_model("good-bpe.tiktoken"), *shuffled = load_model("good-shuffled.tiktoken");
    pm_tokenizer *old = load_model("good-old.tokenizer.json"), *outside = load_model("good-outside.tokenizer.json");
    assert_equal(native, tik, 0);
    assert_equal(native, shuffled, 0);
    assert_equal(native, hf, PATTERN);
    assert_equal(hf, old, SPECIALS | PATTERN);
    assert_equal(hf, outside, SPECIALS | PATTERN);
    ck_assert_str_eq(pm_tokenizer_pattern_name(native), "gpt2");
    ck_assert_str_eq(pm_tokenizer_settings(native), "algorithm=bpe\nmin_count=0\n");
    ck_assert_uint_eq(pm_tokenizer_count(native, 256), 100);
    ck_assert_int_eq(pm_tokenizer_kind(native, 263), PM_KIND_SPECIAL);
    ck_assert_int_eq(pm_tokenizer_kind(native, 264), PM_KIND_RESERVED);
    pm_tokenizer *all[] = {native, hf, tik, shuffled, old, outside};
    for (size_t i = 0; i < 6; i++) {
        pm_tokenizer_free(all[i]);
    }
    pm_tokenizer *a = load_model("good-bytepiece.bytepiece.json"), *b = load_model("good-bytepiece.piecemill");
    pm_tokenizer *c = load_model("good-compact.bytepiece.json"), *d = load_model("good-escaped.bytepiece.json");
    assert_equal(a, b, COUNTS | SPECIALS);
    assert_equal(a, c, COUNTS | SPECIALS);
    assert_equal(a, d, COUNTS | SPECIALS);
    ck_assert(b->model.isolate_digits && b->model.normalize && a->model.normalize);
    ck_assert(!pm_tokenizer_lossless(a));
    pm_tokenizer_free(a);
    pm_tokenizer_free(b);
    pm_tokenizer_free(c);
    pm_tokenizer_free(d);
}
END_TEST

START_TEST(a_regex_that_reads_like_a_name_is_a_regex) {
    pm_tokenizer *tok = load_model("good-like-a-name.tokenizer.json");
    ck_assert_str_eq(pm_tokenizer_pattern_name(tok), "");
    ck_assert_str_eq(pm_tokenizer_pattern(tok, 0), "(?:gpt2)");
    pm_tokenizer_free(tok);
}
END_TEST

/* Writes what it read: the very bytes, where the file is in the form that is written. */
START_TEST(what_is_read_is_written_byte_for_byte) {
    static const char *const names[] = {
        "good-bpe.piecemill",         "good-bytes-only.piecemill", "good-bytepiece.piecemill",
        "good-two-regexes.piecemill", "good-bpe.tiktoken",         "good-bytes-only.tiktoken",
        "good-holes.tiktoken",        "good-bpe.tokenizer.json",   "good-bytepiece.bytepiece.json",
    };
    pm_error err = {0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        pm_buf wanted = read_file(model_path(names[i]));
        pm_tokenizer *tok = load_model(names[i]);
        pm_format format = strstr(names[i], "bytepiece.json") ? PM_FORMAT_BYTEPIECE : PM_FORMAT_AUTO;
        char path[512];
        snprintf(path, sizeof path, "%s", temporary_path(names[i]));
        assert_ok(pm_tokenizer_save(tok, path, format, &err));
        assert_file_is(path, wanted);
        pm_tokenizer_free(tok);
        pm_buf_release(&wanted);
    }
}
END_TEST

/* Every good file, in every format that takes it: written, read, written again. */
START_TEST(write_read_write_gives_the_same_bytes) {
    static const char *const names[] = {
        "good-bpe.piecemill",          "good-bytes-only.piecemill",
        "good-bytepiece.piecemill",    "good-later-section.piecemill",
        "good-other-name.piecemill",   "good-two-regexes.piecemill",
        "good-bpe.tiktoken",           "good-holes.tiktoken",
        "good-shuffled.tiktoken",      "good-bpe.tokenizer.json",
        "good-old.tokenizer.json",     "good-no-pattern.tokenizer.json",
        "good-three.tokenizer.json",   "good-bytepiece.bytepiece.json",
        "good-escaped.bytepiece.json",
    };
    pm_error err = {0};
    int written = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (pm_format format = PM_FORMAT_NATIVE; format <= PM_FORMAT_BYTEPIECE; format++) {
            pm_tokenizer *tok = load_model(names[i]), *again;
            char first[512], second[512];
            snprintf(first, sizeof first, "%s", temporary_path("first"));
            snprintf(second, sizeof second, "%s", temporary_path("second"));
            pm_status status = pm_tokenizer_save(tok, first, format, &err);
            ck_assert(status == PM_OK || status == PM_UNSUPPORTED);
            bool other = format == PM_FORMAT_HF && tok->model.algorithm == PM_ALGORITHM_BYTEPIECE; /* is read as what it is there: Unigram */
            if (status == PM_OK && !other) {
                assert_ok(load(&again, first, format, 0, &err));
                assert_equal(tok, again,
                             format == PM_FORMAT_NATIVE      ? ALL
                             : format == PM_FORMAT_BYTEPIECE ? COUNTS | SPECIALS
                                                             : 0);
                assert_ok(pm_tokenizer_save(again, second, format, &err));
                pm_buf wanted = read_file(first);
                assert_file_is(second, wanted);
                pm_buf_release(&wanted);
                pm_tokenizer_free(again);
                written++;
            }
            pm_tokenizer_free(tok);
        }
    }
    ck_assert_int_ge(written, 30);
}
END_TEST

/* ---------------------------------------------------------------- damage ---- */

/* Loads the file; it must fail, or may load, but then whole. */
static void load_damaged(const char *path, pm_format format, bool must_fail, const char *what, size_t at) {
    pm_error err = {0};
    pm_tokenizer *tok;
    pm_status status = load(&tok, path, format, PM_LOAD_COPY, &err);
    ck_assert_msg(!must_fail || status != PM_OK, "%s at %zu was not noticed", what, at);
    if (status != PM_OK) {
        ck_assert_ptr_null(tok);
        ck_assert_msg(status == PM_BAD_FORMAT || status == PM_BAD_VERSION || status == PM_UNSUPPORTED ||
                          status == PM_BAD_PATTERN,
                      "%s at %zu: %s: %s", what, at, pm_status_name(status), err.message);
    }
    pm_tokenizer_free(tok);
}

static const struct {
    const char *name;
    pm_format format;
    bool cut_is_noticed, flip_is_noticed;
} damaged[] = {
    {"good-bpe.piecemill", PM_FORMAT_NATIVE, true, true},
    {"good-bytepiece.piecemill", PM_FORMAT_NATIVE, true, true},
    {"good-bpe.tiktoken", PM_FORMAT_TIKTOKEN, false, false},
    {"good-old.tokenizer.json", PM_FORMAT_HF, true, false},
    {"good-compact.bytepiece.json", PM_FORMAT_BYTEPIECE, true, false},
    {"good-gpt2.gguf", PM_FORMAT_GGUF, true, false},
};

/* One file stays open and is changed in place: to write a new one each time is slow on some file systems. */
static int open_copy(const char *name, char *path, size_t room, pm_buf *data) {
    *data = read_file(model_path(name));
    snprintf(path, room, "%s", temporary_file("damaged", data->data, data->len));
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return fd;
}

START_TEST(a_file_cut_at_any_byte_is_no_crash) {
    char path[512];
    pm_buf data;
    int fd = open_copy(damaged[_i].name, path, sizeof path, &data);
    for (size_t n = data.len; n-- > 0;) {
        ck_assert_int_eq(ftruncate(fd, (off_t)n), 0);
        load_damaged(path, damaged[_i].format, damaged[_i].cut_is_noticed, "a cut", n);
    }
    close(fd);
    pm_buf_release(&data);
}
END_TEST

START_TEST(a_flip_of_any_byte_is_no_crash) {
    static const uint8_t flips[] = {0x01, 0x80, 0xFF};
    char path[512];
    pm_buf data;
    int fd = open_copy(damaged[_i].name, path, sizeof path, &data);
    for (size_t i = 0; i < data.len; i++) {
        uint8_t wrong = (uint8_t)(data.data[i] ^ flips[i % 3]);
        ck_assert(pwrite(fd, &wrong, 1, (off_t)i) == 1);
        load_damaged(path, damaged[_i].format, damaged[_i].flip_is_noticed, "a flip", i);
        ck_assert(pwrite(fd, &data.data[i], 1, (off_t)i) == 1);
    }
    close(fd);
    pm_buf_release(&data);
}
END_TEST

/* ---------------------------------------------------------------- choosing a format ---- */

static uint64_t count_of(const pm_tokenizer *tok, const char *piece, pm_id *id) {
    *id = pm_tokenizer_find(tok, (pm_bytes){(const uint8_t *)piece, strlen(piece)});
    return *id == PM_ID_NONE ? 0 : pm_tokenizer_count(tok, *id);
}

/* The numbers are those of bytepiece 0.6.3's convert_to_bytepiece: "abab" is beaten by "ab" and "ab" together, and their count goes to them. */
START_TEST(bytepiece_takes_pieces_with_counts_alone) {
    static const char text[] = "{\"ab\": 1000, \"c\": 7, \"abc\": 20, \"abab\": 1, \"\\u4e2d\": 30}";
    pm_error err = {0};
    pm_tokenizer *tok;
    pm_id id;
    assert_ok(load(&tok, temporary_file("counted", text, sizeof text - 1), PM_FORMAT_BYTEPIECE, 0, &err));
    ck_assert_uint_eq(tok->vocab_size, 3 + 256 + 3);
    ck_assert_uint_eq(count_of(tok, "a", &id), 1);
    ck_assert_uint_eq(id, 3 + 'a');
    ck_assert_uint_eq(count_of(tok, "c", &id), 7);
    ck_assert_uint_eq(count_of(tok, "abab", &id), 0);
    ck_assert_uint_eq(count_of(tok, "ab", &id), 1002);
    ck_assert_uint_eq(id, 3 + 256);
    ck_assert_uint_eq(count_of(tok, "abc", &id), 20);
    ck_assert_uint_eq(id, 3 + 257);
    ck_assert_uint_eq(count_of(tok, "\xE4\xB8\xAD", &id), 30);
    ck_assert_uint_eq(id, 3 + 258);
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(names_of_formats) {
    pm_format format;
    for (pm_format f = PM_FORMAT_NATIVE; f <= PM_FORMAT_BYTEPIECE; f++) {
        ck_assert(pm_format_from_name(pm_format_name(f), &format));
        ck_assert_int_eq(format, f);
    }
    ck_assert(!pm_format_from_name("nonsense", &format));
    ck_assert(!pm_format_from_name("", &format));
    ck_assert_str_eq(pm_format_name((pm_format)99), "?");
}
END_TEST

START_TEST(the_ending_chooses_the_format) {
    static const struct {
        const char *name;
        pm_format format;
    } cases[] = {
        {"a.piecemill", PM_FORMAT_NATIVE},
        {"a.tiktoken", PM_FORMAT_TIKTOKEN},
        {"tokenizer.json", PM_FORMAT_HF},
        {"gpt2.tokenizer.json", PM_FORMAT_HF},
        {"gpt2-tokenizer.json", PM_FORMAT_HF},
        {"piecemill", PM_FORMAT_AUTO},
        {"a.json", PM_FORMAT_AUTO},
        {"mytokenizer.json", PM_FORMAT_AUTO},
        {"a.piecemill.bak", PM_FORMAT_AUTO},
        {"a", PM_FORMAT_AUTO},
    };
    pm_error err = {0};
    pm_tokenizer *tok = load_model("good-bpe.piecemill"), *again;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s", temporary_path(cases[i].name));
        if (cases[i].format == PM_FORMAT_AUTO) {
            assert_fails(pm_tokenizer_save(tok, path, PM_FORMAT_AUTO, &err), PM_INVALID_ARGUMENT, "tiktoken");
            ck_assert_int_ne(access(path, F_OK), 0);
            continue;
        }
        assert_ok(pm_tokenizer_save(tok, path, PM_FORMAT_AUTO, &err));
        assert_ok(load(&again, path, cases[i].format, 0, &err));
        pm_tokenizer_free(again);
    }
    assert_fails(pm_tokenizer_save(tok, temporary_path("x"), (pm_format)99, &err), PM_INVALID_ARGUMENT, "99");
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(files_that_are_not_there_say_so) {
    pm_error err = {0};
    pm_tokenizer *tok;
    assert_fails(pm_tokenizer_load(&tok, "/proc/none/m", NULL, &err), PM_NOT_FOUND, "No such file");
    ck_assert_str_eq(err.file, "/proc/none/m");
    assert_fails(pm_tokenizer_load(&tok, "/", NULL, &err), PM_NOT_FOUND, "the folder holds no tokenizer");
    ck_assert_ptr_null(tok);
    tok = load_model("good-bpe.piecemill");
    assert_fails(pm_tokenizer_save(tok, "/proc/none/m.piecemill", PM_FORMAT_AUTO, &err), PM_NOT_FOUND,
                 "cannot create");
    assert_fails(pm_tokenizer_save(tok, "/", PM_FORMAT_NATIVE, &err), PM_IO, "folder");
    if (access("/dev/full", W_OK) == 0) {
        assert_fails(pm_tokenizer_save(tok, "/dev/full", PM_FORMAT_NATIVE, &err), PM_IO, "No space left");
    }
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(a_closed_pipe_is_an_error) {
    pm_error err = {0};
    pm_tokenizer *tok = load_model("good-bpe.piecemill");
    char path[64];
    int ends[2];
    if (access("/dev/fd", X_OK) != 0) {
        skipped("/dev/fd is not here");
        pm_tokenizer_free(tok);
        return;
    }
    ck_assert(pipe(ends) == 0 && close(ends[0]) == 0 && signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
    assert_fails(pm_tokenizer_save(tok, path, PM_FORMAT_NATIVE, &err), PM_IO, "Broken pipe");
    close(ends[1]);
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(load_options_are_checked) {
    static const char *const patterns[] = {"gpt2"};
    static const char *const nonsense[] = {"a(b"};
    static const char *const with_pattern[] = {"good-bpe.piecemill", "good-bpe.tokenizer.json",
                                               "good-bytepiece.bytepiece.json"};
    pm_error err = {0};
    pm_tokenizer *tok;
    pm_load_options o = PM_LOAD_OPTIONS_INIT;
    o.patterns = patterns;
    o.n_patterns = 1;
    for (size_t i = 0; i < 3; i++) {
        assert_fails(pm_tokenizer_load(&tok, model_path(with_pattern[i]), &o, &err), PM_INVALID_ARGUMENT,
                     "a pattern was given");
    }
    assert_ok(pm_tokenizer_load(&tok, model_path("good-bpe.tiktoken"), &o, &err));
    ck_assert_str_eq(pm_tokenizer_pattern_name(tok), "gpt2");
    pm_tokenizer_free(tok);
    o.patterns = nonsense;
    pm_status status = pm_tokenizer_load(&tok, model_path("good-bpe.tiktoken"), &o, &err);
    ck_assert_int_eq(status, PM_BAD_PATTERN);
    o = (pm_load_options)PM_LOAD_OPTIONS_INIT;
    o.size = 3;
    assert_fails(pm_tokenizer_load(&tok, model_path("good-bpe.tiktoken"), &o, &err), PM_INVALID_ARGUMENT,
                 "PM_LOAD_OPTIONS_INIT");
    o = (pm_load_options)PM_LOAD_OPTIONS_INIT;
    o.flags = 64;
    assert_fails(pm_tokenizer_load(&tok, model_path("good-bpe.tiktoken"), &o, &err), PM_INVALID_ARGUMENT, "flags");
    o = (pm_load_options)PM_LOAD_OPTIONS_INIT;
    o.format = (pm_format)99;
    assert_fails(pm_tokenizer_load(&tok, model_path("good-bpe.tiktoken"), &o, &err), PM_INVALID_ARGUMENT, "99");
}
END_TEST

START_TEST(another_unicode_version_can_be_allowed) {
    pm_error err = {0};
    pm_tokenizer *tok;
    assert_ok(load(&tok, model_path("bad-pattern-unicode.piecemill"), PM_FORMAT_AUTO, PM_LOAD_ANY_UNICODE, &err));
    ck_assert_str_eq(pm_tokenizer_pattern(tok, 0), "[a-z]+");
    pm_tokenizer_free(tok);
}
END_TEST

#define TEXT(s)                                                                                                        \
    { (const uint8_t *)(s), sizeof(s) - 1 }

START_TEST(special_tokens_are_added_to_those_of_the_file) {
    static const pm_special_token two[] = {{TEXT("<a>"), PM_ID_NONE}, {TEXT("<b>"), 400}};
    static const pm_special_token far[] = {{TEXT("<a>"), 4000000000}}; /* took 100 GB before */
    static const pm_special_token taken[] = {{TEXT("<a>"), 5}};
    static const pm_special_token twice[] = {{TEXT("<a>"), PM_ID_NONE}, {TEXT("<a>"), PM_ID_NONE}};
    pm_error err = {0};
    pm_tokenizer *tok;
    pm_load_options o = PM_LOAD_OPTIONS_INIT;
    o.special_tokens = two;
    o.n_special_tokens = 2;
    assert_ok(pm_tokenizer_load(&tok, model_path("good-bpe.tiktoken"), &o, &err));
    ck_assert_uint_eq(pm_tokenizer_vocab_size(tok), 402); /* <b> was placed first */
    ck_assert_uint_eq(pm_tokenizer_n_special_tokens(tok), 2);
    pm_tokenizer_free(tok);
    assert_ok(pm_tokenizer_load(&tok, model_path("good-bpe.piecemill"), &o, &err));
    ck_assert_int_eq(pm_tokenizer_kind(tok, 264), PM_KIND_SPECIAL); /* the reserved slot */
    pm_tokenizer_free(tok);
    assert_ok(pm_tokenizer_load(&tok, model_path("good-bytepiece.bytepiece.json"), &o, &err));
    assert_fails(pm_tokenizer_save(tok, temporary_path("b"), PM_FORMAT_BYTEPIECE, &err), PM_UNSUPPORTED,
                 "special tokens");
    ck_assert_int_ne(access(temporary_path("b"), F_OK), 0);
    pm_tokenizer_free(tok);
    o.n_special_tokens = 1;
    o.special_tokens = taken;
    assert_fails(pm_tokenizer_load(&tok, model_path("good-bpe.tiktoken"), &o, &err), PM_INVALID_ARGUMENT, "taken");
    o.special_tokens = far;
    assert_fails(pm_tokenizer_load(&tok, model_path("good-bpe.tiktoken"), &o, &err), PM_INVALID_ARGUMENT, "far beyond");
    o.special_tokens = twice;
    o.n_special_tokens = 2;
    assert_fails(pm_tokenizer_load(&tok, model_path("good-bpe.tiktoken"), &o, &err), PM_INVALID_ARGUMENT, "twice");
}
END_TEST

/* ---------------------------------------------------------------- what a format cannot carry ---- */

static void assert_unsupported(const pm_tokenizer *tok, pm_format format, const char *words) {
    pm_error err = {0};
    assert_fails(pm_tokenizer_save(tok, temporary_path("no"), format, &err), PM_UNSUPPORTED, words);
    ck_assert_int_ne(access(temporary_path("no"), F_OK), 0);
}

START_TEST(what_a_format_cannot_carry_is_refused) {
    pm_error err = {0};
    pm_tokenizer *bpe = load_model("good-bpe.piecemill"), *bp = load_model("good-bytepiece.piecemill"), *tok;
    assert_unsupported(bp, PM_FORMAT_TIKTOKEN, "BPE vocabularies only");
    assert_unsupported(bpe, PM_FORMAT_BYTEPIECE, "BytePiece models only");
    bp->model.normalize = false;
    assert_unsupported(bp, PM_FORMAT_BYTEPIECE, "normalizes");
    /* The second merge first: the ids are no ranks any more. */
    pm_merge first = bpe->model.merges[0];
    bpe->model.merges[0] = bpe->model.merges[3];
    bpe->model.merges[3] = first;
    assert_unsupported(bpe, PM_FORMAT_TIKTOKEN, "merge 0 differs");
    pm_tokenizer_free(bpe);
    pm_tokenizer_free(bp);

    static const pm_special_token clash[] = {{TEXT("the"), PM_ID_NONE}}, binary[] = {{TEXT("\xff\xfe"), PM_ID_NONE}};
    pm_load_options o = PM_LOAD_OPTIONS_INIT;
    o.n_special_tokens = 1;
    o.special_tokens = clash;
    assert_ok(pm_tokenizer_load(&tok, model_path("good-bpe.tiktoken"), &o, &err));
    assert_unsupported(tok, PM_FORMAT_HF, "reads like a piece");
    pm_tokenizer_free(tok);
    o.special_tokens = binary;
    assert_ok(pm_tokenizer_load(&tok, model_path("good-bpe.tiktoken"), &o, &err));
    assert_unsupported(tok, PM_FORMAT_HF, "not UTF-8");
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(save_options_are_checked) {
    pm_error err = {0};
    pm_tokenizer *tok;
    assert_ok(load(&tok, model_path("good-bytepiece.piecemill"), PM_FORMAT_AUTO, 0, &err));
    pm_save_options o = PM_SAVE_OPTIONS_INIT;
    o.size = 4;
    ck_assert_int_eq(pm_tokenizer_save_with(tok, temporary_path("a.piecemill"), &o, &err), PM_INVALID_ARGUMENT);
    o = (pm_save_options)PM_SAVE_OPTIONS_INIT;
    o.flags = 0x80;
    ck_assert_int_eq(pm_tokenizer_save_with(tok, temporary_path("a.piecemill"), &o, &err), PM_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.message, "0x80"));
    o.flags = PM_SAVE_LOSSY; /* nothing is lost */
    assert_ok(pm_tokenizer_save_with(tok, temporary_path("a.piecemill"), &o, &err));
    assert_ok(pm_tokenizer_save_with(tok, temporary_path("b.piecemill"), NULL, &err));
    pm_tokenizer_free(tok);
}
END_TEST

/* ---------------------------------------------------------------- ready-made tables ---- */

static size_t ids_of(const pm_tokenizer *tok, pm_id *ids, size_t cap) {
    static const char text[] = "the cat and the hat, abc ababab \xe4\xb8\xad\xe5\x9b\xbd\xe4\xba\xba  1234 \xff the";
    pm_error err = {0};
    pm_encoder *enc;
    size_t n;
    assert_ok(pm_encoder_new(&enc, tok, &err));
    assert_ok(pm_encode(enc, (pm_bytes){(const uint8_t *)text, sizeof text - 1}, NULL, ids, cap, &n, &err));
    pm_encoder_free(enc);
    return n;
}

static void save_with_tables(const pm_tokenizer *tok, const char *path) {
    pm_error err = {0};
    pm_save_options how = PM_SAVE_OPTIONS_INIT;
    how.format = PM_FORMAT_NATIVE;
    how.flags = PM_SAVE_TABLES;
    assert_ok(pm_tokenizer_save_with(tok, path, &how, &err));
}

START_TEST(ready_made_tables_give_the_same_ids) {
    pm_error err = {0};
    pm_tokenizer *tok = load_model("good-bpe.piecemill"), *again;
    pm_id ids[200], others[200];
    const char *path = temporary_path("tables");
    save_with_tables(tok, path);
    for (unsigned flags = 0; flags <= PM_LOAD_COPY; flags += PM_LOAD_COPY) {
        assert_ok(load(&again, path, PM_FORMAT_AUTO, flags, &err));
        ck_assert_uint_gt(again->model.tables.len, 100000);
        assert_equal(tok, again, ALL);
        size_t n = ids_of(tok, ids, 200);
        ck_assert_uint_eq(ids_of(again, others, 200), n);
        ck_assert_mem_eq(ids, others, n * sizeof *ids);
        pm_tokenizer_free(again);
    }
    pm_tokenizer_free(tok);
}
END_TEST

/* Writes over some bytes, makes the checksum right and loads. True: it was refused. */
static bool refuses_changed(const pm_buf *file, size_t at, size_t n, uint8_t with) {
    pm_error err = {0};
    pm_tokenizer *tok;
    pm_id ids[200];
    uint8_t kept[64];
    XXH128_canonical_t sum;
    memcpy(kept, file->data + at, n);
    memset(file->data + at, with, n);
    XXH128_canonicalFromHash(&sum, XXH3_128bits(file->data + 32, file->len - 32));
    memcpy(file->data + 16, &sum, sizeof sum);
    pm_status status = load(&tok, temporary_file("lies", file->data, file->len), PM_FORMAT_NATIVE, 0, &err);
    ck_assert(status == PM_OK || status == PM_BAD_FORMAT);
    if (status == PM_OK) {
        ids_of(tok, ids, 200);
        pm_tokenizer_free(tok);
    }
    memcpy(file->data + at, kept, n);
    return status != PM_OK;
}

/* Tables that lie give an error, other ids, or are made anew; but nothing is read outside of them and every search ends. */
START_TEST(ready_made_tables_are_not_believed) {
    enum { ARRAYS = 8, FRONT = 64, MARK = 64 };
    pm_error err = {0};
    char path[512];
    pm_tokenizer *tok = load_model("good-bpe.piecemill");
    snprintf(path, sizeof path, "%s", temporary_path("tables"));
    save_with_tables(tok, path);
    pm_tokenizer_free(tok);
    assert_ok(load(&tok, path, PM_FORMAT_AUTO, PM_LOAD_COPY, &err));
    const size_t tables = (size_t)(tok->model.tables.data - tok->model.file.data);
    pm_tokenizer_free(tok);
    pm_buf file = read_file(path);
    for (size_t at = 0; at < FRONT + 16 * ARRAYS; at += 4) {
        refuses_changed(&file, tables + at, 4, 0xFF);
        refuses_changed(&file, tables + at, 4, 0x01);
    }
    unsigned refused = 0;
    for (size_t i = 0; i < ARRAYS; i++) {
        uint64_t offset, len;
        memcpy(&offset, file.data + tables + FRONT + 16 * i, sizeof offset);
        memcpy(&len, file.data + tables + FRONT + 16 * i + 8, sizeof len);
        for (uint64_t at = 0; at + MARK <= len; at += len / 7 + 1) {
            refused += refuses_changed(&file, tables + offset + at, MARK, 0xFF);
            refused += refuses_changed(&file, tables + offset + at, MARK, 0x7F);
            refuses_changed(&file, tables + offset + at, MARK, 0);
        }
    }
    ck_assert_uint_ge(refused, 20);
    pm_buf_release(&file);
}
END_TEST

/* ---------------------------------------------------------------- real vocabularies ---- */

START_TEST(real_vocabularies_go_through_every_format) {
    static const char *const names[] = {"gpt2", "cl100k_base", "o200k_base"};
    char name[64];
    pm_error err = {0};
    snprintf(name, sizeof name, "vocabs/%s.tiktoken", names[_i]);
    const char *path = shared(name);
    if (!path) {
        return;
    }
    pm_tokenizer *tok, *again;
    pm_load_options o = PM_LOAD_OPTIONS_INIT;
    pm_special_token end = {TEXT("<|endoftext|>"), PM_ID_NONE};
    o.patterns = &names[_i];
    o.n_patterns = 1;
    o.special_tokens = &end;
    o.n_special_tokens = 1;
    pm_buf original = read_file(path);
    assert_ok(pm_tokenizer_load(&tok, path, &o, &err));
    for (pm_format format = PM_FORMAT_NATIVE; format <= PM_FORMAT_HF; format++) {
        assert_ok(pm_tokenizer_save(tok, temporary_path("real"), format, &err));
        if (format == PM_FORMAT_TIKTOKEN) {
            assert_file_is(temporary_path("real"), original);
        }
        assert_ok(load(&again, temporary_path("real"), PM_FORMAT_AUTO, 0, &err));
        assert_equal(tok, again, format == PM_FORMAT_TIKTOKEN ? 0 : SPECIALS | PATTERN);
        ck_assert(again->model.whole_first);
        pm_tokenizer_free(again);
    }
    pm_tokenizer_free(tok);
    pm_buf_release(&original);
}
END_TEST

Suite *suite_format(void);
Suite *suite_format(void) {
    Suite *suite = suite_create("format");
    TCase *tc = tcase_create("format");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, every_file_of_the_table_gets_its_verdict);
    tcase_add_test(tc, the_formats_of_one_model_hold_the_same);
    tcase_add_test(tc, a_regex_that_reads_like_a_name_is_a_regex);
    tcase_add_test(tc, what_is_read_is_written_byte_for_byte);
    tcase_add_test(tc, write_read_write_gives_the_same_bytes);
    tcase_add_loop_test(tc, a_file_cut_at_any_byte_is_no_crash, 0, sizeof damaged / sizeof *damaged);
    tcase_add_loop_test(tc, a_flip_of_any_byte_is_no_crash, 0, sizeof damaged / sizeof *damaged);
    tcase_add_test(tc, bytepiece_takes_pieces_with_counts_alone);
    tcase_add_test(tc, names_of_formats);
    tcase_add_test(tc, the_ending_chooses_the_format);
    tcase_add_test(tc, files_that_are_not_there_say_so);
    tcase_add_test(tc, a_closed_pipe_is_an_error);
    tcase_add_test(tc, load_options_are_checked);
    tcase_add_test(tc, another_unicode_version_can_be_allowed);
    tcase_add_test(tc, special_tokens_are_added_to_those_of_the_file);
    tcase_add_test(tc, what_a_format_cannot_carry_is_refused);
    tcase_add_test(tc, save_options_are_checked);
    tcase_add_test(tc, ready_made_tables_give_the_same_ids);
    tcase_add_test(tc, ready_made_tables_are_not_believed);
    tcase_add_loop_test(tc, real_vocabularies_go_through_every_format, 0, 3);
    suite_add_tcase(suite, tc);
    return suite;
}

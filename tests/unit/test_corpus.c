/* test_corpus.c - documents from files, memory and callbacks; cutting, unpacking, JSONL. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../oracle/cut.h"
#include "base/file.h"
#include "corpus/corpus.h"
#include "corpus/jsonl.h"
#include "support.h"

#ifdef PM_HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef PM_HAVE_ZSTD
#include <zstd.h>
#endif

/* What a corpus gave: all documents one behind the other, and their ends. */
typedef struct outcome {
    pm_status status;
    pm_error err;
    pm_block all;
} outcome;

static outcome read_all(pm_corpus *corpus, size_t want) {
    outcome o = {0};
    pm_block block = {0};
    do {
        o.status = pm_corpus_fill(corpus, &block, want, &o.err);
        size_t base = o.all.text.len;
        ck_assert(pm_buf_append(&o.all.text, block.text.data, block.text.len, NULL) == PM_OK);
        ck_assert(pm_grow((void **)&o.all.ends, &o.all.cap, o.all.n + block.n, sizeof *block.ends, NULL) == PM_OK);
        for (size_t i = 0; i < block.n; i++) {
            o.all.ends[o.all.n++] = base + block.ends[i];
        }
        ck_assert(block.n == 0 || block.ends[block.n - 1] == block.text.len);
    } while (o.status == PM_OK && block.n > 0);
    pm_block_release(&block);
    return o;
}

static outcome read_file_as(const char *path, const pm_corpus_options *options, size_t want) {
    outcome o = {0};
    pm_corpus *corpus;
    ck_assert(pm_corpus_new(&corpus, options, NULL) == PM_OK);
    o.status = pm_corpus_add_file(corpus, path, &o.err);
    if (o.status == PM_OK) {
        o = read_all(corpus, want);
    }
    pm_corpus_free(corpus);
    return o;
}

static pm_bytes document(const outcome *o, size_t i) {
    size_t begin = i ? o->all.ends[i - 1] : 0;
    ck_assert_uint_lt(i, o->all.n);
    return (pm_bytes){o->all.text.data + begin, o->all.ends[i] - begin};
}

static void assert_document(const outcome *o, size_t i, const char *words) {
    pm_bytes d = document(o, i);
    ck_assert_uint_eq(d.len, strlen(words));
    ck_assert_msg(d.len == 0 || memcmp(d.data, words, d.len) == 0, "\"%.*s\" instead of \"%s\"", (int)d.len, (const char *)d.data, words);
}

#define assert_read(o)                                                                                                    \
    ck_assert_msg((o).status == PM_OK, "%s: %s: %s", pm_status_name((o).status), (o).err.file, (o).err.message)

static void assert_bad(outcome *o, pm_status status, const char *words) {
    pm_error err = o->err;
    assert_fails(o->status, status, words);
    pm_block_release(&o->all);
}

/* ---------------------------------------------------------------- cutting ---- */

static void compare_with_oracle(const uint8_t *text, size_t len, pm_split split, size_t want, const outcome *o) {
    size_t n = 0;
    ck_assert_uint_eq(o->all.text.len, len);
    ck_assert(len == 0 || memcmp(o->all.text.data, text, len) == 0);
    for (size_t i = 1; i <= len; i++) {
        if (oracle_is_end(text, len, i, split)) {
            ck_assert_msg(n < o->all.n && o->all.ends[n] == i, "split %d want %zu: no end at %zu", (int)split, want, i);
            n++;
        }
    }
    n += len == 0 && split == PM_SPLIT_DOCUMENT;
    ck_assert_uint_eq(n, o->all.n);
}

/* Small pieces end everywhere, so that every begun document and every run of newlines is met at a boundary. */
START_TEST(cuts_as_its_twin_at_every_boundary) {
    uint64_t state = 1;
    for (int round = 0; round < 300; round++) {
        uint8_t text[200];
        size_t len = random_word(&state) % sizeof text;
        unsigned rare = 1 + (unsigned)(random_word(&state) % 8);
        for (size_t i = 0; i < len; i++) {
            uint64_t w = random_word(&state);
            text[i] = w % rare == 0 ? '\n' : (uint8_t) "ab\r\0\xff"[(w >> 8) % 5];
        }
        const char *path = temporary_file("cut.txt", text, len);
        for (int split = PM_SPLIT_LINE; split <= PM_SPLIT_DOCUMENT; split++) {
            pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
            options.split = (pm_split)split;
            for (size_t want = 1; want < 300; want += 1 + want / 3) {
                outcome o = read_file_as(path, &options, want);
                assert_read(o);
                compare_with_oracle(text, len, (pm_split)split, want, &o);
                pm_block_release(&o.all);
            }
        }
    }
}
END_TEST

/* Before the pieces of a big file go straight into the block; they must join where a line lies across two of them. */
START_TEST(joins_big_pieces) {
    size_t len = 5000000;
    uint8_t *text = malloc(len);
    uint64_t state = 2;
    for (size_t i = 0; i < len; i++) {
        uint64_t w = random_word(&state);
        text[i] = w % 5000 == 0 ? '\n' : (uint8_t)('a' + w % 26);
    }
    char path[512];
    strcpy(path, temporary_file("big.txt", text, len));
    for (int split = PM_SPLIT_LINE; split <= PM_SPLIT_DOCUMENT; split++) {
        pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
        options.split = (pm_split)split;
        const size_t wants[] = {0, 1000, 65536, 100000, len, 2 * len};
        for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
            outcome o = read_file_as(path, &options, wants[i]);
            assert_read(o);
            compare_with_oracle(text, len, (pm_split)split, wants[i], &o);
            pm_block_release(&o.all);
        }
    }
    free(text);
}
END_TEST

START_TEST(a_block_is_about_as_large_as_wanted) {
    pm_error err;
    pm_corpus *corpus;
    pm_block block = {0};
    char *text = malloc(1000000);
    for (size_t i = 0; i < 1000000; i++) {
        text[i] = i % 100 == 99 ? '\n' : 'x';
    }
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    assert_ok(pm_corpus_add_file(corpus, temporary_file("hundred.txt", text, 1000000), &err));
    assert_ok(pm_corpus_fill(corpus, &block, 1, &err));
    ck_assert_uint_eq(block.n, 1);
    assert_ok(pm_corpus_fill(corpus, &block, 1000, &err));
    ck_assert_uint_eq(block.n, 10);
    assert_ok(pm_corpus_fill(corpus, &block, 100001, &err));
    ck_assert(block.n >= 1000 && block.n <= 1001);
    pm_block_release(&block);
    pm_corpus_free(corpus);
    free(text);
}
END_TEST

/* ---------------------------------------------------------------- sources ---- */

typedef struct given {
    int at, n;
    bool fails;
} given;

static int give(void *user, pm_bytes *document) {
    static const char *const words[] = {"one\ntwo", "", "three"};
    given *g = user;
    if (g->at == g->n) {
        return g->fails ? -1 : 0;
    }
    *document = (pm_bytes){(const uint8_t *)words[g->at % 3], strlen(words[g->at % 3])};
    g->at++;
    return 1;
}

START_TEST(sources_come_in_order) {
    for (size_t want = 1; want < 60; want++) {
        pm_error err;
        pm_corpus *corpus;
        given g = {0, 3, false};
        uint64_t done, total;
        assert_ok(pm_corpus_new(&corpus, NULL, &err));
        assert_ok(pm_corpus_add_document(corpus, (pm_bytes){(const uint8_t *)"a\nb\0c", 5}, &err));
        assert_ok(pm_corpus_add_file(corpus, temporary_file("1.txt", "l1\nl2", 5), &err));
        assert_ok(pm_corpus_add_file(corpus, temporary_file("2.jsonl", "{\"text\":\"j1\"}\n\n{\"text\":\"\"}", 26), &err));
        assert_ok(pm_corpus_add_file(corpus, temporary_file("3.txt", "", 0), &err));
        pm_corpus_position(corpus, &done, &total);
        ck_assert_uint_eq(total, 36);
        assert_ok(pm_corpus_add_callback(corpus, give, &g, &err));
        assert_ok(pm_corpus_add_document(corpus, (pm_bytes){NULL, 0}, &err));
        ck_assert(pm_corpus_splits_lines(corpus));
        ck_assert_str_eq(pm_corpus_split_name(corpus), "line");

        outcome o = read_all(corpus, want);
        assert_read(o);
        ck_assert_uint_eq(o.all.n, 9);
        ck_assert_uint_eq(document(&o, 0).len, 5);
        assert_document(&o, 1, "l1\n");
        assert_document(&o, 2, "l2");
        assert_document(&o, 3, "j1");
        assert_document(&o, 4, "");
        assert_document(&o, 5, "one\ntwo");
        assert_document(&o, 6, "");
        assert_document(&o, 7, "three");
        assert_document(&o, 8, "");
        pm_corpus_position(corpus, &done, &total);
        ck_assert_uint_eq(done, 48);
        ck_assert_uint_eq(total, 0); /* a callback does not tell */
        pm_block_release(&o.all);
        pm_corpus_free(corpus);
    }
}
END_TEST

/* A block holds documents of one weight, however much room it has. */
START_TEST(blocks_have_the_weight_of_their_file) {
    static const struct {
        const char *name, *text;
        uint32_t weight;
    } files[] = {{"w1.txt", "a\nb\n", 1}, {"w2.txt", "c\nd\ne", 7}, {"w3.txt", "", 9}, {"w4.txt", "f\n", 7}, {"w5.txt", "g\n", PM_WEIGHT_MAX}};
    for (size_t want = 1; want < 20; want++) {
        pm_error err;
        pm_corpus *corpus;
        pm_block block = {0};
        char seen[64];
        size_t n = 0;
        assert_ok(pm_corpus_new(&corpus, NULL, &err));
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
            ck_assert(pm_corpus_is_weighted(corpus) == (i > 1));
            assert_ok(pm_corpus_add_file_weighted(corpus, temporary_file(files[i].name, files[i].text, strlen(files[i].text)), files[i].weight, &err));
        }
        assert_ok(pm_corpus_add_document(corpus, (pm_bytes){(const uint8_t *)"h", 1}, &err));
        do {
            assert_ok(pm_corpus_fill(corpus, &block, want, &err));
            for (size_t i = 0; i < block.n; i++) {
                seen[n++] = (char)block.text.data[i ? block.ends[i - 1] : 0];
                seen[n++] = block.weight == 1 ? '1' : block.weight == 7 ? '7' : block.weight == PM_WEIGHT_MAX ? 'M' : '?';
            }
        } while (block.n);
        seen[n] = '\0';
        ck_assert_str_eq(seen, "a1b1c7d7e7f7gMh1");
        assert_fails(pm_corpus_add_file_weighted(corpus, "w1.txt", 0, &err), PM_INVALID_ARGUMENT, "a weight of 0: it is 1 to 1048576");
        assert_fails(pm_corpus_add_file_weighted(corpus, "w1.txt", PM_WEIGHT_MAX + 1, &err), PM_INVALID_ARGUMENT, "a weight of 1048577");
        ck_assert_str_eq(err.file, "w1.txt");
        pm_block_release(&block);
        pm_corpus_free(corpus);
    }
}
END_TEST

START_TEST(public_reading_gives_the_documents) {
    pm_error err;
    pm_corpus *corpus;
    const pm_bytes *docs;
    size_t n;
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    assert_ok(pm_corpus_read(corpus, 0, &docs, &n, &err));
    ck_assert_uint_eq(n, 0);
    assert_ok(pm_corpus_add_file(corpus, temporary_file("p.txt", "a\n\nbc", 5), &err));
    assert_ok(pm_corpus_read(corpus, 0, &docs, &n, &err));
    ck_assert_uint_eq(n, 3);
    ck_assert_mem_eq(docs[0].data, "a\n", 2);
    ck_assert_uint_eq(docs[1].len, 1);
    ck_assert_mem_eq(docs[2].data, "bc", 2);
    assert_ok(pm_corpus_read(corpus, 0, &docs, &n, &err));
    ck_assert_uint_eq(n, 0);
    pm_corpus_free(corpus);
    pm_corpus_free(NULL);
}
END_TEST

START_TEST(a_callback_cancels) {
    pm_error err;
    pm_corpus *corpus;
    const pm_bytes *docs;
    size_t n;
    given g = {0, 2, true};
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    assert_ok(pm_corpus_add_callback(corpus, give, &g, &err));
    assert_fails(pm_corpus_read(corpus, 0, &docs, &n, &err), PM_CANCELLED, "cancelled");
    ck_assert_uint_eq(n, 0);
    assert_fails(pm_corpus_read(corpus, 0, &docs, &n, &err), PM_CANCELLED, "cancelled"); /* and stays so */
    pm_corpus_free(corpus);
}
END_TEST

START_TEST(bad_files_and_options_say_so) {
    pm_error err;
    pm_corpus *corpus;
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    options.max_window = (UINT64_C(1) << 31) + 1;
    assert_fails(pm_corpus_new(&corpus, &options, &err), PM_INVALID_ARGUMENT, "max_window");
    options.max_window = 0;
    options.split = (pm_split)7;
    assert_fails(pm_corpus_new(&corpus, &options, &err), PM_INVALID_ARGUMENT, "split 7");
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    assert_fails(pm_corpus_add_file(corpus, "/proc/none/x.txt", &err), PM_NOT_FOUND, "No such file");
    ck_assert_str_eq(err.file, "/proc/none/x.txt");
    assert_fails(pm_corpus_add_file(corpus, "/", &err), PM_IO, "folder");
    char path[512];
    strcpy(path, temporary_file("secret.txt", "x", 1));
    ck_assert(chmod(path, 0) == 0);
    if (geteuid() != 0) {
        assert_fails(pm_corpus_add_file(corpus, path, &err), PM_IO, "Permission denied");
    }
    strcpy(path, temporary_file("gone.txt", "x", 1));
    assert_ok(pm_corpus_add_file(corpus, path, &err));
    ck_assert(unlink(path) == 0);
    const pm_bytes *docs;
    size_t n;
    assert_fails(pm_corpus_read(corpus, 0, &docs, &n, &err), PM_NOT_FOUND, "cannot open");
    pm_corpus_free(corpus);
}
END_TEST

static int io_countdown;
static int fail_at_countdown(void) { return io_countdown-- == 0 ? EIO : 0; }

START_TEST(a_failed_read_tells_file_and_offset) {
    size_t len = 3 << 20;
    char *text = calloc(len, 1);
    char path[512];
    memset(text, 'x', len);
    strcpy(path, temporary_file("fails.txt", text, len));
    io_countdown = 2;
    pm_io_test_hook = fail_at_countdown;
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    outcome o = read_file_as(path, &options, 1 << 20);
    pm_io_test_hook = NULL;
    ck_assert_uint_eq(o.err.offset, 2 << 20);
    ck_assert_str_eq(o.err.file, path);
    assert_bad(&o, PM_IO, "cannot read");
    free(text);
}
END_TEST

START_TEST(pipes_are_read_once_and_their_size_is_unknown) {
    pm_error err;
    pm_corpus *corpus;
    int ends[2];
    char path[64];
    uint64_t done, total;
    ck_assert(pipe(ends) == 0 && write(ends[1], "a\nb", 3) == 3 && close(ends[1]) == 0);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    assert_ok(pm_corpus_add_file(corpus, path, &err));
    pm_corpus_position(corpus, &done, &total);
    ck_assert_uint_eq(total, 0);
    outcome o = read_all(corpus, 0);
    assert_read(o);
    ck_assert_uint_eq(o.all.n, 2);
    pm_block_release(&o.all);
    pm_corpus_free(corpus);
    close(ends[0]);
}
END_TEST

static outcome read_standard_input(const char *path, const pm_corpus_options *options) {
    int saved = dup(0), fd = open(path, O_RDONLY);
    ck_assert(saved >= 0 && fd >= 0 && dup2(fd, 0) == 0);
    outcome o = read_file_as("-", options, 0);
    ck_assert(dup2(saved, 0) == 0);
    close(saved);
    close(fd);
    return o;
}

START_TEST(standard_input_is_text_or_records_of_a_named_field) {
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    outcome o = read_standard_input(temporary_file("in", "{\"body\":\"x\"}\n", 13), &options);
    assert_read(o);
    assert_document(&o, 0, "{\"body\":\"x\"}\n");
    pm_block_release(&o.all);
    options.field = "body";
    o = read_standard_input(temporary_path("in"), &options);
    assert_read(o);
    assert_document(&o, 0, "x");
    pm_block_release(&o.all);
    o = read_standard_input(temporary_file("in", "?", 1), &options);
    ck_assert_str_eq(o.err.file, "standard input");
    assert_bad(&o, PM_BAD_INPUT, "object");
}
END_TEST

/* More shards than a process may have open files. */
START_TEST(a_thousand_shards_do_not_stay_open) {
    pm_error err;
    pm_corpus *corpus;
    char path[512];
    strcpy(path, temporary_file("shard.txt", "x", 1));
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    for (int i = 0; i < 3000; i++) {
        assert_ok(pm_corpus_add_file(corpus, path, &err));
    }
    outcome o = read_all(corpus, 10);
    assert_read(o);
    ck_assert_uint_eq(o.all.n, 3000);
    pm_block_release(&o.all);
    pm_corpus_free(corpus);
}
END_TEST

/* ---------------------------------------------------------------- packed files ---- */

/* Writes one part (gzip member or zstd frame) with the first n bytes of text to *out. */
typedef void (*pack_fn)(pm_buf *out, const void *text, size_t n);

#ifdef PM_HAVE_ZLIB
static void pack_gzip(pm_buf *out, const void *text, size_t n) {
    z_stream z = {0};
    ck_assert(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    ck_assert(pm_buf_reserve(out, deflateBound(&z, n), NULL) == PM_OK);
    z.next_in = (Bytef *)(uintptr_t)text;
    z.avail_in = (uInt)n;
    z.next_out = out->data + out->len;
    z.avail_out = (uInt)(out->cap - out->len);
    ck_assert(deflate(&z, Z_FINISH) == Z_STREAM_END);
    out->len = (size_t)(z.next_out - out->data);
    deflateEnd(&z);
}
#endif

#ifdef PM_HAVE_ZSTD
static void pack_zstd(pm_buf *out, const void *text, size_t n) {
    ck_assert(pm_buf_reserve(out, ZSTD_compressBound(n), NULL) == PM_OK);
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    size_t got = ZSTD_compress2(c, out->data + out->len, out->cap - out->len, text, n);
    ck_assert(!ZSTD_isError(got));
    out->len += got;
    ZSTD_freeCCtx(c);
}

static void pack_skippable(pm_buf *out, const void *text, size_t n) {
    uint8_t head[8] = {0x5A, 0x2A, 0x4D, 0x18, (uint8_t)n, (uint8_t)(n >> 8), 0, 0};
    ck_assert(pm_buf_append(out, head, 8, NULL) == PM_OK && pm_buf_append(out, text, n, NULL) == PM_OK);
}
#endif

static const struct packing {
    const char *name;
    pack_fn pack;
} packings[] = {
#ifdef PM_HAVE_ZLIB
    {"p.txt.gz", pack_gzip},
#endif
#ifdef PM_HAVE_ZSTD
    {"p.txt.zst", pack_zstd},
#endif
    {NULL, NULL},
};

static const char lines[] = "first\nsecond line\n\nlast, without newline";

static outcome read_packed(const char *name, const pm_buf *packed, size_t len, size_t want) {
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    return read_file_as(temporary_file(name, packed->data, len), &options, want);
}

START_TEST(all_parts_are_read) {
    for (const struct packing *p = packings; p->name; p++) {
        pm_buf packed = {0};
        size_t n = sizeof lines - 1;
        for (size_t at = 0; at < n; at += 7) {
            p->pack(&packed, lines + at, at + 7 < n ? 7 : n - at);
        }
        p->pack(&packed, "", 0);
        for (size_t want = 1; want < 60; want++) {
            /* By the ending, and by the first bytes of a file without a telling one. */
            for (int by_name = 0; by_name < 2; by_name++) {
                outcome o = read_packed(by_name ? p->name : "corpus", &packed, packed.len, want);
                assert_read(o);
                compare_with_oracle((const uint8_t *)lines, n, PM_SPLIT_LINE, want, &o);
                pm_block_release(&o.all);
            }
        }
        pm_buf_release(&packed);
    }
}
END_TEST

START_TEST(truncated_files_are_errors_at_every_byte) {
    for (const struct packing *p = packings; p->name; p++) {
        pm_buf packed = {0};
        p->pack(&packed, lines, 20);
        size_t first = packed.len;
        p->pack(&packed, lines + 20, sizeof lines - 1 - 20);
        for (size_t len = 0; len <= packed.len; len++) {
            outcome o = read_packed(p->name, &packed, len, 1000);
            if (len == first || len == packed.len) {
                assert_read(o);
                ck_assert_uint_eq(o.all.text.len, len == first ? 20 : sizeof lines - 1);
                pm_block_release(&o.all);
                continue;
            }
            ck_assert_msg(o.status == PM_BAD_INPUT, "%s cut at %zu: %s", p->name, len, pm_status_name(o.status));
            ck_assert(o.err.offset <= sizeof lines);
            ck_assert(strstr(o.err.file, p->name) != NULL);
            assert_bad(&o, PM_BAD_INPUT, len ? "too early" : "empty file");
        }
        pm_buf_release(&packed);
    }
}
END_TEST

START_TEST(garbage_behind_the_last_part_is_an_error) {
    for (const struct packing *p = packings; p->name; p++) {
        const char *const garbage[] = {"garbage", "\0\0\0\0", "x", "\n"};
        for (size_t i = 0; i < 4; i++) {
            pm_buf packed = {0};
            p->pack(&packed, lines, sizeof lines - 1);
            ck_assert(pm_buf_append(&packed, garbage[i], i < 2 ? 4 : 1, NULL) == PM_OK);
            outcome o = read_packed(p->name, &packed, packed.len, 10);
            ck_assert_uint_eq(o.err.offset, sizeof lines - 1);
            assert_bad(&o, PM_BAD_INPUT, "at byte ");
            pm_buf_release(&packed);
        }
        outcome o = read_packed(p->name, &(pm_buf){(uint8_t *)(uintptr_t)lines, 20, 20}, 20, 10);
        assert_bad(&o, PM_BAD_INPUT, "not a ");
    }
}
END_TEST

/* Every single damaged byte is found or harmless (a name or time in the header): the text is right or there is an error. */
START_TEST(damaged_bytes_are_found) {
    for (const struct packing *p = packings; p->name; p++) {
        pm_buf packed = {0};
        p->pack(&packed, lines, sizeof lines - 1);
        for (size_t i = 0; i < packed.len; i++) {
            packed.data[i] ^= 0x10;
            outcome o = read_packed(p->name, &packed, packed.len, 1000);
            packed.data[i] ^= 0x10;
            if (o.status == PM_OK) {
                ck_assert_uint_eq(o.all.text.len, sizeof lines - 1);
                ck_assert_mem_eq(o.all.text.data, lines, sizeof lines - 1);
            } else {
                ck_assert(o.status == PM_BAD_INPUT || o.status == PM_LIMIT);
            }
            pm_block_release(&o.all);
        }
        pm_buf_release(&packed);
    }
}
END_TEST

#ifdef PM_HAVE_ZSTD
START_TEST(skippable_frames_are_skipped) {
    pm_buf packed = {0};
    pack_skippable(&packed, "meta", 4);
    pack_zstd(&packed, lines, 10);
    pack_skippable(&packed, lines, 30);
    pack_zstd(&packed, lines + 10, sizeof lines - 1 - 10);
    pack_skippable(&packed, "", 0);
    for (size_t want = 1; want < 60; want++) {
        outcome o = read_packed(want % 2 ? "s.zst" : "s", &packed, packed.len, want);
        assert_read(o);
        compare_with_oracle((const uint8_t *)lines, sizeof lines - 1, PM_SPLIT_LINE, want, &o);
        pm_block_release(&o.all);
    }
    pm_buf_release(&packed);
}
END_TEST

/* A frame that needs 256 MiB is refused by default and read when allowed. */
START_TEST(large_windows_are_asked_for) {
    static const uint8_t frame[] = {0x28, 0xB5, 0x2F, 0xFD, 0x00, (28 - 10) << 3, 0x19, 0x00, 0x00, 'a', 'b', '\n'}; /* one raw block of 3 bytes */
    const char *path = temporary_file("window.zst", frame, sizeof frame);
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    outcome o = read_file_as(path, &options, 0);
    assert_bad(&o, PM_LIMIT, "134217728");
    options.max_window = UINT64_C(1) << 28;
    o = read_file_as(path, &options, 0);
    assert_read(o);
    assert_document(&o, 0, "ab\n");
    pm_block_release(&o.all);
}
END_TEST
#endif

/* 200 MB of one repeated line in a file of some 200 KB (zstd: 20 KB). */
START_TEST(a_bomb_stays_in_its_blocks) {
    size_t len = 4000000;
    char *text = malloc(len);
    for (size_t i = 0; i < len; i++) {
        text[i] = i % 50 == 49 ? '\n' : 'z';
    }
    for (const struct packing *p = packings; p->name; p++) {
        pm_buf packed = {0};
        pm_error err;
        pm_corpus *corpus;
        pm_block block = {0};
        uint64_t n = 0;
        for (int i = 0; i < 50; i++) {
            p->pack(&packed, text, len);
        }
        assert_ok(pm_corpus_new(&corpus, NULL, &err));
        assert_ok(pm_corpus_add_file(corpus, temporary_file(p->name, packed.data, packed.len), &err));
        do {
            assert_ok(pm_corpus_fill(corpus, &block, 1 << 16, &err));
            n += block.n;
            ck_assert_uint_le(block.text.cap, 1 << 17);
        } while (block.n);
        ck_assert_uint_eq(n, 4000000);
        pm_block_release(&block);
        pm_corpus_free(corpus);
        pm_buf_release(&packed);
    }
    free(text);
}
END_TEST

/* ---------------------------------------------------------------- JSONL ---- */

static size_t from_hex(const char *hex, size_t n, uint8_t *out) {
    for (size_t i = 0; i < n / 2; i++) {
        unsigned byte;
        ck_assert(sscanf(hex + 2 * i, "%2x", &byte) == 1);
        out[i] = (uint8_t)byte;
    }
    return n / 2;
}

static void check_jsonl_case(pm_jsonl *j, const uint8_t *line, size_t len, const char *verdict, int row) {
    pm_buf out = {0};
    pm_error err = {0};
    bool found;
    pm_status status = pm_jsonl_read(j, line, len, &out, &found, &err);
    if (verdict[0] == '-') {
        ck_assert_msg(status == PM_BAD_INPUT, "row %d was taken", row);
        ck_assert(err.offset <= len && out.len == 0);
    } else {
        ck_assert_msg(status == PM_OK, "row %d: %s at %d", row, err.message, (int)err.offset);
        ck_assert_msg(found == (verdict[0] != 'b'), "row %d", row);
    }
    if (verdict[0] == '=') {
        uint8_t *wanted = malloc(strlen(verdict) + 1);
        size_t n = from_hex(verdict + 1, strcspn(verdict + 1, "\n"), wanted);
        ck_assert_msg(n == out.len && (n == 0 || memcmp(wanted, out.data, n) == 0), "row %d: other text", row);
        free(wanted);
    }
    pm_buf_release(&out);
}

/* Each line is read from memory of its exact size, so that a sanitizer sees a step too far. */
START_TEST(jsonl_agrees_with_python) {
    const char *path = getenv("PM_JSONL_CASES");
    FILE *f = fopen(path ? path : source_path("tests/cases/jsonl.tsv"), "r");
    ck_assert(f != NULL);
    pm_jsonl j;
    pm_jsonl_init(&j, "text");
    char *row = NULL;
    size_t cap = 0;
    int n = 0;
    while (getline(&row, &cap, f) > 0) {
        if (row[0] == '#') {
            continue;
        }
        char *tab = strchr(row, '\t');
        ck_assert(tab != NULL);
        size_t len = (size_t)(tab - row) / 2;
        uint8_t *line = malloc(len ? len : 1);
        from_hex(row, 2 * len, line);
        check_jsonl_case(&j, line, len, tab + 1, ++n);
        free(line);
    }
    ck_assert_int_gt(n, 1000);
    free(row);
    fclose(f);
    pm_jsonl_release(&j);
}
END_TEST

START_TEST(jsonl_errors_tell_where) {
    static const struct {
        const char *text;
        uint64_t offset;
        const char *words;
    } cases[] = {
        {"{\"text\":\"a\"}\n{\"text\":\"b\"x}\n", 24, "comma"},
        {"{\"text\":\"a\"}\n\n{\"txt\":\"b\"}\n", 14, "no field \"text\""},
        {"{\"text\":\"a\"}\n{\"text\": 5}\n", 22, "not a string"},
        {"{\"text\":\"a\"}\r\n[]\n", 14, "object"},
        {"\xEF\xBB\xBF{\"text\":\"a\\q\"}", 13, "escape"},
        {"{\"text\":\"a\"}\n{\"text\":\"\\ud83d\"}", 22, "surrogate"},
        {"{\"text\":\"a\"}\n{\"text\":\"", 22, "too early"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t want = 1; want < 40; want += 13) {
            pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
            outcome o = read_file_as(temporary_file("bad.jsonl", cases[i].text, strlen(cases[i].text)), &options, want);
            ck_assert_uint_eq(o.err.offset, cases[i].offset);
            ck_assert(strstr(o.err.file, "bad.jsonl") != NULL);
            assert_bad(&o, PM_BAD_INPUT, cases[i].words);
        }
    }
}
END_TEST

/* Positions count from the head of the file also when the line lies far behind the first piece that was read. */
START_TEST(jsonl_long_file_and_packed) {
    pm_buf text = {0};
    for (int i = 0; i < 20000; i++) {
        ck_assert(pm_buf_printf(&text, NULL, "{\"id\":%d,\"text\":\"line\\n%d\",\"x\":[{\"text\":0}]}%s", i, i, i % 2 ? "\n" : "\r\n") == PM_OK);
    }
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    outcome o = read_file_as(temporary_file("long.ndjson", text.data, text.len), &options, 5000);
    assert_read(o);
    ck_assert_uint_eq(o.all.n, 20000);
    assert_document(&o, 19999, "line\n19999");
    pm_block_release(&o.all);

    uint64_t at = text.len;
    ck_assert(pm_buf_append(&text, "{\"text\" 1}", 10, NULL) == PM_OK);
    o = read_file_as(temporary_file("long.jsonl", text.data, text.len), &options, 0);
    ck_assert_uint_eq(o.err.offset, at + 8);
    assert_bad(&o, PM_BAD_INPUT, "colon");
#ifdef PM_HAVE_ZSTD
    pm_buf packed = {0};
    pack_zstd(&packed, text.data, text.len);
    o = read_file_as(temporary_file("long.jsonl.zst", packed.data, packed.len), &options, 0);
    ck_assert_uint_eq(o.err.offset, at + 8);
    assert_bad(&o, PM_BAD_INPUT, "colon");
    pm_buf_release(&packed);
#endif
    pm_buf_release(&text);
}
END_TEST

START_TEST(jsonl_nests_as_deep_as_memory) {
    size_t depth = 3000000;
    pm_buf text = {0};
    ck_assert(pm_buf_append(&text, "{\"a\":", 5, NULL) == PM_OK);
    ck_assert(pm_buf_reserve(&text, 2 * depth, NULL) == PM_OK);
    memset(text.data + text.len, '[', depth);
    memset(text.data + text.len + depth, ']', depth);
    text.len += 2 * depth;
    ck_assert(pm_buf_append(&text, ",\"text\":\"deep\"}", 15, NULL) == PM_OK);
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    outcome o = read_file_as(temporary_file("deep.jsonl", text.data, text.len), &options, 0);
    assert_read(o);
    assert_document(&o, 0, "deep");
    pm_block_release(&o.all);
    pm_buf_release(&text);
}
END_TEST

/* ---------------------------------------------------------------- memory ---- */

static int memory_countdown;
static bool refuse_at_countdown(void) { return memory_countdown-- != 0; }

/* One of everything, with the n-th allocation failing for every n. */
/* ---------------------------------------------------------------- cancelling while we read ---- */

typedef struct asked {
    int calls, cancel_at; /* the call that cancels; 0: none */
} asked;

static int count_calls(void *user, const pm_progress *p) {
    asked *a = user;
    (void)p;
    return ++a->calls == a->cancel_at;
}

static void begin_asking(pm_ticker *ticker, asked *a, int cancel_at) {
    *a = (asked){0, cancel_at};
    pm_ticker_init(ticker, count_calls, a, 0);
    pm_ticker_seconds_between = 0;
}

static void end_asking(void) { pm_ticker_seconds_between = 0.05; }

/* before, then `unit` again and again to LONG_LINE bytes, then after. */
typedef struct long_line {
    const char *before, *unit, *after;
} long_line;

enum { LONG_LINE = 3 << 20 };

static pm_buf make_line(const long_line *l) {
    pm_buf line = {0};
    size_t before = strlen(l->before), unit = strlen(l->unit), after = strlen(l->after);
    ck_assert(pm_buf_reserve(&line, LONG_LINE + before + unit + after, NULL) == PM_OK);
    memcpy(line.data, l->before, before);
    for (line.len = before; line.len < LONG_LINE; line.len += unit) {
        memcpy(line.data + line.len, l->unit, unit);
    }
    memcpy(line.data + line.len, l->after, after);
    line.len += after;
    return line;
}

/* A line was read to its end before anything else happened, however long it was. Every kind of loop over it looks at the ticker, and when that
 * says stop, this is the error, whatever is wrong with the rest of the line. */
START_TEST(jsonl_is_cancelled_inside_a_line) {
    static const long_line cases[] = {
        {"{\"text\":\"", "plain text ", "\"}"},
        {"{\"text\":\"", "\\n", "\"}"},
        {"{\"text\":\"", "caf\\u00e9 ", "\"}"},
        {"{\"text\":\"a\", \"x\":\"", "plain text ", "\"}"},
        {"", " ", "{\"text\":\"a\"}"},
        {"{\"text\":", " ", "\"a\"}"},
        {"{\"text\":\"a\", \"x\": ", "123456789", "}"},
        {"{\"text\":\"a\", \"x\": 0.5e", "123456789", "}"},
        {"{\"text\":\"a\", \"x\": [", "1, ", "1]}"},
        {"{\"text\":\"a\", \"", "\\n", "\": 1}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pm_buf line = make_line(&cases[i]), out = {0};
        pm_ticker ticker;
        asked a = {0};
        pm_error err;
        bool found;
        int all = 0;
        for (int cancel_at = 0; cancel_at <= all; cancel_at++) {
            pm_jsonl j;
            pm_jsonl_init(&j, "text");
            j.ticker = &ticker;
            begin_asking(&ticker, &a, cancel_at);
            if (cancel_at == 0) {
                assert_ok(pm_jsonl_read(&j, line.data, line.len, &out, &found, &err));
                ck_assert(found && a.calls >= 3);
                all = a.calls;
            } else {
                assert_fails(pm_jsonl_read(&j, line.data, line.len, &out, &found, &err), PM_CANCELLED, "cancelled by the progress callback");
                ck_assert_uint_eq(out.len, 0);
            }
            end_asking();
            out.len = 0;
            pm_jsonl_release(&j);
        }
        pm_buf_release(&line);
        pm_buf_release(&out);
    }
}
END_TEST

/* A corpus over this file, watched by the ticker. */
static pm_corpus *watched_corpus(const char *path, pm_ticker *ticker) {
    pm_error err;
    pm_corpus *corpus;
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    assert_ok(pm_corpus_add_file(corpus, path, &err));
    pm_corpus_watch(corpus, ticker);
    return corpus;
}

/* Opening a named pipe waited for somebody to write to it, and reading a pipe for its next byte; neither could be cancelled. */
START_TEST(waiting_for_a_pipe_is_cancelled) {
    char path[512];
    snprintf(path, sizeof path, "%s", temporary_path("pipe"));
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    for (int writers = 0; writers < 2; writers++) {
        pm_ticker ticker;
        asked a;
        pm_error err;
        pm_block block = {0};
        begin_asking(&ticker, &a, 3);
        pm_corpus *corpus = watched_corpus(path, &ticker);
        int fd = writers ? open(path, O_WRONLY) : -1; /* one who says little */
        ck_assert(!writers || write(fd, "a\nb", 3) == 3);
        assert_fails(pm_corpus_fill(corpus, &block, 100, &err), PM_CANCELLED, "cancelled by the progress callback");
        end_asking();
        pm_corpus_free(corpus);
        pm_block_release(&block);
        close(fd);
    }
}
END_TEST

START_TEST(a_pipe_may_get_its_writer_late) {
    char path[512];
    pm_ticker ticker;
    asked a;
    snprintf(path, sizeof path, "%s", temporary_path("late pipe"));
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    begin_asking(&ticker, &a, 0);
    pm_corpus *corpus = watched_corpus(path, &ticker);
    int fd = open(path, O_WRONLY);
    ck_assert_int_eq(write(fd, "a\nb", 3), 3);
    close(fd);
    outcome o = read_all(corpus, 100);
    ck_assert(o.status == PM_OK && o.all.n == 2 && o.all.text.len == 3);
    end_asking();
    pm_corpus_free(corpus);
    pm_block_release(&o.all);
}
END_TEST

/* Files without a document, long documents in memory: the ticker is looked at all the same. */
START_TEST(other_sources_are_cancelled_too) {
    static uint8_t text[20 << 20];
    pm_ticker ticker;
    asked a;
    pm_error err;
    pm_block block = {0};
    const char *empty = temporary_file("empty.txt", "", 0);
    for (int i = 0; i < 2; i++) {
        begin_asking(&ticker, &a, 4);
        pm_corpus *corpus = watched_corpus(empty, &ticker);
        for (int k = 0; k < 5; k++) {
            assert_ok(i ? pm_corpus_add_file(corpus, empty, &err) : pm_corpus_add_document(corpus, (pm_bytes){text, sizeof text}, &err));
        }
        assert_fails(pm_corpus_fill(corpus, &block, 0, &err), PM_CANCELLED, "cancelled by the progress callback");
        end_asking();
        pm_corpus_free(corpus);
    }
    pm_block_release(&block);
}
END_TEST

START_TEST(every_allocation_may_fail) {
    char paths[4][512];
    pm_buf packed = {0};
    strcpy(paths[0], temporary_file("m.txt", "a\nb", 3));
    strcpy(paths[1], temporary_file("m.jsonl", "{\"t\\u0065xt\":\"\\u4e2d\"}", 21 + 1));
    int n_paths = 2;
#ifdef PM_HAVE_ZLIB
    pack_gzip(&packed, lines, 20);
    strcpy(paths[n_paths++], temporary_file("m.gz", packed.data, packed.len));
#endif
    packed.len = 0;
#ifdef PM_HAVE_ZSTD
    pack_zstd(&packed, lines, 20);
    strcpy(paths[n_paths++], temporary_file("m.zst", packed.data, packed.len));
#endif
    bool done = false;
    for (int nth = 0; !done; nth++) {
        pm_error err = {0};
        pm_corpus *corpus = NULL;
        const pm_bytes *docs;
        size_t n = 1;
        pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
        options.field = "text";
        memory_countdown = nth;
        pm_alloc_test_hook = refuse_at_countdown;
        pm_status status = pm_corpus_new(&corpus, &options, &err);
        for (int i = 0; i < n_paths && status == PM_OK; i++) {
            status = pm_corpus_add_file(corpus, paths[i], &err);
        }
        while (status == PM_OK && n > 0) {
            status = pm_corpus_read(corpus, 2, &docs, &n, &err);
        }
        done = memory_countdown >= 0;
        pm_alloc_test_hook = NULL;
        pm_corpus_free(corpus);
        ck_assert_msg(status == (done ? PM_OK : PM_NO_MEMORY), "allocation %d: %s: %s", nth, pm_status_name(status), err.message);
        ck_assert_int_lt(nth, 1000);
    }
    pm_buf_release(&packed);
}
END_TEST

Suite *suite_corpus(void) {
    Suite *suite = suite_create("corpus");
    TCase *tests = tcase_create("corpus");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, cuts_as_its_twin_at_every_boundary);
    tcase_add_test(tests, joins_big_pieces);
    tcase_add_test(tests, a_block_is_about_as_large_as_wanted);
    tcase_add_test(tests, sources_come_in_order);
    tcase_add_test(tests, blocks_have_the_weight_of_their_file);
    tcase_add_test(tests, public_reading_gives_the_documents);
    tcase_add_test(tests, a_callback_cancels);
    tcase_add_test(tests, bad_files_and_options_say_so);
    tcase_add_test(tests, a_failed_read_tells_file_and_offset);
    tcase_add_test(tests, pipes_are_read_once_and_their_size_is_unknown);
    tcase_add_test(tests, standard_input_is_text_or_records_of_a_named_field);
    tcase_add_test(tests, a_thousand_shards_do_not_stay_open);
    tcase_add_test(tests, all_parts_are_read);
    tcase_add_test(tests, truncated_files_are_errors_at_every_byte);
    tcase_add_test(tests, garbage_behind_the_last_part_is_an_error);
    tcase_add_test(tests, damaged_bytes_are_found);
#ifdef PM_HAVE_ZSTD
    tcase_add_test(tests, skippable_frames_are_skipped);
    tcase_add_test(tests, large_windows_are_asked_for);
#endif
    tcase_add_test(tests, a_bomb_stays_in_its_blocks);
    tcase_add_test(tests, jsonl_agrees_with_python);
    tcase_add_test(tests, jsonl_errors_tell_where);
    tcase_add_test(tests, jsonl_long_file_and_packed);
    tcase_add_test(tests, jsonl_nests_as_deep_as_memory);
    tcase_add_test(tests, jsonl_is_cancelled_inside_a_line);
    tcase_add_test(tests, waiting_for_a_pipe_is_cancelled);
    tcase_add_test(tests, a_pipe_may_get_its_writer_late);
    tcase_add_test(tests, other_sources_are_cancelled_too);
    tcase_add_test(tests, every_allocation_may_fail);
    suite_add_tcase(suite, tests);
    return suite;
}

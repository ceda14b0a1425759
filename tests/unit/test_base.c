/* test_base.c - errors, memory, files and threads. */
#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sha256.h"
#include "base/thread.h"
#include "support.h"

START_TEST(error_keeps_the_end_of_a_long_path) {
    pm_error err;
    char path[2000];
    memset(path, 'x', sizeof path);
    strcpy(path + sizeof path - 5, "/end");
    ck_assert_int_eq(pm_fail_file(&err, PM_IO, path, 7, "no %s", "luck"), PM_IO);
    ck_assert_str_eq(err.message, "no luck");
    ck_assert_uint_eq(err.offset, 7);
    ck_assert_int_eq(strncmp(err.file, "...x", 4), 0);
    ck_assert_str_eq(err.file + strlen(err.file) - 4, "/end");
}
END_TEST

/* Digests of n letters "a", by Python's hashlib: all ways for a message to end in a block. */
START_TEST(sha256_is_that_of_the_standard) {
    static const struct {
        size_t n;
        const char *hex;
    } cases[] = {
        {0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {1, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"},
        {55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
        {56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
        {63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"},
        {64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
        {65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"},
        {119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb"},
        {120, "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c"},
        {128, "6836cf13bac400e9105071cd6af47084dfacad4e5e302c94bfed24e013afb73e"},
        {200, "c2a908d98f5df987ade41b5fce213067efbcc21ef2240212a41e54b5e7c28ae5"},
    };
    static uint8_t text[200];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t part = 1; part <= 200; part += 33) {
            char hex[PM_SHA256_HEX];
            pm_sha256 hash;
            pm_sha256_init(&hash);
            for (size_t at = 0, n; at < cases[i].n; at += n) {
                n = cases[i].n - at < part ? cases[i].n - at : part;
                pm_sha256_update(&hash, text, n);
            }
            pm_sha256_hex(&hash, hex);
            ck_assert_str_eq(hex, cases[i].hex);
        }
    }
}
END_TEST

START_TEST(sizes_are_checked_before_they_are_multiplied) {
    ck_assert_ptr_null(pm_alloc(SIZE_MAX / 2, 3));
    ck_assert_ptr_null(pm_calloc(SIZE_MAX, SIZE_MAX));
    void *p = pm_alloc(0, 8);
    ck_assert_ptr_nonnull(p);
    pm_free(p);
}
END_TEST

START_TEST(pages_grow_keep_what_they_hold_and_add_zeros) {
    uint32_t *items = NULL;
    size_t cap = 0, last = 0, wrong = 0;
    pm_error err;
    for (size_t need = 1; need < 3000000; need += need / 2 + 7) {
        ck_assert_int_eq(pm_grow_pages((void **)&items, &cap, need, sizeof *items, &err), PM_OK);
        ck_assert_uint_ge(cap, need);
        for (size_t i = 0; i < last; i++) {
            wrong += items[i] != (uint32_t)i + 1;
        }
        for (; last < need; last++) {
            wrong += items[last] != 0;
            items[last] = (uint32_t)last + 1;
        }
        ck_assert_uint_eq(wrong, 0);
        ck_assert_uint_eq(items[cap - 1], cap == need ? (uint32_t)cap : 0);
    }
    uint32_t *before = items;
    ck_assert_int_eq(pm_grow_pages((void **)&items, &cap, SIZE_MAX / 2, sizeof *items, &err), PM_NO_MEMORY);
    ck_assert_ptr_eq(items, before);
    ck_assert_uint_eq(items[last - 1], (uint32_t)last);
    pm_pages_free(items, cap * sizeof *items);
}
END_TEST

START_TEST(arena_gives_aligned_memory_and_keeps_it) {
    pm_arena arena = {0};
    uint8_t *strings[1000];
    for (int i = 0; i < 1000; i++) {
        char text[1000];
        memset(text, i, sizeof text);
        strings[i] = pm_arena_copy(&arena, text, (size_t)i);
        ck_assert_uint_eq((uintptr_t)pm_arena_alloc(&arena, 5) % 8, 0);
    }
    ck_assert_ptr_nonnull(pm_arena_alloc(&arena, 1 << 20));
    for (int i = 1; i < 1000; i++) {
        ck_assert_uint_eq(strings[i][0], (uint8_t)i);
        ck_assert_uint_eq(strings[i][i - 1], (uint8_t)i);
    }
    pm_arena_release(&arena);
}
END_TEST

START_TEST(writer_leaves_the_old_file_or_the_new_one) {
    pm_error err = {0};
    pm_writer w;
    char path[512];
    strcpy(path, temporary_file("target", "old", 3));
    assert_ok(pm_writer_open(&w, path, &err));
    assert_ok(pm_writer_write(&w, "half", 4, &err));
    ck_assert_int_eq(pm_writer_close(&w, PM_CANCELLED, &err), PM_CANCELLED);
    pm_buf old = read_file(path);
    ck_assert_mem_eq(old.data, "old", 3);
    pm_buf_release(&old);

    assert_ok(pm_writer_open(&w, path, &err));
    for (int i = 0; i < 100000; i++) {
        assert_ok(pm_writer_write(&w, "new", 3, &err));
    }
    assert_ok(pm_writer_close(&w, PM_OK, &err));
    pm_file file;
    assert_ok(pm_file_open(&file, path, false, &err));
    ck_assert_uint_eq(file.len, 300000);
    ck_assert_mem_eq(file.data + 299997, "new", 3);
    pm_file_close(&file);
}
END_TEST

START_TEST(files_that_cannot_be_opened_say_why) {
    pm_error err;
    pm_file file;
    pm_writer w;
    assert_fails(pm_file_open(&file, "/proc/none/x", false, &err), PM_NOT_FOUND, "No such file");
    ck_assert_str_eq(err.file, "/proc/none/x");
    assert_fails(pm_file_open(&file, "/", false, &err), PM_IO, "is a folder");
    pm_status status = pm_writer_open(&w, "/", &err);
    assert_fails(pm_writer_close(&w, status, &err), PM_IO, "is a folder");
    status = pm_writer_open(&w, "/proc/none/x", &err);
    assert_fails(pm_writer_close(&w, status, &err), PM_NOT_FOUND, "cannot create");
}
END_TEST

START_TEST(a_full_disk_is_an_error_and_leaves_nothing) {
    pm_error err = {0};
    pm_writer w;
    if (access("/dev/full", W_OK) != 0) {
        skipped("/dev/full is not here");
        return;
    }
    assert_ok(pm_writer_open(&w, "/dev/full", &err));
    pm_status status = pm_writer_write(&w, "text", 4, &err);
    assert_fails(pm_writer_close(&w, status, &err), PM_IO, "No space left");
}
END_TEST

static pm_status add_index(void *ctx, unsigned thread, size_t i, pm_error *err) {
    (void)thread;
    (void)err;
    atomic_fetch_add((atomic_size_t *)ctx, i);
    return PM_OK;
}

static pm_status fail_at_50(void *ctx, unsigned thread, size_t i, pm_error *err) {
    (void)ctx;
    (void)thread;
    return i == 50 ? pm_fail_at(err, PM_BAD_INPUT, i, "task %zu", i) : PM_OK;
}

START_TEST(parallel_runs_each_task_once) {
    pm_error err = {0};
    for (unsigned threads = 0; threads < 9; threads++) {
        atomic_size_t sum = 0;
        assert_ok(pm_parallel(threads, 1000, add_index, &sum, NULL, &err));
        ck_assert_uint_eq(sum, 499500);
        assert_fails(pm_parallel(threads, 1000, fail_at_50, NULL, NULL, &err), PM_BAD_INPUT, "task 50");
        ck_assert_uint_eq(err.offset, 50);
    }
}
END_TEST

typedef struct numbers {
    size_t next, last, fail;
    atomic_size_t sum;
} numbers;

static pm_status make_number(void *ctx, void *block, bool *filled, bool *more, pm_error *err) {
    numbers *n = ctx;
    if (n->fail && n->next == n->fail) {
        return pm_fail(err, PM_IO, "number %zu", n->fail);
    }
    *filled = n->next < n->last;
    *(size_t *)block = n->next++;
    *more = n->next < n->last;
    return PM_OK;
}

static pm_status add_number(void *ctx, unsigned thread, void *block, pm_error *err) {
    (void)thread;
    (void)err;
    atomic_fetch_add(&((numbers *)ctx)->sum, *(size_t *)block);
    return PM_OK;
}

START_TEST(stream_consumes_every_block_once) {
    pm_error err = {0};
    static const pm_stream_ops ops = {make_number, add_number};
    for (unsigned threads = 1; threads < 6; threads++) {
        size_t room[8];
        void *blocks[8];
        for (size_t i = 0; i < 8; i++) {
            blocks[i] = &room[i];
        }
        numbers n = {.last = 5000};
        assert_ok(pm_stream(threads, blocks, threads, &ops, &n, NULL, &err));
        ck_assert_uint_eq(n.sum, 5000 * 4999 / 2);
        numbers empty = {0};
        assert_ok(pm_stream(threads, blocks, threads, &ops, &empty, NULL, &err));
        numbers broken = {.last = 5000, .fail = 100};
        assert_fails(pm_stream(threads, blocks, threads, &ops, &broken, NULL, &err), PM_IO, "number 100");
    }
}
END_TEST

static int cancel_third(void *user, const pm_progress *progress) {
    (void)progress;
    return ++*(int *)user == 3;
}

static pm_status go_on_until_cancelled(void *ctx, unsigned thread, void *block, pm_error *err) {
    pm_status status;
    (void)block;
    do {
        usleep(1000);
        status = pm_ticker_poll(ctx, thread, err);
    } while (status == PM_OK);
    return status;
}

static pm_status make_one(void *ctx, void *block, bool *filled, bool *more, pm_error *err) {
    (void)ctx;
    (void)block;
    (void)err;
    *filled = true;
    *more = false;
    return PM_OK;
}

/* Ticks came between blocks only: a block that took minutes could not be cancelled, whichever thread had it. */
START_TEST(a_long_block_is_cancelled) {
    pm_error err = {0};
    static const pm_stream_ops ops = {make_one, go_on_until_cancelled};
    int block;
    void *blocks[2] = {&block, &block};
    for (unsigned threads = 1; threads < 5; threads++) {
        pm_ticker t;
        int calls = 0;
        pm_ticker_init(&t, cancel_third, &calls, 0);
        assert_ok(pm_ticker_phase(&t, "long", "bytes", 0, &err));
        assert_fails(pm_stream(threads, blocks, threads > 1 ? 2 : 1, &ops, &t, &t, &err), PM_CANCELLED, "long");
        ck_assert_int_eq(calls, 3);
    }
}
END_TEST

START_TEST(progress_cancels) {
    pm_error err = {0};
    pm_ticker t;
    int calls = 0;
    pm_ticker_init(&t, cancel_third, &calls, 0);
    assert_ok(pm_ticker_phase(&t, "one", "bytes", 0, &err));
    assert_ok(pm_ticker_tick(&t, 1, &err)); /* too soon to be told */
    assert_ok(pm_ticker_phase(&t, "two", "bytes", 0, &err));
    assert_fails(pm_ticker_phase(&t, "three", "bytes", 0, &err), PM_CANCELLED, "three");
    ck_assert_int_eq(calls, 3);
}
END_TEST

Suite *suite_base(void);
Suite *suite_base(void) {
    Suite *suite = suite_create("base");
    TCase *tc = tcase_create("base");
    tcase_add_test(tc, error_keeps_the_end_of_a_long_path);
    tcase_add_test(tc, sha256_is_that_of_the_standard);
    tcase_add_test(tc, sizes_are_checked_before_they_are_multiplied);
    tcase_add_test(tc, pages_grow_keep_what_they_hold_and_add_zeros);
    tcase_add_test(tc, arena_gives_aligned_memory_and_keeps_it);
    tcase_add_test(tc, writer_leaves_the_old_file_or_the_new_one);
    tcase_add_test(tc, files_that_cannot_be_opened_say_why);
    tcase_add_test(tc, a_full_disk_is_an_error_and_leaves_nothing);
    tcase_add_test(tc, parallel_runs_each_task_once);
    tcase_add_test(tc, stream_consumes_every_block_once);
    tcase_add_test(tc, a_long_block_is_cancelled);
    tcase_add_test(tc, progress_cancels);
    suite_add_tcase(suite, tc);
    return suite;
}

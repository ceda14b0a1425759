/* test_store.c - the store of chunks: in memory, in the file, both; slots used again; disks that fail. */
#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/thread.h"
#include "count/store.h"
#include "support.h"

/* A chunk with one record of n cells, all of them `number`. */
static pm_chunk *make_chunk(uint32_t number, size_t n) {
    pm_records records = {0};
    size_t bytes = pm_record_bytes(n, 4);
    pm_record *record = pm_records_reserve(&records, bytes);
    if (!record) {
        abort();
    }
    *record = (pm_record){number, (uint32_t)n};
    for (size_t i = 0; i < n; i++) {
        ((uint32_t *)pm_record_cells(record))[i] = number;
    }
    records.last->used += bytes;
    return records.first;
}

static bool is_chunk(const pm_chunk *chunk, uint32_t number, size_t n) {
    const pm_record *record = pm_record_at(chunk, sizeof *chunk);
    bool same = chunk->used == sizeof *chunk + pm_record_bytes(n, 4) && record->weight == number && record->n == n;
    for (size_t i = 0; same && i < n; i++) {
        same = ((const uint32_t *)pm_record_cells(record))[i] == number;
    }
    return same;
}

static void check_chunk(const pm_chunk *chunk, uint32_t number, size_t n) { ck_assert(is_chunk(chunk, number, n)); }

static const uint64_t budgets[] = {0, 3 * PM_CHUNK_BYTES, UINT64_MAX};

/* Every fifth chunk is longer than a slot. */
static size_t length_of(size_t number) { return number % 5 == 4 ? 100000 + 40000 * (number % 3) : 100 + number; }

START_TEST(chunks_come_back_as_they_were) {
    pm_error err = {0};
    pm_store *store;
    pm_chunk *buffer = NULL;
    const pm_chunk *got;
    uint64_t bytes = 0;
    assert_ok(pm_store_new(&store, budgets[_i], NULL, &err));
    for (size_t i = 0; i < 40; i++) {
        pm_chunk *chunk = make_chunk((uint32_t)i + 1, length_of(i));
        bytes += pm_record_bytes(length_of(i), 4);
        assert_ok(pm_store_put(store, &chunk, &err));
        ck_assert(!chunk || chunk->used == sizeof *chunk);
        ck_assert(chunk ? budgets[_i] != UINT64_MAX : budgets[_i] != 0);
        pm_chunk_free(chunk);
    }
    ck_assert_uint_eq(pm_store_size(store), 40);
    ck_assert_uint_eq(pm_store_bytes(store), bytes);
    ck_assert_uint_le(pm_store_memory(store), budgets[_i]);
    ck_assert_int_eq(pm_store_file_bytes(store) > 0, budgets[_i] != UINT64_MAX);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 40; i-- > 0;) {
            assert_ok(pm_store_get(store, i, &buffer, &got, &err));
            check_chunk(got, (uint32_t)i + 1, length_of(i));
        }
        assert_ok(pm_store_spill(store, &err)); /* for the second round */
        ck_assert_uint_eq(pm_store_memory(store), 0);
        ck_assert_uint_eq(pm_store_bytes(store), bytes);
    }
    pm_chunk_free(buffer);
    pm_store_free(store);
}
END_TEST

START_TEST(taken_slots_are_used_again) {
    pm_error err = {0};
    pm_store *store;
    pm_chunk *spare = NULL, *chunk;
    assert_ok(pm_store_new(&store, budgets[_i], NULL, &err));
    for (uint32_t i = 0; i < 20; i++) {
        chunk = make_chunk(i, 1000);
        assert_ok(pm_store_put(store, &chunk, &err));
        pm_chunk_free(chunk);
    }
    uint64_t file = pm_store_file_bytes(store), memory = pm_store_memory(store);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 20; i++) {
            assert_ok(pm_store_take(store, i, &spare, &chunk, &err));
            check_chunk(chunk, i, 1000);
            pm_chunk_free(spare);
            spare = NULL;
            assert_ok(pm_store_put(store, &chunk, &err));
            spare = chunk;
        }
        pm_store_compact(store);
        ck_assert_uint_eq(pm_store_size(store), 20);
        ck_assert_uint_eq(pm_store_file_bytes(store), file);
        ck_assert_uint_eq(pm_store_memory(store), memory);
    }
    pm_chunk_free(spare);
    pm_store_free(store);
}
END_TEST

START_TEST(a_list_is_put_as_a_whole) {
    pm_error err = {0};
    pm_store *store;
    pm_records records = {0};
    pm_chunk *buffer = NULL;
    const pm_chunk *got;
    assert_ok(pm_store_new(&store, budgets[_i], NULL, &err));
    for (uint32_t i = 0; i < 9; i++) {
        pm_chunk *chunk = make_chunk(i, 70000);
        pm_records one = {chunk, chunk, 1};
        pm_records_join(&records, &one);
    }
    assert_ok(pm_store_put_all(store, &records, &err));
    ck_assert_ptr_null(records.first);
    ck_assert_uint_eq(pm_store_size(store), 9);
    for (uint32_t i = 0; i < 9; i++) {
        assert_ok(pm_store_get(store, i, &buffer, &got, &err));
        check_chunk(got, i, 70000);
    }
    pm_chunk_free(buffer);
    pm_store_free(store);
}
END_TEST

typedef struct crowd {
    pm_store *store;
    pm_chunk *spare[4];
} crowd;

static pm_status put_one(void *ctx, unsigned thread, size_t i, pm_error *err) {
    crowd *c = ctx;
    (void)thread;
    pm_chunk *chunk = make_chunk((uint32_t)i, 50);
    pm_status status = pm_store_put(c->store, &chunk, err);
    pm_chunk_free(chunk);
    return status;
}

/* Takes a chunk and puts it back with a longer one. */
static pm_status rewrite_one(void *ctx, unsigned thread, size_t i, pm_error *err) {
    crowd *c = ctx;
    pm_chunk *chunk;
    PM_TRY(pm_store_take(c->store, i, &c->spare[thread], &chunk, err));
    uint32_t number = pm_record_at(chunk, sizeof *chunk)->weight;
    if (!is_chunk(chunk, number, 50)) { /* Check's own assertions are for one thread */
        return pm_fail(err, PM_BAD_INPUT, "chunk %zu is another", i);
    }
    PM_TRY(pm_store_put(c->store, &chunk, err));
    pm_chunk_free(chunk);
    chunk = make_chunk(number + 1000, number % 7 ? 60 : 90000);
    PM_TRY(pm_store_put(c->store, &chunk, err));
    pm_chunk_free(chunk);
    return PM_OK;
}

START_TEST(threads_put_and_take_together) {
    pm_error err = {0};
    crowd c = {0};
    pm_chunk *buffer = NULL;
    const pm_chunk *got;
    unsigned seen[1300] = {0};
    assert_ok(pm_store_new(&c.store, budgets[_i], NULL, &err));
    assert_ok(pm_parallel(4, 300, put_one, &c, NULL, &err));
    assert_ok(pm_parallel(4, 300, rewrite_one, &c, NULL, &err));
    pm_store_compact(c.store);
    ck_assert_uint_eq(pm_store_size(c.store), 600);
    for (size_t i = 0; i < 600; i++) {
        assert_ok(pm_store_get(c.store, i, &buffer, &got, &err));
        uint32_t number = pm_record_at(got, sizeof *got)->weight;
        check_chunk(got, number, number < 1000 ? 50 : (number - 1000) % 7 ? 60 : 90000);
        seen[number]++;
    }
    for (size_t i = 0; i < 300; i++) {
        ck_assert_uint_eq(seen[i], 1);
        ck_assert_uint_eq(seen[1000 + i], 1);
    }
    for (int i = 0; i < 4; i++) {
        pm_chunk_free(c.spare[i]);
    }
    pm_chunk_free(buffer);
    pm_store_free(c.store);
}
END_TEST

static int io_error, io_left;

static int fail_later(void) { return io_left-- > 0 ? 0 : io_error; }

START_TEST(disks_that_fail_are_errors_with_the_folder) {
    pm_error err = {0};
    pm_store *store;
    pm_chunk *buffer = NULL, *chunk;
    const pm_chunk *got;
    char folder[512];
    strcpy(folder, temporary_path("spill"));
    assert_ok(pm_store_new(&store, 0, folder, &err));
    chunk = make_chunk(1, 10);
    assert_fails(pm_store_put(store, &chunk, &err), PM_NOT_FOUND, "cannot create a temporary file");
    ck_assert_str_eq(err.file, folder);
    ck_assert_uint_eq(pm_store_size(store), 0);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    io_error = ENOSPC;
    io_left = 0;
    pm_io_test_hook = fail_later;
    assert_fails(pm_store_put(store, &chunk, &err), PM_IO, "No space left");
    ck_assert_str_eq(err.file, folder);
    ck_assert_uint_eq(pm_store_bytes(store), 0);
    io_left = 1;
    assert_ok(pm_store_put(store, &chunk, &err)); /* once there is room again */
    pm_store_compact(store);
    ck_assert_uint_eq(pm_store_size(store), 1);
    io_error = EIO;
    assert_fails(pm_store_get(store, 0, &buffer, &got, &err), PM_IO, "cannot read");
    ck_assert_str_eq(err.file, folder);
    pm_io_test_hook = NULL;
    assert_ok(pm_store_get(store, 0, &buffer, &got, &err));
    check_chunk(got, 1, 10);
    pm_chunk_free(buffer);
    pm_chunk_free(chunk);
    pm_store_free(store);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

static unsigned allocations_left;
static bool refuse_later(void) { return allocations_left && allocations_left--; }

START_TEST(memory_that_runs_out_is_an_error) {
    for (unsigned n = 0;; n++) {
        pm_error err = {0};
        pm_store *store = NULL;
        pm_chunk *buffer = NULL, *chunk = make_chunk(7, 30);
        const pm_chunk *got;
        allocations_left = n;
        pm_alloc_test_hook = refuse_later;
        pm_status status = pm_store_new(&store, 0, NULL, &err);
        if (status == PM_OK) {
            status = pm_store_put(store, &chunk, &err);
        }
        if (status == PM_OK) {
            status = pm_store_get(store, 0, &buffer, &got, &err);
        }
        pm_alloc_test_hook = NULL;
        pm_chunk_free(chunk);
        pm_chunk_free(buffer);
        pm_store_free(store);
        if (status == PM_OK) {
            ck_assert_uint_ge(n, 4);
            return;
        }
        ck_assert_int_eq(status, PM_NO_MEMORY);
    }
}
END_TEST

Suite *suite_store(void);
Suite *suite_store(void) {
    Suite *suite = suite_create("store");
    TCase *t = tcase_create("store");
    int n = sizeof budgets / sizeof *budgets;
    tcase_add_loop_test(t, chunks_come_back_as_they_were, 0, n);
    tcase_add_loop_test(t, taken_slots_are_used_again, 0, n);
    tcase_add_loop_test(t, a_list_is_put_as_a_whole, 0, n);
    tcase_add_loop_test(t, threads_put_and_take_together, 0, n);
    tcase_add_test(t, disks_that_fail_are_errors_with_the_folder);
    tcase_add_test(t, memory_that_runs_out_is_an_error);
    suite_add_tcase(suite, t);
    return suite;
}

/* test_memo.c - what an encoder has seen: whatever is found is right, also when the table is full, forgets, or memory runs out. */
#include <check.h>

#include "encode/memo.h"
#include "support.h"

/* Unit i: its bytes tell i, its ids follow from i. */
static size_t unit_of(uint32_t i, uint8_t *unit) {
    size_t len = i % 97 == 0 ? 16 + i % 200 : 5 + i % 11;
    memset(unit, 'a' + (int)(i % 7), len);
    memcpy(unit, &i, sizeof i);
    return len;
}

static size_t ids_of(uint32_t i, pm_id *ids) {
    size_t n = 1 + i % (i % 31 == 0 ? 9 : 3);
    for (size_t k = 0; k < n; k++) {
        ids[k] = i + (pm_id)k;
    }
    return n;
}

static __attribute__((noinline)) pm_word_key key_of(const uint8_t *unit, size_t len) {
    return len > PM_WORD_MAX ? pm_memo_long_key(unit, len) : pm_word_key_of(unit, len, len);
}

/* Whether unit i is there; if so, with its ids. */
static bool is_kept(const pm_memo *memo, uint32_t i) {
    uint8_t unit[PM_MEMO_LONGEST];
    pm_id ids[9];
    size_t len = unit_of(i, unit), n = ids_of(i, ids);
    pm_word_key key = key_of(unit, len);
    const pm_memo_slot *slot = pm_memo_find(memo, key, pm_memo_hash(key));
    if (!slot || (pm_memo_key_is_long(key) && !pm_memo_is(memo, slot, unit, len))) {
        return false;
    }
    bool far = slot->n == PM_MEMO_FAR;
    ck_assert(far || slot->n <= PM_MEMO_NEAR);
    ck_assert_uint_eq(far ? slot->ids[1] : slot->n, n);
    ck_assert_mem_eq(far ? memo->store + slot->ids[0] : slot->ids, ids, n * sizeof *ids);
    return true;
}

static void keep(pm_memo *memo, uint32_t i) {
    uint8_t unit[PM_MEMO_LONGEST];
    pm_id ids[9];
    size_t len = unit_of(i, unit), n = ids_of(i, ids);
    pm_memo_add(memo, key_of(unit, len), unit, len, ids, n);
}

START_TEST(what_is_found_is_right_also_when_the_table_is_full) {
    pm_error err = {0};
    pm_memo memo;
    size_t kept = 0;
    enum { UNITS = 600000 }; /* there are 2^19 slots at most */
    assert_ok(pm_memo_init(&memo, &err));
    for (uint32_t i = 0; i < UNITS; i++) {
        ck_assert(!is_kept(&memo, i));
        keep(&memo, i);
        ck_assert(is_kept(&memo, i)); /* the last one always */
        if (i == 100000) {
            for (uint32_t k = 0; k <= i; k++) {
                kept += is_kept(&memo, k);
            }
            ck_assert_uint_gt(kept, 99500); /* it grew: nearly none was pushed out */
        }
    }
    kept = 0;
    for (uint32_t i = 0; i < UNITS; i++) {
        kept += is_kept(&memo, i);
    }
    ck_assert_uint_gt(kept, 100000);
    ck_assert_uint_lt(kept, UNITS); /* it is bounded */
    pm_memo_release(&memo);
}
END_TEST

START_TEST(a_segment_is_not_the_pre_token_of_its_bytes) {
    pm_error err = {0};
    pm_memo memo;
    pm_id one = 1, two[2] = {2, 3};
    assert_ok(pm_memo_init(&memo, &err));
    pm_word_key word = pm_word_key_of((const uint8_t *)"word", 4, 4), segment = pm_memo_segment_key(word);
    pm_memo_add(&memo, word, NULL, 4, &one, 1);
    ck_assert_ptr_null(pm_memo_find(&memo, segment, pm_memo_hash(segment)));
    pm_memo_add(&memo, segment, NULL, 4, two, 2);
    ck_assert_uint_eq(pm_memo_find(&memo, word, pm_memo_hash(word))->n, 1);
    ck_assert_uint_eq(pm_memo_find(&memo, segment, pm_memo_hash(segment))->n, 2);
    pm_memo_release(&memo);
}
END_TEST

static size_t allowed;
static bool refuse(void) { return allowed-- > 0; }

/* Without memory for the store what needs it is not kept, and nothing is lost. */
START_TEST(without_memory_the_table_stays) {
    pm_error err = {0};
    pm_memo memo;
    size_t kept = 0;
    assert_ok(pm_memo_init(&memo, &err));
    pm_alloc_test_hook = refuse;
    for (uint32_t i = 0; i < 20000; i++) {
        allowed = 0;
        keep(&memo, i);
        kept += is_kept(&memo, i);
    }
    pm_alloc_test_hook = NULL;
    ck_assert_uint_gt(kept, 19000);
    ck_assert_uint_lt(kept, 20000);
    keep(&memo, 97 * 31 * 7);
    ck_assert(is_kept(&memo, 97 * 31 * 7));
    pm_memo_release(&memo);
}
END_TEST

Suite *suite_memo(void) {
    Suite *suite = suite_create("memo");
    TCase *tc = tcase_create("memo");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, what_is_found_is_right_also_when_the_table_is_full);
    tcase_add_test(tc, a_segment_is_not_the_pre_token_of_its_bytes);
    tcase_add_test(tc, without_memory_the_table_stays);
    suite_add_tcase(suite, tc);
    return suite;
}

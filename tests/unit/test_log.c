/* test_log.c - the logarithm against values made with 60 decimal digits. */
#include "base/log.h"
#include "log_cases.h"
#include "support.h"

static uint64_t bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

START_TEST(hard_cases_are_rounded_correctly) {
    for (size_t i = 0; i < sizeof log_cases / sizeof *log_cases; i++) {
        ck_assert_msg(bits_of(pm_log_u64(log_cases[i].n)) == log_cases[i].bits, "ln %llu",
                      (unsigned long long)log_cases[i].n);
    }
    ck_assert(bits_of(pm_log_u64(1)) == 0);
}
END_TEST

/* From two words on, so that where these do not decide it goes on with four. */
START_TEST(the_slow_step_agrees) {
    uint64_t state = 3;
    for (size_t i = 0; i < sizeof log_cases / sizeof *log_cases; i++) {
        for (unsigned words = 2; words <= 6; words++) {
            ck_assert(bits_of(pm_log_slow(log_cases[i].n, words)) == log_cases[i].bits);
        }
    }
    for (unsigned k = 1; k < 64; k++) {
        uint64_t power = UINT64_C(1) << k,
                 n[] = {power, power + 1, 2 * power - 1, power | random_word(&state) >> (64 - k)};
        for (size_t i = 0; i < 4; i++) {
            ck_assert(bits_of(pm_log_slow(n[i], 2)) == bits_of(pm_log_u64(n[i])));
        }
    }
    ck_assert(bits_of(pm_log_slow(UINT64_MAX, 64)) == bits_of(pm_log_u64(UINT64_MAX)));
}
END_TEST

START_TEST(small_integers_are_rounded_correctly) {
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (uint64_t n = 1; n <= LOG_LAST; n++) {
        hash = (hash ^ bits_of(pm_log_u64(n))) * UINT64_C(0x100000001B3);
    }
    ck_assert_uint_eq(hash, log_hash);
}
END_TEST

Suite *suite_log(void);
Suite *suite_log(void) {
    Suite *suite = suite_create("log");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, hard_cases_are_rounded_correctly);
    tcase_add_test(tc, the_slow_step_agrees);
    tcase_add_test(tc, small_integers_are_rounded_correctly);
    suite_add_tcase(suite, tc);
    return suite;
}

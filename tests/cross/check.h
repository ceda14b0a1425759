/* check.h - the part of Check (libcheck.github.io/check) that tests/unit uses, small enough to be compiled for any
 * machine: so that the same suites run where the library is not installed, under an emulator. See check.c. */
#ifndef PM_CROSS_CHECK_H
#define PM_CROSS_CHECK_H

#include <stdint.h>
#include <string.h>

typedef struct TTest {
    const char *name;
    void (*fn)(int _i);
} TTest;
typedef struct Suite Suite;
typedef struct TCase TCase;
typedef struct SRunner SRunner;
enum print_output { CK_NORMAL };

#define START_TEST(test)                                                                                               \
    static void test##_fn(int _i);                                                                                     \
    static const TTest test##_ttest = {#test, test##_fn};                                                              \
    static const TTest *test = &test##_ttest;                                                                          \
    static void test##_fn(__attribute__((unused)) int _i)
#define END_TEST

Suite *suite_create(const char *name);
void suite_add_tcase(Suite *suite, TCase *tcase);
TCase *tcase_create(const char *name);
void tcase_set_timeout(TCase *tcase, double seconds); /* not kept: an emulator is slow */
void tcase_add_checked_fixture(TCase *tcase, void (*set_up)(void), void (*tear_down)(void)); /* one a test case */
void tcase_add_loop_test(TCase *tcase, const TTest *test, int begin, int end);
#define tcase_add_test(tcase, test) tcase_add_loop_test(tcase, test, 0, 1)

SRunner *srunner_create(Suite *suite);
void srunner_add_suite(SRunner *runner, Suite *suite);
void srunner_run_all(SRunner *runner, enum print_output output);
int srunner_ntests_failed(SRunner *runner);
int srunner_ntests_run(SRunner *runner);
void srunner_free(SRunner *runner);

/* Ends the running test as failed. */
void check_fail(const char *file, int line, const char *format, ...) __attribute__((noreturn, format(printf, 3, 4)));

#define ck_abort_msg(...) check_fail(__FILE__, __LINE__, __VA_ARGS__)
#define ck_assert_msg(condition, ...) ((condition) ? (void)0 : ck_abort_msg(__VA_ARGS__))
#define ck_assert(condition) ck_assert_msg(condition, "%s", #condition)

#define CHECK_PAIR(type, format, a, op, b)                                                                             \
    do {                                                                                                               \
        __typeof__(type) check_a = (a), check_b = (b);                                                                 \
        ck_assert_msg(check_a op check_b, "%s: " format " " #op " " format, #a " " #op " " #b, check_a, check_b);      \
    } while (0)
#define ck_assert_int_eq(a, b) CHECK_PAIR(long long, "%lld", a, ==, b)
#define ck_assert_int_ne(a, b) CHECK_PAIR(long long, "%lld", a, !=, b)
#define ck_assert_int_lt(a, b) CHECK_PAIR(long long, "%lld", a, <, b)
#define ck_assert_int_le(a, b) CHECK_PAIR(long long, "%lld", a, <=, b)
#define ck_assert_int_gt(a, b) CHECK_PAIR(long long, "%lld", a, >, b)
#define ck_assert_int_ge(a, b) CHECK_PAIR(long long, "%lld", a, >=, b)
#define ck_assert_uint_eq(a, b) CHECK_PAIR(unsigned long long, "%llu", a, ==, b)
#define ck_assert_uint_ne(a, b) CHECK_PAIR(unsigned long long, "%llu", a, !=, b)
#define ck_assert_uint_lt(a, b) CHECK_PAIR(unsigned long long, "%llu", a, <, b)
#define ck_assert_uint_le(a, b) CHECK_PAIR(unsigned long long, "%llu", a, <=, b)
#define ck_assert_uint_gt(a, b) CHECK_PAIR(unsigned long long, "%llu", a, >, b)
#define ck_assert_uint_ge(a, b) CHECK_PAIR(unsigned long long, "%llu", a, >=, b)
#define ck_assert_ptr_eq(a, b) CHECK_PAIR(const void *, "%p", a, ==, b)
#define ck_assert_ptr_ne(a, b) CHECK_PAIR(const void *, "%p", a, !=, b)
#define ck_assert_ptr_null(a) ck_assert_msg((a) == NULL, "%s is not NULL", #a)
#define ck_assert_ptr_nonnull(a) ck_assert_msg((a) != NULL, "%s is NULL", #a)
#define ck_assert_mem_eq(a, b, n) ck_assert_msg(memcmp(a, b, n) == 0, "%s and %s differ", #a, #b)
#define CHECK_STRINGS(a, op, b)                                                                                        \
    do {                                                                                                               \
        const char *check_a = (a), *check_b = (b);                                                                     \
        ck_assert_msg(strcmp(check_a, check_b) op 0, "\"%s\" " #op " \"%s\"", check_a, check_b);                       \
    } while (0)
#define ck_assert_str_eq(a, b) CHECK_STRINGS(a, ==, b)
#define ck_assert_str_ne(a, b) CHECK_STRINGS(a, !=, b)

#endif

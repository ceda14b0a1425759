/* suites.h - the unit tests: one row a file tests/unit/test_NAME.c, which defines `Suite *suite_NAME(void)`. */
SUITE(base)
SUITE(corpus)
SUITE(format)
SUITE(scan)
SUITE(encode)
SUITE(train_bpe)

/* scan.h - the scanners of the named patterns; one pre-token at a time. */
#ifndef PM_PRETOK_SCAN_H
#define PM_PRETOK_SCAN_H

#include "pretok/rules.h"

/* The end of the pre-token that begins at text[pos], pos < len. Pure: depends on text[pos..len) only. */
typedef size_t (*pm_scan_fn)(const uint8_t *text, size_t len, size_t pos);

/* pm_scan_gpt2() and so on: one a row. */
#define DECLARE_SCAN(name, ...) size_t pm_scan_##name(const uint8_t *text, size_t len, size_t pos);
PM_RULES(DECLARE_SCAN)
PM_SCANNED_RULES(DECLARE_SCAN)
#undef DECLARE_SCAN

size_t pm_scan_scripts(const uint8_t *text, size_t len, size_t pos);       /* scripts.c */
size_t pm_scan_sentencepiece(const uint8_t *text, size_t len, size_t pos); /* blanks.c */

#endif

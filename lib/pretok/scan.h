/* scan.h - the scanners of the named patterns; their type and contract are in names.h. */
#ifndef PM_PRETOK_SCAN_H
#define PM_PRETOK_SCAN_H

#include "pretok/rules.h"

/* pm_scan_gpt2() and so on: one a row. */
#define DECLARE_SCAN(name, ...) size_t pm_scan_##name(const uint8_t *text, size_t len, size_t pos);
PM_RULES(DECLARE_SCAN)
#undef DECLARE_SCAN

#endif

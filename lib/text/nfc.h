/* nfc.h - Unicode normalization form C of bytes that may be no UTF-8: each well-formed stretch is normalized, other bytes stay. */
#ifndef PM_TEXT_NFC_H
#define PM_TEXT_NFC_H

#include "base/alloc.h"

/* True when the text is surely in NFC already (quick check YES for every character, classes in order); false: normalize. */
bool pm_nfc_quick_check(const uint8_t *text, size_t len);

/* Appends the NFC form of text to *out. Linear (n log n at most) whatever the text. At most 3 * len bytes are added. */
pm_status pm_nfc_append(pm_buf *out, const uint8_t *text, size_t len, pm_error *err);

#endif

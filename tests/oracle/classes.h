/* classes.h - the slow, obvious twin of pretok/classes.h: character by character, bit by bit. */
#ifndef PM_ORACLE_CLASSES_H
#define PM_ORACLE_CLASSES_H

#include <string.h>

#include "pretok/classes.h"
#include "text/unicode.h"
#include "text/utf8.h"

static void oracle_put_bit(pm_class_word *w, uint32_t cp, uint64_t bit, int is_first) {
    uint32_t class = pm_class(cp);

    w->upper |= class & PM_CLASS_LU ? bit : 0;
    w->lower |= class & PM_CLASS_LL ? bit : 0;
    w->letter |= class & PM_CLASS_LO ? bit : 0;
    w->mark |= class & PM_CLASS_MARK ? bit : 0;
    w->number |= class & PM_CLASS_NUMBER ? bit : 0;
    w->punct |= class & (PM_CLASS_PUNCT | PM_CLASS_SYMBOL) ? bit : 0;
    w->space |= class & PM_CLASS_SPACE ? bit : 0;
    w->newline |= class & PM_CLASS_NEWLINE ? bit : 0;
    w->han |= class & PM_CLASS_HAN ? bit : 0;
    w->cjk |= pm_is_cjk(cp) ? bit : 0;
    w->inside |= is_first ? 0 : bit;
    w->blank |= cp == ' ' ? bit : 0;
    w->apostrophe |= cp == '\'' ? bit : 0;
    w->slash |= cp == '/' ? bit : 0;
}

static void oracle_classes(const uint8_t *text, size_t len, size_t readable, pm_class_word *words) {
    if (len) {
        memset(words, 0, (len + 63) / 64 * sizeof *words);
    }
    for (size_t at = 0; at < len;) {
        unsigned n;
        uint32_t cp = pm_utf8_read(text + at, text + readable, &n);
        for (unsigned i = 0; i < n && at + i < len; i++) {
            uint64_t bit = UINT64_C(1) << (at + i) % 64;
            oracle_put_bit(&words[(at + i) / 64], cp, bit, i == 0);
            words[(at + i) / 64].high |= text[at + i] >= 0x80 ? bit : 0;
        }
        at += n;
    }
}

#endif

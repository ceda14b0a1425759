/* cut.h - the slow, obvious twin of lib/corpus/cut.c: is position i an end of a document? Looked at for every i alone. */
#ifndef PM_ORACLE_CUT_H
#define PM_ORACLE_CUT_H

#include "include/piecemill.h"

static bool oracle_is_end(const uint8_t *text, size_t len, size_t i, pm_split split) {
    if (i == len) {
        return true;
    }
    switch (split) {
    case PM_SPLIT_LINE: return text[i - 1] == '\n';
    case PM_SPLIT_PARAGRAPH: return i >= 2 && text[i - 1] == '\n' && text[i - 2] == '\n' && text[i] != '\n';
    case PM_SPLIT_DOCUMENT: return false;
    }
    return false;
}

#endif

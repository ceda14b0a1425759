/* script.h - the script that a character belongs to; its number is that of pm_script_name. */
#ifndef PM_TEXT_SCRIPT_H
#define PM_TEXT_SCRIPT_H

#include "include/piecemill.h"

/* Numbers that code speaks of: those of the generated table. */
enum {
    PM_SCRIPT_COMMON = 1,
    PM_SCRIPT_INHERITED = 2,
    PM_SCRIPT_HAN = 52,
    PM_SCRIPT_HANGUL = 53,
    PM_SCRIPT_HIRAGANA = 58,
    PM_SCRIPT_KATAKANA = 65,
    PM_SCRIPT_LATIN = 75
};

/* Of a code point up to 0x10FFFF. */
unsigned pm_script(uint32_t cp);

#endif

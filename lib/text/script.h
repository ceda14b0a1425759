/* script.h - the script that a character belongs to; its number is that of pm_script_name. */
#ifndef PM_TEXT_SCRIPT_H
#define PM_TEXT_SCRIPT_H

#include "include/piecemill.h"

/* Of a code point up to 0x10FFFF. */
unsigned pm_script(uint32_t cp);

#endif

/* unicode.c - the home of the generated table; unicode.h reads it. */
#include "text/unicode.h"

#include "text/unicode_table.h"

_Static_assert(sizeof pm_unicode_blocks == 0x110000 >> PM_UNICODE_SHIFT, "the table was made for another block size");
_Static_assert(sizeof pm_unicode_codes <= (size_t)256 << PM_UNICODE_SHIFT, "block numbers are bytes");
_Static_assert(PM_CLASS_HAN == 16 << 6 && PM_CLASS_OTHER == 1 << 9, "make_unicode_table.py knows these numbers");

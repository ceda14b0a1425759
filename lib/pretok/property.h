/* property.h - what a Unicode property is in PCRE2's words: its own \p{..} and the characters that newer Unicode adds.
 */
#ifndef PM_PRETOK_PROPERTY_H
#define PM_PRETOK_PROPERTY_H

#include "base/alloc.h"

enum { PM_PROPERTIES = 15 };

/* Remembers the answers while one list of patterns is compiled. {0} is an empty one. */
typedef struct pm_properties {
    pm_buf items[PM_PROPERTIES];
    bool known[PM_PROPERTIES];
    pm_buf every; /* UTF-8 of the code points that may be assigned */
} pm_properties;

void pm_properties_release(pm_properties *properties);

/* Appends what stands inside [..] for a property that text/unicode.h knows exactly: "L", "Lu", "Ll", "Lo", "M", "N",
 * "P", "S", or a script: "Han", "Hiragana", "Katakana", "Hangul", "Latin", "Common", "Inherited". Lo is given what newer Unicode adds to Lm and Lo together. False in *found: not one of them,
 * nothing was appended. Errors: PM_NO_MEMORY, PM_UNSUPPORTED (this PCRE2 lacks the property or failed). */
pm_status pm_property_items(pm_properties *properties, const char *name, pm_buf *out, bool *found, pm_error *err);

/* Does PCRE2 know this item (a `\p{..}` text)? True as well when PCRE2 is not there. Error: PM_NO_MEMORY. */
pm_status pm_property_known(const char *item, bool *known, pm_error *err);

/* The Unicode version of PCRE2's tables ("14.0.0"), into 24 bytes; "" without PCRE2. */
void pm_property_engine_version(char version[24]);

#endif

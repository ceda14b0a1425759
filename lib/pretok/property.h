/* property.h - what a Unicode property is in PCRE2's words: its own \p{..} and the characters that newer Unicode adds.
 */
#ifndef PM_PRETOK_PROPERTY_H
#define PM_PRETOK_PROPERTY_H

#include "base/alloc.h"

enum { PM_PROPERTIES = 36 };

/* Remembers the answers while one list of patterns is compiled. {0} is an empty one. */
typedef struct pm_properties {
    pm_buf items[PM_PROPERTIES];
    bool known[PM_PROPERTIES];
    pm_buf every; /* UTF-8 of the code points that may be assigned */
} pm_properties;

void pm_properties_release(pm_properties *properties);

/* Appends what stands inside [..] for a property that our tables know exactly: a general category but Cs, Cc, Co, Lt, Z and what is in it, by its short name
 * ("L", "Nd"; "Lu" is given what newer Unicode adds to Lt too), or a script: "Han", "Hiragana", "Katakana", "Hangul", "Latin", "Common", "Inherited". False
 * in *found: not one of them, nothing was appended. Errors: PM_NO_MEMORY, PM_UNSUPPORTED (this PCRE2 lacks the property or failed). */
pm_status pm_property_items(pm_properties *properties, const char *name, pm_buf *out, bool *found, pm_error *err);

/* Appends what stands inside [..] for the script of a name ("Greek", "old italic"), as our tables have it. False in *found: none is called so. Errors: as above. */
pm_status pm_property_script(pm_properties *properties, const char *name, pm_buf *out, bool *found, pm_error *err);

/* Does PCRE2 know this item (a `\p{..}` text)? True as well when PCRE2 is not there. Error: PM_NO_MEMORY. */
pm_status pm_property_known(const char *item, bool *known, pm_error *err);

/* The Unicode version of PCRE2's tables ("14.0.0"), into 24 bytes; "" without PCRE2. */
void pm_property_engine_version(char version[24]);

#endif

/* grapheme.h - extended grapheme clusters of Unicode 17, as the crate that Hugging Face's tokenizers uses finds them.
 */
#ifndef PM_TEXT_GRAPHEME_H
#define PM_TEXT_GRAPHEME_H

#include <stddef.h>
#include <stdint.h>

/* The end of the cluster that begins at text[pos], pos < len. A byte outside well-formed UTF-8 is as U+FFFD. */
size_t pm_grapheme_end(const uint8_t *text, size_t len, size_t pos);

#endif

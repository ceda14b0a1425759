/* fuzz_jsonl.c - the JSONL scanner on any bytes: it takes or refuses, positions lie in the line, and refusing leaves the output alone.
 *
 * What it takes is written again as the simplest JSON of the same text and must give the same text. */
#include <stdlib.h>

#include "corpus/jsonl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool fact) {
    if (!fact) {
        abort();
    }
}

/* {"text": "..."} with every byte that must be escaped written as \u00XX. */
static void write_again(pm_buf *out, const pm_buf *text) {
    require(pm_buf_append(out, "{\"text\":\"", 9, NULL) == PM_OK);
    for (size_t i = 0; i < text->len; i++) {
        uint8_t c = text->data[i];
        bool plain = c >= 0x20 && c != '"' && c != '\\';
        require((plain ? pm_buf_append(out, &c, 1, NULL) : pm_buf_printf(out, NULL, "\\u%04x", c)) == PM_OK);
    }
    require(pm_buf_append(out, "\"}", 2, NULL) == PM_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pm_jsonl j;
    pm_buf text = {0}, again = {0}, line = {0};
    pm_error err = {0};
    bool found;
    if (memchr(data, '\n', size)) {
        return 0;
    }
    pm_jsonl_init(&j, "text");
    pm_status status = pm_jsonl_read(&j, data, size, &text, &found, &err);
    if (status == PM_OK && found) {
        write_again(&line, &text);
        require(pm_jsonl_read(&j, line.data, line.len, &again, &found, &err) == PM_OK && found);
        require(again.len == text.len && (text.len == 0 || memcmp(again.data, text.data, text.len) == 0));
    } else {
        require(text.len == 0);
        require(status == PM_OK || (status == PM_BAD_INPUT && err.offset <= size));
    }
    pm_buf_release(&text);
    pm_buf_release(&again);
    pm_buf_release(&line);
    pm_jsonl_release(&j);
    return 0;
}

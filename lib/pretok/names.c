/* names.c - the named patterns, their regexes to the letter as they were published.
 *
 * gpt2, cl100k_base, o200k_base: `pat_str` of the encodings of those names in OpenAI's tiktoken; r50k_base and
 * p50k_base split as gpt2 does, o200k_harmony as o200k_base. llama3, qwen2, deepseek_v3: the Split steps of those
 * models' tokenizer.json (the carriage return and line feed in deepseek_v3's third are the characters themselves).
 * kimi_k2: `pat_str` of tokenization_kimi.py. tekken: `pattern` of Mistral's tekken.json, version 3.
 *
 * superbpe and scripts are our own. superbpe is for the second stage of training, which makes pieces of several words
 * ("SuperBPE: Space Travel for Language Models", Liu and others, 2025): o200k_base without its cuts between words that
 * a single blank divides and within words where upper case begins, so that each of its pre-tokens is some of
 * o200k_base's put together. scripts is for behind another pattern: it cuts where a letter of another script follows,
 * be it behind characters of no script, which go with that letter (scripts.c). sentencepiece is how the library of that
 * name cuts lines into words when it trains BPE (blanks.c).
 *
 * A regex is for people, files and the twin in tests; what does the work are the rules of rules.h, in a scanner
 * (scan.c) and in a search of all starts in a stretch of text (starts.c). */
#include "pretok/names.h"

#include <string.h>

#include "pretok/scan.h"

#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define UPPER_NOT_HAN "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define LOWER_NOT_HAN "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define PREFIX "[^\\r\\n\\p{L}\\p{N}]?"

static const char *const gpt2[] = {
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
    NULL,
};

static const char *const cl100k[] = {
    CONTRACTION "|" PREFIX "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES,
    NULL,
};

static const char *const qwen2[] = {
    CONTRACTION "|" PREFIX "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES,
    NULL,
};

static const char *const o200k[] = {
    PREFIX UPPER "*" LOWER "+" CONTRACTION "?|" PREFIX UPPER "+" LOWER "*" CONTRACTION "?"
                 "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES,
    NULL,
};

static const char *const tekken[] = {
    PREFIX UPPER "*" LOWER "+|" PREFIX UPPER "+" LOWER "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES,
    NULL,
};

static const char *const kimi_k2[] = {
    "[\\p{Han}]+|" PREFIX UPPER_NOT_HAN "*" LOWER_NOT_HAN "+" CONTRACTION "?"
    "|" PREFIX UPPER_NOT_HAN "+" LOWER_NOT_HAN "*" CONTRACTION "?"
    "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES,
    NULL,
};

static const char *const deepseek_v3[] = {
    "\\p{N}{1,3}",
    "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
    NULL,
};

#define WORD "[\\p{L}\\p{M}]+" CONTRACTION "?"

static const char *const superbpe[] = {
    PREFIX WORD "(?: " WORD ")*|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES,
    NULL,
};

#define NONE "[\\p{Common}\\p{Inherited}]*"
#define NAMED "\\p{Latin}\\p{Han}\\p{Hiragana}\\p{Katakana}\\p{Hangul}"
/* A run of one script: its letters are `first`, they and what goes on with them `more`. */
#define RUN(first, more) first more "*(?:\\p{Common}" NONE first more "*)*"

/* clang-format off */
static const char *const scripts[] = {
    NONE "(?:" RUN("\\p{Latin}", "[\\p{Latin}\\p{Inherited}]")
    "|" RUN("\\p{Han}", "[\\p{Han}\\p{Inherited}]")
    "|" RUN("[\\p{Hiragana}\\p{Katakana}]", "[\\p{Hiragana}\\p{Katakana}\\p{Inherited}\u30FC\uFF70\uFF9E\uFF9F]")
    "|" RUN("\\p{Hangul}", "[\\p{Hangul}\\p{Inherited}]")
    "|" RUN("[^\\p{Common}\\p{Inherited}" NAMED "]", "[^\\p{Common}" NAMED "]")
    "|\\z)(?:\\p{Common}" NONE "\\z)?",
    NULL,
};
/* clang-format on */

static const char *const sentencepiece[] = {
    "\n|[ \u2581][^ \u2581\n]*|[^ \u2581\n]+",
    NULL,
};

const pm_named_pattern pm_named_patterns[] = {
    {"gpt2", gpt2, pm_scan_gpt2, pm_starts_gpt2},
    {"r50k_base", gpt2, pm_scan_gpt2, pm_starts_gpt2},
    {"p50k_base", gpt2, pm_scan_gpt2, pm_starts_gpt2},
    {"cl100k_base", cl100k, pm_scan_cl100k, pm_starts_cl100k},
    {"o200k_base", o200k, pm_scan_o200k, pm_starts_o200k},
    {"o200k_harmony", o200k, pm_scan_o200k, pm_starts_o200k},
    {"llama3", cl100k, pm_scan_cl100k, pm_starts_cl100k},
    {"qwen2", qwen2, pm_scan_qwen2, pm_starts_qwen2},
    {"deepseek_v3", deepseek_v3, pm_scan_deepseek_v3, pm_starts_deepseek_v3},
    {"kimi_k2", kimi_k2, pm_scan_kimi_k2, pm_starts_kimi_k2},
    {"tekken", tekken, pm_scan_tekken, pm_starts_tekken},
    {"superbpe", superbpe, pm_scan_superbpe, NULL},
    {"scripts", scripts, pm_scan_scripts, NULL},
    {"sentencepiece", sentencepiece, pm_scan_sentencepiece, NULL},
};
const size_t pm_n_named_patterns = sizeof pm_named_patterns / sizeof *pm_named_patterns;

const pm_named_pattern *pm_named_pattern_find(const char *name) {
    for (size_t i = 0; i < pm_n_named_patterns; i++) {
        if (strcmp(name, pm_named_patterns[i].name) == 0) {
            return &pm_named_patterns[i];
        }
    }
    return NULL;
}

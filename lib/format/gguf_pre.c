/* gguf_pre.c - the names of tokenizer.ggml.pre, llama.cpp's list of ways to split text before byte-level BPE.
 *
 * llama.cpp knows a name, not a regex: what it stands for is in src/llama-vocab.cpp, where each name also says whether merges give way to whole entries
 * (ignore_merges) and whether <bos> is put before a text. The regexes here are those of the models that the names are from; a few names of models whose way of splitting is code
 * there and no list of regexes (afmoe, superbpe, tiny_aya), and the three whose vocabularies are not byte-level (gemma4, sarvam-moe, whitespace), are missing.
 *
 * What llama.cpp itself does with a name is not always what the model does: it folds case for ASCII only in 's and its like, and for gpt-4o and tekken it takes a letter
 * outside ASCII as both upper and lower case, and marks as no letters (docs/formats.md). */
#include "format/gguf.h"

#include <string.h>

#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define PREFIX "[^\\r\\n\\p{L}\\p{N}]?"

/* Of several names for one pattern the first is written. */
static const pm_gguf_pre table[] = {
    {"gpt-2", {"gpt2"}, false, false},
    {"phi-2", {"gpt2"}, false, false},
    {"jina-es", {"gpt2"}, false, false},
    {"jina-de", {"gpt2"}, false, false},
    {"jina-v2-es", {"gpt2"}, false, false},
    {"jina-v2-de", {"gpt2"}, false, false},
    {"jina-v1-en", {"gpt2"}, false, false},
    {"jina-v2-code", {"gpt2"}, false, false},
    {"roberta-bpe", {"gpt2"}, false, false},
    {"gigachat", {"gpt2"}, false, false},
    {"a.x-4.0", {"gpt2"}, false, false},
    {"mellum", {"gpt2"}, false, false},
    {"modern-bert", {"gpt2"}, false, false},
    {"exaone4", {"gpt2"}, false, false},
    {"mpt", {"gpt2"}, false, false},
    {"olmo", {"gpt2"}, false, false},
    {"jais", {"gpt2"}, false, false},
    {"trillion", {"gpt2"}, false, false},
    {"granite-docling", {"gpt2"}, false, false},
    {"llama-bpe", {"llama3"}, true, true},
    {"llama3", {"llama3"}, true, true},
    {"llama-v3", {"llama3"}, true, true},
    {"falcon3", {"llama3"}, true, true},
    {"falcon-h1", {"llama3"}, true, true},
    {"pixtral", {"llama3"}, true, true},
    {"midm-2.0", {"llama3"}, true, true},
    {"lfm2", {"llama3"}, true, true},
    {"jina-v5-nano", {"llama3"}, true, true},
    {"dbrx", {"llama3"}, false, false},
    {"smaug-bpe", {"llama3"}, false, false},
    {"glm4", {"llama3"}, false, false},
    {"chatglm-bpe", {"llama3"}, false, false},
    {"qwen2", {"qwen2"}, false, false},
    {"deepseek-r1-qwen", {"qwen2"}, false, false},
    {"kormo", {"qwen2"}, false, false},
    {"f2llmv2", {"qwen2"}, false, false},
    {"stablelm2", {"qwen2"}, false, false},
    {"megrez", {"qwen2"}, false, false},
    {"hunyuan", {"qwen2"}, false, false},
    {"grok-2", {"qwen2"}, false, false},
    {"solar-open", {"qwen2"}, false, false},
    {"gpt-4o", {"o200k_base"}, false, false},
    {"llama4", {"o200k_base"}, false, false},
    {"kanana2", {"o200k_base"}, false, false},
    {"talkie", {"o200k_base"}, false, false},
    {"minimax-m2", {"o200k_base"}, false, false},
    {"granite-embed-multi-97m", {"o200k_base"}, true, false},
    {"tekken", {"tekken"}, true, true},
    {"deepseek-v3", {"deepseek_v3"}, false, false},
    {"hunyuan-dense", {"deepseek_v3"}, false, false},
    {"joyai-llm", {"deepseek_v3"}, false, false},
    {"hy_v4", {"deepseek_v3"}, false, false},
    {"kimi-k2", {"kimi_k2"}, false, false},
    {"starcoder", {"\\p{N}", "gpt2"}, false, false},
    {"refact", {"\\p{N}", "gpt2"}, false, false},
    {"command-r", {"\\p{N}", "gpt2"}, false, false},
    {"smollm", {"\\p{N}", "gpt2"}, false, false},
    {"codeshell", {"\\p{N}", "gpt2"}, false, false},
    {"exaone", {"\\p{N}", "gpt2"}, false, false},
    {"minerva-7b", {"\\p{N}", "gpt2"}, false, false},
    {"mellum2", {"\\p{N}", "gpt2"}, false, false},
    {"falcon", {"[\\p{P}\\$\\+<=>\\^~\\|`]+", "gpt2", "[0-9][0-9][0-9]"}, false, false},
    {"default", {"[\\p{P}\\$\\+<=>\\^~\\|]+", "gpt2", "\\p{N}+", "[0-9][0-9][0-9]"}, false, false},
    {"deepseek-coder", {"[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+", "\\p{N}"}, false, false},
    {"bloom", {" ?[^(\\s|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)]+"}, false, false},
    {"poro-chat", {" ?[^(\\s|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)]+"}, false, false},
    {"gpt3-finnish", {" ?[^(\\s|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)]+"}, false, false},
    {"viking", {" ?[^(\\s|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)]+", "\\p{N}"}, false, false},
    {"qwen35", {CONTRACTION "|" PREFIX "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES}, false, false},
    {"ufakzeka", {PREFIX "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES}, false, false},
    {"seed-coder", {CONTRACTION "|[^\r\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\r\n]+|" SPACES}, false, false},
    {"bailingmoe", {"'(?i:[sdmt]|ll|ve|re)|" PREFIX "+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}, false, false},
    {"bailingmoe2", {"'(?i:[sdmt]|ll|ve|re)|" PREFIX "+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}, false, false},
    {"llada-moe", {"'(?i:[sdmt]|ll|ve|re)|" PREFIX "+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}, false, false},
    {"minicpm5", {"\\p{N}{1,3}", CONTRACTION "|" PREFIX "\\p{L}+|\\p{N}+| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES}, true, false},
    {"exaone-moe", {CONTRACTION "|" PREFIX "(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}, false, false},
};
enum { N_NAMES = sizeof table / sizeof *table };

const char pm_gguf_pre_patterns[] = "gpt2, llama3 (cl100k_base), qwen2, o200k_base, tekken, deepseek_v3, kimi_k2";

const pm_gguf_pre *pm_gguf_pre_find(pm_bytes name) {
    for (size_t i = 0; i < N_NAMES; i++) {
        if (strlen(table[i].name) == name.len && memcmp(table[i].name, name.data, name.len) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

size_t pm_gguf_pre_regexes(const pm_gguf_pre *pre, const char *regexes[PM_GGUF_MOST_REGEXES]) {
    size_t n = 0;
    for (const char *const *p = pre->patterns; *p; p++) {
        if (!pm_pattern_regex(*p, 0)) {
            regexes[n++] = *p;
        }
        for (size_t i = 0; pm_pattern_regex(*p, i); i++) {
            regexes[n++] = pm_pattern_regex(*p, i);
        }
    }
    return n;
}

const pm_gguf_pre *pm_gguf_pre_of(const pm_splitter *splitter, bool whole_first, bool either) {
    size_t n = splitter ? pm_splitter_n_regexes(splitter) : 0;
    for (size_t i = 0; i < N_NAMES; i++) {
        const char *regexes[PM_GGUF_MOST_REGEXES];
        size_t k = 0;
        if (pm_gguf_pre_regexes(&table[i], regexes) != n || (table[i].whole_first != whole_first && !either)) {
            continue;
        }
        while (k < n && strcmp(regexes[k], pm_splitter_regex(splitter, k)) == 0) {
            k++;
        }
        if (k == n) {
            return &table[i];
        }
    }
    return NULL;
}

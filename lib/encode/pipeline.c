/* pipeline.c - see pipeline.h.
 *
 * Where added tokens are found the text is cut, and each stretch between is a text of its own to the normalizer, as in Hugging Face's tokenizers; the same again
 * in what the normalizer made of it. What is left is taken apart into words, and each word goes to the algorithm (core.h), whose answer depends on the word alone: so it is
 * remembered (memo.h), and nearly every word of a text is one look-up.
 *
 *     "Hi [SEP] Döner"   raw        "Hi ", [SEP], " Döner"
 *                        normalizer "hi ", " doner"
 *                        words      hi | doner                    -> ids 7632 | 2123 2121
 *
 * Positions in the original are known only where somebody asks for them: origins of each byte of what steps made (origin.h) cost memory and time. A failure that has a position is had
 * again with origins, so that it can be told where it is.
 *
 * Cost: that of the steps, which are linear, and one look-up a word; a new word costs what the algorithm takes. Nothing is allocated for a word. */
#include "encode/pipeline.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "encode/added.h"
#include "encode/inside.h"
#include "encode/memo.h"
#include "encode/normalizer.h"
#include "pretok/pretokenizer.h"
#include "text/utf8.h"

struct pm_pipeline {
    const pm_model *model;
    pm_normalizer *normalizer;
    pm_pretokenizer *pretokenizer;
    pm_core *core;
    pm_added *added[2]; /* in the text as it is, and in normalized text; NULL: none */
    size_t n_raw;       /* tokens of the first */
};

struct pm_pipeline_scratch {
    pm_normalizer_scratch *normalizer;
    pm_pretokenizer_scratch *pretokenizer;
    pm_core_scratch *core;
    pm_memo memo;
    pm_core_tokens tokens; /* of a word */
    pm_id *ids;            /* the same, as ids */
    size_t cap_ids;
    pm_normalized normalized;
};

/* ---------------------------------------------------------------- making ---- */

static bool is_sentencepiece(const pm_model *model) {
    for (size_t i = 0; i < model->normalizer.n; i++) {
        if (model->normalizer.items[i].type == PM_STEP_SENTENCEPIECE) {
            return true;
        }
    }
    return false;
}

/* With sentencepiece's rules, the user-defined symbols. */
static pm_status make_normalizer(pm_pipeline *p, pm_error *err) {
    const pm_model *model = p->model;
    bool keeps = is_sentencepiece(model) && model->added;
    pm_bytes *kept = pm_alloc(keeps ? model->vocab_size : 0, sizeof *kept);
    size_t n = 0;
    if (!kept) {
        return pm_fail_memory(err);
    }
    for (pm_id id = 0; keeps && id < model->vocab_size; id++) {
        if (model->kinds[id] == PM_KIND_PIECE && (model->added[id] & PM_ADDED)) {
            kept[n++] = model->pieces[id];
        }
    }
    pm_status status = pm_normalizer_new(&p->normalizer, &model->normalizer, kept, n, err);
    pm_free(kept);
    return status;
}

/* Is a text among the n before it? */
static bool is_known(const pm_special_token *tokens, size_t n, pm_bytes text) {
    for (size_t i = 0; i < n; i++) {
        if (pm_bytes_equal(tokens[i].text, text)) {
            return true;
        }
    }
    return false;
}

/* The texts of those that are looked for in normalized text, normalized, in `texts` and the arena; those that cannot be found are dropped, from the engine too. */
static pm_status normalize_texts(const pm_pipeline *p, pm_engine *engine, pm_special_token *texts, pm_arena *arena, pm_error *err) {
    pm_normalizer_scratch *scratch;
    pm_normalized made = {0};
    size_t n = engine->n_raw;
    PM_TRY(pm_normalizer_scratch_new(&scratch, p->normalizer, err));
    pm_status status = PM_OK;
    for (size_t i = n; i < engine->n_matched && status == PM_OK; i++) {
        status = pm_normalize(p->normalizer, scratch, engine->matched[i].text, 0, false, &made, err);
        if (status == PM_OK && !pm_bytes_equal(made.text, engine->matched[i].text)) {
            status = pm_decoder_set_text(engine->decoder, engine->matched[i].id, made.text, err);
        }
        if (status != PM_OK || made.text.len == 0 || is_known(texts + engine->n_raw, n - engine->n_raw, made.text)) {
            engine->n_always -= engine->always[i];
            continue;
        }
        texts[n] = (pm_special_token){{pm_arena_copy(arena, made.text.data, made.text.len), made.text.len}, engine->matched[i].id};
        status = texts[n].text.data ? PM_OK : pm_fail_memory(err);
        engine->matched[n] = engine->matched[i];
        engine->always[n++] = engine->always[i];
    }
    engine->n_matched = n;
    pm_normalized_release(&made);
    pm_normalizer_scratch_free(scratch);
    return status;
}

static pm_status make_finder(pm_added **out, const pm_model *model, const pm_special_token *tokens, size_t n, pm_error *err) {
    uint8_t *flags = pm_alloc(n, sizeof *flags);
    if (!flags) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < n; i++) {
        flags[i] = model->added ? model->added[tokens[i].id] : 0;
    }
    pm_status status = n ? pm_added_new(out, tokens, flags, n, err) : PM_OK;
    pm_free(flags);
    return status;
}

static pm_status make_finders(pm_pipeline *p, pm_engine *engine, pm_error *err) {
    pm_special_token *texts = pm_alloc(engine->n_matched, sizeof *texts);
    pm_arena arena = {0};
    pm_status status = texts ? normalize_texts(p, engine, texts, &arena, err) : pm_fail_memory(err);
    p->n_raw = engine->n_raw;
    status = status == PM_OK ? make_finder(&p->added[0], p->model, engine->matched, engine->n_raw, err) : status;
    status = status == PM_OK ? make_finder(&p->added[1], p->model, texts + engine->n_raw, engine->n_matched - engine->n_raw, err) : status;
    pm_free(texts);
    pm_arena_release(&arena);
    return status;
}

static pm_status fill(pm_pipeline *p, pm_engine *engine, pm_error *err) {
    PM_TRY(make_normalizer(p, err));
    PM_TRY(pm_pretokenizer_new(&p->pretokenizer, &p->model->pre_tokenizer, err));
    PM_TRY(pm_core_new(&p->core, p->model, err));
    return make_finders(p, engine, err);
}

pm_status pm_pipeline_new(pm_pipeline **out, const pm_tokenizer *tok, pm_engine *engine, pm_error *err) {
    *out = NULL;
    pm_pipeline *p = pm_calloc(1, sizeof *p);
    if (!p) {
        return pm_fail_memory(err);
    }
    p->model = &tok->model;
    pm_status status = fill(p, engine, err);
    if (status != PM_OK) {
        pm_pipeline_free(p);
        return status;
    }
    *out = p;
    return PM_OK;
}

void pm_pipeline_free(pm_pipeline *p) {
    if (p) {
        pm_normalizer_free(p->normalizer);
        pm_pretokenizer_free(p->pretokenizer);
        pm_core_free(p->core);
        pm_added_free(p->added[0]);
        pm_added_free(p->added[1]);
        pm_free(p);
    }
}

const pm_core *pm_pipeline_core(const pm_pipeline *p) { return p->core; }

pm_status pm_pipeline_scratch_new(pm_pipeline_scratch **out, const pm_pipeline *p, pm_error *err) {
    *out = NULL;
    pm_pipeline_scratch *s = pm_calloc(1, sizeof *s);
    if (!s) {
        return pm_fail_memory(err);
    }
    pm_status status = pm_normalizer_scratch_new(&s->normalizer, p->normalizer, err);
    status = status == PM_OK ? pm_pretokenizer_scratch_new(&s->pretokenizer, p->pretokenizer, err) : status;
    status = status == PM_OK ? pm_core_scratch_new(&s->core, err) : status;
    status = status == PM_OK ? pm_memo_init(&s->memo, err) : status;
    if (status != PM_OK) {
        pm_pipeline_scratch_free(s);
        return status;
    }
    *out = s;
    return PM_OK;
}

void pm_pipeline_scratch_free(pm_pipeline_scratch *s) {
    if (s) {
        pm_normalizer_scratch_free(s->normalizer);
        pm_pretokenizer_scratch_free(s->pretokenizer);
        pm_core_scratch_free(s->core);
        pm_memo_release(&s->memo);
        pm_free(s->tokens.items);
        pm_free(s->ids);
        pm_normalized_release(&s->normalized);
        pm_free(s);
    }
}

void pm_pipeline_scratch_trim(pm_pipeline_scratch *s) {
    pm_core_scratch_trim(s->core);
    pm_normalized_release(&s->normalized);
    s->normalized = (pm_normalized){0};
    pm_free(s->tokens.items);
    s->tokens = (pm_core_tokens){0};
    pm_free(s->ids);
    s->ids = NULL;
    s->cap_ids = 0;
}

pm_core_scratch *pm_pipeline_core_scratch(pm_pipeline_scratch *s) { return s->core; }

/* ---------------------------------------------------------------- words ---- */

/* One document's encoding. */
typedef struct run {
    pm_encoder *enc;
    const pm_pipeline *p;
    pm_pipeline_scratch *s;
    const pm_plan *plan;
    pm_bytes text;
    uint64_t number, words; /* of the document; words so far */
    bool with_origins;
    pm_out *out;
    bool *noticed;
} run;

/* A text that words lie in. */
typedef struct place {
    pm_bytes text;
    const pm_origin *origins; /* NULL: it is the document's own, from its byte `at` on, or where it is from is not known */
    size_t at;
} place;

/* Where text[begin .. end) of a place is in the document, whole characters. */
static pm_token locate(const run *r, const place *where, pm_id id, size_t begin, size_t end) {
    if (where->origins) {
        size_t n = where->text.len;
        if (begin == end) {
            size_t at = begin < n ? where->origins[begin].begin : n ? where->origins[n - 1].end : where->at;
            return (pm_token){id, at, at};
        }
        return (pm_token){id, where->origins[begin].begin, where->origins[end - 1].end};
    }
    return (pm_token){id, pm_character_begin(r->text, where->at + begin), pm_character_end(r->text, where->at + end)};
}

/* The draws of a word depend on the seed, the document's number and the word's, not on the thread. */
static uint64_t word_key(const run *r) {
    uint64_t key = pm_hash_word(r->plan->seed + UINT64_C(0x9E3779B97F4A7C15));
    key = pm_hash_word(key ^ (r->number + UINT64_C(0xD1B54A32D192ED03)));
    return pm_hash_word(key ^ (r->words + UINT64_C(0x8CB92BA72F3D8DD7)));
}

/* The word's tokens, in s->tokens. */
static pm_status ask_core(run *r, pm_bytes word, pm_error *err) {
    r->s->tokens.n = 0;
    return r->plan->sample ? pm_core_sample(r->p->core, r->s->core, word, r->plan->alpha, word_key(r), &r->s->tokens, err)
                           : pm_core_encode(r->p->core, r->s->core, word, &r->s->tokens, err);
}

/* The same as ids, in s->ids. */
static pm_status ask_for_ids(run *r, pm_bytes word, pm_error *err) {
    pm_pipeline_scratch *s = r->s;
    PM_TRY(ask_core(r, word, err));
    PM_TRY(pm_grow((void **)&s->ids, &s->cap_ids, s->tokens.n + 1, sizeof *s->ids, err));
    for (size_t i = 0; i < s->tokens.n; i++) {
        s->ids[i] = s->tokens.items[i].id;
    }
    return PM_OK;
}

/* A word's ids, remembered. `readable` bytes may be read from its first on. */
static pm_status put_word(run *r, pm_bytes word, size_t readable, pm_error *err) {
    pm_memo *memo = &r->s->memo;
    bool kept = word.len <= PM_MEMO_LONGEST && !r->plan->sample, near = word.len <= PM_WORD_MAX;
    pm_word_key key = {0, 0};
    if (kept) {
        key = near ? pm_word_key_of(word.data, word.len, readable) : pm_memo_long_key(word.data, word.len);
        const pm_memo_slot *slot = pm_memo_find(memo, key, pm_memo_hash(key));
        if (slot && (near || pm_memo_is(memo, slot, word.data, word.len))) {
            bool far = slot->n & PM_MEMO_FAR;
            return pm_out_put(r->out, far ? memo->store + slot->ids[0] : slot->ids, far ? slot->ids[1] : slot->n, err);
        }
        kept = !slot; /* two long words of one hash: the first stays */
    }
    PM_TRY(ask_for_ids(r, word, err));
    if (kept) {
        pm_memo_add(memo, key, word.data, word.len, r->s->ids, r->s->tokens.n);
    }
    return pm_out_put(r->out, r->s->ids, r->s->tokens.n, err);
}

/* A word's tokens with their places. */
static pm_status place_word(run *r, const place *where, size_t begin, size_t end, pm_error *err) {
    PM_TRY(ask_core(r, (pm_bytes){where->text.data + begin, end - begin}, err));
    for (size_t i = 0; i < r->s->tokens.n; i++) {
        const pm_core_token *t = &r->s->tokens.items[i];
        PM_TRY(pm_out_place(r->out, locate(r, where, t->id, begin + t->begin, begin + t->end), err));
    }
    return PM_OK;
}

static pm_status encode_word(run *r, const place *where, size_t begin, size_t end, pm_error *err) {
    pm_bytes word = {where->text.data + begin, end - begin};
    pm_status status = r->out->visitor  ? r->out->visitor->chunk(r->out->visitor, r->enc, word, err)
                       : r->out->tokens ? place_word(r, where, begin, end, err)
                                        : put_word(r, word, where->text.len - begin, err);
    r->words++;
    if ((status == PM_INVALID_ARGUMENT || status == PM_LIMIT) && err && err->offset != PM_NO_OFFSET) {
        size_t at = begin + (err->offset < word.len ? (size_t)err->offset : word.len);
        err->offset = locate(r, where, 0, at, at).begin;
    }
    return status;
}

/* ---------------------------------------------------------------- stretches ---- */

/* text[begin .. end) of a place, without added tokens. */
static pm_status encode_part(run *r, const place *where, size_t begin, size_t end, pm_error *err) {
    pm_stretch stretch = {
        {where->text.data + begin, end - begin}, where->origins ? where->origins + begin : NULL, where->at + begin, r->with_origins};
    pm_pretokens words;
    PM_TRY(pm_pretokenize(r->p->pretokenizer, r->s->pretokenizer, &stretch, &words, err));
    place in = {words.text, words.origins, stretch.at};
    for (size_t i = 0; i < words.n; i++) {
        PM_TRY(encode_word(r, &in, words.spans[i].begin, words.spans[i].end, err));
    }
    return PM_OK;
}

/* text[begin .. end) of the document: a text of its own to the normalizer. */
static pm_status cut(run *r, int which, const place *where, pm_error *err);

static pm_status encode_stretch(run *r, size_t begin, size_t end, pm_error *err) {
    pm_bytes text = {r->text.data + begin, end - begin};
    place where = {text, NULL, begin};
    if (r->plan->normalize && !pm_normalizer_is_empty(r->p->normalizer)) {
        pm_normalized *made = &r->s->normalized;
        bool with_origins = r->with_origins || pm_pretokenizer_needs_origins(r->p->pretokenizer);
        PM_TRY(pm_normalize(r->p->normalizer, r->s->normalizer, text, begin, with_origins, made, err));
        where = (place){made->text, made->origins, begin};
    }
    return cut(r, 1, &where, err);
}

static pm_status between(run *r, int which, const place *where, size_t begin, size_t end, pm_error *err) {
    return begin >= end ? PM_OK : which == 0 ? encode_stretch(r, begin, end, err) : encode_part(r, where, begin, end, err);
}

static pm_status refuse(const run *r, const place *where, const pm_special_token *token, size_t at, pm_error *err) {
    int len = token->text.len < 200 ? (int)token->text.len : 200;
    return pm_fail_at(err, PM_SPECIAL_IN_TEXT, locate(r, where, 0, at, at).begin, "the text holds the special token '%.*s', which is not allowed", len,
                      (const char *)token->text.data);
}

/* Cuts a place at the tokens that finder number `which` finds. */
static pm_status cut(run *r, int which, const place *where, pm_error *err) {
    const pm_added *added = r->p->added[which];
    size_t first = which ? r->p->n_raw : 0;
    const pm_special_token *tokens = r->enc->engine->matched + first;
    pm_special_rules rules = {r->plan->rules.each ? r->plan->rules.each + first : NULL, r->plan->rules.all};
    pm_added_place at = {0};
    pm_added_match match;
    size_t from = 0;
    while (added && r->plan->scan && pm_added_next(added, rules, where->text, &at, &match)) {
        const pm_special_token *token = &tokens[match.token];
        if (match.bits & PM_SPECIAL_REFUSE) {
            return refuse(r, where, token, match.begin, err);
        }
        if (!(match.bits & PM_SPECIAL_MATCH)) {
            *r->noticed = true;
            continue;
        }
        PM_TRY(between(r, which, where, from, match.begin, err));
        PM_TRY(pm_out_token(r->out, locate(r, where, token->id, match.begin, match.end), err));
        from = at.end;
    }
    return between(r, which, where, from, where->text.len, err);
}

static pm_status run_document(run *r, pm_error *err) {
    place whole = {r->text, NULL, 0};
    *r->noticed = false;
    r->words = 0;
    return cut(r, 0, &whole, err);
}

pm_status pm_pipeline_encode(pm_encoder *enc, const pm_plan *plan, pm_bytes text, uint64_t number, pm_out *out, bool *noticed, pm_error *err) {
    pm_out nowhere = {0};
    run r = {.enc = enc, .p = enc->engine->pipeline, .s = enc->pipeline, .plan = plan, .text = text, .number = number, .with_origins = out->tokens != NULL, .out = out, .noticed = noticed};
    pm_status status = run_document(&r, err);
    if ((status == PM_INVALID_ARGUMENT || status == PM_LIMIT || status == PM_SPECIAL_IN_TEXT) && !r.with_origins && err && err->offset != PM_NO_OFFSET) {
        r.with_origins = true;
        r.out = &nowhere;
        pm_status again = run_document(&r, err);
        return again == PM_OK ? pm_fail(err, status, "the text cannot be encoded") : again; /* it fails alike */
    }
    return status;
}

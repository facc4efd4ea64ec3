#include "model/generate.h"

#include "base/file.h"
#include "base/json.h"
#include "model/guide.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- stop strings ---- */

/* The first place at or after `from` where a stop begins, SIZE_MAX: none. */
static size_t find_stop(const struct weft_generate_settings *s, struct weft_str text, size_t from)
{
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < s->n_stops; i++) {
        size_t at = s->stops[i].len ? weft_str_find(text, s->stops[i], from) : SIZE_MAX;
        first = weft_min_size(first, at);
    }
    return first;
}

/* Bytes at the end of the text that may become a stop and must wait. */
static size_t held_back(const struct weft_generate_settings *s, struct weft_str text)
{
    size_t most = 0;
    for (size_t i = 0; i < s->n_stops; i++)
        for (size_t n = weft_min_size(text.len, s->stops[i].len ? s->stops[i].len - 1 : 0); n > most; n--)
            if (weft_str_ends(text, weft_str_sub(s->stops[i], 0, n))) most = n;
    return most;
}

/* ---- the loop ---- */

static bool is_stop_id(const struct weft_generate_settings *s, int32_t id)
{
    for (size_t i = 0; i < s->n_stop_ids; i++)
        if (s->stop_ids[i] == id) return true;
    return false;
}

static enum weft_status add_id(struct weft_ids *ids, int32_t id, struct weft_err *err)
{
    if (ids->n == ids->cap) {
        size_t cap = ids->cap ? ids->cap * 2 : 256;
        int32_t *p = realloc(ids->ids, cap * sizeof *p);
        if (!p) return weft_fail_nomem(err, cap * sizeof *p, "the answer");
        ids->ids = p;
        ids->cap = cap;
    }
    ids->ids[ids->n++] = id;
    return WEFT_OK;
}

struct generating {
    const struct weft_generate_settings *s;
    bool (*piece)(void *ctx, struct weft_str text);
    void *ctx;
    struct weft_generated *out;
    size_t given;               /* bytes of out->text that piece has got */
};

/* Hands on what is safe. Returns true when the text is at its end: a stop was found, or the caller had enough. */
static bool hand_on(struct generating *g, bool last)
{
    struct weft_buf *text = &g->out->text;
    size_t longest = 0, stop, end;
    for (size_t i = 0; i < g->s->n_stops; i++) longest = weft_max_size(longest, g->s->stops[i].len);
    stop = find_stop(g->s, weft_buf_view(text), g->given > longest ? g->given - longest : 0);
    if (stop != SIZE_MAX) {
        text->len = stop;
        text->s[stop] = '\0';
    }
    end = text->len - (stop == SIZE_MAX && !last ? held_back(g->s, weft_buf_view(text)) : 0);
    if (g->piece && end > g->given &&
        !g->piece(g->ctx, (struct weft_str){ text->s + g->given, end - g->given }) && stop == SIZE_MAX && !last) {
        g->out->finish = WEFT_FINISH_CANCEL;
        g->given = end;
        return true;
    }
    g->given = weft_max_size(g->given, end);
    if (stop == SIZE_MAX) return false;
    g->out->finish = WEFT_FINISH_STOP;
    return true;
}

enum weft_status weft_generate(struct weft_kv *kv, const struct weft_tokenizer *t, const int32_t *prompt,
                               size_t n, const struct weft_generate_settings *s,
                               bool (*piece)(void *ctx, struct weft_str text), void *ctx,
                               struct weft_generated *out, struct weft_err *err)
{
    struct generating g = { .s = s, .piece = piece, .ctx = ctx, .out = out };
    struct weft_sampler *sampler = NULL;
    struct weft_detok detok;
    struct weft_guide *guide = s->guide;
    size_t V = weft_kv_vocab_size(kv), n_tokens = weft_min_size(weft_tokenizer_vocab_size(t), V), shared = 0;
    float *logits = malloc(V * sizeof *logits);
    uint64_t start = now_ns();
    bool at_end = false;
    enum weft_status st;

    *out = (struct weft_generated){ .finish = WEFT_FINISH_LENGTH, .prompt_tokens = n };
    if (!logits) return weft_fail_nomem(err, V * sizeof *logits, "logits");
    if (!n) {
        st = weft_fail(err, WEFT_EARG, "the prompt has no tokens");
        goto done;
    }
    st = weft_sampler_new(&sampler, V, n_tokens, &s->sample, err);
    if (!st && guide) st = weft_guide_begin(guide, s->max_new_tokens, err);
    if (st) goto done;
    for (size_t i = 0; i < n; i++) weft_sampler_see(sampler, prompt[i]);
    weft_detok_init(&detok, t, s->skip_special);

    /* the last token is always computed: its logits begin the answer */
    if (weft_kv_stale(kv)) weft_kv_truncate(kv, 0);
    if (s->repeatable) shared = weft_kv_reusable(kv, prompt, n);
    else
        while (shared + 1 < n && shared < weft_kv_len(kv) && weft_kv_ids(kv)[shared] == prompt[shared]) shared++;
    weft_kv_truncate(kv, shared);
    out->cached_tokens = shared;
    st = weft_kv_append(kv, prompt + shared, n - shared, logits, err);
    if (st) goto done;
    out->prompt_ns = now_ns() - start;

    while (!at_end && out->ids.n < s->max_new_tokens) {
        if (guide) weft_guide_allow(guide, logits, n_tokens);
        int32_t id = weft_sampler_next(sampler, logits, NULL);
        if (guide) id = weft_guide_take(guide, id);
        else if (is_stop_id(s, id)) {
            out->finish = WEFT_FINISH_STOP;
            break;
        }
        st = add_id(&out->ids, id, err);
        if (st) goto done;
        weft_sampler_see(sampler, id);
        weft_detok_push(&detok, id, &out->text);
        at_end = hand_on(&g, false);
        if (guide && weft_guide_complete(guide)) {
            out->finish = weft_guide_cut(guide) ? WEFT_FINISH_LENGTH : WEFT_FINISH_STOP;
            break;
        }
        if (at_end || out->ids.n == s->max_new_tokens || weft_kv_len(kv) == weft_kv_cap(kv)) break;
        st = weft_kv_append(kv, &id, 1, logits, err);
        if (st) goto done;
    }
    if (!at_end) {
        weft_detok_finish(&detok, &out->text);
        (void)hand_on(&g, true);
    }
    out->decode_ns = now_ns() - start - out->prompt_ns;
    st = weft_buf_check(&out->text, "the answer", err);
done:
    weft_sampler_free(sampler);
    free(logits);
    return st;
}

/* ---- where a chat model stops ---- */

enum { MAX_LISTED = 64 };

struct stop_list {
    int32_t ids[MAX_LISTED + WEFT_MAX_EOS + 16];        /* of all places together */
    size_t n;
};

static void add_stop(struct stop_list *l, int64_t id)
{
    if (id < 0 || id > INT32_MAX) return;
    for (size_t i = 0; i < l->n; i++)
        if (l->ids[i] == id) return;
    assert(l->n < WEFT_COUNT(l->ids));
    l->ids[l->n++] = (int32_t)id;
}

/* eos_token_id of generation_config.json: an id, a list, or absent. */
static enum weft_status add_generation_config(struct stop_list *l, struct weft_arena *a, const char *dir,
                                              const struct weft_config *config, struct weft_err *err)
{
    struct weft_json_value root;
    const struct weft_json_value *v;
    struct weft_str text;
    const char *path = weft_path_join(a, dir, "generation_config.json");
    if (!path) return weft_fail_nomem(err, 256, "a path");
    if (!weft_file_exists(path)) return WEFT_OK;
    enum weft_status st = weft_file_read(a, path, 256u << 20, &text, err);
    if (!st) st = weft_json_parse(a, path, text, &root, err);
    if (st) return st;
    v = weft_json_get(&root, "eos_token_id");
    if (!v || v->kind == WEFT_JSON_NULL) return WEFT_OK;
    for (size_t i = 0, n = v->kind == WEFT_JSON_ARRAY ? v->n : 1; i < n; i++) {
        const struct weft_json_value *item = v->kind == WEFT_JSON_ARRAY ? &v->items[i] : v;
        if (n > MAX_LISTED || item->kind != WEFT_JSON_NUMBER || !item->is_int
            || (config && item->integer >= (int64_t)config->vocab_size))
            return weft_fail_rule(err, WEFT_EINPUT, "CF8",
                                  "%s: eos_token_id is not a token id of the model or a list of them", path);
        add_stop(l, item->integer);
    }
    return WEFT_OK;
}

enum weft_status weft_stop_ids(const char *dir, const struct weft_config *config,
                               const struct weft_tokenizer *t, const struct weft_chat_template *own, int32_t *ids,
                               size_t cap, size_t *n, struct weft_err *err)
{
    /* Ends of a turn in the templates of the common families. */
    static const char *const ends[] = { "<|im_end|>",    "<|eot_id|>",
                                        "<|eom_id|>",    "<end_of_turn>",
                                        "<|end|>",       "<|end_of_text|>",
                                        "<|endoftext|>", "<｜end▁of▁sentence｜>",
                                        "<|user|>",      "<|observation|>" };
    struct stop_list l = { .n = 0 };
    struct weft_arena a = { 0 };
    enum weft_status st = WEFT_OK;

    *n = 0;
    if (dir && weft_dir_exists(dir)) st = add_generation_config(&l, &a, dir, config, err);
    for (size_t i = 0; config && i < config->n_eos; i++) add_stop(&l, config->eos_token_id[i]);
    add_stop(&l, weft_tokenizer_special(t, WEFT_EOS));
    const struct weft_chat_rules none = { 0 }, *rules = own ? weft_chat_rules(own) : &none;
    if (rules->eos.s) add_stop(&l, weft_tokenizer_id(t, rules->eos));
    for (size_t i = 0; i < rules->n_stops; i++) add_stop(&l, weft_tokenizer_id(t, rules->stops[i]));
    struct weft_str chat = own ? weft_chat_source(own) : weft_tokenizer_chat_template(t);
    for (size_t i = 0; chat.s && i < WEFT_COUNT(ends); i++) {
        int32_t id = weft_tokenizer_id(t, weft_str_c(ends[i]));
        if (id >= 0 && weft_tokenizer_is_special(t, id)
            && weft_str_find(chat, weft_str_c(ends[i]), 0) != SIZE_MAX)
            add_stop(&l, id);
    }
    weft_arena_clear(&a);
    if (st) return st;
    if (l.n) memcpy(ids, l.ids, weft_min_size(l.n, cap) * sizeof *ids);
    *n = l.n;
    return WEFT_OK;
}

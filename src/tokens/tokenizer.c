/* tokens/tokenizer.c - reading tokenizer.json and what stands beside it
 *
 * One pass of the pull reader: the vocabulary and the merges, which are nearly all of the file, go
 * straight into their tables; the small parts are kept as trees and read when everything they refer to is
 * known.
 */
#include "tokens/tokenizer_parts.h"

#include "base/file.h"
#include "base/lang.h"

#include <stdio.h>
#include <stdlib.h>

static const uint64_t max_file_bytes = 256u << 20;

static const char *tr(const struct weft_err *err, const char *english)
{
    return weft_tr(err ? err->lang : WEFT_LANG_EN, english);
}

/* What was read of tokenizer.json, before it is put together. */
struct reading {
    struct weft_tokenizer *t;
    struct weft_json json;
    struct weft_json_value added, normalizer, pre_tokenizer, post_processor, decoder;
    struct weft_merge *merges;
    size_t n_merges, cap_merges;
    struct weft_str model_type;
    bool has_version, has_model, has_vocab, has_merges;
    struct weft_err *err;
};

/* "PLACE: what", by a rule. */
static enum weft_status fail_at(const struct reading *r, size_t at, const char *rule, const char *what)
{
    char place[WEFT_PLACE_BYTES];
    return weft_fail_rule(r->err, WEFT_EINPUT, rule, "%s: %s", weft_tokenizer_place(&r->json, at, place),
                          tr(r->err, what));
}

/* ---- model ---- */

static enum weft_status read_vocab(struct reading *r)
{
    struct weft_json *j = &r->json;
    struct weft_str key;
    bool more, taken;
    int64_t id;
    char place[WEFT_PLACE_BYTES], shown[80];
    enum weft_status st = weft_json_object(j, r->err);
    r->has_vocab = true;
    while (!st) {
        st = weft_json_key(j, &key, &more, r->err);
        if (st || !more) break;
        size_t at = j->at;
        st = weft_json_int(j, INT64_MIN, INT64_MAX, &id, r->err);
        if (st) break;
        if (id < 0 || id > WEFT_MAX_TOKEN_ID)
            return weft_fail_rule(r->err, WEFT_EINPUT, "TK3",
                                  "%s: token \"%s\" has the id %lld; expected 0 to %d",
                                  weft_tokenizer_place(j, at, place), weft_escape(shown, sizeof shown, key),
                                  (long long)id, WEFT_MAX_TOKEN_ID);
        st = weft_vocab_add(&r->t->vocab, key, (int32_t)id, &taken, r->err);
        if (!st && taken) {
            char other[80];
            return weft_fail_rule(
                r->err, WEFT_EINPUT, "TK3", "%s: tokens \"%s\" and \"%s\" both have the id %lld",
                weft_tokenizer_place(j, at, place),
                weft_escape(other, sizeof other, weft_vocab_content(&r->t->vocab, (int32_t)id)),
                weft_escape(shown, sizeof shown, key), (long long)id);
        }
    }
    return st;
}

/* "a b", or ["a", "b"]. */
static enum weft_status read_merge(struct reading *r, struct weft_merge *m)
{
    struct weft_json *j = &r->json;
    enum weft_json_kind kind;
    struct weft_str part;
    bool more;
    enum weft_status st = weft_json_peek(j, &kind, r->err);
    m->at = j->at;
    if (st) return st;
    if (kind != WEFT_JSON_ARRAY) {
        st = weft_json_string(j, &part, r->err);
        if (st) return st;
        size_t space = weft_str_find(part, WEFT_STR(" "), 0);
        if (space == SIZE_MAX || weft_str_find(part, WEFT_STR(" "), space + 1) != SIZE_MAX)
            return fail_at(r, m->at, "TK4",
                           "a merge written as one string must have two parts with one space between them");
        m->a = weft_str_sub(part, 0, space);
        m->b = weft_str_skip(part, space + 1);
        return WEFT_OK;
    }
    size_t n = 0;
    st = weft_json_array(j, r->err);
    while (!st && !(st = weft_json_element(j, &more, r->err)) && more) {
        st = weft_json_string(j, &part, r->err);
        if (n < 2) *(n ? &m->b : &m->a) = part;
        n++;
    }
    return st       ? st
           : n == 2 ? WEFT_OK
                    : fail_at(r, m->at, "TK4", "a merge written as a list must have two strings");
}

static enum weft_status read_merges(struct reading *r)
{
    bool more;
    enum weft_status st = weft_json_array(&r->json, r->err);
    r->has_merges = true;
    while (!st && !(st = weft_json_element(&r->json, &more, r->err)) && more) {
        if (r->n_merges == r->cap_merges) {
            size_t cap = r->cap_merges ? r->cap_merges * 2 : 4096;
            struct weft_merge *grown = realloc(r->merges, cap * sizeof *grown);
            if (!grown) return weft_fail_nomem(r->err, cap * sizeof *grown, "merges");
            r->merges = grown;
            r->cap_merges = cap;
        }
        st = read_merge(r, &r->merges[r->n_merges]);
        r->n_merges += !st;
    }
    return st;
}

/* null is "" or false. */
static enum weft_status optional_str(struct reading *r, struct weft_str *out)
{
    enum weft_json_kind kind;
    enum weft_status st = weft_json_peek(&r->json, &kind, r->err);
    if (!st && kind == WEFT_JSON_NULL) return weft_json_null(&r->json, r->err);
    return st ? st : weft_json_string(&r->json, out, r->err);
}

static enum weft_status optional_bool(struct reading *r, bool *out)
{
    enum weft_json_kind kind;
    enum weft_status st = weft_json_peek(&r->json, &kind, r->err);
    if (!st && kind == WEFT_JSON_NULL) return weft_json_null(&r->json, r->err);
    return st ? st : weft_json_bool(&r->json, out, r->err);
}

static enum weft_status read_model(struct reading *r)
{
    struct weft_bpe *b = &r->t->bpe;
    struct weft_str key;
    bool more;
    size_t at = r->json.at, type_at = 0;
    char place[WEFT_PLACE_BYTES], shown[64];
    enum weft_status st = weft_json_object(&r->json, r->err);
    r->has_model = true;
    while (!st) {
        st = weft_json_key(&r->json, &key, &more, r->err);
        if (st || !more) break;
        if (weft_str_is(key, "type")) {
            type_at = r->json.at;
            st = weft_json_string(&r->json, &r->model_type, r->err);
            if (!st && !weft_str_is(r->model_type, "BPE"))
                return weft_fail_rule(r->err, WEFT_EINPUT, "TK2",
                                      "%s: model has the type \"%s\", which weft does not know; it knows %s",
                                      weft_tokenizer_place(&r->json, type_at, place),
                                      weft_escape(shown, sizeof shown, r->model_type), "BPE");
        } else if (weft_str_is(key, "vocab")) {
            enum weft_json_kind kind;
            st = weft_json_peek(&r->json, &kind, r->err);
            if (!st && kind == WEFT_JSON_ARRAY)
                return fail_at(r, r->json.at, "TK2",
                               "the vocabulary is a list, as Unigram models have it; weft knows BPE");
            if (!st) st = read_vocab(r);
        } else if (weft_str_is(key, "merges")) {
            st = read_merges(r);
        } else if (weft_str_is(key, "unk_token")) {
            st = optional_str(r, &b->unk);
        } else if (weft_str_is(key, "continuing_subword_prefix")) {
            st = optional_str(r, &b->prefix);
        } else if (weft_str_is(key, "end_of_word_suffix")) {
            st = optional_str(r, &b->suffix);
        } else if (weft_str_is(key, "fuse_unk")) {
            st = optional_bool(r, &b->fuse_unk);
        } else if (weft_str_is(key, "byte_fallback")) {
            st = optional_bool(r, &b->byte_fallback);
        } else if (weft_str_is(key, "ignore_merges")) {
            st = optional_bool(r, &b->ignore_merges);
        } else {
            st = weft_json_skip(&r->json, r->err);
        }
    }
    if (st) return st;
    if (!r->has_vocab || !r->t->vocab.n) return fail_at(r, at, "TK3", "the model has no vocabulary");
    if (!r->has_merges) return fail_at(r, at, "TK4", "the model has no merges");
    return WEFT_OK;
}

static enum weft_status build_model(struct reading *r)
{
    struct weft_bpe *b = &r->t->bpe;
    size_t bad;
    char place[WEFT_PLACE_BYTES], x[80], y[80];
    b->vocab = &r->t->vocab;
    b->byte_level = r->t->pretokenizer.byte_level;
    enum weft_status st = weft_bpe_build(b, r->merges, r->n_merges, &bad, r->err);
    if (st == WEFT_EINPUT && bad < r->n_merges) {
        const struct weft_merge *m = &r->merges[bad];
        return weft_fail_rule(
            r->err, st, "TK4",
            "%s: merge %zu, \"%s\" with \"%s\": both and what they make must be in the vocabulary",
            weft_tokenizer_place(&r->json, m->at, place), bad, weft_escape(x, sizeof x, m->a),
            weft_escape(y, sizeof y, m->b));
    }
    if (!st && b->n_repeated)
        weft_buf_printf(&r->t->warnings, "%s: %zu merges are listed twice; the last rank counts\n",
                        r->json.name, b->n_repeated);
    if (!st && r->t->vocab.n < r->t->vocab.size)
        weft_buf_printf(&r->t->warnings, "%s: %zu ids below %zu have no token\n", r->json.name,
                        r->t->vocab.size - r->t->vocab.n, r->t->vocab.size);
    return st;
}

/* ---- added tokens ---- */

static enum weft_status grow_added(struct weft_tokenizer *t, struct weft_err *err)
{
    if (t->n_added < t->cap_added) return WEFT_OK;
    size_t cap = t->cap_added ? t->cap_added * 2 : 64;
    struct weft_added_token *grown = realloc(t->added, cap * sizeof *grown);
    if (!grown) return weft_fail_nomem(err, cap * sizeof *grown, "added tokens");
    t->added = grown;
    t->cap_added = cap;
    return WEFT_OK;
}

static bool flag(const struct weft_json_value *v, const char *key, bool missing)
{
    const struct weft_json_value *f = weft_json_get(v, key);
    return f && f->kind == WEFT_JSON_BOOL ? f->boolean : missing;
}

static void read_flags(const struct weft_json_value *v, struct weft_added_token *token)
{
    token->single_word = flag(v, "single_word", false);
    token->lstrip = flag(v, "lstrip", false);
    token->rstrip = flag(v, "rstrip", false);
    token->special = flag(v, "special", false);
    token->normalized = flag(v, "normalized", !token->special);
}

/* One token by rule TK5.  `j` is the file the entry stands in. */
static enum weft_status add_token(struct weft_tokenizer *t, const struct weft_json *j,
                                  const struct weft_json_value *entry, int64_t id, struct weft_err *err)
{
    const struct weft_json_value *content = weft_json_get(entry, "content");
    struct weft_added_token token = { .at = entry->at };
    char place[WEFT_PLACE_BYTES], shown[80], other[80];
    bool taken;
    if (!content || content->kind != WEFT_JSON_STRING || !content->text.len
        || content->text.len > WEFT_MAX_ADDED_TOKEN_BYTES)
        return weft_fail_rule(
            err, WEFT_EINPUT, "TK5", "%s: the content of an added token must be a string of 1 to %d bytes",
            weft_tokenizer_place(j, content ? content->at : entry->at, place), WEFT_MAX_ADDED_TOKEN_BYTES);
    weft_escape(shown, sizeof shown, content->text);
    if (id < 0 || id > WEFT_MAX_TOKEN_ID)
        return weft_fail_rule(err, WEFT_EINPUT, "TK5", "%s: added token \"%s\" must have an id from 0 to %d",
                              weft_tokenizer_place(j, entry->at, place), shown, WEFT_MAX_TOKEN_ID);
    token.content = token.pattern = content->text;
    read_flags(entry, &token);
    int32_t in_vocab = weft_vocab_id(&t->vocab, content->text);
    token.id = in_vocab >= 0 ? in_vocab : (int32_t)id;
    if (in_vocab >= 0 && in_vocab != id)
        weft_buf_printf(
            &t->warnings,
            "%s: added token \"%s\" is listed with the id %lld but is %d in the vocabulary, which counts\n",
            j->name, shown, (long long)id, in_vocab);
    struct weft_str holder = weft_vocab_content(&t->vocab, token.id);
    if (holder.s && !weft_str_eq(holder, token.content))
        return weft_fail_rule(err, WEFT_EINPUT, "TK5",
                              "%s: added token \"%s\" has the id %d, which is the token \"%s\"",
                              weft_tokenizer_place(j, entry->at, place), shown, token.id,
                              weft_escape(other, sizeof other, holder));
    enum weft_status st = weft_vocab_add(&t->added_vocab, token.content, token.id, &taken, err);
    if (st) return st;
    if (taken) {
        holder = weft_vocab_content(&t->added_vocab, token.id);
        return weft_fail_rule(
            err, WEFT_EINPUT, "TK5",
            "%s: added token \"%s\" with the id %d: that content or id (\"%s\") was added before",
            weft_tokenizer_place(j, entry->at, place), shown, token.id,
            weft_escape(other, sizeof other, holder));
    }
    st = grow_added(t, err);
    if (!st) t->added[t->n_added++] = token;
    return st;
}

static enum weft_status read_added(struct reading *r)
{
    if (r->added.kind == WEFT_JSON_NULL) return WEFT_OK;
    if (r->added.kind != WEFT_JSON_ARRAY)
        return fail_at(r, r->added.at, "TK5", "added_tokens must be an array");
    for (size_t i = 0; i < r->added.n; i++) {
        const struct weft_json_value *v = &r->added.items[i], *id = weft_json_get(v, "id");
        if (v->kind != WEFT_JSON_OBJECT) return fail_at(r, v->at, "TK5", "an added token must be an object");
        enum weft_status st = add_token(r->t, &r->json, v, id && id->is_int ? id->integer : -1, r->err);
        if (st) return st;
    }
    return WEFT_OK;
}

/* Added tokens are looked for once it is known what they look like after normalization. */
static enum weft_status build_finders(struct weft_tokenizer *t, struct weft_err *err)
{
    struct weft_scratch s = { 0 };
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; i < t->n_added && !st; i++) {
        struct weft_view v = { t->added[i].content, NULL, 0 };
        if (!t->added[i].normalized) continue;
        st = weft_normalizer_apply(&t->normalizer, t->unicode, &s, false, &v, err);
        if (st) break;
        t->added[i].pattern = v.text.len ? weft_str_dup(&t->arena, v.text) : (struct weft_str){ 0 };
        if (v.text.len && !t->added[i].pattern.s) st = weft_fail_nomem(err, v.text.len, "added tokens");
    }
    if (!st) st = weft_finder_build(&t->raw_finder, t->added, t->n_added, false, err);
    if (!st) st = weft_finder_build(&t->normal_finder, t->added, t->n_added, true, err);
    for (size_t i = 0; i < WEFT_COUNT(s.copy); i++) weft_mapped_clear(&s.copy[i]);
    weft_buf_clear(&s.text);
    weft_regex_scratch_clear(&s.regex);
    return st;
}

/* ---- post-processor ---- */

static enum weft_status add_around(struct weft_ids *list, bool in_front, const int32_t *ids, size_t n,
                                   struct weft_err *err)
{
    enum weft_status st = weft_ids_reserve(list, n, false, err);
    if (st || !n) return st;
    if (in_front) memmove(list->ids + n, list->ids, list->n * sizeof *list->ids);
    memcpy(list->ids + (in_front ? 0 : list->n), ids, n * sizeof *ids);
    list->n += n;
    return WEFT_OK;
}

/* [tokens] A [tokens]: the ids of the special tokens of a template, checked by rule TK7. */
static enum weft_status read_template(const struct weft_component *c, struct weft_ids *before,
                                      struct weft_ids *after, struct weft_err *err)
{
    const struct weft_json_value *single = weft_json_get(c->value, "single"),
                                 *specials = weft_json_get(c->value, "special_tokens");
    char place[WEFT_PLACE_BYTES], shown[80];
    bool seen = false;
    if (!single || single->kind != WEFT_JSON_ARRAY)
        return weft_component_fail(c, "single must be an array of pieces", err);
    for (size_t i = 0; i < single->n; i++) {
        const struct weft_json_value *piece = &single->items[i],
                                     *token = weft_json_get(piece, "SpecialToken"),
                                     *sequence = weft_json_get(piece, "Sequence"),
                                     *name = weft_json_get(token, "id");
        if (sequence && !seen) {
            seen = true;
            continue;
        }
        if (!name || name->kind != WEFT_JSON_STRING)
            return weft_component_fail(c, "a piece must be a SpecialToken, or once the Sequence", err);
        const struct weft_json_value *entry = NULL;
        for (size_t k = 0; specials && specials->kind == WEFT_JSON_OBJECT && k < specials->n; k++)
            if (weft_str_eq(specials->keys[k], name->text)) entry = &specials->items[k];
        const struct weft_json_value *ids = weft_json_get(entry, "ids");
        if (!ids || ids->kind != WEFT_JSON_ARRAY || !ids->n)
            return weft_fail_rule(err, WEFT_EINPUT, "TK7",
                                  "%s: %s uses \"%s\", which its special_tokens do not define",
                                  weft_tokenizer_place(c->json, name->at, place), c->path,
                                  weft_escape(shown, sizeof shown, name->text));
        for (size_t k = 0; k < ids->n; k++) {
            int32_t id = (int32_t)ids->items[k].integer;
            if (!ids->items[k].is_int || ids->items[k].integer < 0
                || ids->items[k].integer > WEFT_MAX_TOKEN_ID)
                return weft_fail_rule(err, WEFT_EINPUT, "TK7",
                                      "%s: the ids of \"%s\" must be integers from 0 to %d",
                                      weft_tokenizer_place(c->json, ids->items[k].at, place),
                                      weft_escape(shown, sizeof shown, name->text), WEFT_MAX_TOKEN_ID);
            enum weft_status st = add_around(seen ? after : before, false, &id, 1, err);
            if (st) return st;
        }
    }
    return seen ? WEFT_OK : weft_component_fail(c, "the template has no Sequence", err);
}

/* ["[CLS]", 101]. */
static enum weft_status read_pair(const struct weft_component *c, const char *key, struct weft_ids *list,
                                  struct weft_err *err)
{
    const struct weft_json_value *v = weft_json_get(c->value, key);
    if (!v || v->kind != WEFT_JSON_ARRAY || v->n != 2 || !v->items[1].is_int || v->items[1].integer < 0
        || v->items[1].integer > WEFT_MAX_TOKEN_ID)
        return weft_component_fail(c, "sep and cls must be pairs of a token and its id", err);
    int32_t id = (int32_t)v->items[1].integer;
    return add_around(list, false, &id, 1, err);
}

static enum weft_status add_post_processor(void *ctx, const struct weft_component *c, struct weft_err *err)
{
    struct weft_tokenizer *t = ctx;
    struct weft_ids before = { 0 }, after = { 0 };
    enum weft_status st = WEFT_OK;
    if (weft_str_is(c->type, "TemplateProcessing")) {
        st = read_template(c, &before, &after, err);
    } else if (weft_str_is(c->type, "BertProcessing") || weft_str_is(c->type, "RobertaProcessing")) {
        st = read_pair(c, "cls", &before, err);
        if (!st) st = read_pair(c, "sep", &after, err);
    } else if (!weft_str_is(c->type, "ByteLevel")) { /* which trims offsets and nothing else */
        st = weft_component_unknown(
            c, "TemplateProcessing, ByteLevel, BertProcessing, RobertaProcessing, Sequence", err);
    }
    if (!st) st = add_around(&t->before, true, before.ids, before.n, err);
    if (!st) st = add_around(&t->after, false, after.ids, after.n, err);
    weft_ids_clear(&before);
    weft_ids_clear(&after);
    return st;
}

/* ---- tokenizer.json as a whole ---- */

static enum weft_status read_parts(struct reading *r)
{
    struct weft_json *j = &r->json;
    struct weft_str key, version;
    bool more;
    char place[WEFT_PLACE_BYTES], shown[40];
    enum weft_status st = weft_json_object(j, r->err);
    while (!st) {
        st = weft_json_key(j, &key, &more, r->err);
        if (st || !more) break;
        size_t at = j->at;
        if (weft_str_is(key, "version")) {
            st = weft_json_string(j, &version, r->err);
            if (!st && !weft_str_is(version, "1.0"))
                return weft_fail_rule(r->err, WEFT_EINPUT, "TK1", "%s: version is \"%s\"; expected \"1.0\"",
                                      weft_tokenizer_place(j, at, place),
                                      weft_escape(shown, sizeof shown, version));
            r->has_version = true;
        } else if (weft_str_is(key, "added_tokens")) {
            st = weft_json_tree(j, &r->added, r->err);
        } else if (weft_str_is(key, "normalizer")) {
            st = weft_json_tree(j, &r->normalizer, r->err);
        } else if (weft_str_is(key, "pre_tokenizer")) {
            st = weft_json_tree(j, &r->pre_tokenizer, r->err);
        } else if (weft_str_is(key, "post_processor")) {
            st = weft_json_tree(j, &r->post_processor, r->err);
        } else if (weft_str_is(key, "decoder")) {
            st = weft_json_tree(j, &r->decoder, r->err);
        } else if (weft_str_is(key, "model")) {
            st = read_model(r);
        } else {
            st = weft_json_skip(j, r->err);
        }
    }
    if (!st) st = weft_json_end(j, r->err);
    if (st) return st;
    if (!r->has_version) return fail_at(r, 0, "TK1", "there is no version; expected \"version\": \"1.0\"");
    if (!r->has_model) return fail_at(r, 0, "TK1", "there is no model");
    return WEFT_OK;
}

static enum weft_status read_tokenizer(struct weft_tokenizer *t, const char *name, struct weft_str json,
                                       struct weft_err *err)
{
    struct reading r = { .t = t, .err = err };
    enum weft_status st = weft_json_init(&r.json, &t->arena, name, json, err);
    if (!st) st = read_parts(&r);
    if (!st) st = weft_normalizer_read(&t->normalizer, &t->arena, &r.json, &r.normalizer, err);
    if (!st) st = weft_pretokenizer_read(&t->pretokenizer, &t->arena, &r.json, &r.pre_tokenizer, err);
    if (!st) st = build_model(&r);
    if (!st) st = read_added(&r);
    if (!st)
        st = weft_component_walk(&t->arena, &r.json, "post_processor", "processors", &r.post_processor,
                                 add_post_processor, t, err);
    if (!st) st = weft_decoder_read(&t->decoder, &t->arena, &r.json, &r.decoder, err);
    free(r.merges);
    return st;
}

/* ---- tokenizer_config.json, special_tokens_map.json ---- */

/* "<s>", or {"content": "<s>", ...}. */
static struct weft_str token_name(const struct weft_json_value *v)
{
    const struct weft_json_value *content = weft_json_get(v, "content");
    if (content) v = content;
    return v && v->kind == WEFT_JSON_STRING ? v->text : (struct weft_str){ 0 };
}

static void read_special_names(struct weft_tokenizer *t, const struct weft_json_value *config)
{
    static const char *const keys[] = {
        [WEFT_BOS] = "bos_token", [WEFT_EOS] = "eos_token", [WEFT_PAD] = "pad_token", [WEFT_UNK] = "unk_token"
    };
    for (size_t i = 0; i < WEFT_COUNT(keys); i++) {
        struct weft_str name = token_name(weft_json_get(config, keys[i]));
        if (t->special_ids[i] < 0 && name.len) t->special_ids[i] = weft_tokenizer_id(t, name);
    }
}

/* A string, or [{"name": "default", "template": "..."}, ...]. */
static void read_chat_template(struct weft_tokenizer *t, const struct weft_json_value *config)
{
    const struct weft_json_value *v = weft_json_get(config, "chat_template");
    if (v && v->kind == WEFT_JSON_STRING) t->chat_template = v->text;
    for (size_t i = 0; v && v->kind == WEFT_JSON_ARRAY && i < v->n; i++) {
        const struct weft_json_value *name = weft_json_get(&v->items[i], "name"),
                                     *text = weft_json_get(&v->items[i], "template");
        bool is_default = name && name->kind == WEFT_JSON_STRING && weft_str_is(name->text, "default");
        if (text && text->kind == WEFT_JSON_STRING && (is_default || !t->chat_template.s))
            t->chat_template = text->text;
    }
}

/* Flags of tokens that tokenizer.json lists, and tokens that it does not. */
static enum weft_status read_added_decoder(struct weft_tokenizer *t, const struct weft_json *j,
                                           const struct weft_json_value *map, struct weft_err *err)
{
    for (size_t i = 0; map && map->kind == WEFT_JSON_OBJECT && i < map->n; i++) {
        const struct weft_json_value *v = &map->items[i], *content = weft_json_get(v, "content");
        int64_t id = 0;
        for (size_t k = 0; k < map->keys[i].len; k++) {
            char c = map->keys[i].s[k];
            if (c < '0' || c > '9' || id > WEFT_MAX_TOKEN_ID) {
                id = -1;
                break;
            }
            id = id * 10 + (c - '0');
        }
        struct weft_added_token *have = NULL;
        for (size_t k = 0; k < t->n_added && content && content->kind == WEFT_JSON_STRING; k++)
            if (weft_str_eq(t->added[k].content, content->text)) have = &t->added[k];
        if (have) {
            read_flags(v, have);
            continue;
        }
        enum weft_status st = add_token(t, j, v, id, err);
        if (st) return st;
    }
    return WEFT_OK;
}

/* LLaMA-type classes build their template anew from these two. */
static enum weft_status read_add_bos_eos(struct weft_tokenizer *t, const struct weft_json_value *config,
                                         struct weft_err *err)
{
    static const char *const classes[] = { "Llama", "Gemma", "CodeLlama", "Code Llama" };
    const struct weft_json_value *cls = weft_json_get(config, "tokenizer_class"),
                                 *bos = weft_json_get(config, "add_bos_token"),
                                 *eos = weft_json_get(config, "add_eos_token");
    bool applies = false;
    for (size_t i = 0; i < WEFT_COUNT(classes) && cls && cls->kind == WEFT_JSON_STRING; i++)
        applies |= weft_str_starts(cls->text, weft_str_c(classes[i]));
    enum weft_status st = WEFT_OK;
    if (applies && bos && bos->kind == WEFT_JSON_BOOL) {
        t->before.n = 0;
        if (bos->boolean && t->special_ids[WEFT_BOS] >= 0)
            st = add_around(&t->before, false, &t->special_ids[WEFT_BOS], 1, err);
    }
    if (!st && applies && eos && eos->kind == WEFT_JSON_BOOL) {
        t->after.n = 0;
        if (eos->boolean && t->special_ids[WEFT_EOS] >= 0)
            st = add_around(&t->after, false, &t->special_ids[WEFT_EOS], 1, err);
    }
    return st;
}

static enum weft_status read_config(struct weft_tokenizer *t, const char *name, struct weft_str text,
                                    struct weft_err *err)
{
    struct weft_json j;
    struct weft_json_value config;
    enum weft_status st = weft_json_init(&j, &t->arena, name, text, err);
    if (!st) st = weft_json_tree(&j, &config, err);
    if (!st) st = weft_json_end(&j, err);
    if (!st) st = read_added_decoder(t, &j, weft_json_get(&config, "added_tokens_decoder"), err);
    if (st) return st;
    read_special_names(t, &config);
    read_chat_template(t, &config);
    return read_add_bos_eos(t, &config, err);
}

/* ---- load ---- */

/* Everything is read: what depends on all of it. */
static enum weft_status finish(struct weft_tokenizer *t, struct weft_err *err)
{
    t->size = weft_max_size(t->vocab.size, t->added_vocab.size);
    t->special = calloc(weft_max_size(t->size, 1), 1);
    if (!t->special) return weft_fail_nomem(err, t->size, "tokenizer");
    for (size_t i = 0; i < t->n_added; i++) t->special[t->added[i].id] = t->added[i].special;
    return build_finders(t, err);
}

static enum weft_status new_tokenizer(struct weft_tokenizer **out, struct weft_err *err)
{
    struct weft_tokenizer *t = *out = calloc(1, sizeof *t);
    if (!t) return weft_fail_nomem(err, sizeof *t, "tokenizer");
    for (size_t i = 0; i < WEFT_COUNT(t->special_ids); i++) t->special_ids[i] = -1;
    weft_byte_level_init(&t->bytes);
    return weft_unicode_new(&t->unicode, err);
}

enum weft_status weft_tokenizer_parse(struct weft_tokenizer **out, const char *name, struct weft_str json,
                                      struct weft_str config, struct weft_err *err)
{
    struct weft_tokenizer *t = NULL;
    struct weft_str own = { 0 }, own_config = { 0 };
    enum weft_status st = new_tokenizer(&t, err);
    if (!st) own = weft_str_dup(&t->arena, json);
    if (!st) own_config = weft_str_dup(&t->arena, config);
    if (!st && (!own.s || !own_config.s)) st = weft_fail_nomem(err, json.len + config.len, name);
    if (!st) st = read_tokenizer(t, name, own, err);
    if (!st && own_config.len) st = read_config(t, "tokenizer_config.json", own_config, err);
    if (!st) st = finish(t, err);
    if (st) weft_tokenizer_free(t);
    else *out = t;
    return st;
}

/* A file of the model's folder that may be missing: then text->s stays NULL. */
static enum weft_status read_beside(struct weft_tokenizer *t, const char *dir, const char *file,
                                    const char **path, struct weft_str *text, struct weft_err *err)
{
    *text = (struct weft_str){ 0 };
    *path = weft_path_join(&t->arena, dir, file);
    if (!*path) return weft_fail_nomem(err, strlen(dir) + strlen(file) + 2, "path");
    return weft_file_exists(*path) ? weft_file_read(&t->arena, *path, max_file_bytes, text, err) : WEFT_OK;
}

/* Rule TK8: the model must have a row for each id. */
static enum weft_status check_model_config(struct weft_tokenizer *t, const char *path, struct weft_str text,
                                           struct weft_err *err)
{
    struct weft_json_value config;
    enum weft_status st = weft_json_parse(&t->arena, path, text, &config, err);
    if (st) return st;
    const struct weft_json_value *size = weft_json_get(&config, "vocab_size");
    if (!size) size = weft_json_get(weft_json_get(&config, "text_config"), "vocab_size");
    size_t highest = weft_max_size(t->vocab.size, t->added_vocab.size);
    if (size && size->is_int && size->integer >= 0 && (uint64_t)size->integer < highest)
        return weft_fail_rule(
            err, WEFT_EINPUT, "TK8",
            "%s: vocab_size is %lld, but the tokenizer's highest id is %zu; is it another model's?", path,
            (long long)size->integer, highest - 1);
    return WEFT_OK;
}

/* A folder without tokenizer.json: vocab.json and merges.txt, in the pipeline of the tokenizer's class. */
static enum weft_status load_older_files(struct weft_tokenizer *t, const char *dir, struct weft_err *err)
{
    struct weft_str vocab, merges, config, cls = { 0 };
    struct weft_buf json = { 0 };
    const char *path, *merges_path;
    enum weft_status st = read_beside(t, dir, "tokenizer_config.json", &path, &config, err);
    if (!st && config.len) {
        struct weft_json_value v;
        st = weft_json_parse(&t->arena, path, config, &v, err);
        const struct weft_json_value *name = st ? NULL : weft_json_get(&v, "tokenizer_class");
        if (name && name->kind == WEFT_JSON_STRING) cls = name->text;
    }
    if (!st) st = read_beside(t, dir, "merges.txt", &merges_path, &merges, err);
    if (!st) st = read_beside(t, dir, "vocab.json", &path, &vocab, err);
    if (!st && (!vocab.s || !merges.s))
        return weft_fail(err, WEFT_EINPUT,
                         "%s: there is no tokenizer.json in this folder, and no vocab.json with merges.txt",
                         dir);
    if (!st) st = weft_tokenizer_from_older_files(vocab, merges, cls, &json, err);
    if (!st) {
        struct weft_str text = weft_str_dup(&t->arena, weft_buf_view(&json));
        st = text.s ? read_tokenizer(t, path, text, err) : weft_fail_nomem(err, json.len, path);
    }
    weft_buf_clear(&json);
    return st;
}

static enum weft_status load_folder(struct weft_tokenizer *t, const char *dir, struct weft_err *err)
{
    struct weft_str text;
    const char *path;
    enum weft_status st = read_beside(t, dir, "tokenizer.json", &path, &text, err);
    if (st) return st;
    st = text.s ? read_tokenizer(t, path, text, err) : load_older_files(t, dir, err);
    if (!st) st = read_beside(t, dir, "tokenizer_config.json", &path, &text, err);
    if (!st && text.len) st = read_config(t, path, text, err);
    if (!st) st = read_beside(t, dir, "special_tokens_map.json", &path, &text, err);
    if (!st && text.len) {
        struct weft_json_value map;
        st = weft_json_parse(&t->arena, path, text, &map, err);
        if (!st) read_special_names(t, &map);
    }
    if (!st) st = read_beside(t, dir, "chat_template.jinja", &path, &text, err);
    if (!st && text.len) t->chat_template = text;
    if (!st) st = read_beside(t, dir, "config.json", &path, &text, err);
    if (!st && text.len) st = check_model_config(t, path, text, err);
    return st;
}

enum weft_status weft_tokenizer_load(struct weft_tokenizer **out, const char *path, struct weft_err *err)
{
    struct weft_tokenizer *t = NULL;
    enum weft_status st = new_tokenizer(&t, err);
    if (!st && weft_dir_exists(path)) {
        st = load_folder(t, path, err);
    } else if (!st) {
        struct weft_str text;
        st = weft_file_read(&t->arena, path, max_file_bytes, &text, err);
        if (!st) st = read_tokenizer(t, path, text, err);
    }
    if (!st) st = finish(t, err);
    if (st) weft_tokenizer_free(t);
    else *out = t;
    return st;
}

void weft_tokenizer_free(struct weft_tokenizer *t)
{
    if (!t) return;
    weft_unicode_free(t->unicode);
    weft_vocab_clear(&t->vocab);
    weft_vocab_clear(&t->added_vocab);
    free(t->added);
    free(t->special);
    weft_finder_clear(&t->raw_finder);
    weft_finder_clear(&t->normal_finder);
    weft_normalizer_clear(&t->normalizer);
    weft_pretokenizer_clear(&t->pretokenizer);
    weft_bpe_clear(&t->bpe);
    weft_decoder_clear(&t->decoder);
    weft_ids_clear(&t->before);
    weft_ids_clear(&t->after);
    weft_buf_clear(&t->warnings);
    weft_arena_clear(&t->arena);
    free(t);
}

/* ---- looking things up ---- */

size_t weft_tokenizer_vocab_size(const struct weft_tokenizer *t)
{
    return weft_max_size(t->vocab.size, t->added_vocab.size);
}

int32_t weft_tokenizer_id(const struct weft_tokenizer *t, struct weft_str content)
{
    int32_t id = weft_vocab_id(&t->added_vocab, content);
    return id >= 0 ? id : weft_vocab_id(&t->vocab, content);
}

struct weft_str weft_tokenizer_content(const struct weft_tokenizer *t, int32_t id)
{
    struct weft_str s = weft_vocab_content(&t->added_vocab, id);
    return s.s ? s : weft_vocab_content(&t->vocab, id);
}

bool weft_tokenizer_is_special(const struct weft_tokenizer *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->size && t->special[id];
}

int32_t weft_tokenizer_special(const struct weft_tokenizer *t, enum weft_special_token which)
{
    return (unsigned)which < WEFT_COUNT(t->special_ids) ? t->special_ids[which] : -1;
}

struct weft_str weft_tokenizer_chat_template(const struct weft_tokenizer *t) { return t->chat_template; }
struct weft_str weft_tokenizer_warnings(const struct weft_tokenizer *t)
{
    return weft_buf_view(&t->warnings);
}

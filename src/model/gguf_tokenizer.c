/* The tokenizer of a GGUF file, as the tokenizer.json it stands for.
 *
 * "gpt2" is byte-level BPE; `pre` names the pattern that cuts text into words and some habits beside.  "llama" is
 * SentencePiece BPE: no merges but a score for each piece, the pair with the best one is joined first; listing every
 * pair that makes a piece, best score first, gives merges that do the same.  A file written by weft or by Hugging
 * Face's tools may carry the tokenizer.json itself, which is then used as it is. */
#include "model/gguf.h"

#include "base/json.h"
#include "tokens/pattern.h"

#include <stdlib.h>

enum { NORMAL = 1, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE };

/* What a name in tokenizer.ggml.pre says. */
static const struct pre {
    const char *name, *pattern;         /* pattern NULL: ByteLevel's own */
    bool nfc, ignore_merges, add_bos;
} pres[] = {
    { "qwen2", "qwen2", true, false, false },       { "deepseek-r1-qwen", "qwen2", true, false, false },
    { "llama-bpe", "llama3", false, true, true },   { "llama3", "llama3", false, true, true },
    { "llama-v3", "llama3", false, true, true },    { "gpt-2", NULL, false, false, false },
    { "tekken", "tekken", false, true, true },      { "gpt-4o", "o200k", false, false, false },
    { "chatglm-bpe", "llama3", false, false, false }, { "glm4", "llama3", false, false, false },
};

struct words {
    const struct weft_gguf *g;
    struct weft_str *tokens;
    int32_t *types;
    float *scores;                      /* llama only */
    uint32_t *sorted;                   /* by text */
    size_t n;
    struct weft_arena arena;
};

static const struct weft_gguf_key *array_of(const struct weft_gguf *g, const char *key, enum weft_gguf_type item)
{
    const struct weft_gguf_key *k = weft_gguf_key(g, key);
    return k && k->type == WEFT_GGUF_ARRAY && k->item == item ? k : NULL;
}

static int by_text(const void *a, const void *b, void *ctx)
{
    const struct words *w = ctx;
    return weft_str_cmp(w->tokens[*(const uint32_t *)a], w->tokens[*(const uint32_t *)b]);
}

static int32_t find(const struct words *w, struct weft_str text)
{
    size_t low = 0, high = w->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = weft_str_cmp(w->tokens[w->sorted[middle]], text);
        if (!order) return (int32_t)w->sorted[middle];
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return -1;
}

/* GG10 */
static enum weft_status read_words(struct words *w, bool scores, struct weft_err *err)
{
    const struct weft_gguf *g = w->g;
    const struct weft_gguf_key *tokens = array_of(g, "tokenizer.ggml.tokens", WEFT_GGUF_STRING);
    const struct weft_gguf_key *types = array_of(g, "tokenizer.ggml.token_type", WEFT_GGUF_I32);
    const struct weft_gguf_key *score = array_of(g, "tokenizer.ggml.scores", WEFT_GGUF_F32);
    if (!tokens || !types || (scores && !score))
        return weft_fail_rule(err, WEFT_EINPUT, "GG10",
                              "%s: its tokenizer needs tokenizer.ggml.tokens (strings), token_type (i32)%s", g->path,
                              scores ? ", scores (f32)" : "");
    if (types->count != tokens->count || (score && score->count != tokens->count))
        return weft_fail_rule(err, WEFT_EINPUT, "GG10", "%s: %zu tokens, %zu token types, %zu scores; expected the same number",
                              g->path, tokens->count, types->count, score ? score->count : tokens->count);
    w->n = tokens->count;
    w->tokens = WEFT_NEWS(&w->arena, struct weft_str, w->n);
    w->types = WEFT_NEWS(&w->arena, int32_t, w->n);
    w->scores = WEFT_NEWS(&w->arena, float, w->n);
    w->sorted = WEFT_NEWS(&w->arena, uint32_t, w->n);
    if (!w->tokens || !w->types || !w->scores || !w->sorted) return weft_fail_nomem(err, w->n * 32, g->path);
    if (w->n) memcpy(w->types, types->bytes.s, w->n * sizeof *w->types);
    if (w->n && score) memcpy(w->scores, score->bytes.s, w->n * sizeof *w->scores);
    for (size_t i = 0, at = 0; i < w->n; i++) {
        if (!weft_gguf_next_string(tokens, &at, &w->tokens[i])) break;
        w->sorted[i] = (uint32_t)i;
        if (w->types[i] < NORMAL || w->types[i] > BYTE)
            return weft_fail_rule(err, WEFT_EINPUT, "GG10", "%s: token %zu is of type %d; expected 1 to 6", g->path, i,
                                  w->types[i]);
        if (weft_utf8_check(w->tokens[i]) != w->tokens[i].len)
            return weft_fail_rule(err, WEFT_EINPUT, "GG10", "%s: token %zu is not UTF-8", g->path, i);
    }
    if (w->n) qsort_r(w->sorted, w->n, sizeof *w->sorted, by_text, w);
    for (size_t i = 1; i < w->n; i++)
        if (weft_str_eq(w->tokens[w->sorted[i]], w->tokens[w->sorted[i - 1]])) {
            char shown[80];
            return weft_fail_rule(err, WEFT_EINPUT, "GG10", "%s: token \"%s\" occurs twice, as %u and %u", g->path,
                                  weft_escape(shown, sizeof shown, w->tokens[w->sorted[i]]), w->sorted[i - 1],
                                  w->sorted[i]);
        }
    return WEFT_OK;
}

/* A token id of the metadata: -1 when absent. */
static enum weft_status special_id(const struct words *w, const char *key, int32_t *out, struct weft_err *err)
{
    uint64_t v = UINT64_MAX;
    *out = -1;
    enum weft_status st = weft_gguf_uint(w->g, key, false, &v, err);
    if (st || v == UINT64_MAX) return st;
    if (v >= w->n)
        return weft_fail_rule(err, WEFT_EINPUT, "GG10", "%s: %s is %llu; there are %zu tokens", w->g->path, key,
                              (unsigned long long)v, w->n);
    *out = (int32_t)v;
    return WEFT_OK;
}

/* ---- writing tokenizer.json ---- */

static bool is_added(const struct words *w, size_t i)
{
    return w->types[i] == CONTROL || w->types[i] == USER_DEFINED || w->types[i] == UNKNOWN;
}

/* "[PAD151700]" and the like fill holes of the numbering. */
static bool is_hole(const struct words *w, size_t i) { return w->types[i] == UNUSED; }

static void key_bool(struct weft_json_out *j, const char *key, bool v)
{
    weft_json_out_key(j, key);
    weft_json_out_bool(j, v);
}

static void key_text(struct weft_json_out *j, const char *key, const char *v)
{
    weft_json_out_key(j, key);
    weft_json_out_cstr(j, v);
}

static void write_added(struct weft_json_out *j, const struct words *w)
{
    weft_json_out_key(j, "added_tokens");
    weft_json_out_array(j);
    for (size_t i = 0; i < w->n; i++) {
        if (!is_added(w, i) || !w->tokens[i].len) continue;
        weft_json_out_object(j);
        weft_json_out_key(j, "id");
        weft_json_out_uint(j, i);
        weft_json_out_key(j, "content");
        weft_json_out_str(j, w->tokens[i]);
        key_bool(j, "single_word", false);
        key_bool(j, "lstrip", false);
        key_bool(j, "rstrip", false);
        key_bool(j, "normalized", false);
        key_bool(j, "special", w->types[i] != USER_DEFINED);
        weft_json_out_object_end(j);
    }
    weft_json_out_array_end(j);
}

static void write_vocab(struct weft_json_out *j, const struct words *w, bool with_added)
{
    weft_json_out_key(j, "vocab");
    weft_json_out_object(j);
    for (size_t i = 0; i < w->n; i++) {
        if (is_hole(w, i) || (!with_added && is_added(w, i))) continue;
        weft_json_out_key_str(j, w->tokens[i]);
        weft_json_out_uint(j, i);
    }
    weft_json_out_object_end(j);
}

static void one_of_type(struct weft_json_out *j, const char *key, const char *type)
{
    if (key) weft_json_out_key(j, key);
    weft_json_out_object(j);
    key_text(j, "type", type);
}

/* {"SpecialToken": {"id": "<s>", "type_id": 0}} or {"Sequence": {"id": "A", "type_id": 0}} */
static void write_piece(struct weft_json_out *j, const char *kind, struct weft_str id, unsigned type_id)
{
    weft_json_out_object(j);
    weft_json_out_key(j, kind);
    weft_json_out_object(j);
    weft_json_out_key(j, "id");
    weft_json_out_str(j, id);
    weft_json_out_key(j, "type_id");
    weft_json_out_uint(j, type_id);
    weft_json_out_object_end(j);
    weft_json_out_object_end(j);
}

/* bos, eos: -1 where a text gets none. */
static void write_post_processor(struct weft_json_out *j, const struct words *w, int32_t bos, int32_t eos)
{
    const int32_t ids[2] = { bos, eos };
    weft_json_out_key(j, "post_processor");
    if (bos < 0 && eos < 0) {
        weft_json_out_null(j);
        return;
    }
    one_of_type(j, NULL, "TemplateProcessing");
    for (unsigned pair = 0; pair < 2; pair++) {
        weft_json_out_key(j, pair ? "pair" : "single");
        weft_json_out_array(j);
        for (unsigned text = 0; text <= pair; text++) {
            if (bos >= 0) write_piece(j, "SpecialToken", w->tokens[bos], text);
            write_piece(j, "Sequence", text ? WEFT_STR("B") : WEFT_STR("A"), text);
            if (eos >= 0) write_piece(j, "SpecialToken", w->tokens[eos], text);
        }
        weft_json_out_array_end(j);
    }
    weft_json_out_key(j, "special_tokens");
    weft_json_out_object(j);
    for (size_t i = 0; i < 2; i++) {
        if (ids[i] < 0 || (i == 1 && eos == bos)) continue;
        struct weft_str token = w->tokens[ids[i]];
        weft_json_out_key_str(j, token);
        weft_json_out_object(j);
        weft_json_out_key(j, "id");
        weft_json_out_str(j, token);
        weft_json_out_key(j, "ids");
        weft_json_out_array(j);
        weft_json_out_int(j, ids[i]);
        weft_json_out_array_end(j);
        weft_json_out_key(j, "tokens");
        weft_json_out_array(j);
        weft_json_out_str(j, token);
        weft_json_out_array_end(j);
        weft_json_out_object_end(j);
    }
    weft_json_out_object_end(j);
    weft_json_out_object_end(j);
}

static void byte_level(struct weft_json_out *j, const char *key, bool use_regex)
{
    one_of_type(j, key, "ByteLevel");
    key_bool(j, "add_prefix_space", false);
    key_bool(j, "trim_offsets", false);
    key_bool(j, "use_regex", use_regex);
    weft_json_out_object_end(j);
}

static enum weft_status write_gpt2(struct weft_json_out *j, const struct words *w, const struct pre *pre,
                                   struct weft_err *err)
{
    const struct weft_gguf_key *merges = array_of(w->g, "tokenizer.ggml.merges", WEFT_GGUF_STRING);
    struct weft_str merge;
    if (!merges)
        return weft_fail_rule(err, WEFT_EINPUT, "GG10", "%s: its tokenizer needs tokenizer.ggml.merges (strings)",
                              w->g->path);
    if (pre->nfc) {
        one_of_type(j, "normalizer", "NFC");
        weft_json_out_object_end(j);
    }
    if (pre->pattern) {
        one_of_type(j, "pre_tokenizer", "Sequence");
        weft_json_out_key(j, "pretokenizers");
        weft_json_out_array(j);
        one_of_type(j, NULL, "Split");
        weft_json_out_key(j, "pattern");
        weft_json_out_object(j);
        key_text(j, "Regex", weft_pattern_by_name(pre->pattern)->text);
        weft_json_out_object_end(j);
        key_text(j, "behavior", "Isolated");
        key_bool(j, "invert", false);
        weft_json_out_object_end(j);
        byte_level(j, NULL, false);
        weft_json_out_array_end(j);
        weft_json_out_object_end(j);
    } else {
        byte_level(j, "pre_tokenizer", true);
    }
    byte_level(j, "decoder", false);
    one_of_type(j, "model", "BPE");
    key_bool(j, "ignore_merges", pre->ignore_merges);
    write_vocab(j, w, false);
    weft_json_out_key(j, "merges");
    weft_json_out_array(j);
    for (size_t at = 0, i = 0; weft_gguf_next_string(merges, &at, &merge); i++) {
        if (weft_utf8_check(merge) != merge.len)
            return weft_fail_rule(err, WEFT_EINPUT, "GG10", "%s: merge %zu is not UTF-8", w->g->path, i);
        weft_json_out_str(j, merge);
    }
    weft_json_out_array_end(j);
    weft_json_out_object_end(j);
    return WEFT_OK;
}

/* ---- SentencePiece ---- */

struct merge {
    float score;
    int32_t left, right;
    uint32_t order;             /* pieces in order of their ids, so that equal scores keep it */
};

static int by_score(const void *a, const void *b)
{
    const struct merge *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    if (x->left != y->left) return x->left < y->left ? -1 : 1;
    return (x->right > y->right) - (x->right < y->right);
}

static bool joins(const struct words *w, int32_t id)
{
    return id >= 0 && w->types[id] != BYTE && !is_hole(w, (size_t)id);
}

/* Every way to make a piece from two. */
static enum weft_status list_merges(struct words *w, struct merge **out, size_t *n, struct weft_err *err)
{
    struct merge *list = NULL;
    size_t cap = 0;
    *n = 0;
    for (int count = 1; count >= 0; count--) {          /* first counted, then written */
        size_t found = 0;
        for (size_t i = 0; i < w->n; i++) {
            struct weft_str s = w->tokens[i];
            if (w->types[i] != NORMAL) continue;
            for (size_t cut = 1; cut < s.len; cut++) {
                if (((unsigned char)s.s[cut] & 0xC0) == 0x80) continue;         /* within a character */
                int32_t left = find(w, weft_str_sub(s, 0, cut)), right = find(w, weft_str_sub(s, cut, s.len));
                if (!joins(w, left) || !joins(w, right)) continue;
                if (!count) list[found] = (struct merge){ w->scores[i], left, right, (uint32_t)i };
                found++;
            }
        }
        if (!count) break;
        cap = found;
        list = WEFT_NEWS(&w->arena, struct merge, cap);
        if (!list) return weft_fail_nomem(err, cap * sizeof *list, w->g->path);
        *n = found;
    }
    if (*n) qsort(list, *n, sizeof *list, by_score);
    *out = list;
    return WEFT_OK;
}

static void replace(struct weft_json_out *j, const char *from, const char *to)
{
    one_of_type(j, NULL, "Replace");
    weft_json_out_key(j, "pattern");
    weft_json_out_object(j);
    key_text(j, "String", from);
    weft_json_out_object_end(j);
    key_text(j, "content", to);
    weft_json_out_object_end(j);
}

static enum weft_status write_llama(struct weft_json_out *j, struct words *w, int32_t unknown, struct weft_err *err)
{
    static const char space[] = "\xe2\x96\x81";         /* U+2581 */
    bool prefix = true;
    struct merge *merges = NULL;
    size_t n = 0;
    enum weft_status st = weft_gguf_bool(w->g, "tokenizer.ggml.add_space_prefix", &prefix, err);
    if (!st) st = list_merges(w, &merges, &n, err);
    if (st) return st;
    one_of_type(j, "normalizer", "Sequence");
    weft_json_out_key(j, "normalizers");
    weft_json_out_array(j);
    if (prefix) {
        one_of_type(j, NULL, "Prepend");
        key_text(j, "prepend", space);
        weft_json_out_object_end(j);
    }
    replace(j, " ", space);
    weft_json_out_array_end(j);
    weft_json_out_object_end(j);
    weft_json_out_key(j, "pre_tokenizer");
    weft_json_out_null(j);
    one_of_type(j, "decoder", "Sequence");
    weft_json_out_key(j, "decoders");
    weft_json_out_array(j);
    replace(j, space, " ");
    one_of_type(j, NULL, "ByteFallback");
    weft_json_out_object_end(j);
    one_of_type(j, NULL, "Fuse");
    weft_json_out_object_end(j);
    if (prefix) {
        one_of_type(j, NULL, "Strip");
        key_text(j, "content", " ");
        weft_json_out_key(j, "start");
        weft_json_out_int(j, 1);
        weft_json_out_key(j, "stop");
        weft_json_out_int(j, 0);
        weft_json_out_object_end(j);
    }
    weft_json_out_array_end(j);
    weft_json_out_object_end(j);
    one_of_type(j, "model", "BPE");
    if (unknown >= 0) {
        weft_json_out_key(j, "unk_token");
        weft_json_out_str(j, w->tokens[unknown]);
    }
    key_bool(j, "fuse_unk", true);
    key_bool(j, "byte_fallback", true);
    write_vocab(j, w, true);
    weft_json_out_key(j, "merges");
    weft_json_out_array(j);
    for (size_t i = 0; i < n; i++) {
        weft_json_out_array(j);
        weft_json_out_str(j, w->tokens[merges[i].left]);
        weft_json_out_str(j, w->tokens[merges[i].right]);
        weft_json_out_array_end(j);
    }
    weft_json_out_array_end(j);
    weft_json_out_object_end(j);
    return WEFT_OK;
}

/* ---- both files ---- */

static enum weft_status write_config(const struct words *w, struct weft_buf *out, const int32_t ids[4],
                                     struct weft_err *err)
{
    static const char *const names[4] = { "bos_token", "eos_token", "unk_token", "pad_token" };
    struct weft_str chat = { 0 };
    struct weft_json_out j;
    enum weft_status st = weft_gguf_text(w->g, "tokenizer.chat_template", false, &chat, err);
    weft_json_out_init(&j, out);
    weft_json_out_object(&j);
    for (size_t i = 0; i < 4; i++) {
        if (ids[i] < 0) continue;
        weft_json_out_key(&j, names[i]);
        weft_json_out_str(&j, w->tokens[ids[i]]);
    }
    if (!st && chat.s && weft_utf8_check(chat) != chat.len)
        st = weft_fail_rule(err, WEFT_EINPUT, "GG10", "%s: tokenizer.chat_template is not UTF-8", w->g->path);
    if (!st && chat.s) {
        weft_json_out_key(&j, "chat_template");
        weft_json_out_str(&j, chat);
    }
    weft_json_out_object_end(&j);
    return st ? st : weft_buf_check(out, w->g->path, err);
}

static enum weft_status find_pre(const struct weft_gguf *g, const struct pre **out, struct weft_err *err)
{
    struct weft_str name = WEFT_STR("default");
    char shown[80];
    enum weft_status st = weft_gguf_text(g, "tokenizer.ggml.pre", false, &name, err);
    for (size_t i = 0; !st && i < WEFT_COUNT(pres); i++)
        if (weft_str_is(name, pres[i].name)) {
            *out = &pres[i];
            return WEFT_OK;
        }
    if (st) return st;
    return weft_fail_rule(err, WEFT_EINPUT, "GG10",
                          "%s: tokenizer.ggml.pre is \"%s\", and there is no tokenizer.huggingface.json; weft knows qwen2, "
                          "llama-bpe, gpt-2, tekken, gpt-4o, chatglm-bpe and deepseek-r1-qwen", g->path,
                          weft_escape(shown, sizeof shown, name));
}

enum weft_status weft_gguf_tokenizer_files(const struct weft_gguf *g, struct weft_buf *json, struct weft_buf *config,
                                           struct weft_err *err)
{
    static const char *const id_keys[4] = { "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id",
                                            "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.padding_token_id" };
    struct words w = { .g = g };
    const struct pre *pre = NULL;
    struct weft_str kind = { 0 }, stored = { 0 };
    struct weft_json_out j;
    int32_t ids[4];
    bool add_bos = false, add_eos = false, llama = false;
    enum weft_status st = weft_gguf_text(g, "tokenizer.ggml.model", true, &kind, err);
    if (!st) st = weft_gguf_text(g, "tokenizer.huggingface.json", false, &stored, err);
    if (!st) llama = weft_str_is(kind, "llama");
    if (!st && !llama && !weft_str_is(kind, "gpt2")) {
        char shown[80];
        st = weft_fail_rule(err, WEFT_EINPUT, "GG10", "%s: tokenizer.ggml.model is \"%s\"; weft reads gpt2 and llama",
                            g->path, weft_escape(shown, sizeof shown, kind));
    }
    if (!st) st = read_words(&w, llama && !stored.s, err);
    for (size_t i = 0; !st && i < 4; i++) st = special_id(&w, id_keys[i], &ids[i], err);
    if (!st && stored.s) {
        weft_buf_str(json, stored);
    } else if (!st) {
        if (!llama) st = find_pre(g, &pre, err);
        add_bos = llama || (pre && pre->add_bos);
        if (!st) st = weft_gguf_bool(g, "tokenizer.ggml.add_bos_token", &add_bos, err);
        if (!st) st = weft_gguf_bool(g, "tokenizer.ggml.add_eos_token", &add_eos, err);
        weft_json_out_init(&j, json);
        weft_json_out_object(&j);
        key_text(&j, "version", "1.0");
        write_added(&j, &w);
        if (!st) write_post_processor(&j, &w, add_bos ? ids[0] : -1, add_eos ? ids[1] : -1);
        if (!st) st = llama ? write_llama(&j, &w, ids[2], err) : write_gpt2(&j, &w, pre, err);
        weft_json_out_object_end(&j);
    }
    if (!st) st = weft_buf_check(json, g->path, err);
    if (!st) st = write_config(&w, config, ids, err);
    weft_arena_clear(&w.arena);
    return st;
}

enum weft_status weft_model_tokenizer(struct weft_tokenizer **out, const char *path, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_gguf g = { 0 };
    struct weft_buf json = { 0 }, config = { 0 };
    if (!weft_gguf_is(path)) return weft_tokenizer_load(out, path, err);
    enum weft_status st = weft_gguf_open(&g, &a, path, err);
    if (!st) st = weft_gguf_tokenizer_files(&g, &json, &config, err);
    if (!st) st = weft_tokenizer_parse(out, path, weft_buf_view(&json), weft_buf_view(&config), err);
    weft_buf_clear(&json);
    weft_buf_clear(&config);
    weft_gguf_close(&g);
    weft_arena_clear(&a);
    return st;
}

/* tokens/tokenizer_parts.h - what the files of the tokenizer share; not for others */
#ifndef WEFT_TOKENS_TOKENIZER_PARTS_H
#define WEFT_TOKENS_TOKENIZER_PARTS_H

#include "base/json.h"
#include "tokens/added.h"
#include "tokens/bpe.h"
#include "tokens/mapped.h"
#include "tokens/pattern.h"
#include "tokens/regex.h"

enum { WEFT_MAX_SEQUENCE_DEPTH = 8, WEFT_MAX_ADDED_TOKEN_BYTES = 512, WEFT_PLACE_BYTES = 256 };

/* "name:line:column" of a byte of the JSON text; returns out. */
const char *weft_tokenizer_place(const struct weft_json *j, size_t at, char out[WEFT_PLACE_BYTES]);

/* A component of the file being read: where its messages point. */
struct weft_component {
    const struct weft_json *json;
    const char *path;                    /* "pre_tokenizer.pretokenizers[1]" */
    const struct weft_json_value *value; /* an object */
    struct weft_str type;
};
/* Calls add(ctx, component) for the component `v` and, when it is a Sequence, for each of its members in
 * order. null calls nothing.  `member`: the key of a Sequence's list ("pretokenizers"). */
WEFT_MUST_USE enum weft_status
weft_component_walk(struct weft_arena *a, const struct weft_json *j, const char *path, const char *member,
                    const struct weft_json_value *v,
                    enum weft_status (*add)(void *ctx, const struct weft_component *c, struct weft_err *err),
                    void *ctx, struct weft_err *err);
/* Fields, with the reference's defaults; WEFT_EINPUT with the path on a wrong kind. */
WEFT_MUST_USE enum weft_status weft_component_bool(const struct weft_component *c, const char *key,
                                                   bool missing, bool *out, struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_component_str(const struct weft_component *c, const char *key,
                                                  struct weft_str *out, struct weft_err *err); /* required */
WEFT_MUST_USE enum weft_status weft_component_uint(const struct weft_component *c, const char *key,
                                                   size_t *out, struct weft_err *err); /* required */
/* "unknown type" by rule TK2, with the types there are. */
enum weft_status weft_component_unknown(const struct weft_component *c, const char *known,
                                        struct weft_err *err);
/* Another fault of the component, by rule TK2: "PLACE: PATH: `what`". */
enum weft_status weft_component_fail(const struct weft_component *c, const char *what, struct weft_err *err);

/* {"String": s} or {"Regex": s}. */
struct weft_text_pattern {
    struct weft_str text;             /* String */
    struct weft_regex *regex;         /* Regex without a matcher; else NULL */
    const struct weft_pattern *known; /* Regex with one */
};
WEFT_MUST_USE enum weft_status weft_text_pattern_read(const struct weft_component *c,
                                                      struct weft_text_pattern *out, struct weft_err *err);
void weft_text_pattern_clear(struct weft_text_pattern *p);
/* Matches one after the other; `walk` as for weft_regex_next. */
WEFT_MUST_USE enum weft_status weft_text_pattern_next(const struct weft_text_pattern *p,
                                                      const struct weft_unicode *u,
                                                      struct weft_regex_scratch *s, struct weft_str text,
                                                      struct weft_regex_walk *walk, bool *found,
                                                      size_t *begin, size_t *end, struct weft_err *err);

/* ---- normalizers (normalizer.c) ---- */

struct weft_normalizer_step;
struct weft_normalizer {
    struct weft_normalizer_step *steps;
    size_t n, cap;
};
WEFT_MUST_USE enum weft_status weft_normalizer_read(struct weft_normalizer *n, struct weft_arena *a,
                                                    const struct weft_json *j,
                                                    const struct weft_json_value *v, struct weft_err *err);
void weft_normalizer_clear(struct weft_normalizer *n);

/* Scratch of one encoder: changed copies, used in turn. */
struct weft_scratch {
    struct weft_mapped valid, copy[4];
    struct weft_buf text;
    struct weft_regex_scratch regex;
    struct weft_span *spans[2];
    size_t cap_spans[2];
};

/* *v becomes the normalized text: in s->copy[0] or [1], or as it was when nothing changes. */
WEFT_MUST_USE enum weft_status weft_normalizer_apply(const struct weft_normalizer *n,
                                                     const struct weft_unicode *u, struct weft_scratch *s,
                                                     bool origins, struct weft_view *v, struct weft_err *err);

/* ---- pre-tokenizers (pretokenizer.c) ---- */

struct weft_span {
    uint32_t begin, end;
};

struct weft_pretokenizer_step;
struct weft_pretokenizer {
    struct weft_pretokenizer_step *steps;
    size_t n, cap;
    bool byte_level;                  /* the last step is ByteLevel: words stay raw bytes for such a model */
    bool needs_origins;               /* a step asks where the text begins in the input */
    const struct weft_pattern *tiles; /* all there is to do is to cut by this pattern; else NULL */
};
WEFT_MUST_USE enum weft_status weft_pretokenizer_read(struct weft_pretokenizer *p, struct weft_arena *a,
                                                      const struct weft_json *j,
                                                      const struct weft_json_value *v, struct weft_err *err);
void weft_pretokenizer_clear(struct weft_pretokenizer *p);
/* Cuts *v, which becomes the changed text, into *spans [*n] (in s, until the next call). */
WEFT_MUST_USE enum weft_status weft_pretokenizer_apply(const struct weft_pretokenizer *p,
                                                       const struct weft_unicode *u, struct weft_scratch *s,
                                                       bool origins, struct weft_view *v,
                                                       struct weft_span **spans, size_t *n,
                                                       struct weft_err *err);

/* ---- decoders (decoder.c) ---- */

struct weft_decoder_step;
struct weft_decoder {
    struct weft_decoder_step *steps;
    size_t n, cap;
    bool present; /* false: tokens are joined with spaces */
};
WEFT_MUST_USE enum weft_status weft_decoder_read(struct weft_decoder *d, struct weft_arena *a,
                                                 const struct weft_json *j, const struct weft_json_value *v,
                                                 struct weft_err *err);
void weft_decoder_clear(struct weft_decoder *d);

/* ---- vocab.json and merges.txt (older_files.c) ---- */

/* Writes them as the text of a tokenizer.json into out. */
WEFT_MUST_USE enum weft_status weft_tokenizer_from_older_files(struct weft_str vocab, struct weft_str merges,
                                                               struct weft_str tokenizer_class,
                                                               struct weft_buf *out, struct weft_err *err);

/* ---- the tokenizer ---- */

struct weft_tokenizer {
    struct weft_arena arena; /* the files' texts and everything that points into them */
    struct weft_unicode *unicode;
    struct weft_vocab vocab;       /* of the model */
    struct weft_vocab added_vocab; /* contents of the added tokens */
    struct weft_added_token *added;
    size_t n_added, cap_added;
    unsigned char *special; /* [size] by id */
    size_t size;            /* highest id + 1 */
    struct weft_finder raw_finder, normal_finder;
    struct weft_normalizer normalizer;
    struct weft_pretokenizer pretokenizer;
    struct weft_bpe bpe;
    struct weft_decoder decoder;
    struct weft_byte_level bytes;
    struct weft_ids before, after; /* what the post-processor puts around a text */
    int32_t special_ids[4];        /* by enum weft_special_token */
    struct weft_str chat_template;
    struct weft_buf warnings; /* lines */
};

#endif

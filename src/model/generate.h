/* model/generate.h - one prompt continued until a stop
 *
 * The simple loop over kv.h and sample.h that chat, generate and the side-by-side comparison use; many requests at
 * once are engine/'s business.
 */
#ifndef WEFT_MODEL_GENERATE_H
#define WEFT_MODEL_GENERATE_H

#include "model/kv.h"
#include "model/sample.h"
#include "tokens/chat.h"

struct weft_guide;

struct weft_generate_settings {
    struct weft_sample_settings sample;
    size_t max_new_tokens;
    const int32_t *stop_ids;            /* end the text and are not part of it */
    size_t n_stop_ids;
    const struct weft_str *stops;       /* strings that end the text and are cut off; they may span tokens */
    size_t n_stops;
    bool skip_special;
    /* Keeps the answer to a form (model/guide.h), which then decides where it ends: STOP when it is whole, LENGTH when
     * it was cut short for want of room.  NULL: free. */
    struct weft_guide *guide;
    bool repeatable;        /* the answer is that of the prompt alone, whatever kv held: less of it is taken over */
};

enum weft_finish { WEFT_FINISH_STOP, WEFT_FINISH_LENGTH, WEFT_FINISH_CANCEL };

struct weft_generated {
    struct weft_buf text;               /* UTF-8; the caller clears it */
    struct weft_ids ids;
    enum weft_finish finish;
    size_t prompt_tokens, cached_tokens;
    uint64_t prompt_ns, decode_ns;      /* time to the first token; for the rest */
};

/* Continues prompt ids [n]; what kv already holds of it as a prefix is not computed again.  `piece` (may be NULL) gets
 * each new piece of text, whole code points only; returning false stops. */
WEFT_MUST_USE enum weft_status
weft_generate(struct weft_kv *kv, const struct weft_tokenizer *t, const int32_t *prompt, size_t n,
              const struct weft_generate_settings *s, bool (*piece)(void *ctx, struct weft_str text), void *ctx,
              struct weft_generated *out, struct weft_err *err);

/* Ids at which a chat model stops: of generation_config.json, config.json, the tokenizer and the template
 * (docs/model.md).  `dir` NULL: only the tokenizer's.  `chat`: the template in use; NULL: the tokenizer's own.
 *  Writes at most cap ids, returns how many there are. */
WEFT_MUST_USE enum weft_status weft_stop_ids(const char *dir, const struct weft_config *config,
                                             const struct weft_tokenizer *t, const struct weft_chat_template *chat,
                                             int32_t *ids, size_t cap, size_t *n, struct weft_err *err);

#endif

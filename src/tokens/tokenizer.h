/* tokens/tokenizer.h - text to token ids and back
 *
 * Built from tokenizer.json alone, never from a model's name: added tokens, normalizer, pre-tokenizer,
 * byte-pair encoding (byte-level and SentencePiece style), post-processor, decoder.  Same ids as the
 * reference runtime on the same file.  Rules TK1-TK8 (docs/robustness.md).
 *
 * Owner:   weft_tokenizer_free; strings returned point into the tokenizer.
 * Threads: immutable after load, any number of users; each user brings its own struct weft_encoder.
 */
#ifndef WEFT_TOKENS_TOKENIZER_H
#define WEFT_TOKENS_TOKENIZER_H

#include "base/pool.h"
#include "base/str.h"

struct weft_tokenizer;

/* `path`: a model directory (tokenizer.json, tokenizer_config.json, special_tokens_map.json) or a
 * tokenizer.json. */
WEFT_MUST_USE enum weft_status weft_tokenizer_load(struct weft_tokenizer **out, const char *path,
                                                   struct weft_err *err);
/* The same from texts in memory; config may be empty. `name` is for messages. */
WEFT_MUST_USE enum weft_status weft_tokenizer_parse(struct weft_tokenizer **out, const char *name,
                                                    struct weft_str json, struct weft_str config,
                                                    struct weft_err *err);
void weft_tokenizer_free(struct weft_tokenizer *t);

size_t weft_tokenizer_vocab_size(const struct weft_tokenizer *t); /* highest id + 1, added tokens included */
/* -1 when there is no such token. `content` is as in the file (for byte-level vocabularies: mapped
 * characters). */
int32_t weft_tokenizer_id(const struct weft_tokenizer *t, struct weft_str content);
struct weft_str weft_tokenizer_content(const struct weft_tokenizer *t, int32_t id); /* s == NULL: a hole */
bool weft_tokenizer_is_special(const struct weft_tokenizer *t, int32_t id);
enum weft_special_token { WEFT_BOS, WEFT_EOS, WEFT_PAD, WEFT_UNK };
int32_t weft_tokenizer_special(const struct weft_tokenizer *t, enum weft_special_token which); /* -1: none */
/* The chat template of tokenizer_config.json or chat_template.jinja; s == NULL: none. */
struct weft_str weft_tokenizer_chat_template(const struct weft_tokenizer *t);

/* What is odd about the files but no error, one line each; empty when all is well. */
struct weft_str weft_tokenizer_warnings(const struct weft_tokenizer *t);

/* ---- encoding ---- */

enum {
    WEFT_ENCODE_PLAIN = 0,    /* special tokens in the text are text */
    WEFT_ENCODE_SPECIALS = 1, /* special tokens in the text are recognised (rendered templates) */
    WEFT_ENCODE_ADD = 2,      /* the post-processor adds BOS, EOS */
    WEFT_ENCODE_OFFSETS = 4   /* fill `begin` */
};

struct weft_ids {
    int32_t *ids;    /* malloc, grows */
    uint32_t *begin; /* byte offset in the input of each token's first byte; with OFFSETS */
    size_t n, cap;
};
void weft_ids_clear(struct weft_ids *ids);

/* Scratch and word cache of one thread. */
struct weft_encoder;
WEFT_MUST_USE enum weft_status weft_encoder_new(struct weft_encoder **out, const struct weft_tokenizer *t,
                                                struct weft_err *err);
void weft_encoder_free(struct weft_encoder *e);

/* Appends to *out.  Invalid UTF-8 is encoded as U+FFFD per maximal bad part. */
WEFT_MUST_USE enum weft_status weft_encode(struct weft_encoder *e, struct weft_str text, unsigned flags,
                                           struct weft_ids *out, struct weft_err *err);

/* ---- decoding ---- */

/* Appends the text of ids to out; skip_special leaves out special tokens. */
WEFT_MUST_USE enum weft_status weft_decode(const struct weft_tokenizer *t, const int32_t *ids, size_t n,
                                           bool skip_special, struct weft_buf *out, struct weft_err *err);

/* Appends the bytes that a token adds to text that stands before it; they may be part of a code point.  false: it
 * adds none that are known (a special token, a hole, a decoder to which the next token matters). */
bool weft_token_bytes(const struct weft_tokenizer *t, int32_t id, struct weft_buf *out);

/* Token by token: emits only whole code points, at most 3 bytes wait; the pieces joined equal weft_decode. */
struct weft_detok {
    const struct weft_tokenizer *t;
    char held[8];
    unsigned n_held;
    bool started, skip_special;
    unsigned char state[16]; /* decoder's own */
};
void weft_detok_init(struct weft_detok *d, const struct weft_tokenizer *t, bool skip_special);
void weft_detok_push(struct weft_detok *d, int32_t id, struct weft_buf *out);
void weft_detok_finish(struct weft_detok *d, struct weft_buf *out);

#endif

/* dataset/ask_reply.h - a model's reply, and what of it is the answer
 *
 * Reasoning models think aloud and chat models dress their JSON: both are taken apart here, counted, and kept out of
 * rows.  Also: the chat completions of the OpenAI dialect, whole or streamed, as a client reads them (C6, C7).
 */
#ifndef WEFT_DATASET_ASK_REPLY_H
#define WEFT_DATASET_ASK_REPLY_H

#include "dataset/ledger.h"

/* ---- the text ---- */

struct weft_clean_reply {
    struct weft_str answer;  /* trimmed, without thoughts; part of `text` or a copy in the arena */
    bool thought;            /* a <think> part was set aside */
    bool fenced;             /* the answer stood in a code fence */
};
/* `answer` lives in `a` where thoughts stood in the middle.  s == NULL: no memory. */
WEFT_MUST_USE enum weft_status weft_reply_clean(struct weft_arena *a, struct weft_str text,
                                                struct weft_clean_reply *out, struct weft_err *err);

/* The JSON array or object in an answer `s` that has other words around it; the answer itself when it is JSON already.
 * s == NULL: there is none. */
struct weft_str weft_reply_json(struct weft_str s);

/* ---- chat completions ---- */

/* What a reply says, in whatever order its parts came. */
struct weft_chat_reply {
    struct weft_buf text, reasoning, refusal;
    enum weft_call_finish finish;
    uint32_t prompt_tokens, completion_tokens;
    bool any;      /* at least one choice or delta was there */
    bool done;     /* a finish_reason, [DONE], or a whole body */
    char error[256]; /* the provider's message, escaped, when the reply is an error object; "" else */
    char code[64];   /* and its code or type: "insufficient_quota" */
};
void weft_chat_reply_clear(struct weft_chat_reply *r); /* accepts a zeroed struct */

/* A whole body, or the body of a failed request.  WEFT_EINPUT: not a chat completion; the message says what it looks
 * like (a web page, JSON cut short ...). */
WEFT_MUST_USE enum weft_status weft_chat_reply_body(struct weft_chat_reply *r, struct weft_str body,
                                                    struct weft_err *err);
/* The data of one event of a stream: a chunk, or "[DONE]". */
WEFT_MUST_USE enum weft_status weft_chat_reply_event(struct weft_chat_reply *r, struct weft_str data,
                                                     struct weft_err *err);

/* ---- requests ---- */

struct weft_chat_message {
    const char *role;
    struct weft_str content;
};
/* The body of a request as it is hashed: without "stream".  A negative temperature or top_p, max_tokens 0 and seed -1
 * leave the member out. */
struct weft_chat_request {
    const char *model;
    const struct weft_chat_message *messages;
    size_t n_messages;
    double temperature, top_p;
    int64_t max_tokens, seed;
    struct weft_str schema; /* JSON schema of the answer, as response_format; s == NULL: none */
};
void weft_chat_request_body(const struct weft_chat_request *r, bool stream, struct weft_buf *out);

#endif

/* Any bytes as a model's reply: as its text, as the body of a chat completion, as the data of stream events.  What is
 * taken as the answer is part of the reply and has no thoughts; every refusal says why. */
#include "dataset/ask_reply.h"
#include "dataset/prompt.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

static void text(struct weft_str s)
{
    struct weft_arena a = { 0 };
    struct weft_clean_reply c, again;
    struct weft_err err = { 0 };
    check(!weft_reply_clean(&a, s, &c, &err) && c.answer.len <= s.len);
    check(!weft_reply_clean(&a, c.answer, &again, &err) && again.answer.len <= c.answer.len);
    struct weft_str json = weft_reply_json(c.answer);
    check(!json.s || (json.len >= 2 && json.s >= c.answer.s && json.s + json.len <= c.answer.s + c.answer.len));
    weft_arena_clear(&a);
}

static void prompt(struct weft_str s)
{
    struct weft_arena a = { 0 };
    struct weft_buf b = { 0 };
    struct weft_prompt p;
    struct weft_err err = { 0 };
    const struct weft_prompt_value v[] = { { "text", WEFT_STR("x") } };
    enum weft_status st = weft_prompt_parse(&a, "fuzz", s, &p, &err);
    check(st == WEFT_OK || err.msg[0]);
    weft_prompt_fill(s, v, 1, &b);
    check(!b.failed && b.len <= s.len);
    weft_buf_clear(&b);
    weft_arena_clear(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_chat_reply r = { 0 };
    struct weft_err err = { 0 };
    if (!size) return 0;
    struct weft_str s = { (const char *)data + 1, size - 1 };
    switch (data[0] % 4) {
    case 0: text(s); break;
    case 1: check(!weft_chat_reply_body(&r, s, &err) || err.msg[0]); break;
    case 2:
        while (s.len) {
            size_t end = weft_str_find(s, WEFT_STR("\n"), 0);
            struct weft_err own = { 0 };
            check(!weft_chat_reply_event(&r, weft_str_sub(s, 0, end), &own) || own.msg[0]);
            s = weft_str_skip(s, end == SIZE_MAX ? s.len : end + 1);
        }
        break;
    default: prompt(s); break;
    }
    weft_chat_reply_clear(&r);
    return 0;
}

/* Any template, over random conversations.  The bytes up to the first NUL are the template; the rest chooses messages
 * (as JSON when it is JSON, else by its bytes).  Rendering ends within its limits, the same input gives the same
 * text, and spans cover the text without gaps. */
#include "tokens/chat.h"
#include "tokens/jinja.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

static void check_spans(const struct weft_chat_text *x)
{
    size_t at = 0;
    for (size_t i = 0; i < x->n_spans; i++) {
        check(x->spans[i].begin == at && x->spans[i].end > at);
        at = x->spans[i].end;
    }
    check(at == x->text.len);
    at = 0;
    for (size_t i = 0; i < x->n_pieces; at = x->pieces[i++]) check(x->pieces[i] > at);
    check(!x->n_pieces || at == x->text.len);
}

/* Turns whose roles and lengths come from the bytes; their texts are slices of the same bytes. */
static struct weft_row row_of(struct weft_arena *a, struct weft_str bytes)
{
    struct weft_row row = { 0 };
    size_t n = weft_min_size(bytes.len, 9);
    row.turns = WEFT_NEWS(a, struct weft_turn, n);
    check(row.turns);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)bytes.s[i];
        static const char call[] = "{\"name\": \"f\", \"arguments\": {\"k\": [1, null, \"v\"]}}";
        enum weft_role role = (enum weft_role)(1 + c % 4);
        struct weft_str text = weft_str_sub(bytes, c % (bytes.len + 1), c % (bytes.len + 1) + c / 8);
        if (weft_utf8_check(text) != text.len) text = WEFT_STR("x \xe4\xb8\xad\n<|im_end|>");
        row.turns[row.n_turns++] =
            (struct weft_turn){ role, role == WEFT_ROLE_TOOL_CALL ? weft_str_c(call) : text };
    }
    if (bytes.len > 3 && bytes.s[3] & 1) row.system = WEFT_STR("be brief");
    if (bytes.len > 4 && bytes.s[4] & 1)
        row.tools = WEFT_STR("[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}]");
    return row;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { .lang = size & 1 ? WEFT_LANG_ZH : WEFT_LANG_EN };
    struct weft_str all = { (const char *)data, size }, rest;
    size_t nul = weft_min_size(weft_str_find(all, (struct weft_str){ "", 1 }, 0), size);
    const struct weft_chat_template *t;
    struct weft_chat_settings s = { .bos_token = WEFT_STR("<s>"),
                                    .eos_token = WEFT_STR("</s>"),
                                    .date = WEFT_STR("2026-11-24") };
    struct weft_chat_text x = { 0 }, y = { 0 };
    struct weft_json_value messages;

    rest = weft_str_skip(all, nul + 1);
    s.add_generation_prompt = size & 2;
    s.train_trailing = size & 4;
    s.every_answer = size & 8;
    if (!weft_chat_parse(&a, "fuzz", weft_str_sub(all, 0, nul), &t, &err)) {
        struct weft_row row = row_of(&a, rest);
        enum weft_status st = weft_chat_render_row(&a, t, &row, &s, &x, &err), again;
        check(st == WEFT_OK || ((st == WEFT_EINPUT || st == WEFT_ELIMIT) && err.msg[0]));
        weft_err_clear(&err);
        again = weft_chat_render_row(&a, t, &row, &s, &y, &err);
        check(st == again);
        if (!st) {
            check_spans(&x);
            check(weft_str_eq(x.text, y.text) && x.n_spans == y.n_spans);
        }
        weft_err_clear(&err);
        if (!weft_json_parse(&a, "messages", rest, &messages, &err)
            && !weft_chat_render(&a, t, &messages, NULL, &s, &x, &err))
            check_spans(&x);
    } else check(err.msg[0]);
    weft_arena_clear(&a);
    return 0;
}

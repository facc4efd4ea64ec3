/* A schema and a text, parted by a NUL.  A schema is refused with a message or made; of the text those bytes are taken
 * that may stand, and completed: that is JSON, whatever the schema was. */
#include "model/grammar.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_json_value schema, v;
    const struct weft_grammar *g = NULL;
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t n = nul ? (size_t)(nul - data) : size;
    struct weft_buf text = { 0 };
    struct weft_grammar_state at;
    if (weft_json_parse(&a, "schema", (struct weft_str){ (const char *)data, n }, &schema, &err)) goto done;
    if (weft_grammar_new(&a, "schema", &schema, &g, &err)) {
        check(err.msg[0] != 0);
        goto done;
    }
    weft_grammar_start(g, &at);
    for (size_t i = n + 1; i < size; i++)
        if (weft_grammar_step(g, &at, data[i])) weft_buf_char(&text, (char)data[i]);
    weft_grammar_close(g, &at, &text);
    check(weft_json_parse(&a, "text", weft_buf_view(&text), &v, &err) == WEFT_OK);
done:
    weft_buf_clear(&text);
    weft_arena_clear(&a);
    return 0;
}

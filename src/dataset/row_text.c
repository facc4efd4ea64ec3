#include "dataset/row_text.h"

#include "dataset/normal.h"

enum { HEADLINE_CHARS = 60 };

size_t weft_row_answer(const struct weft_row *row, struct weft_str *answer)
{
    size_t n = row->n_turns;
    *answer = (struct weft_str){ NULL, 0 };
    if (row->text.s) return 0;
    if (row->chosen.text.s) {
        *answer = row->chosen.text;
        return n;
    }
    while (n && !weft_role_answers(row->turns[n - 1].role)) n--;
    if (!n) return row->n_turns;
    *answer = row->turns[n - 1].text;
    return n - 1;
}

static bool add_part(struct weft_arena *scratch, struct weft_buf *b, size_t start, struct weft_str text)
{
    struct weft_str normal = weft_normalise(scratch, text);
    if (!normal.s) return false;
    if (b->len > start) weft_buf_char(b, '\n');
    weft_buf_str(b, normal);
    return !b->failed;
}

bool weft_row_field_text(struct weft_arena *scratch, const struct weft_row *row, enum weft_row_field field,
                         struct weft_buf *b)
{
    struct weft_arena_mark mark = weft_arena_mark(scratch);
    struct weft_str answer;
    size_t n = weft_row_answer(row, &answer), start = b->len;
    bool ok = true;
    if (row->text.s) ok = add_part(scratch, b, start, row->text);
    for (size_t i = 0; ok && field != WEFT_FIELD_ANSWER && i < n; i++)
        ok = add_part(scratch, b, start, row->turns[i].text);
    if (ok && field != WEFT_FIELD_PROMPT && answer.s) ok = add_part(scratch, b, start, answer);
    weft_arena_release(scratch, mark);
    return ok;
}

struct weft_str weft_row_headline(const struct weft_row *row)
{
    struct weft_str answer;
    size_t n = weft_row_answer(row, &answer);
    struct weft_str text = row->text.s ? row->text : n ? row->turns[n - 1].text : answer;
    return weft_str_sub(text, 0, weft_utf8_offset(text, HEADLINE_CHARS));
}

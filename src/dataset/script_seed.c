/* Mode seed: the beginner's rule, kept exactly, with its faults.  Nothing but an act's heading ends a run, and the role
 * only has to be part of the name. */
#include "dataset/script_plain.h"

/* Names are short: a search that has to be set up costs more than the name. */
static bool holds(struct weft_str name, struct weft_str role)
{
    if (!role.len) return true;
    for (size_t i = 0; i + role.len <= name.len; i++)
        if (name.s[i] == role.s[0] && memcmp(name.s + i, role.s, role.len) == 0) return true;
    return false;
}

static inline bool seed_line(const struct script_plain *x, struct script_plain_slice *s, struct weft_str line,
                             struct script_plain_line *out)
{
    (void)s;
    if (!line.len) out->class = WEFT_LINE_BLANK;
    else if (script_starts_with_bracket(line)) out->class = WEFT_LINE_NARRATION;
    else if (weft_str_starts(line, WEFT_STR("第")) && weft_str_ends(line, WEFT_STR("幕"))) {
        out->class = WEFT_LINE_SCENE;
        out->ends_run = true;
    } else if (script_split(line, &out->name, &out->text)) {
        out->class = WEFT_LINE_TURN;
        out->name = weft_trim_right(out->name);         /* the line is trimmed */
        out->text = weft_trim_left(out->text);
        if (!out->name.s) out->name.s = "";
        out->is_role = holds(out->name, x->role);
    }
    return true;
}

static void read_slice(void *ctx, size_t k, int thread)
{
    (void)thread;
    script_plain_read(ctx, k, seed_line);
}

enum weft_status script_seed_rows(struct weft_arena *a, const struct weft_text *texts, size_t n_texts,
                                  const struct weft_script_settings *s, struct weft_rows *rows,
                                  struct weft_report *report, struct weft_script_funnel *funnel, struct weft_err *err)
{
    return script_plain_rows(a, texts, n_texts, s, WEFT_STR("script/seed@1"), read_slice, rows, report, funnel, err);
}

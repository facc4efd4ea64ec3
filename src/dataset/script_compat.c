/* Mode huanhuan-compat: a rule that others used, kept exactly, with its faults: whatever is not exactly name：text ends
 * the run, and a text ends at its second colon.  It gets the same origins and the same account of lines as the default
 * mode. */
#include "dataset/script_plain.h"

/* `s` without its innermost parentheses: what Python's re.sub("[（(][^（()）]*[)）]", "", s) leaves. */
static struct weft_str without_directions(struct weft_arena *a, struct weft_str s)
{
    size_t n = script_next_open(s, 0, s.len, false), opened = SIZE_MAX;
    if (n == s.len) return s.s ? s : (struct weft_str){ "", 0 };
    char *out = weft_arena_alloc(a, s.len + 1);
    if (!out) return (struct weft_str){ NULL, 0 };
    memcpy(out, s.s, n);
    for (size_t i = n; i < s.len;) {
        uint32_t cp;
        size_t len = weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        if (script_is_close(cp) && opened != SIZE_MAX) {
            n = opened;
            opened = SIZE_MAX;
        } else {
            if (script_is_open(cp)) opened = n;
            else if (script_is_close(cp)) opened = SIZE_MAX;
            memcpy(out + n, s.s + i, len);
            n += len;
        }
        i += len;
    }
    out[n] = 0;
    return (struct weft_str){ out, n };
}

static bool has_space(struct weft_str s)
{
    for (size_t i = 0; i < s.len;) {
        uint32_t cp;
        i += weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        if (weft_is_space(cp)) return true;
    }
    return false;
}

/* What the line is when nobody speaks in it; WEFT_LINE_TURN: somebody may. */
static bool classify(struct script_plain_slice *s, struct weft_str line, enum weft_line_class *class)
{
    struct script_line l;
    if (!script_brackets_find(&s->arena, &s->brackets, line)) return false;
    script_line_classify(line, &s->brackets, &l);
    *class = l.kind == SCRIPT_BLANK      ? WEFT_LINE_BLANK
             : l.kind == SCRIPT_EPISODE  ? WEFT_LINE_EPISODE
             : l.kind == SCRIPT_SCENE    ? WEFT_LINE_SCENE
             : l.kind == SCRIPT_BRACKETS ? WEFT_LINE_NARRATION
                                         : WEFT_LINE_ORPHAN;
    return true;
}

static inline bool compat_line(const struct script_plain *x, struct script_plain_slice *s, struct weft_str line,
                               struct script_plain_line *out)
{
    struct script_speech plain;
    struct weft_str text, rest, cut;
    out->ends_run = true;
    if (!script_line_plain(line, &plain) && !classify(s, line, &out->class)) return false;
    if (out->class == WEFT_LINE_BLANK || out->class == WEFT_LINE_EPISODE || out->class == WEFT_LINE_SCENE
        || script_starts_with_bracket(line) || !script_split(line, &out->name, &text) || has_space(out->name))
        return true;
    struct weft_str name = without_directions(&s->kept, out->name);
    text = without_directions(&s->kept, text);
    if (!name.s || !text.s) return false;
    if (script_split(text, &cut, &rest)) text = cut;
    out->text = weft_trim(text);
    if (!name.len || !out->text.len) return true;
    out->class = WEFT_LINE_TURN;
    out->ends_run = false;
    out->is_role = weft_str_eq(out->name, x->role);
    return true;
}

static void read_slice(void *ctx, size_t k, int thread)
{
    (void)thread;
    script_plain_read(ctx, k, compat_line);
}

enum weft_status script_compat_rows(struct weft_arena *a, const struct weft_text *texts, size_t n_texts,
                                    const struct weft_script_settings *s, struct weft_rows *rows,
                                    struct weft_report *report, struct weft_script_funnel *funnel,
                                    struct weft_err *err)
{
    return script_plain_rows(a, texts, n_texts, s, WEFT_STR("script/huanhuan-compat@1"), read_slice, rows, report,
                             funnel, err);
}

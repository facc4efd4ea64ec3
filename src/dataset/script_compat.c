/* Mode huanhuan-compat: a rule that others used, kept exactly, with its faults.  It looks at one line at a time and
 * remembers the one before, and gets the same origins and the same account of lines as the default mode. */
#include "dataset/normal.h"
#include "dataset/script_line.h"
#include "dataset/script_rows.h"

#include <string.h>

struct spoken {
    struct weft_str name, text;
    size_t line_idx;
};

struct simple {
    struct weft_arena *arena;
    const struct weft_text *t;
    size_t text_idx;
    const struct weft_script_settings *s;
    struct weft_str role;
    struct script_fates fates;
    struct script_brackets brackets;
    struct weft_rows *rows;
    struct weft_script_funnel *f;
    struct weft_tally speakers;
    struct weft_str scene, episode;
    struct spoken before;               /* name.s == NULL: none in this run */
    struct weft_err *err;
};

/* `s` without its innermost parentheses: what Python's re.sub("[（(][^（()）]*[)）]", "", s) leaves. */
static struct weft_str without_directions(struct weft_arena *a, struct weft_str s)
{
    char *out = weft_arena_alloc(a, s.len + 1);
    size_t n = 0, opened = SIZE_MAX;
    if (!out) return (struct weft_str){ NULL, 0 };
    for (size_t i = 0; i < s.len;) {
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

static enum weft_status row(struct simple *x, const struct spoken *answer)
{
    struct weft_turn *turns = WEFT_NEWS(x->arena, struct weft_turn, 2);
    if (!turns) return weft_fail_nomem(x->err, 2 * sizeof *turns, "the turns");
    turns[0] = (struct weft_turn){ WEFT_ROLE_USER, x->before.text };
    turns[1] = (struct weft_turn){ WEFT_ROLE_ASSISTANT, answer->text };
    script_fate_used(&x->fates, (struct weft_line_ref){ x->text_idx, x->before.line_idx });
    script_fate_used(&x->fates, (struct weft_line_ref){ x->text_idx, answer->line_idx });
    if (!weft_tally_add(&x->speakers, x->before.name, 0)) return weft_fail_nomem(x->err, 64, "the speakers");
    x->f->rows++;
    x->f->answers++;
    return script_add_row(x->arena, x->rows, &(struct script_row){
        .turns = turns, .n_turns = 2, .text = x->t, .first_line = x->before.line_idx,
      .last_line = answer->line_idx,
        .via = WEFT_STR("script/huanhuan-compat@1"),
        .episode = x->episode, .scene = x->scene, .speaker = answer->name,
      .prompt_speaker = x->before.name }, x->err);
}

/* A line of the role: a row when there is a line before it, else a reason. */
static enum weft_status answer(struct simple *x, const struct spoken *now)
{
    x->f->role_turns++;
    if (x->before.name.s) return row(x, now);
    script_fate_reason(&x->fates, (struct weft_line_ref){ x->text_idx, now->line_idx }, SCRIPT_NO_PROMPT);
    return WEFT_OK;
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

/* huanhuan.json's rule: whatever is not exactly name：text ends the run. */
static enum weft_status compat_line(struct simple *x, size_t i, struct weft_str s, enum weft_line_class *class)
{
    struct spoken now = { .line_idx = i };
    struct script_line l;
    struct weft_str name, text, rest;
    enum weft_status st = WEFT_OK;
    struct spoken before = x->before;

    if (!script_brackets_find(x->arena, &x->brackets, s)) return weft_fail_nomem(x->err, s.len, "a line");
    script_line_classify(s, &x->brackets, &l);
    x->before.name.s = NULL;
    *class = l.kind == SCRIPT_BLANK      ? WEFT_LINE_BLANK
             : l.kind == SCRIPT_EPISODE  ? WEFT_LINE_EPISODE
             : l.kind == SCRIPT_SCENE    ? WEFT_LINE_SCENE
             : l.kind == SCRIPT_BRACKETS ? WEFT_LINE_NARRATION
                                         : WEFT_LINE_ORPHAN;
    if (l.kind == SCRIPT_EPISODE) x->episode = s;
    if (l.kind == SCRIPT_SCENE) x->scene = s;
    if (l.kind == SCRIPT_BLANK || l.kind == SCRIPT_EPISODE || l.kind == SCRIPT_SCENE || script_starts_with_bracket(s)
        || !script_split(s, &now.name, &text) || has_space(now.name))
        return WEFT_OK;
    name = without_directions(x->arena, now.name);
    text = without_directions(x->arena, text);
    if (!name.s || !text.s) return weft_fail_nomem(x->err, s.len, "a line");
    if (script_split(text, &now.text, &rest)) text = now.text;
    now.text = weft_trim(text);
    if (!name.len || !now.text.len) return WEFT_OK;
    *class = WEFT_LINE_TURN;
    if (weft_str_eq(now.name, x->role)) {
        x->before = before;
        st = answer(x, &now);
    }
    x->before = now;
    return st;
}

enum weft_status script_compat_rows(struct weft_arena *a, const struct weft_text *texts, size_t n_texts,
                                    const struct weft_script_settings *s, struct weft_rows *rows,
                                    struct weft_report *report, struct weft_script_funnel *funnel,
                                    struct weft_err *err)
{
    struct simple x = { .arena = a, .s = s, .role = weft_str_c(s->role), .rows = rows, .f = funnel,
                        .speakers = { .arena = a }, .err = err };
    unsigned char **classes = WEFT_NEWS(a, unsigned char *, n_texts + 1);
    if (!classes || !script_fates_init(a, texts, n_texts, &x.fates))
        return weft_fail_nomem(err, 0, "the line table");
    for (size_t f = 0; f < n_texts; f++) {
        x.t = &texts[f];
        x.text_idx = f;
        x.before.name.s = NULL;
        x.scene = x.episode = (struct weft_str){ NULL, 0 };
        classes[f] = WEFT_NEWS(a, unsigned char, texts[f].n_lines + 1);
        if (!classes[f]) return weft_fail_nomem(err, texts[f].n_lines, "the line table");
        for (size_t i = 0; i < texts[f].n_lines; i++) {
            enum weft_line_class class = WEFT_LINE_ORPHAN;
            struct weft_str line = weft_trim(weft_text_line(x.t, i));
            enum weft_status st = compat_line(&x, i, line, &class);
            if (st) return st;
            classes[f][i] = (unsigned char)class;
        }
    }
    if (!script_speakers(a, &x.speakers, funnel)) return weft_fail_nomem(err, 0, "the speakers");
    return script_account(a, &x.fates, classes, report, funnel, err);
}

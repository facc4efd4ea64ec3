/* Rows from speeches.  Speeches of one speaker that follow one another are one turn; a turn of the role is asked by the
 * turn before it in its scene.  Whoever is unknown ends a conversation: a row never pretends to know. */
#include "dataset/prose.h"

#include "base/lang.h"
#include "dataset/grow.h"
#include "dataset/normal.h"
#include "dataset/origin.h"
#include "dataset/tally.h"
#include "dataset/words.h"

#include <inttypes.h>

/* Why a speech of the role gave no row; keys of the catalogue. */
enum fate { FATE_OTHER, FATE_USED, FATE_NO_PROMPT, FATE_UNKNOWN, FATE_GROUP, FATE_SHORT, FATE_KEPT, FATES };
static const char *const reasons[FATES] = {
    [FATE_NO_PROMPT] = "nobody speaks before it in its scene",
    [FATE_UNKNOWN] = "the speaker before it is unknown",
    [FATE_GROUP] = "spoken by several",
    [FATE_SHORT] = "prompt or answer too short",
    [FATE_KEPT] = "prompt kept often enough",
};

struct turn {
    size_t first, last;      /* speeches, inclusive; of the kinds that count */
    struct weft_str speaker; /* s == NULL: unknown */
    struct weft_str text;
    double confidence; /* of its least sure speech */
    unsigned flags;
    bool merged;
};

struct builder {
    struct weft_arena *arena;
    const struct weft_prose *p;
    const struct weft_prose_settings *s;
    struct weft_str role;
    struct turn *turns;
    size_t n_turns, cap_turns;
    unsigned char *fates; /* [n_speeches], enum fate */
    struct weft_rows *rows;
    struct weft_prose_rows_funnel *f;
    struct weft_tally prompts, speakers;
    struct weft_err *err;
};

static bool counts(const struct builder *b, const struct weft_prose_speech *sp)
{
    return sp->kind == WEFT_PROSE_SPEECH || (sp->kind == WEFT_PROSE_THOUGHT && b->s->thoughts);
}

static bool is_role(const struct builder *b, const struct turn *t)
{
    return t->speaker.s && weft_str_eq(t->speaker, b->role);
}

/* Texts of one turn: together without a space in Chinese, with one beside Latin letters. */
static void join_text(struct weft_buf *b, struct weft_str s)
{
    if (b->len && s.len && (unsigned char)b->s[b->len - 1] < 0x80 && b->s[b->len - 1] != '\n'
        && (unsigned char)s.s[0] < 0x80)
        weft_buf_char(b, ' ');
    weft_buf_str(b, s);
}

/* ---- turns of a scene ---- */

static enum weft_status find_turns(struct builder *b, const struct weft_prose_scene *scene)
{
    b->n_turns = 0;
    for (size_t i = scene->first_speech; i < scene->first_speech + scene->n_speeches; i++) {
        const struct weft_prose_speech *sp = &b->p->speeches[i];
        struct turn *before = b->n_turns ? &b->turns[b->n_turns - 1] : NULL;
        if (!counts(b, sp)) continue;
        if (before && sp->speaker.s && before->speaker.s && weft_str_eq(sp->speaker, before->speaker)) {
            before->last = i;
            before->merged = true;
            before->flags |= sp->flags;
            if (sp->confidence < before->confidence) before->confidence = sp->confidence;
            continue;
        }
        if (!WEFT_GROW(b->arena, b->turns, b->n_turns, b->cap_turns))
            return weft_fail_nomem(b->err, sizeof *before, "the turns");
        b->turns[b->n_turns++] = (struct turn){ .first = i,
                                                .last = i,
                                                .speaker = sp->speaker,
                                                .text = sp->text,
                                                .confidence = sp->confidence,
                                                .flags = sp->flags };
    }
    for (size_t i = 0; i < b->n_turns; i++) {
        struct turn *t = &b->turns[i];
        struct weft_buf buf = { 0 };
        if (!t->merged) continue;
        for (size_t k = t->first; k <= t->last; k++)
            if (counts(b, &b->p->speeches[k])) join_text(&buf, b->p->speeches[k].text);
        enum weft_status st = weft_buf_check(&buf, "a turn", b->err);
        if (!st) t->text = weft_str_dup(b->arena, weft_buf_view(&buf));
        weft_buf_clear(&buf);
        if (st) return st;
        if (!t->text.s) return weft_fail_nomem(b->err, 64, "a turn");
    }
    return WEFT_OK;
}

static void mark(struct builder *b, const struct turn *t, enum fate fate)
{
    for (size_t i = t->first; i <= t->last; i++)
        if (counts(b, &b->p->speeches[i]) && b->fates[i] != FATE_USED) b->fates[i] = (unsigned char)fate;
}

/* ---- rows ---- */

static enum weft_status fill(struct builder *b, const char *template, struct weft_str speaker,
                             struct weft_str chapter, struct weft_buf *out)
{
    const struct weft_word words[] = { { "{role}", weft_str_c(b->s->role) },
                                       { "{speaker}", speaker },
                                       { "{chapter}", chapter } };
    weft_fill_words(out, template, words, WEFT_COUNT(words));
    return weft_buf_check(out, "a template", b->err);
}

static struct weft_str flag_text(struct weft_arena *a, bool merged, unsigned flags)
{
    char text[64] = "";
    if (merged) strcat(text, "merged,");
    if (flags & WEFT_PROSE_REPAIRED) strcat(text, "repaired,");
    if (flags & WEFT_PROSE_PARTS) strcat(text, "parts,");
    if (flags & WEFT_PROSE_GROUP) strcat(text, "group,");
    return *text ? weft_str_dup(a, weft_str_sub(weft_str_c(text), 0, strlen(text) - 1))
                 : (struct weft_str){ NULL, 0 };
}

/* Turns [from, to] of the scene as one row; the side of each is decided by who speaks. */
static enum weft_status add_row(struct builder *b, const struct weft_prose_scene *scene,
                                struct weft_turn *turns, size_t n_turns, const struct turn *from,
                                const struct turn *to)
{
    const struct weft_prose_speech *first = &b->p->speeches[from->first], *last = &b->p->speeches[to->last];
    struct weft_row *row = weft_rows_add(b->rows, b->arena);
    struct weft_buf buf = { 0 };
    enum weft_status st = WEFT_OK;
    bool merged = false;
    unsigned flags = 0;
    double confidence = 1;
    if (!row) return weft_fail_nomem(b->err, sizeof *row, "the rows");
    row->turns = turns;
    row->n_turns = n_turns;
    weft_origin_of_span(&b->p->texts[first->text_idx], first->parts[0].begin,
                        last->parts[last->n_parts - 1].end, &row->origin);
    for (const struct turn *t = from; t <= to; t++) {
        merged |= t->merged;
        flags |= t->flags;
        if (t->confidence < confidence) confidence = t->confidence;
        mark(b, t, FATE_USED);
        if (!is_role(b, t) && !weft_tally_add(&b->speakers, t->speaker, 0))
            return weft_fail_nomem(b->err, 64, "the speakers");
    }
    row->origin.id = weft_str_printf(b->arena, "p%06zu", b->rows->n);
    row->origin.via = WEFT_STR("prose/default@1");
    row->origin.confidence = confidence;
    row->origin.scene = scene->chapter;
    row->origin.episode = scene->volume;
    row->origin.speaker = b->role;
    row->origin.prompt_speaker = from->speaker;
    row->origin.flags = flag_text(b->arena, merged, flags);
    if (b->s->system) {
        st = fill(b, b->s->system, from->speaker, scene->chapter, &buf);
        if (!st) row->system = weft_str_dup(b->arena, weft_buf_view(&buf));
        if (!st && !row->system.s) st = weft_fail_nomem(b->err, buf.len, "the system text");
    }
    weft_buf_clear(&buf);
    b->f->rows++;
    b->f->answers += n_turns / 2;
    if (!st && !row->origin.id.s) st = weft_fail_nomem(b->err, 64, "the rows");
    return st;
}

static enum weft_status prompt_text(struct builder *b, const struct weft_prose_scene *scene,
                                    const struct turn *t, struct weft_str *out)
{
    struct weft_buf buf = { 0 };
    *out = t->text;
    if (!b->s->prefix) return WEFT_OK;
    enum weft_status st = fill(b, b->s->prefix, t->speaker, scene->chapter, &buf);
    weft_buf_str(&buf, t->text);
    if (!st) st = weft_buf_check(&buf, "a prompt", b->err);
    if (!st) *out = weft_str_dup(b->arena, weft_buf_view(&buf));
    if (!st && !out->s) st = weft_fail_nomem(b->err, buf.len, "a prompt");
    weft_buf_clear(&buf);
    return st;
}

/* Why the role's turn number i of the scene cannot answer the one before it; FATE_USED: it can. */
static enum weft_status why_not(struct builder *b, size_t i, enum fate *out)
{
    const struct turn *t = &b->turns[i], *ask = i ? t - 1 : NULL;
    *out = FATE_USED;
    if (!ask) *out = FATE_NO_PROMPT;
    else if (!ask->speaker.s) *out = FATE_UNKNOWN;
    else if (t->flags & WEFT_PROSE_GROUP) *out = FATE_GROUP;
    else if (weft_utf8_chars(ask->text) < (uint64_t)b->s->min_prompt_chars
             || weft_utf8_chars(t->text) < (uint64_t)b->s->min_answer_chars)
        *out = FATE_SHORT;
    else if (b->s->keep_per_prompt && b->s->turns == WEFT_PROSE_PAIRS) {
        const struct weft_tally_item *seen = weft_tally_add(&b->prompts, ask->text, 0);
        if (!seen) return weft_fail_nomem(b->err, 64, "the prompts");
        if (seen->count > (uint64_t)b->s->keep_per_prompt) *out = FATE_KEPT;
    }
    return WEFT_OK;
}

static struct weft_turn *new_turns(struct builder *b, size_t n)
{
    struct weft_turn *turns = WEFT_NEWS(b->arena, struct weft_turn, n);
    for (size_t i = 0; turns && i < n; i++) turns[i].role = i & 1 ? WEFT_ROLE_ASSISTANT : WEFT_ROLE_USER;
    if (!turns) weft_fail_nomem(b->err, n * sizeof *turns, "the turns");
    return turns;
}

static enum weft_status scene_pairs(struct builder *b, const struct weft_prose_scene *scene)
{
    for (size_t i = 0; i < b->n_turns; i++) {
        enum fate fate;
        enum weft_status st;
        if (!is_role(b, &b->turns[i])) continue;
        b->f->role_turns++;
        st = why_not(b, i, &fate);
        if (st) return st;
        if (fate != FATE_USED) {
            mark(b, &b->turns[i], fate);
            continue;
        }
        struct weft_turn *turns = new_turns(b, 2);
        if (!turns) return WEFT_ENOMEM;
        st = prompt_text(b, scene, &b->turns[i - 1], &turns[0].text);
        turns[1].text = b->turns[i].text;
        if (!st) st = add_row(b, scene, turns, 2, &b->turns[i - 1], &b->turns[i]);
        if (st) return st;
    }
    return WEFT_OK;
}

/* Runs of known speakers in which the role answers: everything said since its last turn asks. */
static enum weft_status scene_sessions(struct builder *b, const struct weft_prose_scene *scene)
{
    struct weft_buf buf = { 0 };
    enum weft_status st = WEFT_OK;
    for (size_t from = 0; from < b->n_turns && !st;) {
        size_t to = from, last_answer = SIZE_MAX, n = 0;
        bool asked = false;
        /* the run ends before a speaker who is unknown, or the role in a chorus */
        for (; to < b->n_turns; to++) {
            const struct turn *t = &b->turns[to];
            if (!t->speaker.s || (is_role(b, t) && (t->flags & WEFT_PROSE_GROUP))) break;
            if (!is_role(b, t)) asked = true;
            else if (asked) {
                last_answer = to;
                n += 2;
                asked = false;
            }
        }
        if (to < b->n_turns && is_role(b, &b->turns[to])) {
            b->f->role_turns++;
            mark(b, &b->turns[to], FATE_GROUP);
        }
        size_t begin = from;
        while (begin < to && is_role(b, &b->turns[begin])) {
            b->f->role_turns++;
            mark(b, &b->turns[begin],
                 begin && !b->turns[begin - 1].speaker.s ? FATE_UNKNOWN : FATE_NO_PROMPT);
            begin++;
        }
        if (last_answer != SIZE_MAX) {
            struct weft_turn *turns = new_turns(b, n);
            if (!turns) return WEFT_ENOMEM;
            size_t k = 0;
            for (size_t i = begin; i <= last_answer && !st; i++) {
                struct weft_str text;
                if (is_role(b, &b->turns[i])) {
                    b->f->role_turns++;
                    turns[k].text = weft_str_dup(b->arena, weft_buf_view(&buf));
                    if (!turns[k].text.s) st = weft_fail_nomem(b->err, buf.len, "the turns");
                    turns[k + 1].text = b->turns[i].text;
                    k += 2;
                    weft_buf_reset(&buf);
                    continue;
                }
                st = prompt_text(b, scene, &b->turns[i], &text);
                if (buf.len) weft_buf_char(&buf, '\n');
                weft_buf_str(&buf, text);
                if (!st) st = weft_buf_check(&buf, "a prompt", b->err);
            }
            weft_buf_reset(&buf);
            if (!st) st = add_row(b, scene, turns, n, &b->turns[begin], &b->turns[last_answer]);
        }
        from = to + 1;
    }
    weft_buf_clear(&buf);
    return st;
}

/* ---- the account ---- */

static enum weft_status account(struct builder *b, struct weft_report *report)
{
    for (enum fate fate = FATE_OTHER; fate < FATES; fate++)
        for (size_t i = 0; i < b->p->n_speeches; i++) {
            const struct weft_prose_speech *sp = &b->p->speeches[i];
            if (!counts(b, sp) || b->fates[i] != fate) continue;
            if (fate == FATE_OTHER) b->f->other++;
            else if (fate == FATE_USED) b->f->used++;
            else {
                struct weft_buf buf = { 0 };
                const char *why = weft_tr(b->err ? b->err->lang : WEFT_LANG_EN, reasons[fate]);
                weft_buf_printf(&buf, "%s:%" PRIu64 ": %s: ", b->p->texts[sp->text_idx].name.s, sp->line,
                                why);
                weft_buf_escaped(&buf, weft_str_sub(sp->text, 0, weft_utf8_offset(sp->text, 30)), 200);
                enum weft_status st = weft_buf_check(&buf, "the report", b->err);
                if (!st)
                    st = weft_report_drop(report, b->arena, weft_str_c(reasons[fate]), 1, weft_buf_view(&buf),
                                          b->err);
                weft_buf_clear(&buf);
                if (st) return st;
            }
        }
    b->f->speeches = b->f->used + b->f->other + weft_report_dropped(report);
    report->units_in += b->f->speeches;
    report->rows_out += b->f->rows;
    return WEFT_OK;
}

static enum weft_status role_missing(const struct builder *b)
{
    const char *names[64];
    size_t n = 0;
    struct weft_buf list = { 0 };
    for (size_t i = 0; i < b->p->n_roster && n < WEFT_COUNT(names); i++) {
        if (!b->p->roster[i].count) continue;
        names[n] = weft_str_dup(b->arena, b->p->roster[i].name).s;
        if (!names[n]) break;
        if (n < 8) weft_buf_printf(&list, "%s%s %" PRIu64, n ? ", " : "", names[n], b->p->roster[i].count);
        n++;
    }
    const char *nearest = weft_nearest(b->s->role, names, n);
    enum weft_status st;
    if (!n) st = weft_fail(b->err, WEFT_EINPUT, "no speaker was found: are there quotes in this text?");
    else if (nearest)
        st =
            weft_fail(b->err, WEFT_EINPUT, "%s never speaks; did you mean %s? The most frequent speakers: %s",
                      b->s->role, nearest, list.s ? list.s : "");
    else
        st = weft_fail(b->err, WEFT_EINPUT, "%s never speaks; the most frequent speakers: %s", b->s->role,
                       list.s ? list.s : "");
    weft_buf_clear(&list);
    return st;
}

enum weft_status weft_prose_rows(struct weft_arena *a, const struct weft_prose *p,
                                 const struct weft_prose_settings *s, struct weft_rows *rows,
                                 struct weft_report *report, struct weft_prose_rows_funnel *funnel,
                                 struct weft_err *err)
{
    struct builder b = { .arena = a,
                         .p = p,
                         .s = s,
                         .rows = rows,
                         .f = funnel,
                         .prompts = { .arena = a },
                         .speakers = { .arena = a },
                         .err = err };
    enum weft_status st = WEFT_OK;
    *funnel = (struct weft_prose_rows_funnel){ 0 };
    if (!s->role || !*s->role) return weft_fail(err, WEFT_EARG, "no role given: say who answers, for example --role 甄嬛");
    b.role = weft_trim(weft_str_c(s->role));
    /* any name of the role will do */
    for (size_t i = 0; i < p->n_roster; i++)
        if (weft_str_eq(p->roster[i].name, b.role)) {
            b.role = p->roster[i].speaker;
            break;
        }
    b.fates = WEFT_NEWS(a, unsigned char, p->n_speeches + 1);
    if (!b.fates) return weft_fail_nomem(err, p->n_speeches, "the speeches");
    for (size_t i = 0; i < p->n_scenes && !st; i++) {
        st = find_turns(&b, &p->scenes[i]);
        if (!st)
            st = s->turns == WEFT_PROSE_MULTI ? scene_sessions(&b, &p->scenes[i])
                                              : scene_pairs(&b, &p->scenes[i]);
    }
    if (!st) st = account(&b, report);
    if (st) return st;
    weft_tally_sort(&b.speakers);
    funnel->speakers = WEFT_NEWS(a, struct weft_prose_name, b.speakers.n + 1);
    if (!funnel->speakers) return weft_fail_nomem(err, 64, "the speakers");
    for (size_t i = 0; i < b.speakers.n; i++)
        funnel->speakers[funnel->n_speakers++] =
            (struct weft_prose_name){ b.speakers.items[i].text, b.speakers.items[i].text,
                                      b.speakers.items[i].count };
    if (!funnel->role_turns) return role_missing(&b);
    if (!funnel->rows)
        return weft_fail(err, WEFT_EINPUT, "no row is left: %s speaks, but nobody known speaks before it",
                         s->role);
    return WEFT_OK;
}

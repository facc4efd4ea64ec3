/* Mode seed: the beginner's rule, kept exactly, with its faults.  Nothing but an act's heading ends a run, and the role
 * only has to be part of the name.
 *
 * The lines are cut into slices of one length, which threads read each for itself.  What a slice cannot know is what
 * stood before it: the last line spoken, for its own first one, and the act.  That is handed from slice to slice; then
 * the number of the first row of each is known, and threads write the rows into one array. */
#include "base/pool.h"
#include "dataset/grow.h"
#include "dataset/normal.h"
#include "dataset/script_line.h"
#include "dataset/script_rows.h"

#include <string.h>

struct spoken {
    struct weft_str name, text;         /* name.s == NULL: nobody has spoken in this run */
    size_t line_idx;
};

/* A line of the role with a line before it. */
struct hit {
    struct spoken before, now;
    struct weft_str scene;
};

struct slice {
    struct script_slice at;
    struct weft_arena arena;
    struct hit *hits;
    size_t n, cap;
    size_t n_inherit;                   /* the first of them have the scene of the slice before */
    bool open;                          /* its first spoken line is the role's, and what was said before is not known */
    struct spoken opener;
    bool heading;                       /* one was met */
    struct weft_str scene;              /* the last one */
    struct spoken last;                 /* since then */
    uint64_t role_turns;
    struct weft_str scene_before;       /* of the slice before */
    size_t first_row;
    struct weft_tally speakers;
    bool failed;                        /* no memory */
};

struct seed {
    const struct weft_text *texts;
    struct weft_str role;
    struct script_fates fates;
    unsigned char **classes;
    struct slice *slices;
    size_t n_slices;
    size_t n_rows;
    struct script_block block;          /* [n_rows] */
};

/* Names are short: a search that has to be set up costs more than the name. */
static bool holds(struct weft_str name, struct weft_str role)
{
    if (!role.len) return true;
    for (size_t i = 0; i + role.len <= name.len; i++)
        if (name.s[i] == role.s[0] && memcmp(name.s + i, role.s, role.len) == 0) return true;
    return false;
}

/* ---- the lines of a slice ---- */

static void use(struct seed *x, const struct slice *s, const struct spoken *before, const struct spoken *now)
{
    script_fate_used(&x->fates, (struct weft_line_ref){ s->at.text_idx, before->line_idx });
    script_fate_used(&x->fates, (struct weft_line_ref){ s->at.text_idx, now->line_idx });
}

static void refuse(struct seed *x, const struct slice *s, const struct spoken *now)
{
    script_fate_reason(&x->fates, (struct weft_line_ref){ s->at.text_idx, now->line_idx }, SCRIPT_NO_PROMPT);
}

/* A line of the role. */
static bool answer(struct seed *x, struct slice *s, const struct spoken *now)
{
    s->role_turns++;
    if (s->last.name.s) {
        if (!WEFT_GROW(&s->arena, s->hits, s->n, s->cap)) return false;
        s->hits[s->n++] = (struct hit){ s->last, *now, s->scene };
        s->n_inherit += !s->heading;
        use(x, s, &s->last, now);
    } else if (!s->heading && !s->at.begins) {
        s->open = true;
        s->opener = *now;
    } else refuse(x, s, now);
    return true;
}

static enum weft_line_class read_line(struct seed *x, struct slice *s, size_t i, struct weft_str line)
{
    struct spoken now = { .line_idx = i };
    if (!line.len) return WEFT_LINE_BLANK;
    if (script_starts_with_bracket(line)) return WEFT_LINE_NARRATION;
    if (weft_str_starts(line, WEFT_STR("第")) && weft_str_ends(line, WEFT_STR("幕"))) {
        s->heading = true;
        s->scene = line;
        s->last.name.s = NULL;
        return WEFT_LINE_SCENE;
    }
    if (!script_split(line, &now.name, &now.text)) return WEFT_LINE_ORPHAN;
    now.name = weft_trim_right(now.name);       /* the line is trimmed */
    now.text = weft_trim_left(now.text);
    if (!now.name.s) now.name.s = "";
    if (holds(now.name, x->role) && !answer(x, s, &now)) s->failed = true;
    s->last = now;
    return WEFT_LINE_TURN;
}

static void read_slice(void *ctx, size_t k, int thread)
{
    struct seed *x = ctx;
    struct slice *s = &x->slices[k];
    const struct weft_text *t = &x->texts[s->at.text_idx];
    unsigned char *classes = x->classes[s->at.text_idx];
    (void)thread;
    for (size_t i = s->at.first; i < s->at.end && !s->failed; i++)
        classes[i] = (unsigned char)read_line(x, s, i, weft_trim(weft_text_line(t, i)));
}

/* ---- from slice to slice ---- */

static bool hand_on(struct seed *x)
{
    struct spoken before = { .line_idx = 0 };
    struct weft_str scene = { NULL, 0 };
    for (size_t k = 0; k < x->n_slices; k++) {
        struct slice *s = &x->slices[k];
        if (s->failed) return false;
        if (s->at.begins) {
            before.name.s = NULL;
            scene = (struct weft_str){ NULL, 0 };
        }
        s->scene_before = scene;
        s->first_row = x->n_rows;
        if (s->open && !before.name.s) {
            s->open = false;
            refuse(x, s, &s->opener);
        } else if (s->open) use(x, s, &before, &s->opener);
        if (s->open) {          /* the first row of the slice */
            if (!WEFT_GROW(&s->arena, s->hits, s->n, s->cap)) return false;
            memmove(s->hits + 1, s->hits, s->n * sizeof *s->hits);
            s->hits[0] = (struct hit){ before, s->opener, { NULL, 0 } };
            s->n++;
            s->n_inherit++;
        }
        if (s->heading) scene = s->scene;
        if (s->heading || s->last.name.s) before = s->last;
        x->n_rows += s->n;
    }
    return true;
}

/* ---- rows ---- */

static void fill_slice(void *ctx, size_t k, int thread)
{
    struct seed *x = ctx;
    struct slice *s = &x->slices[k];
    (void)thread;
    s->speakers.arena = &s->arena;
    for (size_t i = 0; i < s->n; i++) {
        const struct hit *h = &s->hits[i];
        size_t at = s->first_row + i;
        struct weft_turn *turns = x->block.turns + 2 * at;
        turns[0] = (struct weft_turn){ WEFT_ROLE_USER, h->before.text };
        turns[1] = (struct weft_turn){ WEFT_ROLE_ASSISTANT, h->now.text };
        if (!weft_tally_add(&s->speakers, h->before.name, 0)) s->failed = true;
        script_fill_row(&x->block.rows[at], script_block_id(&x->block, at), &(struct script_row){
            .turns = turns, .n_turns = 2, .text = &x->texts[s->at.text_idx], .first_line = h->before.line_idx,
            .last_line = h->now.line_idx, .via = WEFT_STR("script/seed@1"),
            .scene = i < s->n_inherit ? s->scene_before : h->scene, .speaker = h->now.name,
            .prompt_speaker = h->before.name });
    }
}

static bool make_slices(struct seed *x, struct weft_arena *a, size_t n_texts)
{
    x->n_slices = script_slices_count(x->texts, n_texts);
    x->slices = WEFT_NEWS(a, struct slice, x->n_slices + 1);
    x->classes = script_classes_new(a, x->texts, n_texts);
    if (!x->slices || !x->classes) return false;
    script_slices_write(x->texts, n_texts, x->slices, sizeof *x->slices);
    return true;
}

enum weft_status script_seed_rows(struct weft_arena *a, const struct weft_text *texts, size_t n_texts,
                                  const struct weft_script_settings *s, struct weft_rows *rows,
                                  struct weft_report *report, struct weft_script_funnel *funnel, struct weft_err *err)
{
    struct seed x = { .texts = texts, .role = weft_str_c(s->role) };
    struct weft_tally speakers = { .arena = a };
    struct weft_pool *pool = script_pool(texts, n_texts, s);
    bool ok = script_fates_init(a, texts, n_texts, &x.fates) && make_slices(&x, a, n_texts);
    if (ok) weft_pool_run(pool, x.n_slices, read_slice, &x);
    ok = ok && hand_on(&x) && script_block_make(&x.block, a, rows, x.n_rows);
    if (ok) weft_pool_run(pool, x.n_slices, fill_slice, &x);
    if (ok) rows->n += x.n_rows;
    for (size_t k = 0; k < x.n_slices; k++) {
        ok = ok && !x.slices[k].failed && script_add_speakers(&speakers, &x.slices[k].speakers);
        funnel->role_turns += x.slices[k].role_turns;
        weft_arena_clear(&x.slices[k].arena);
    }
    funnel->rows += x.n_rows;
    funnel->answers += x.n_rows;
    weft_pool_free(pool);
    if (!ok || !script_speakers(a, &speakers, funnel)) return weft_fail_nomem(err, 0, "the rows");
    return script_account(a, &x.fates, x.classes, report, funnel, err);
}

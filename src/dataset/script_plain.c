#include "dataset/script_plain.h"

#include "dataset/grow.h"

/* ---- the lines of a slice ---- */

static void use(struct script_plain *x, const struct script_plain_slice *s, const struct script_spoken *before,
                const struct script_spoken *now)
{
    script_fate_used(&x->fates, (struct weft_line_ref){ s->at.text_idx, before->line_idx });
    script_fate_used(&x->fates, (struct weft_line_ref){ s->at.text_idx, now->line_idx });
}

static void refuse(struct script_plain *x, const struct script_plain_slice *s, const struct script_spoken *now)
{
    script_fate_reason(&x->fates, (struct weft_line_ref){ s->at.text_idx, now->line_idx }, SCRIPT_NO_PROMPT);
}

bool script_plain_heading(struct script_plain_slice *s, enum weft_line_class class, struct weft_str line)
{
    struct script_headings *h = WEFT_NEW(&s->arena, struct script_headings);
    if (!h) return false;
    if (s->under) *h = *s->under;
    if (class == WEFT_LINE_SCENE) {
        h->has_scene = true;
        h->scene = line;
    } else {
        h->has_episode = true;
        h->episode = line;
    }
    s->under = h;
    return true;
}

bool script_plain_answer(struct script_plain *x, struct script_plain_slice *s, const struct script_spoken *now)
{
    s->role_turns++;
    if (s->last.name.s) {
        if (!WEFT_GROW(&s->arena, s->hits, s->n, s->cap)) return false;
        s->hits[s->n++] = (struct script_hit){ s->last, *now, s->under };
        /* counted here, where the name has just been read: later it would have to come from memory again */
        if (!weft_tally_add(&s->speakers, s->last.name, 0)) return false;
        use(x, s, &s->last, now);
    } else if (!s->ended && !s->at.begins) {
        s->open = true;
        s->opener = *now;
    } else refuse(x, s, now);
    return true;
}

/* ---- from slice to slice ---- */

static bool hand_on(struct script_plain *x)
{
    struct script_spoken before = { .line_idx = 0 };
    struct script_headings headings = { .scene = { NULL, 0 } };
    for (size_t k = 0; k < x->n_slices; k++) {
        struct script_plain_slice *s = &x->slices[k];
        if (s->failed) return false;
        if (s->at.begins) {
            before.name.s = NULL;
            headings = (struct script_headings){ .scene = { NULL, 0 } };
        }
        s->before = headings;
        s->first_row = x->n_rows;
        if (s->open && !before.name.s) {
            s->open = false;
            refuse(x, s, &s->opener);
        } else if (s->open) use(x, s, &before, &s->opener);
        if (s->open) {          /* the first row of the slice */
            if (!WEFT_GROW(&s->arena, s->hits, s->n, s->cap)) return false;
            memmove(s->hits + 1, s->hits, s->n * sizeof *s->hits);
            s->hits[0] = (struct script_hit){ .before = before, .now = s->opener };
            s->n++;
        }
        if (s->under && s->under->has_scene) headings.scene = s->under->scene;
        if (s->under && s->under->has_episode) headings.episode = s->under->episode;
        if (s->ended || s->last.name.s) before = s->last;
        x->n_rows += s->n;
    }
    return true;
}

/* ---- rows ---- */

static void fill_slice(void *ctx, size_t k, int thread)
{
    struct script_plain *x = ctx;
    struct script_plain_slice *s = &x->slices[k];
    (void)thread;
    for (size_t i = 0; i < s->n; i++) {
        const struct script_hit *h = &s->hits[i];
        size_t at = s->first_row + i;
        struct weft_turn *turns = x->block.turns + 2 * at;
        turns[0] = (struct weft_turn){ WEFT_ROLE_USER, h->before.text };
        turns[1] = (struct weft_turn){ WEFT_ROLE_ASSISTANT, h->now.text };
        script_fill_row(
            &x->block.rows[at], script_block_id(&x->block, at),
            &(struct script_row){
                .turns = turns,
                .n_turns = 2,
                .text = &x->texts[s->at.text_idx],
                .first_line = h->before.line_idx,
                .last_line = h->now.line_idx,
                .via = x->via,
                .scene = h->under && h->under->has_scene ? h->under->scene : s->before.scene,
                .episode = h->under && h->under->has_episode ? h->under->episode : s->before.episode,
                .speaker = h->now.name,
                .prompt_speaker = h->before.name });
    }
}

static bool make_slices(struct script_plain *x, struct weft_arena *a, size_t n_texts)
{
    x->n_slices = script_slices_count(x->texts, n_texts);
    x->slices = WEFT_NEWS(a, struct script_plain_slice, x->n_slices + 1);
    x->classes = script_classes_new(a, x->texts, n_texts);
    if (!x->slices || !x->classes) return false;
    script_slices_write(x->texts, n_texts, x->slices, sizeof *x->slices);
    for (size_t k = 0; k < x->n_slices; k++) x->slices[k].speakers.arena = &x->slices[k].arena;
    return true;
}

enum weft_status script_plain_rows(struct weft_arena *a, const struct weft_text *texts, size_t n_texts,
                                   const struct weft_script_settings *s, struct weft_str via,
                                   weft_pool_fn *read_slice, struct weft_rows *rows, struct weft_report *report,
                                   struct weft_script_funnel *funnel, struct weft_err *err)
{
    struct script_plain x = { .texts = texts, .role = weft_str_c(s->role), .via = via };
    struct weft_tally speakers = { .arena = a };
    struct weft_pool *pool = script_pool(texts, n_texts, s);
    bool ok = script_fates_init(a, texts, n_texts, &x.fates) && make_slices(&x, a, n_texts);
    if (ok) weft_pool_run(pool, x.n_slices, read_slice, &x);
    ok = ok && hand_on(&x) && script_block_make(&x.block, a, rows, x.n_rows);
    if (ok) weft_pool_run(pool, x.n_slices, fill_slice, &x);
    if (ok) rows->n += x.n_rows;
    for (size_t k = 0; x.slices && k < x.n_slices; k++) {
        struct script_plain_slice *slice = &x.slices[k];
        ok = ok && (!slice->open || weft_tally_add(&speakers, slice->hits[0].before.name, 0))
             && script_add_speakers(&speakers, &slice->speakers)
             && weft_arena_adopt(a, &slice->kept);
        funnel->role_turns += slice->role_turns;
        weft_arena_clear(&slice->arena);
        weft_arena_clear(&slice->kept);
    }
    funnel->rows += x.n_rows;
    funnel->answers += x.n_rows;
    weft_pool_free(pool);
    if (!ok || !script_speakers(a, &speakers, funnel)) return weft_fail_nomem(err, 0, "the rows");
    return script_account(a, &x.fates, x.classes, report, funnel, err);
}

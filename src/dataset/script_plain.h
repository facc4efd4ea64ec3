/* dataset/script_plain.h - modes that look at one line and remember the one spoken before; inside dataset/ only
 *
 * The lines are cut into slices, which threads read each for itself.  What a slice cannot know is what stood before it:
 * the last line spoken, for its own first one, and the headings.  That is handed from slice to slice; then the number
 * of the first row of each is known, and threads write the rows into one array.
 * A mode is a rule for one line (struct script_spoken_line).  Its loop stands here, so that the rule is part of it.
 */
#ifndef WEFT_DATASET_SCRIPT_PLAIN_H
#define WEFT_DATASET_SCRIPT_PLAIN_H

#include "dataset/normal.h"
#include "dataset/script_line.h"
#include "dataset/script_rows.h"

/* What a rule makes of a line. */
struct script_plain_line {
    enum weft_line_class class;         /* WEFT_LINE_TURN: somebody speaks; headings are kept for the rows */
    bool ends_run;                      /* who speaks next answers nobody */
    bool is_role;                       /* of a turn: the role speaks */
    struct weft_str name, text;         /* of a turn */
};

struct script_spoken {
    struct weft_str name, text;         /* name.s == NULL: nobody has spoken in this run */
    size_t line_idx;
};

/* Those above a line; of what the slice has not met, those of the slice before. */
struct script_headings {
    struct weft_str scene, episode;
    bool has_scene, has_episode;
};

/* A line of the role with a line before it. */
struct script_hit {
    struct script_spoken before, now;
    const struct script_headings *under;
};

struct script_plain_slice {
    struct script_slice at;
    struct weft_arena arena, kept;      /* kept: texts that are not those of the lines */
    struct script_brackets brackets;
    struct script_hit *hits;
    size_t n, cap;
    bool open;                          /* its first spoken line is the role's, and what was said before is not known */
    struct script_spoken opener;
    bool ended;                         /* a run ended in it */
    const struct script_headings *under;        /* the last ones; NULL: none yet */
    struct script_spoken last;          /* of its run */
    uint64_t role_turns;
    struct script_headings before;      /* that stand above the slice */
    size_t first_row;
    struct weft_tally speakers;
    bool failed;                        /* no memory */
};

struct script_plain {
    const struct weft_text *texts;
    struct weft_str role, via;
    struct script_fates fates;
    unsigned char **classes;
    struct script_plain_slice *slices;
    size_t n_slices;
    size_t n_rows;
    struct script_block block;          /* [n_rows] */
};

/* A heading, and a line of the role. */
WEFT_MUST_USE bool script_plain_heading(struct script_plain_slice *s, enum weft_line_class class,
                                        struct weft_str line);
WEFT_MUST_USE bool script_plain_answer(struct script_plain *x, struct script_plain_slice *s,
                                       const struct script_spoken *now);

/* The loop of a rule: false when memory is out. */
static inline void script_plain_read(struct script_plain *x, size_t k,
                                     bool (*rule)(const struct script_plain *x, struct script_plain_slice *s,
                                                  struct weft_str line, struct script_plain_line *out))
{
    struct script_plain_slice *s = &x->slices[k];
    const struct weft_text *t = &x->texts[s->at.text_idx];
    unsigned char *classes = x->classes[s->at.text_idx];
    for (size_t i = s->at.first; i < s->at.end && !s->failed; i++) {
        struct script_plain_line l = { .class = WEFT_LINE_ORPHAN };
        struct weft_str line = weft_trim(weft_text_line(t, i));
        if (!rule(x, s, line, &l)) s->failed = true;
        classes[i] = (unsigned char)l.class;
        if (l.class == WEFT_LINE_TURN) {
            struct script_spoken now = { l.name, l.text, i };
            if (l.is_role && !script_plain_answer(x, s, &now)) s->failed = true;
            s->last = now;
        } else if (l.class == WEFT_LINE_SCENE || l.class == WEFT_LINE_EPISODE)
            s->failed |= !script_plain_heading(s, l.class, line);
        if (l.ends_run) {
            s->ended = true;
            s->last.name.s = NULL;
        }
    }
}

/* All of a mode; read_slice(x, k, thread) is script_plain_read with its rule. */
WEFT_MUST_USE enum weft_status script_plain_rows(struct weft_arena *a, const struct weft_text *texts, size_t n_texts,
                                                 const struct weft_script_settings *s, struct weft_str via,
                                                 weft_pool_fn *read_slice, struct weft_rows *rows,
                                                 struct weft_report *report, struct weft_script_funnel *funnel,
                                                 struct weft_err *err);

#endif

/* dataset/prose.h - who says what in a novel, by rule alone
 *
 * A quote becomes a speech, a thought, something written, or mere words.  A speech gets its speaker from a cue beside
 * it (他说：“…”  “…”甲问道。  “…，”甲说，“…”), from the sentence before, from a pronoun, or from the turn-taking of
 * two; each with a confidence.  What stays open carries candidates and the stretch of text that decides, so that a
 * person or a model only has to choose.  The rules are those of docs/dataset.md.
 *
 *     weft_prose_parse -> (weft_prose_assign, as often as needed) -> weft_prose_rows
 *
 * Owner:   everything lives in the arena; strings point into the texts, which must outlive the result.
 * Threads: its own for long books with chapters; the result is the same on any number.
 */
#ifndef WEFT_DATASET_PROSE_H
#define WEFT_DATASET_PROSE_H

#include "base/progress.h"
#include "dataset/row.h"
#include "text/text.h"

enum weft_prose_turns { WEFT_PROSE_PAIRS, WEFT_PROSE_MULTI };
#define WEFT_PROSE_TURNS_CHOICES "pairs|multi"

struct weft_prose_settings {
    const char *role;                   /* who answers; only weft_prose_rows needs one */
    struct weft_str_list alias;         /* "悟空=孙悟空", "美猴王": a name without '=' belongs to the group before it */
    int turns;
    double min_confidence;              /* a speaker less sure than this counts as unknown */
    int64_t gap_chars;                  /* so much narration between two speeches ends a scene; 0: only chapters do */
    bool thoughts;                      /* thoughts are speeches too */
    bool no_guess;                      /* no pronouns, no turn-taking: cues only */
    const char *system;                 /* template with {role} {speaker} {chapter}; NULL: no system text */
    const char *prefix;                 /* put before each prompt turn, "{speaker}：" for example; NULL: nothing */
    int64_t min_prompt_chars, min_answer_chars;
    int64_t keep_per_prompt;
    int64_t threads;                    /* 0: all processors for long texts; not one of the option rows */
};
struct weft_option_table weft_prose_options(void);

/* ---- speeches ---- */

enum weft_prose_kind {
    WEFT_PROSE_SPEECH,
    WEFT_PROSE_THOUGHT,                 /* 心想：“…” */
    WEFT_PROSE_WRITING,                 /* 上面写着：“…” */
    WEFT_PROSE_WORDS                    /* a name, a title, a sound: part of its sentence */
};
enum { WEFT_PROSE_KINDS = WEFT_PROSE_WORDS + 1 };

/* How the speaker was found; in the order of trust. */
enum weft_prose_rule {
    WEFT_PROSE_UNKNOWN,
    WEFT_PROSE_BEFORE,                  /* 甲说：“…” */
    WEFT_PROSE_AFTER,                   /* “…”甲说。 */
    WEFT_PROSE_BETWEEN,                 /* “…，”甲说，“…” */
    WEFT_PROSE_EARLIER,                 /* 甲走上前来，笑着说：“…” */
    WEFT_PROSE_PRONOUN,                 /* 他说：“…” */
    WEFT_PROSE_ACTION,                  /* 甲抬起头。“…” */
    WEFT_PROSE_ALTERNATION,             /* “…” “…” with nothing between: two take turns */
    WEFT_PROSE_CHOSEN                   /* weft_prose_assign */
};
enum { WEFT_PROSE_RULES = WEFT_PROSE_CHOSEN + 1 };
const char *weft_prose_rule_name(enum weft_prose_rule r);       /* "before" */
const char *weft_prose_kind_name(enum weft_prose_kind k);       /* "speech" */

enum weft_prose_flag {
    WEFT_PROSE_REPAIRED = 1 << 0,       /* a quote mark was lost or stood in the wrong line */
    WEFT_PROSE_PARTS = 1 << 1,          /* put together from several quotes */
    WEFT_PROSE_GROUP = 1 << 2,          /* spoken by several: 众人, 二人, 甲和乙 */
    WEFT_PROSE_NAMELESS = 1 << 3        /* the speaker is a description (那老者), not a name of the roster */
};

struct weft_prose_part {
    size_t begin, end;                  /* in the decoded text, half open, without the quote marks */
};

struct weft_prose_candidate {
    struct weft_str name;               /* after aliases */
    double score;                       /* they add up to at most 1, best first */
};
enum { WEFT_PROSE_CANDIDATES = 8 };

struct weft_prose_speech {
    size_t text_idx;
    enum weft_prose_kind kind;
    struct weft_prose_part *parts;      /* each verbatim in the source */
    size_t n_parts;
    struct weft_str text;               /* the parts, trimmed; several joined (a line end where the source has one) */
    uint64_t line, last_line;           /* 1-based */
    size_t scene;                       /* index into scenes */
    struct weft_str speaker;            /* after aliases; s == NULL: unknown */
    struct weft_str written;            /* the speaker as the text has it at this place: "那猴王", "他" */
    struct weft_str addressee;          /* 对甲说; after aliases; s == NULL: not said */
    double confidence;                  /* 0: unknown */
    enum weft_prose_rule rule;
    unsigned flags;                     /* enum weft_prose_flag */
    /* For choosing: who it may be, and the stretch of text to read.  Every speech that is unknown or less sure than
     * 0.9 has them. */
    struct weft_prose_candidate *candidates;
    size_t n_candidates;
    size_t context_begin, context_end;  /* in the decoded text: whole paragraphs around the speech */
};

struct weft_prose_scene {
    size_t text_idx;
    struct weft_str chapter, volume;    /* headings; s == NULL: none */
    size_t first_speech, n_speeches;
};

struct weft_prose_name {
    struct weft_str name;               /* as written */
    struct weft_str speaker;            /* after aliases */
    uint64_t count;                     /* speeches */
};

/* quotes == sum of kinds + continued; speeches == sum of by_rule, exactly. */
struct weft_prose_funnel {
    uint64_t quotes;                    /* pairs of quote marks, repaired ones too */
    uint64_t kinds[WEFT_PROSE_KINDS];
    uint64_t continued;                 /* quotes that go on with the speech before them */
    uint64_t by_rule[WEFT_PROSE_RULES]; /* of kind speech; 0 is unknown (none, or below min_confidence) */
    uint64_t repaired, stray;           /* quotes repaired; marks without a partner left alone */
};

struct weft_prose {
    const struct weft_text *texts;
    size_t n_texts;
    struct weft_prose_speech *speeches; /* in the order of the text, every kind but words */
    size_t n_speeches;
    struct weft_prose_scene *scenes;
    size_t n_scenes;
    struct weft_prose_name *roster;     /* most speeches first */
    size_t n_roster;
    struct weft_prose_funnel funnel;
};

/* Reads all texts as one book; needs no role. */
WEFT_MUST_USE enum weft_status weft_prose_parse(struct weft_arena *a, const struct weft_text *texts, size_t n_texts,
                                                const struct weft_prose_settings *s,
                                                const struct weft_progress *progress, struct weft_prose *out,
                                                struct weft_err *err);

/* Somebody has chosen: candidate number `candidate` speaks speech number `i`; SIZE_MAX: nobody of them.  The funnel
 * follows. */
void weft_prose_assign(struct weft_prose *p, size_t i, size_t candidate, double confidence);

/* ---- rows ---- */

/* Turns of one speaker in a row are one turn; turns never cross a scene. */
struct weft_prose_rows_funnel {
    uint64_t speeches, used, other;     /* speeches == used + other + dropped; other: not the role, not beside it */
    uint64_t role_turns, rows, answers;
    struct weft_prose_name *speakers;   /* who prompts, most rows first */
    size_t n_speakers;
};

/* Rows in which s->role answers.  report: units_in are speeches, drops by reason with places.
 * WEFT_EARG: no role given; WEFT_EINPUT: the role never speaks (the message names the most frequent speakers and the
 * nearest name), or no row is left. */
WEFT_MUST_USE enum weft_status weft_prose_rows(struct weft_arena *a, const struct weft_prose *p,
                                               const struct weft_prose_settings *s, struct weft_rows *rows,
                                               struct weft_report *report, struct weft_prose_rows_funnel *funnel,
                                               struct weft_err *err);

/* One speech as a JSON object on one line: file, line, last_line, bytes, kind, text, speaker, written, confidence,
 * rule, flags, scene, chapter, and for a doubtful one candidates and context (the text itself). */
struct weft_json_out;
void weft_prose_speech_json(struct weft_json_out *o, const struct weft_prose *p, size_t i);

#endif

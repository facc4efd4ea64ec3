/* dataset/screenplay.h - a screenplay becomes rows in which one role answers
 *
 * Reads any number of text files as one script.  Three modes:
 *   default           the line grammar of docs/dataset.md: roster, aliases, scenes, merged turns, repairs
 *   seed              the beginner's script, exactly: first colon, the line before, nothing else
 *   huanhuan-compat   the rule that made the published huanhuan.json: exact name, text cut at the second colon
 * Every row knows its lines; every line of the input is counted once (struct weft_script_funnel).
 *
 * Owner:   everything lives in the arena; strings may point into the texts, which must outlive the script.
 * Threads: its own for long texts; the rows are the same on any number.
 */
#ifndef WEFT_DATASET_SCREENPLAY_H
#define WEFT_DATASET_SCREENPLAY_H

#include "dataset/row.h"
#include "text/text.h"

enum weft_script_mode { WEFT_SCRIPT_DEFAULT, WEFT_SCRIPT_SEED, WEFT_SCRIPT_HUANHUAN };
#define WEFT_SCRIPT_MODE_CHOICES "default|seed|huanhuan-compat"
enum weft_script_turns { WEFT_SCRIPT_PAIRS, WEFT_SCRIPT_MULTI };
#define WEFT_SCRIPT_TURNS_CHOICES "pairs|multi"

struct weft_script_settings {
    const char *role;               /* who answers; required */
    int mode, turns;
    struct weft_str_list alias;     /* "华妃=华贵妃", "年妃": a name without '=' belongs to the group before it;
                                     * "年答应@30-40": only in these episodes */
    const char *system;             /* template with {role} {speaker} {episode} {scene}; NULL: no system text */
    const char *prefix;             /* put before each prompt turn, "{speaker}：" for example; NULL: nothing */
    int64_t min_prompt_chars, min_answer_chars;     /* shorter rows are left out and counted; 0: any */
    int64_t keep_per_prompt;        /* rows with the same prompt kept; 0: all */
    const char *episodes;           /* "1-20,33": only these; NULL: all */
    const char *scenes;             /* the same of the numbers of scenes */
    bool chorus;                    /* lines spoken by several are answers too */
    bool review;                    /* doubtful lines (a known name and a comma) are used too */
    bool narration_prompt;          /* a turn that opens its scene is asked by the narration before it */
    int64_t threads;                /* 0: all processors for long texts; not one of the option rows */
    const char *join; /* between the parts of a merged turn; NULL: nothing, a space beside Latin letters */
};
/* The option rows of these settings; offsets are those of struct weft_script_settings. */
struct weft_option_table weft_script_options(void);

/* ---- the script as parsed (default mode) ---- */

enum weft_turn_flag {
    WEFT_TURN_MERGED = 1 << 0,          /* several lines of one speaker in a row */
    WEFT_TURN_CHORUS = 1 << 1,          /* spoken by several: 众人, A、B */
    WEFT_TURN_REPAIRED = 1 << 2,        /* "；" read as the colon */
    WEFT_TURN_REVIEW = 1 << 3,          /* "，" or "？" after a name of the roster: speaker or vocative? */
    WEFT_TURN_CONTINUED = 1 << 4,       /* has lines without a speaker */
    WEFT_TURN_ASIDE = 1 << 5,           /* stood in parentheses */
    WEFT_TURN_SELF = 1 << 6,            /* merged parts refer to themselves differently: a mistyped name? */
    WEFT_TURN_DIRECTED = 1 << 7         /* stage directions were taken out */
};

/* A line of one of the texts. */
struct weft_line_ref {
    size_t text_idx;
    size_t line_idx;                    /* 0-based */
};

/* Who speaks, after aliases. */
struct weft_script_who {
    struct weft_str label;              /* "甄嬛", "甄嬛、陵容" for a chorus of known names, "众人" */
    const struct weft_str *speakers;    /* [n] each of them; n is 0 for a chorus without names */
    size_t n;
    bool chorus;
    bool role;                          /* the role is among them */
};

struct weft_script_turn {
    const struct weft_script_who *who;
    struct weft_str text;               /* directions and notes taken out, NFC */
    struct weft_str directions;         /* what was taken out, joined by "；"; s == NULL: nothing */
    unsigned flags;                     /* enum weft_turn_flag */
    size_t first_ref, n_refs;           /* its lines, in script.refs */
};

struct weft_scene {
    struct weft_str episode, heading;   /* as written; s == NULL: none */
    int64_t episode_number;             /* 0: none */
    int64_t number;                     /* of the heading; below 1: none */
    size_t first_turn, n_turns;         /* into turns */
    struct weft_str narration;          /* the narration before its first turn; s == NULL: none */
    size_t first_ref, n_refs;           /* lines of that narration, in script.refs */
};

/* Each line is one of these. */
enum weft_line_class {
    WEFT_LINE_BLANK,
    WEFT_LINE_EPISODE, WEFT_LINE_SCENE,     /* headings */
    WEFT_LINE_NARRATION,
    WEFT_LINE_ACTION,                       /* a speaker and nothing but directions */
    WEFT_LINE_NOTE,                         /* an editor's note */
    WEFT_LINE_TURN,
    WEFT_LINE_ORPHAN                        /* nobody to give it to */
};

struct weft_roster_name {
    struct weft_str name;               /* as written */
    struct weft_str speaker;            /* after aliases */
    uint64_t count;                     /* lines */
};

struct weft_script {
    const struct weft_text *texts;
    size_t n_texts;
    struct weft_scene *scenes;
    size_t n_scenes;
    /* The turns of a scene follow one another, and so do the lines of a turn; between scenes there may be gaps. */
    struct weft_script_turn *turns;
    size_t n_turns;                     /* with the gaps */
    struct weft_line_ref *refs;
    struct weft_str role;               /* the head of the role's group; s == NULL: none was given */
    struct weft_roster_name *roster;    /* most lines first */
    size_t n_roster;
    unsigned char **classes;            /* [n_texts][n_lines], enum weft_line_class */
};

/* Parses by the grammar; needs no role. */
WEFT_MUST_USE enum weft_status weft_script_parse(struct weft_arena *a, const struct weft_text *texts,
                                                 size_t n_texts, const struct weft_script_settings *s,
                                                 struct weft_script *out, struct weft_err *err);

/* ---- rows ---- */

/* Where the lines went: lines == used + sum of context + blank + report.dropped, exactly. */
struct weft_script_funnel {
    uint64_t lines, used, blank;
    uint64_t headings, narration, other; /* context, not in rows: narration includes actions; other: turns not
                                             * beside the role */
    uint64_t rows, answers;                 /* rows written; turns of the role in them */
    uint64_t role_turns;                    /* turns of the role in the script, after merging */
    uint64_t repaired, merged, review, chorus, self;    /* rows by flag */
    struct weft_roster_name *speakers;      /* who speaks to the role, most rows first */
    size_t n_speakers;
    struct weft_roster_name *names;         /* mode default: what the role is called, most lines first */
    size_t n_names;
    struct weft_roster_name *episodes;      /* mode default: rows by episode, in order of the script */
    size_t n_episodes;
};
bool weft_script_balanced(const struct weft_script_funnel *f, const struct weft_report *r);

/* Builds the rows of `s->role` from the texts, in script order.  report: units_in are lines; drops by reason, each
 * with its places.  WEFT_EARG: no role given; WEFT_EINPUT: the role never speaks (the message names the most
 * frequent speakers and the nearest name), or no row is left. */
WEFT_MUST_USE enum weft_status weft_script_rows(struct weft_arena *a, const struct weft_text *texts,
                                                size_t n_texts, const struct weft_script_settings *s,
                                                struct weft_rows *rows, struct weft_report *report,
                                                struct weft_script_funnel *funnel, struct weft_err *err);

/* The number of "二十三", "23", "２３", "百零五" ...; 0: none. */
int64_t weft_chinese_number(struct weft_str s);

#endif

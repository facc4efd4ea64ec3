/* dataset/script_turns.h - lines become scenes and turns, one piece of the script by one thread; inside dataset/ only
 *
 * A piece begins where a scene does, so that nothing of what stands before it matters but the episode.
 */
#ifndef WEFT_DATASET_SCRIPT_TURNS_H
#define WEFT_DATASET_SCRIPT_TURNS_H

#include "dataset/script_line.h"
#include "dataset/script_names.h"

/* What the pass that counts names remembers of a line NAME：TEXT. */
enum { SCRIPT_DIRECTED = 1u << 30, SCRIPT_FROM = SCRIPT_DIRECTED - 1 };
static const uint32_t SCRIPT_BLANK_LINE = UINT32_MAX;
struct script_note {
    uint32_t name;              /* 1-based; 0: the line has to be read again, unless `from` is SCRIPT_BLANK_LINE */
    uint32_t from;              /* where the text begins; SCRIPT_DIRECTED: directions stand before it */
    uint32_t len;               /* of the text, which is as it has to be; 0: `from` counts in the trimmed line */
};

/* At most so many scenes, turns and lines of turns, or where those of a piece begin. */
struct script_room {
    size_t scenes, turns, refs;
};

/* How speakers of different standing call themselves; see script_turns.c. */
struct script_self_index {
    uint32_t by_byte[3][64];
};
void script_self_index_make(struct script_self_index *x);

/* Text of several parts; a single one stays where it is. */
struct script_gathered {
    struct weft_str text;
    struct weft_buf buf;
};

/* One thread's. */
struct script_reader {
    struct weft_arena *arena;           /* for what is not in the texts; part of the result */
    const struct weft_script_settings *s;
    const struct script_names *names;
    const struct script_self_index *self_words;
    struct weft_scene *scenes;          /* of the whole script; each piece has its part of them */
    struct weft_script_turn *turns;
    struct weft_line_ref *refs;

    struct script_room begin, at;       /* of this piece */
    struct script_brackets brackets;
    size_t text_idx, line_idx;          /* the line being read */
    struct weft_str episode;
    int64_t episode_number, scene_number;
    bool pending;                       /* a file or an episode has begun: the next line opens a scene unless resumed */
    const struct weft_script_who *speaker;      /* of the last line with a name; NULL: none in this scene */

    bool open;                          /* the last turn may still grow */
    struct script_gathered text, directions;    /* of the open turn */
    uint32_t self;                      /* self words of the open turn, once it has a second part */
    bool self_known;
    struct script_gathered narration;   /* before the first turn of the scene */
    struct script_gathered piece, piece_directions;     /* the part of a line being read */
};

/* A piece whose scenes, turns and refs have their places from `room` on. */
void script_reader_begin(struct script_reader *r, struct script_room room, struct weft_str episode,
                         int64_t episode_number);
/* Before the first line of a text. */
void script_reader_text(struct script_reader *r);
/* A line of text `t`; `name` is the index of the note's name.  False: no memory. */
WEFT_MUST_USE bool script_reader_line(struct script_reader *r, struct weft_line_ref at, const struct weft_text *t,
                                      const struct script_note *note, size_t name, enum weft_line_class *class);
/* Behind the last line; `at` says how far the piece came. */
WEFT_MUST_USE bool script_reader_end(struct script_reader *r);
void script_reader_clear(struct script_reader *r);

#endif

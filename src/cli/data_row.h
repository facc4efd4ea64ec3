/* cli/data_row.h - rows on a terminal: what they say, the lines of the source they came from, one at a time */
#ifndef WEFT_CLI_DATA_ROW_H
#define WEFT_CLI_DATA_ROW_H

#include "cli/data.h"
#include "text/text.h"

/* "#12  s000012  a.txt:7-8 ..." and the turns, one under the other. */
void weft_data_row_text(struct weft_buf *b, struct weft_cli *cli, const struct weft_row *row, uint64_t number);

/* ---- sources ---- */

enum weft_source_state {
    WEFT_SOURCE_UNNAMED,        /* the row names no file or no line */
    WEFT_SOURCE_FOUND,          /* there, with the hash that the row remembers */
    WEFT_SOURCE_CHANGED,        /* there, but its bytes are others now */
    WEFT_SOURCE_GONE            /* not there, or not readable */
};

/* The source file read last; kept, since rows beside each other come from one file.  Zero at first. */
struct weft_data_source {
    struct weft_arena arena;
    struct weft_text text;
    struct weft_str name;       /* as the rows name it */
    const char *path;           /* where it was found: as named, or beside the dataset */
    enum weft_source_state state;
    struct weft_err err;        /* of GONE */
};
/* Looks for the file of `o`: as named, then beside `dataset` (may be NULL). */
enum weft_source_state weft_data_source_find(struct weft_cli *cli, struct weft_data_source *s, const char *dataset,
                                             const struct weft_origin *o);
/* The lines of `o` with `around` more on each side, those of the row marked ">"; only after FOUND. */
void weft_data_source_lines(struct weft_buf *b, const struct weft_data_source *s, const struct weft_origin *o,
                            uint64_t around);
void weft_data_source_close(struct weft_data_source *s);

/* ---- doubts ---- */

/* Why a row is doubtful, as words for people separated by ", ": flags of the list, and a confidence below `sure`. 
 * False: it is not, or somebody has decided ("reviewed", "edited"). */
bool weft_data_doubts(const struct weft_row *row, const struct weft_str_list *flags, double sure, struct weft_buf *why);

/* ---- one page at a time (cli/pager.c) ---- */

/* Both standard input and output are a terminal that can move its cursor. */
bool weft_pager_can(void);
/* Clears the screen and shows `text` (lines longer than the screen are folded), from `*top` lines down, with `status`
 * in the last line, and waits for a key: its character, or one of WEFT_KEY_*.  Scrolling is done inside. */
enum {
    WEFT_KEY_END = -1,
    WEFT_KEY_UP = 0x100,
    WEFT_KEY_DOWN,
    WEFT_KEY_LEFT,
    WEFT_KEY_RIGHT,
    WEFT_KEY_HOME,
    WEFT_KEY_LAST
};
int weft_pager_show(struct weft_cli *cli, struct weft_str text, const char *status);
/* A line typed behind `prompt` in the last line; NULL: given up.  In the arena of `cli`. */
const char *weft_pager_ask(struct weft_cli *cli, const char *prompt);

#endif

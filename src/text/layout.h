/* text/layout.h - elements and text in document order -> lines, as a browser lays them out
 *
 * HTML and XHTML (EPUB chapters) say where elements begin and end and what text stands between; this makes lines of it:
 * blocks begin and end lines, br ends one, white space collapses outside pre, cells of a table row are parted by tabs,
 * ruby readings and everything that is not text (script, style, head, template) is left out and counted.  A line break
 * of the source between two East Asian characters is nothing, elsewhere it is a space (CSS Text 3, section 4.1.3).
 * Elements are kept to a depth of 512; deeper ones are flattened (HT4).  Time is linear in the calls and the text.
 *
 *     struct weft_layout l = { 0 };
 *     weft_layout_open(&l, WEFT_STR("p"), at); weft_layout_text(&l, text, from, to); weft_layout_close(...);
 *     st = weft_layout_finish(&l, a, out, err);
 *     weft_layout_clear(&l);
 *
 * Owner:   malloc memory inside, freed by clear; what finish gives lives in the arena.
 * Threads: a layout belongs to one thread.
 */
#ifndef WEFT_TEXT_LAYOUT_H
#define WEFT_TEXT_LAYOUT_H

#include "text/text.h"

enum { WEFT_LAYOUT_DEPTH = 512, WEFT_LAYOUT_ELEMENTS = 96 };

struct weft_layout {
    struct weft_buf out;                /* the text so far */
    struct weft_buf lines;              /* struct weft_text_line: finished ones; begin and end as the caller counts */
    struct weft_buf headings;           /* of layout.c */
    struct weft_buf title;              /* content of the title element, as written */
    uint64_t ignored;                   /* elements left out with their content */

    /* the line being made */
    uint64_t line_begin, line_end;
    size_t line_at;
    bool line_used;                     /* something stands on it: line_begin and line_end hold */
    bool inked;                         /* something stands on it behind its last tab */
    bool want_break, want_space;        /* before the next character, if there is one */
    bool space_had_newline, skip_newline;
    uint32_t last;                      /* the last character written */

    /* open elements */
    uint8_t stack[WEFT_LAYOUT_DEPTH];
    bool saved_row[WEFT_LAYOUT_DEPTH];  /* of tables: was a row begun around it */
    size_t depth;
    uint32_t n_open[WEFT_LAYOUT_ELEMENTS], n_deeper[WEFT_LAYOUT_ELEMENTS]; /* on the stack; beyond its depth */
    uint32_t n_pre, n_skip;
    bool in_row, in_head, in_title, has_title, in_reading, in_heading;
    size_t heading_at, heading_line;
};

/* An element begins at byte `at` of the source.  Names in any case; unknown ones are inline. */
void weft_layout_open(struct weft_layout *l, struct weft_str name, uint64_t at);
/* It ends.  An end without a beginning changes nothing. */
void weft_layout_close(struct weft_layout *l, struct weft_str name, uint64_t at);
/* Text between tags, references resolved.  It stands at bytes [from, to) of the source: byte by byte when the lengths
 * agree, else all of it at the whole range.  Both rise from call to call. */
void weft_layout_text(struct weft_layout *l, struct weft_str text, uint64_t from, uint64_t to);

/* Ends the last line and fills text, lines and sections of `out` (one section for the title and one for each heading,
 * where there are any); bytes of the lines are the caller's.  `end`: the length of the source. */
WEFT_MUST_USE enum weft_status weft_layout_finish(struct weft_layout *l, struct weft_arena *a, uint64_t end,
                                                  struct weft_text *out, struct weft_err *err);
void weft_layout_clear(struct weft_layout *l);          /* accepts a zeroed struct */

/* For all that joins lines: wide characters of Chinese and Japanese; punctuation that Chinese shares with the
 * West, wide beside a wide character; is a line break between x and y nothing rather than a space? */
bool weft_layout_east(uint32_t cp);
bool weft_layout_shared(uint32_t cp);
bool weft_layout_joins(uint32_t x, uint32_t y);

#endif

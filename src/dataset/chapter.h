/* dataset/chapter.h - the headings of a book: 第三回, 第十二章 标题, 卷二, 楔子, Chapter IV
 *
 * Pure functions on text.  A line is a heading by its form alone: short, a number with a unit (or one of the words
 * that books use without one), and no sentence in it.
 */
#ifndef WEFT_DATASET_CHAPTER_H
#define WEFT_DATASET_CHAPTER_H

#include "text/text.h"

struct weft_heading {
    struct weft_str text;       /* the line, trimmed, without the marks around it */
    int level;                  /* 0: volume, part (卷 部 篇 集); 1: chapter (回 章 折 话 楔子); 2: section (节) */
    int64_t number;             /* 0: none */
};
/* `line` without its line end.  False: not a heading. */
bool weft_heading_read(struct weft_str line, struct weft_heading *out);

/* Headings that follow one another with nothing but blank lines between them open one chapter: a volume and its first
 * chapter, or a table of contents. */
struct weft_chapter {
    size_t begin, end;          /* in the decoded text, half open; headings belong to their chapter */
    size_t body;                /* where the text behind the headings begins */
    struct weft_str title;      /* the last heading of its run; s == NULL: text before the first heading */
    struct weft_str volume;     /* the last heading of level 0 so far; s == NULL: none */
    size_t first_line;          /* 0-based */
};
/* The text cut at its headings, in order and without a gap; at least one unless the text is empty. */
WEFT_MUST_USE enum weft_status weft_chapters_find(struct weft_arena *a, const struct weft_text *t,
                                                  struct weft_chapter **out, size_t *n, struct weft_err *err);

#endif

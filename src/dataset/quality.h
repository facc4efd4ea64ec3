/* dataset/quality.h - signs that a row is not what it should be, each with a name
 *
 * Heuristics: a sign says where to look, not that the row is bad.  What each looks for stands in its table row,
 * with what to do about it.  Preference and KTO rows are judged by their turns alone; their answers are often
 * bad on purpose.
 *
 * Threads: pure functions; one scratch arena a thread.
 */
#ifndef WEFT_DATASET_QUALITY_H
#define WEFT_DATASET_QUALITY_H

#include "base/option.h"
#include "dataset/row.h"

enum weft_quality {
    WEFT_Q_EMPTY_ANSWER,
    WEFT_Q_SHORT_ANSWER,
    WEFT_Q_SHORT_PROMPT,
    WEFT_Q_LONG_ANSWER,
    WEFT_Q_SAME_AS_PROMPT,
    WEFT_Q_ECHO,
    WEFT_Q_REPEATS,
    WEFT_Q_MARKS,
    WEFT_Q_TRUNCATED,
    WEFT_Q_MOJIBAKE,
    WEFT_Q_PRIVATE_USE,
    WEFT_Q_CONTROL,
    WEFT_Q_QUOTES,
    WEFT_Q_EDITOR_NOTE,
    WEFT_Q_DIRECTION,
    WEFT_Q_BOILERPLATE,
    WEFT_Q_NOTHING_SAID,
    WEFT_Q_PLACEHOLDER,
    WEFT_Q_MARKUP,
    WEFT_Q_LITERAL_NEWLINE,
    WEFT_Q_EXAMPLE,
    WEFT_N_QUALITY
};

struct weft_quality_rule {
    const char *name; /* "empty_answer" */
    const char *help; /* what it means: a key of the catalogue */
    const char *fix;  /* what to do: a key of the catalogue */
};
/* [WEFT_N_QUALITY] */
const struct weft_quality_rule *weft_quality_rules(void);

struct weft_quality_settings {
    int64_t short_answer_chars, short_prompt_chars; /* fewer characters are short; 0: 2 and 1 */
    int64_t long_answer_chars;                      /* more are long; 0: off */
    double repeats;                                 /* least share of an answer that repeats itself; 0: 0.3 */
    double letters;         /* least share of letters among visible characters; 0: 0.4 */
    int64_t sentence_chars; /* shorter answers are not asked to end like a sentence; 0: 40 */
    /* Lines that no row may hold: the examples of the prompt that rows were made with.  Of at least 4 characters. */
    const struct weft_str *examples;
    size_t n_examples;
};

/* The signs of a row as bits 1 << enum weft_quality.  `turn` [WEFT_N_QUALITY], may be NULL, gets for each sign the
 * number of the first turn that shows it (of a text row 0). */
uint32_t weft_quality_row(const struct weft_row *row, const struct weft_quality_settings *s, size_t *turn);

/* Bits for names: "all", or names of the table; WEFT_EARG names the nearest one. */
WEFT_MUST_USE enum weft_status weft_quality_bits(const struct weft_str_list *names, uint32_t *bits,
                                                 struct weft_err *err);

/* ---- single signs, also used by repairs ---- */

/* The next note 【...】 or direction （...） of at most 40 characters: bytes [from, to). */
bool weft_next_note(struct weft_str s, size_t *at, size_t *from, size_t *to);
bool weft_next_direction(struct weft_str s, size_t *at, size_t *from, size_t *to);
/* Characters that no text needs: C0 and C1 controls but tab and line end, U+FEFF, U+200B, U+2060, noncharacters. */
bool weft_is_stray(uint32_t cp);
/* UTF-8 that was read as Latin-1 or Windows-1252 and written again ("æˆ‘" for 我), turned back.  Returns false where
 * the text is not of that kind as a whole; else appends the repaired text. */
bool weft_undo_mojibake(struct weft_buf *b, struct weft_str s);

#endif

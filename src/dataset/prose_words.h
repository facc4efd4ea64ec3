/* dataset/prose_words.h - the words that tell who speaks: verbs of speech, what may stand before a subject, people;
 * inside dataset/ only.  Pure functions on text. */
#ifndef WEFT_DATASET_PROSE_WORDS_H
#define WEFT_DATASET_PROSE_WORDS_H

#include "base/str.h"

enum prose_cue_kind {
    PROSE_CUE_SPEECH,           /* 说 问道 大喊一声 */
    PROSE_CUE_SOUND,            /* 叫 喊 and the like without an object: speech before a colon, else a name or a sound */
    PROSE_CUE_THOUGHT,          /* 心想 暗道 */
    PROSE_CUE_WRITING           /* 写着 上书 */
};

struct prose_cue {
    enum prose_cue_kind kind;
    size_t verb;                /* where the verb begins, in the clause */
    struct weft_str object;     /* 问X：, 告诉X：, 对X说：; s == NULL: none */
};

/* Does this text end with a cue?  `text` ends before the colon, or before the quote (colon false), or it is the clause
 * behind a quote. */
bool prose_cue_find(struct weft_str text, bool colon, struct prose_cue *out);

/* Takes what may stand before a subject off the front: 这时 忽然 于是 只见 ...; true when something was taken. */
bool prose_skip_lead(struct weft_str *s);
/* Words of perception that have the speaker behind them: 只听 听见 忽见.  Takes one off. */
bool prose_skip_hear(struct weft_str *s);
/* 那 这个 一位 ...: takes one off.  *several: 几个 两个 众. */
bool prose_skip_determiner(struct weft_str *s, bool *several);
/* Begins with a word that cannot be the beginning of a subject: 对 向 把 被 用 ... */
bool prose_is_blocked(struct weft_str s);
/* The length of a pronoun at the beginning, 0: none.  *several: 他们. */
size_t prose_pronoun(struct weft_str s, bool *several, bool *female);
/* The length of a word for several people without names at the beginning: 众人 大家 二人; 0: none. */
size_t prose_group(struct weft_str s);
/* The subject that begins `s` by form alone: up to the first character that begins a predicate, and if possible ending
 * with a word for a person.  0: none.  *person: it does. */
size_t prose_noun(struct weft_str s, bool determined, bool *person);
/* A character that begins a predicate. */
bool prose_is_predicate(uint32_t cp);
/* Ends with a word for a person: 妖怪 老者 国王. */
bool prose_is_person(struct weft_str s);
/* Titles that stand for a name met before: 菩萨 太子 大王. */
bool prose_is_title(struct weft_str s);
/* 和 与 、 及 between two people: its length, else 0. */
size_t prose_and(struct weft_str s);

/* The lists are in the order in which they are searched; else *wrong is the first word out of place.  For the tests. */
bool prose_words_sorted(const char **wrong);

#endif

/* dataset/words.h - templates of the user with a few words in braces: "对方是{speaker}"; inside dataset/ only
 *
 * Not weft_prompt_fill: a prompt file declares its names, so an unknown one becomes nothing and "{{" is a brace; here
 * braces that are none of ours are the user's text. */
#ifndef WEFT_DATASET_WORDS_H
#define WEFT_DATASET_WORDS_H

#include "base/str.h"

struct weft_word {
    const char *word; /* "{role}" */
    struct weft_str text;
};

/* Appends the template with each of the words replaced by its text; what else stands in braces stays. */
static inline void weft_fill_words(struct weft_buf *out, const char *template, const struct weft_word *words,
                                   size_t n_words)
{
    while (*template) {
        size_t i = 0;
        while (i < n_words && strncmp(template, words[i].word, strlen(words[i].word)) != 0) i++;
        if (i == n_words) weft_buf_char(out, *template++);
        else {
            weft_buf_str(out, words[i].text);
            template += strlen(words[i].word);
        }
    }
}

#endif

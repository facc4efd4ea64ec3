/* tokens/named.h - chat templates by the names that LLaMA-Factory gives them (`template: qwen`)
 *
 * A model is trained on some wording of turns; LLaMA-Factory names these wordings and cuts them in its own
 * way: each part is tokenized by itself, the text behind an end mark is learnt, some templates have no end
 * mark but a label.  Here a name becomes a Jinja template that says the same (tests/parity/templates.py
 * compares ids and labels): training, chat and any other program that reads chat_template.jinja render with
 * it.  What Jinja cannot say stands in the comment that the text begins with (struct weft_chat_rules).
 *
 * Threads: the table is constant.
 */
#ifndef WEFT_TOKENS_NAMED_H
#define WEFT_TOKENS_NAMED_H

#include "tokens/chat.h"
#include "tokens/tokenizer.h"

/* What becomes of thoughts (<think> ... </think>), in templates of models that think. */
enum weft_thinking {
    WEFT_THINKING_ON,               /* an answer without a thought gets an empty one, which is learnt */
    WEFT_THINKING_OFF,              /* thoughts are taken out; the empty one belongs to the prompt */
    WEFT_THINKING_EITHER            /* thoughts stay; the empty one belongs to the prompt */
};

struct weft_named_settings {
    const char *default_system;     /* where a row has no system text; NULL: the template's own */
    enum weft_thinking thinking;
    bool preserve_thinking;         /* thoughts of earlier answers stay when the last alone is learnt, and in chat */
};

/* The Jinja text of template `name` for the special tokens of `t`, in arena `a`; parse it with weft_chat_parse.
 * WEFT_EARG: no such name; the message has the nearest.  WEFT_EINPUT: the template prints a token that `t` lacks. */
WEFT_MUST_USE enum weft_status weft_named_template(struct weft_arena *a, const char *name,
                                                   const struct weft_tokenizer *t,
                                                   const struct weft_named_settings *s, struct weft_str *out,
                                                   struct weft_err *err);
/* Whether there is such a name; if not, WEFT_EARG with `where` in front and the nearest names behind. */
WEFT_MUST_USE enum weft_status weft_named_check(const char *where, const char *name, struct weft_err *err);
/* Its answers have no end mark in the text: prompts cannot be trained with them (struct weft_chat_rules, eos_label). */
bool weft_named_marks_ends_by_label(const char *name);
/* Name number i, sorted; NULL behind the last. */
const char *weft_named_name(size_t i);

#endif

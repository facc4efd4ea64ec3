/* tokens/chat.h - the one chat-template renderer
 *
 * Training, chat, evaluation and server render with the same template through the same call.  Templates are the
 * Jinja subset of docs/chat.md, parsed once, run in a sandbox with a step limit.  The result knows for every
 * byte whether it came from the template or from the data, and whether it carries loss (is part of an
 * assistant's turn, its end-of-turn marker included).
 *
 * Which bytes carry loss.  In a template with {% generation %}: exactly what those blocks print.  Otherwise, for each
 * assistant message: from where its generation prompt ends (so what a thinking template adds before the answer is
 * learnt too, unless the prompt has it already) to its last byte, and the end-of-turn marker behind it.  The marker is
 * what the template prints behind an answer and before the next message, without white space at its end (ChatML:
 * "<|im_end|>"); with `train_trailing` that white space too, as LLaMA-Factory does (docs/training.md Q13).  A message of
 * a row with OpenAI's "weight": 0 carries none.
 *
 * What a template cannot do is found out once, at parse, by rendering small conversations; messages are then changed
 * to what it can: see struct weft_chat_abilities.
 *
 * Threads: a template is immutable after parse; rendering uses the caller's arena.
 */
#ifndef WEFT_TOKENS_CHAT_H
#define WEFT_TOKENS_CHAT_H

#include "base/json.h"
#include "dataset/row.h"

struct weft_chat_template;

/* Parses into arena `a`.  `name`: for messages "tokenizer_config.json: chat_template:LINE". */
WEFT_MUST_USE enum weft_status weft_chat_parse(struct weft_arena *a, const char *name, struct weft_str source,
                                               const struct weft_chat_template **out, struct weft_err *err);
/* ChatML, used (with a warning by the caller) when a model brings no template, and by `tiny`. */
extern const char weft_chat_chatml[];
/* SHA-256 of the template source: travels in the adapter, a mismatch is refused. */
const char *weft_chat_fingerprint(const struct weft_chat_template *t);

/* How a template wants to be used beyond printing.  Templates of models say nothing; those of tokens/named.h begin
 * with a comment that holds this as JSON: {#- weft {"template": "qwen", ...} -#}. */
enum { WEFT_CHAT_MAX_STOPS = 4 };
struct weft_chat_rules {
    struct weft_str name;           /* s == NULL: a model's own template */
    bool pieces;                    /* what each {{ }} prints is tokenized by itself */
    bool eos_label;                 /* answers have no end mark in the text: after each, eos is the label, and the row
                                     * ends with it (LLaMA-Factory's efficient_eos) */
    bool preserve_thinking;         /* thoughts of earlier answers stay */
    struct weft_str eos;            /* ends texts instead of the tokenizer's; s == NULL: the tokenizer's */
    struct weft_str stops[WEFT_CHAT_MAX_STOPS];
    size_t n_stops;                 /* tokens that end an answer beside eos */
};
const struct weft_chat_rules *weft_chat_rules(const struct weft_chat_template *t);

/* What the template does with messages, learnt by rendering needles. */
struct weft_chat_abilities {
    bool system_role;       /* prints system messages; otherwise their text goes before the first user message's */
    bool developer_role;    /* knows "developer"; otherwise it becomes "system" */
    bool string_content;    /* prints content given as a string; otherwise it is given as a list of one text part */
    bool list_content;      /* prints content given as parts; otherwise text parts are joined with "\n" */
    bool tools;             /* prints the list of tools */
    bool tool_calls;        /* prints tool calls and their results; otherwise such messages are refused */
    bool arguments_object;  /* wants arguments as an object; otherwise as a string of JSON */
    bool null_content;      /* prints nothing for a null content; otherwise it is given as "" */
    bool generation;        /* has {% generation %} */
};
struct weft_chat_abilities weft_chat_abilities(const struct weft_chat_template *t);
struct weft_str weft_chat_source(const struct weft_chat_template *t);

struct weft_chat_span {
    size_t begin, end;              /* bytes of the rendered text, half open */
    bool from_template;             /* else from the messages */
    bool loss;                      /* produced by the model when it is used: assistant text and its end marker */
};

struct weft_chat_text {
    struct weft_str text;
    struct weft_chat_span *spans;   /* ascending, without gaps, covering the text */
    size_t n_spans;
    const size_t *pieces;           /* [n_pieces] ends of what is tokenized by itself, the last that of the text; */
    size_t n_pieces;                /* 0: the whole text at once */
};

/* Where answers begin and end under given settings, found by rendering probes. */
struct weft_chat_shape {
    struct weft_str prompt;         /* what add_generation_prompt adds */
    struct weft_str lead;           /* everything between a user's text and the answer, when generating */
    struct weft_str trailer;        /* behind an answer and before the next message */
    struct weft_str marker;         /* the trailer without white space at its end */
};

struct weft_chat_settings {
    bool add_generation_prompt;
    struct weft_str bos_token, eos_token, pad_token, unk_token;     /* "" when absent */
    struct weft_str date;                   /* for strftime_now: "2026-11-24"; s == NULL: today */
    const struct weft_json_value *kwargs;   /* object: enable_thinking and the like; NULL: none */
    const struct weft_chat_shape *shape;    /* of these settings, for many rows; NULL: found out each time */
    bool train_trailing;                    /* what follows the end-of-turn marker carries loss too */
    bool every_answer;                      /* all answers are learnt, not the last alone: templates of tokens/named.h
                                             * then keep the thoughts of all */
};

/* The shape of `s` (whose own shape is ignored), in arena `a`.  Parts a template cannot render are empty. */
void weft_chat_learn_shape(struct weft_arena *a, const struct weft_chat_template *t,
                           const struct weft_chat_settings *s, struct weft_chat_shape *out);

/* Messages of a row: system (when given), then its turns. */
WEFT_MUST_USE enum weft_status
weft_chat_render_row(struct weft_arena *a, const struct weft_chat_template *t, const struct weft_row *row,
                     const struct weft_chat_settings *s, struct weft_chat_text *out, struct weft_err *err);
/* Messages and tools as JSON (an OpenAI request). tools may be NULL.
 * WEFT_EINPUT: the template raised an exception, or the messages are not a list of objects with role and content. */
WEFT_MUST_USE enum weft_status
weft_chat_render(struct weft_arena *a, const struct weft_chat_template *t, const struct weft_json_value *messages,
                 const struct weft_json_value *tools, const struct weft_chat_settings *s, struct weft_chat_text *out,
                 struct weft_err *err);

#endif

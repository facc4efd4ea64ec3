/* dataset/ask_parts.h - what the files of the asking engine share; not for other folders */
#ifndef WEFT_DATASET_ASK_PARTS_H
#define WEFT_DATASET_ASK_PARTS_H

#include "base/json.h"
#include "dataset/ask.h"

/* One reply held against its contract, or one rule applied. */
struct ask_reading {
    struct weft_arena *a;
    const struct weft_prompt *prompt;
    const struct weft_ask_settings *s;
    const struct weft_ask_unit *unit;
    struct weft_str answer;           /* without thoughts and fences; offline: nothing */
    const char *via;
    double confidence;
    struct weft_ask_result *out;      /* rows, chosen */
    struct weft_report *pieces;
    struct weft_buf problem;          /* in the prompt's language; empty: the contract is kept */
    struct weft_err *err;
};

/* A task and how its replies are read. */
struct ask_task {
    struct weft_ask_task about;
    /* Writes the JSON schema of a good answer about the unit; false: it has none.  NULL: no task of JSON. */
    bool (*shape)(const struct weft_prompt *p, const struct weft_ask_settings *s, const struct weft_ask_unit *u,
                  struct weft_json_out *o);
    /* Fills out->rows or r->problem. Another status is a failure of ours, never of the reply. */
    enum weft_status (*read)(struct ask_reading *r);
    enum weft_status (*rule)(struct ask_reading *r); /* NULL: none */
    const char *rule_via;
};
const struct ask_task *ask_task_of(const char *name);

/* Writes the problem in the prompt's language, once. */
void ask_problem(struct ask_reading *r, const char *fmt, ...) WEFT_PRINTF(2, 3);

int64_t ask_max_chars(const struct weft_prompt *p, const struct weft_ask_settings *s);
int64_t ask_pairs(const struct weft_prompt *p, const struct weft_ask_settings *s);

/* A new row of the result: origin of the unit with via, confidence, parents, id UNIT.N; NULL: no memory (reported). */
struct weft_row *ask_row(struct ask_reading *r);
/* instruction + "\n" + input -> user turn; output -> assistant turn. */
enum weft_status ask_row_turns(struct ask_reading *r, struct weft_row *row, struct weft_str instruction,
                               struct weft_str input, struct weft_str output);

/* The shapes (ask_shape.c). */
bool ask_shape_qa(const struct weft_prompt *p, const struct weft_ask_settings *s, const struct weft_ask_unit *u,
                  struct weft_json_out *o);
bool ask_shape_dialogue(const struct weft_prompt *p, const struct weft_ask_settings *s, const struct weft_ask_unit *u,
                        struct weft_json_out *o);
bool ask_shape_augment(const struct weft_prompt *p, const struct weft_ask_settings *s, const struct weft_ask_unit *u,
                       struct weft_json_out *o);
bool ask_shape_judge(const struct weft_prompt *p, const struct weft_ask_settings *s, const struct weft_ask_unit *u,
                     struct weft_json_out *o);

/* The rules (ask_rules.c). */
enum weft_status ask_rule_summarise(struct ask_reading *r);
enum weft_status ask_rule_qa(struct ask_reading *r);
enum weft_status ask_rule_rag(struct ask_reading *r);

#endif

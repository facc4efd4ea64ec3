/* What an answer in JSON looks like, as a schema for those who can keep a model to one.  Lengths are those beyond which
 * no good answer goes: a model that rambles comes to an end within max_tokens.  The contract of the task is held
 * against the answer all the same (ask_tasks.c). */
#include "dataset/ask_parts.h"

enum { QUESTION = 200, ANSWER = 600, EVIDENCE = 300, INSTRUCTION = 400, OUTPUT = 1200, REASONS = 300,
       MOST_OPEN = 200,             /* speeches of one request; a schema of more would be longer than any passage */
       BEST_SCORE = 10 };

static void put_pair(struct weft_json_out *o, const char *key, const char *value)
{
    weft_json_out_key(o, key);
    weft_json_out_cstr(o, value);
}
static void put_count(struct weft_json_out *o, const char *key, int64_t value)
{
    weft_json_out_key(o, key);
    weft_json_out_int(o, value);
}

/* {"type": "object", "properties": { ... ; closed by object_end. */
static void object_begin(struct weft_json_out *o)
{
    weft_json_out_object(o);
    put_pair(o, "type", "object");
    weft_json_out_key(o, "properties");
    weft_json_out_object(o);
}
static void object_end(struct weft_json_out *o, const char *const *names, size_t n)
{
    weft_json_out_object_end(o);
    weft_json_out_key(o, "required");
    weft_json_out_array(o);
    for (size_t i = 0; i < n; i++) weft_json_out_cstr(o, names[i]);
    weft_json_out_array_end(o);
    weft_json_out_key(o, "additionalProperties");
    weft_json_out_bool(o, false);
    weft_json_out_object_end(o);
}

static void put_string(struct weft_json_out *o, const char *name, int64_t most)
{
    weft_json_out_key(o, name);
    weft_json_out_object(o);
    put_pair(o, "type", "string");
    put_count(o, "maxLength", most);
    weft_json_out_object_end(o);
}

/* One to `most` objects of strings. */
static void put_rows(struct weft_json_out *o, int64_t most, const char *const *names, const int64_t *lengths, size_t n)
{
    weft_json_out_object(o);
    put_pair(o, "type", "array");
    put_count(o, "minItems", 1);
    if (most > 0) put_count(o, "maxItems", most);
    weft_json_out_key(o, "items");
    object_begin(o);
    for (size_t i = 0; i < n; i++) put_string(o, names[i], lengths[i]);
    object_end(o, names, n);
    weft_json_out_object_end(o);
}

bool ask_shape_qa(const struct weft_prompt *p, const struct weft_ask_settings *s, const struct weft_ask_unit *u,
                  struct weft_json_out *o)
{
    static const char *const names[] = { "question", "answer", "evidence" };
    const int64_t lengths[] = { QUESTION, ANSWER, (int64_t)weft_min_size(EVIDENCE, weft_utf8_chars(u->text)) };
    put_rows(o, ask_pairs(p, s), names, lengths, WEFT_COUNT(names));
    return true;
}

bool ask_shape_augment(const struct weft_prompt *p, const struct weft_ask_settings *s, const struct weft_ask_unit *u,
                       struct weft_json_out *o)
{
    static const char *const names[] = { "instruction", "output" };
    static const int64_t lengths[] = { INSTRUCTION, OUTPUT };
    put_rows(o, ask_pairs(p, s), names, lengths, WEFT_COUNT(names));
    return true;
}

bool ask_shape_judge(const struct weft_prompt *p, const struct weft_ask_settings *s, const struct weft_ask_unit *u,
                     struct weft_json_out *o)
{
    static const char *const names[] = { "score", "reasons" };
    object_begin(o);
    weft_json_out_key(o, names[0]);
    weft_json_out_object(o);
    put_pair(o, "type", "integer");
    put_count(o, "minimum", 0);
    put_count(o, "maximum", BEST_SCORE);
    weft_json_out_object_end(o);
    put_string(o, names[1], REASONS);
    object_end(o, names, WEFT_COUNT(names));
    return true;
}

/* One item for each number, in their order, with a name of its own list or the sign for an unknown one. */
bool ask_shape_dialogue(const struct weft_prompt *p, const struct weft_ask_settings *s, const struct weft_ask_unit *u,
                        struct weft_json_out *o)
{
    static const char *const names[] = { "id", "speaker" };
    if (!u->n_open || u->n_open > MOST_OPEN) return false;
    weft_json_out_object(o);
    put_pair(o, "type", "array");
    weft_json_out_key(o, "prefixItems");
    weft_json_out_array(o);
    for (size_t i = 0; i < u->n_open; i++) {
        object_begin(o);
        weft_json_out_key(o, names[0]);
        weft_json_out_object(o);
        weft_json_out_key(o, "const");
        weft_json_out_uint(o, u->open[i].number);
        weft_json_out_object_end(o);
        weft_json_out_key(o, names[1]);
        weft_json_out_object(o);
        weft_json_out_key(o, "enum");
        weft_json_out_array(o);
        for (size_t k = 0; k < u->open[i].n_candidates; k++) weft_json_out_str(o, u->open[i].candidates[k]);
        weft_json_out_cstr(o, "?");
        weft_json_out_array_end(o);
        weft_json_out_object_end(o);
        object_end(o, names, WEFT_COUNT(names));
    }
    weft_json_out_array_end(o);
    weft_json_out_object_end(o);
    return true;
}

/* model/grammar.h - a JSON schema as an automaton over bytes
 *
 * Says of each next byte whether the text is still the beginning of a JSON text of the schema's shape.  A model that
 * may only write such bytes (model/guide.h) cannot break the form it was asked for.
 *
 *     {"type": "array", "maxItems": 3, "items": {"type": "object", "properties": {
 *         "question": {"type": "string", "minLength": 1, "maxLength": 200}, "score": {"type": "integer", "minimum": 0}}}}
 *
 * Of JSON Schema it knows type (one of object, array, string, integer, number, boolean, null), properties, required,
 * additionalProperties, items, minItems, maxItems, prefixItems (then there are as many items as it lists), minLength,
 * maxLength (in code points), minimum and maximum (of integers), enum and const (of scalars); titles, descriptions and
 * the like are passed over.  What else a schema says is refused by name: an answer would not keep to it.
 *
 * A text of the shape has every property, in the order of the schema, with the key as JSON writers write it; strings
 * are UTF-8 with any escapes but half a surrogate pair; integers are plain digits; before a mark stand at most 20 bytes
 * of white space: one line end at their head, blanks, tabs; none behind the end.  Every such text, and no other, is
 * accepted.
 *
 * Owner:   a grammar lives in the arena given.
 * Threads: a grammar is immutable; a state is its user's.
 */
#ifndef WEFT_MODEL_GRAMMAR_H
#define WEFT_MODEL_GRAMMAR_H

#include "base/json.h"

enum {
    WEFT_GRAMMAR_ARRAYS = 8,        /* arrays within arrays, at most */
    WEFT_GRAMMAR_SPACES = 20,
    WEFT_GRAMMAR_REACH = 256        /* see weft_grammar_key */
};

struct weft_grammar;

/* Where a text stands in its shape.  Made by start, no field is the caller's; may be copied, and compared by memcmp. */
struct weft_grammar_state {
    int64_t value;                  /* digits of an integer so far */
    uint32_t op;                    /* the step of the shape */
    uint32_t pos;                   /* bytes of it so far, where these are given */
    uint32_t low, high;             /* words of an enum that still fit */
    uint32_t left, lack;            /* characters that the string may, and must, still have */
    uint32_t more[WEFT_GRAMMAR_ARRAYS], due[WEFT_GRAMMAR_ARRAYS]; /* items that open arrays may, and must, still have */
    uint32_t unit;                  /* of an escape \uXXXX so far */
    uint8_t mode, need, spaces, unused;
};

/* root: of an object or array; `name` is for messages.  WEFT_EARG: a schema that is none, or says what cannot be kept:
 * "schema: properties.id: \"pattern\" cannot be kept ...". */
WEFT_MUST_USE enum weft_status weft_grammar_new(struct weft_arena *a, const char *name,
                                                const struct weft_json_value *root, const struct weft_grammar **out,
                                                struct weft_err *err);

void weft_grammar_start(const struct weft_grammar *g, struct weft_grammar_state *s);
/* The next byte; false: it may not stand here, and the state is as it was. */
bool weft_grammar_step(const struct weft_grammar *g, struct weft_grammar_state *s, unsigned char byte);
bool weft_grammar_complete(const struct weft_grammar *g, const struct weft_grammar_state *s);

/* Appends the shortest bytes that complete the text.  The closing of what they lead to is their rest. */
void weft_grammar_close(const struct weft_grammar *g, const struct weft_grammar_state *s, struct weft_buf *out);

/* Of the state only what the next 256 bytes can depend on: states with equal keys accept the same of them. */
void weft_grammar_key(const struct weft_grammar_state *s, struct weft_grammar_state *key);

#endif

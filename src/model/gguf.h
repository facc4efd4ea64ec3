/* model/gguf.h - the GGUF file format, read and written
 *
 *   "GGUF"  u32 version (2, 3)  u64 n_tensors  u64 n_keys
 *   n_keys times      string key, u32 type, value         string: u64 length, bytes; array: u32 type, u64 count, items
 *   n_tensors times   string name, u32 n_dims, u64 dims[n_dims] (the contiguous one first), u32 type, u64 offset
 *   zeros up to general.alignment (32 unless the key says otherwise)
 *   tensors, each at its offset from here, padded to the alignment, in order and without holes
 *
 * One file holds weights, configuration, tokenizer and chat template.  Rules GG1-GG11 (docs/robustness.md).  The file
 * is mapped and stays so: quantised matrices are trained on and answered from where they lie (kernels/quant.h).
 *
 * Owner:   lists live in the arena given to open; texts and data point into the file.
 * Threads: immutable once open.  docs/model.md, "GGUF".
 */
#ifndef WEFT_MODEL_GGUF_H
#define WEFT_MODEL_GGUF_H

#include "base/file.h"
#include "base/progress.h"
#include "kernels/quant.h"
#include "model/config.h"
#include "tokens/tokenizer.h"

struct weft_model;
struct weft_model_settings;

/* Types of values as the format numbers them. */
enum weft_gguf_type {
    WEFT_GGUF_U8, WEFT_GGUF_I8, WEFT_GGUF_U16, WEFT_GGUF_I16, WEFT_GGUF_U32, WEFT_GGUF_I32, WEFT_GGUF_F32,
    WEFT_GGUF_BOOL, WEFT_GGUF_STRING, WEFT_GGUF_ARRAY, WEFT_GGUF_U64, WEFT_GGUF_I64, WEFT_GGUF_F64, WEFT_N_GGUF_TYPES
};

struct weft_gguf_key {
    struct weft_str key;
    enum weft_gguf_type type, item;     /* item: of an array */
    size_t count;                       /* items of an array; else 1 */
    struct weft_str bytes;              /* the value as it stands; of a string without its length */
};

/* A type of tensor: id and name of the format, size, and how its values are read. */
struct weft_gguf_tensor_type {
    unsigned id;
    const char *name;                   /* "Q4_K" */
    size_t block, block_bytes;
    enum { WEFT_GGUF_PLAIN, WEFT_GGUF_QUANT, WEFT_GGUF_NO_WEIGHT } kind;
    enum weft_dtype dtype;              /* of PLAIN */
    enum weft_quant_type quant;         /* of QUANT */
};

struct weft_gguf_tensor {
    struct weft_str name;
    const struct weft_gguf_tensor_type *type;
    int n_dims;
    size_t dims[4];                     /* dims[0] is contiguous: a matrix [rows, cols] has dims {cols, rows} */
    size_t n_elements, bytes;
    const unsigned char *data;
};

struct weft_gguf {
    const char *path;
    struct weft_map map;
    unsigned version;
    struct weft_gguf_key *keys;         /* in file order */
    size_t n_keys;
    struct weft_gguf_tensor *tensors;
    size_t n_tensors;
    uint32_t *keys_by_name, *tensors_by_name;   /* indices, sorted */
};

/* A regular file whose first bytes say GGUF. */
bool weft_gguf_is(const char *path);
WEFT_MUST_USE enum weft_status
weft_gguf_open(struct weft_gguf *g, struct weft_arena *a, const char *path, struct weft_err *err);
/* The same for a file that is in memory and stays there. */
WEFT_MUST_USE enum weft_status weft_gguf_parse(struct weft_gguf *g, struct weft_arena *a, const char *name,
                                               struct weft_str bytes, struct weft_err *err);
void weft_gguf_close(struct weft_gguf *g);      /* unmaps; accepts a zeroed struct */

const struct weft_gguf_key *weft_gguf_key(const struct weft_gguf *g, const char *key);          /* NULL: absent */
const struct weft_gguf_tensor *weft_gguf_tensor(const struct weft_gguf *g, const char *name);
/* Values by key.  An absent key leaves *out as it was and is WEFT_OK unless `needed`; another type is WEFT_EINPUT, GG9.
 * A whole number may be of any integer type and is never negative. */
WEFT_MUST_USE enum weft_status weft_gguf_uint(const struct weft_gguf *g, const char *key, bool needed, uint64_t *out,
                                              struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_gguf_float(const struct weft_gguf *g, const char *key, bool needed, double *out,
                                               struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_gguf_bool(const struct weft_gguf *g, const char *key, bool *out,
                                              struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_gguf_text(const struct weft_gguf *g, const char *key, bool needed,
                                              struct weft_str *out, struct weft_err *err);
/* The items of an array of strings, one after the other: *at starts at 0; false after the last. */
bool weft_gguf_next_string(const struct weft_gguf_key *k, size_t *at, struct weft_str *out);

/* ---- what a model file says ---- */

/* The configuration, from the metadata of architectures qwen2, qwen3, llama and mistral (rules GG9, CF). */
WEFT_MUST_USE enum weft_status weft_gguf_config(const struct weft_gguf *g, struct weft_arena *a,
                                                struct weft_config *out, struct weft_err *err);
/* tokenizer.json and tokenizer_config.json as the file's tokenizer would have them (rule GG10). */
WEFT_MUST_USE enum weft_status weft_gguf_tokenizer_files(const struct weft_gguf *g, struct weft_buf *json,
                                                         struct weft_buf *config, struct weft_err *err);
/* weft_tokenizer_load for a model directory, a tokenizer.json or a GGUF file. */
WEFT_MUST_USE enum weft_status weft_model_tokenizer(struct weft_tokenizer **out, const char *path,
                                                    struct weft_err *err);
/* Our name of a tensor as the format spells it ("blk.0.attn_q.weight"), in `out`; false: it has none. */
bool weft_gguf_tensor_name(const char *name, char *out, size_t out_bytes);

/* weft_model_load for a GGUF file; weft_model_load calls it. */
WEFT_MUST_USE enum weft_status weft_gguf_load(struct weft_model **out, const char *path,
                                              const struct weft_model_settings *s, struct weft_err *err);

/* ---- writing ---- */

struct weft_gguf_save {
    const char *type;                   /* of the matrices: "F32", "F16", "BF16", "Q8_0", "Q4_0" */
    const char *name;                   /* general.name */
    bool merge;                         /* add low-rank branches */
    struct weft_str tokenizer_json, chat_template;      /* s == NULL: none */
    struct weft_str eos_token;                          /* instead of the tokenizer's; s == NULL: that */
    const struct weft_tokenizer *tokenizer;             /* the same, for special tokens; may be NULL */
    const struct weft_progress *progress;
};
/* Atomic.  A matrix whose rows are no multiple of the block is written as F16. */
WEFT_MUST_USE enum weft_status weft_gguf_write(const struct weft_model *m, const char *path,
                                               const struct weft_gguf_save *s, struct weft_err *err);

const struct weft_gguf_tensor_type *weft_gguf_tensor_type(unsigned id);                 /* NULL: no such type */
const struct weft_gguf_tensor_type *weft_gguf_tensor_type_by_name(const char *name);
/* llama files keep the two halves of a head's rows of q and k interleaved: row `row` of the file is row
 * weft_gguf_rope_row(row, head_dim) of ours. */
static inline size_t weft_gguf_rope_row(size_t row, size_t head_dim)
{
    size_t head = row / head_dim, i = row % head_dim;
    return head * head_dim + i % 2 * (head_dim / 2) + i / 2;
}

#endif

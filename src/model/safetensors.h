/* model/safetensors.h - the safetensors file format, read and written
 *
 *   offset 0      u64 little-endian N, 2 <= N <= 100,000,000
 *          8      N bytes of JSON: {"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {...}}
 *          8 + N  data; tensors cover it without gap or overlap, row-major, at any alignment
 *
 * Rules ST1-ST11 (docs/robustness.md).  The file is mapped; nothing is copied until somebody asks for floats.
 */
#ifndef WEFT_MODEL_SAFETENSORS_H
#define WEFT_MODEL_SAFETENSORS_H

#include "base/file.h"
#include "base/json.h"

/* Types of the format; only F32, F16, BF16 are weights here. */
enum weft_st_dtype {
    WEFT_ST_BOOL, WEFT_ST_U8, WEFT_ST_I8, WEFT_ST_F8_E4M3, WEFT_ST_F8_E5M2, WEFT_ST_F8_E8M0, WEFT_ST_I16, WEFT_ST_U16,
    WEFT_ST_F16, WEFT_ST_BF16, WEFT_ST_I32, WEFT_ST_U32, WEFT_ST_F32, WEFT_ST_I64, WEFT_ST_U64, WEFT_ST_F64,
    WEFT_ST_C64, WEFT_ST_F4, WEFT_ST_F6_E2M3, WEFT_ST_F6_E3M2, WEFT_N_ST_DTYPES
};
const char *weft_st_dtype_name(enum weft_st_dtype t);      /* "BF16" */
size_t weft_st_dtype_bits(enum weft_st_dtype t);

enum { WEFT_ST_MAX_DIMS = 8 };

struct weft_st_tensor {
    struct weft_str name;
    enum weft_st_dtype dtype;
    int n_dims;
    size_t shape[WEFT_ST_MAX_DIMS];
    size_t n_elements, bytes;
    const unsigned char *data;          /* in the mapped file, any alignment */
};

struct weft_safetensors {
    struct weft_map map;
    struct weft_st_tensor *tensors;     /* sorted by name, in the arena given to open */
    size_t n;
    struct weft_json_value metadata;    /* an object; n == 0 when absent */
};
WEFT_MUST_USE enum weft_status weft_safetensors_open(struct weft_safetensors *f, struct weft_arena *a, const char *path,
                                                     struct weft_err *err);
/* The same for a file that is in memory and stays there. */
WEFT_MUST_USE enum weft_status weft_safetensors_parse(struct weft_safetensors *f, struct weft_arena *a,
                                                      const char *name, struct weft_str bytes,
                                                      struct weft_err *err);
void weft_safetensors_close(struct weft_safetensors *f);        /* unmaps; accepts a zeroed struct */
const struct weft_st_tensor *weft_safetensors_find(const struct weft_safetensors *f, struct weft_str name);

/* One tensor to write: data are `bytes` bytes in file order. */
struct weft_st_out {
    const char *name;
    enum weft_st_dtype dtype;
    int n_dims;
    size_t shape[WEFT_ST_MAX_DIMS];
    const void *data;
};
/* Atomic (temporary, fsync, rename).  Sorted by dtype then name, header padded to 8, "__metadata__" always holds
 * format: pt; `metadata`: pairs key, value, ending in NULL, or NULL. */
WEFT_MUST_USE enum weft_status weft_safetensors_write(const char *path, const struct weft_st_out *tensors, size_t n,
                                                      const char *const *metadata, struct weft_err *err);
/* The same for data that do not exist as a whole: where tensors[i].data is NULL, emit(ctx, i, o, err) appends exactly
 * the tensor's bytes with weft_out_add. */
WEFT_MUST_USE enum weft_status weft_safetensors_write_from(
    const char *path, const struct weft_st_out *tensors, size_t n, const char *const *metadata,
    enum weft_status (*emit)(void *ctx, size_t i, struct weft_out *o, struct weft_err *err), void *ctx,
    struct weft_err *err);

/* The weights of a model directory: model.safetensors, or the shards of model.safetensors.index.json (ST10). */
struct weft_weights {
    struct weft_safetensors *files;
    size_t n_files;
    const struct weft_st_tensor **tensors;  /* of all files, sorted by name */
    size_t n;
    size_t n_extra;                         /* in a shard but not in the index: left out, worth a warning */
    bool total_size_differs;                /* the index announces another sum of bytes: worth a warning */
};
WEFT_MUST_USE enum weft_status
weft_weights_open(struct weft_weights *w, struct weft_arena *a, const char *dir, struct weft_err *err);
void weft_weights_close(struct weft_weights *w);
const struct weft_st_tensor *weft_weights_find(const struct weft_weights *w, const char *name);

#endif

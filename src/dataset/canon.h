/* dataset/canon.h - what a row says, in one spelling, and its hash
 *
 * Two rows that would train the same have the same canonical text, whatever format they were read from and wherever
 * they came from: system, tools, the turns by their roles, text, chosen, rejected, kto_tag and the members that nobody
 * read, those there are, each as its name, a space, its length in bytes, LF, itself, LF:
 *     user 6
 *     你好
 *     assistant 3
 *     hi!
 * Origin, ids and the place where an Alpaca row splits its prompt are not in it.
 * The hash of a dataset is the SHA-256 of its rows' digests in order.  A digest is the 128-bit XXH3 of the same
 * members, each as its name, LF and the XXH3 of itself: all threads make them where they read the rows, and many
 * times as fast. It tells one dataset from another, and is no seal: whoever sets out to make two rows of one digest
 * can, which is what the SHA-256 of files is for.
 *
 * Threads: one per struct.
 */
#ifndef WEFT_DATASET_CANON_H
#define WEFT_DATASET_CANON_H

#include "base/hash.h"
#include "base/json.h"
#include "dataset/row.h"

/* Appends the canonical text of the row. */
void weft_row_canonical(struct weft_buf *b, const struct weft_row *row);

/* SHA-256 of the canonical text. */
WEFT_MUST_USE enum weft_status weft_row_content_hash(const struct weft_row *row, char out[WEFT_SHA256_HEX],
                                                     struct weft_err *err);

/* Appends the digest of the row; `scratch` is used on the way. */
enum { WEFT_ROW_DIGEST = WEFT_XXH3_BYTES };
void weft_row_digest(struct weft_buf *digests, const struct weft_row *row, struct weft_buf *scratch);

struct weft_dataset_hash {
    struct weft_sha256 sha;
    struct weft_buf scratch, digests;
    uint64_t n_rows;
};
WEFT_MUST_USE enum weft_status weft_dataset_hash_init(struct weft_dataset_hash *h, struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_dataset_hash_add(struct weft_dataset_hash *h, const struct weft_row *row,
                                                     struct weft_err *err);
/* Rows whose digests are made already. */
void weft_dataset_hash_digests(struct weft_dataset_hash *h, struct weft_str digests);
void weft_dataset_hash_finish(struct weft_dataset_hash *h, char out[WEFT_SHA256_HEX]);    /* and clears */
void weft_dataset_hash_clear(struct weft_dataset_hash *h);      /* accepts a zeroed struct */

/* In one call. */
WEFT_MUST_USE enum weft_status weft_dataset_hash_rows(const struct weft_rows *rows, char out[WEFT_SHA256_HEX],
                                                      struct weft_err *err);

/* "system", "user", "assistant", "tool_call", "tool": the words for roles in canonical texts, patches and on
 * screen. */
const char *weft_role_name(enum weft_role role);

#endif

#include "dataset/canon.h"

const char *weft_role_name(enum weft_role role)
{
    static const char *const names[] = { "system", "user", "assistant", "tool_call", "tool" };
    return (unsigned)role < WEFT_COUNT(names) ? names[role] : "?";
}

/* How a member is written: NAME LENGTH LF TEXT LF, so that nothing has to be escaped and no two rows share a spelling;
 * or, for digests, NAME LF and the 16 bytes of the text's XXH3, so that no text is copied. */
typedef void put_fn(struct weft_buf *b, const char *name, struct weft_str s);

static void put_text(struct weft_buf *b, const char *name, struct weft_str s)
{
    weft_buf_cstr(b, name);
    weft_buf_printf(b, " %zu\n", s.len);
    weft_buf_str(b, s);
    weft_buf_char(b, '\n');
}

static void put_digest(struct weft_buf *b, const char *name, struct weft_str s)
{
    size_t n = strlen(name);
    if (!weft_buf_reserve(b, n + 1 + WEFT_XXH3_BYTES)) return;
    memcpy(b->s + b->len, name, n);
    b->s[b->len + n] = '\n';
    weft_xxh3_128(s.s ? s.s : "", s.len, (unsigned char *)b->s + b->len + n + 1);
    b->len += n + 1 + WEFT_XXH3_BYTES;
}

static void put_choice(struct weft_buf *b, put_fn *put, const char *name, const struct weft_turn *t)
{
    if (!t->text.s) return;
    put(b, name, weft_str_c(weft_role_name(t->role)));
    put(b, weft_role_name(t->role), t->text);
}

static inline __attribute__((always_inline)) void put_row(struct weft_buf *b, put_fn *put, const struct weft_row *row)
{
    if (row->system.s) put(b, "system", row->system);
    if (row->tools.s) put(b, "tools", row->tools);
    for (size_t i = 0; i < row->n_turns; i++) {
        put(b, weft_role_name(row->turns[i].role), row->turns[i].text);
        if (row->turn_extras && row->turn_extras[i].s) put(b, "turn_extra", row->turn_extras[i]);
    }
    if (row->text.s) put(b, "text", row->text);
    put_choice(b, put, "chosen", &row->chosen);
    put_choice(b, put, "rejected", &row->rejected);
    if (row->kto_tag >= 0) put(b, "kto_tag", row->kto_tag ? WEFT_STR("true") : WEFT_STR("false"));
    if (row->extra.s) put(b, "extra", row->extra);
}

void weft_row_canonical(struct weft_buf *b, const struct weft_row *row) { put_row(b, put_text, row); }

enum weft_status weft_row_content_hash(const struct weft_row *row, char out[WEFT_SHA256_HEX], struct weft_err *err)
{
    struct weft_buf b = { 0 };
    weft_row_canonical(&b, row);
    enum weft_status st = weft_buf_check(&b, "a row", err);
    if (!st) st = weft_sha256_of(weft_buf_view(&b), out, err);
    weft_buf_clear(&b);
    return st;
}

void weft_row_digest(struct weft_buf *digests, const struct weft_row *row, struct weft_buf *scratch)
{
    unsigned char digest[WEFT_ROW_DIGEST];
    weft_buf_reset(scratch);
    put_row(scratch, put_digest, row);
    weft_xxh3_128(scratch->s ? scratch->s : "", scratch->len, digest);
    weft_buf_add(digests, digest, sizeof digest);
    digests->failed |= scratch->failed;
}

enum weft_status weft_dataset_hash_init(struct weft_dataset_hash *h, struct weft_err *err)
{
    *h = (struct weft_dataset_hash){ 0 };
    return weft_sha256_init(&h->sha, err);
}

enum weft_status weft_dataset_hash_add(struct weft_dataset_hash *h, const struct weft_row *row, struct weft_err *err)
{
    weft_buf_reset(&h->digests);
    weft_row_digest(&h->digests, row, &h->scratch);
    enum weft_status st = weft_buf_check(&h->digests, "a row", err);
    if (!st) weft_dataset_hash_digests(h, weft_buf_view(&h->digests));
    return st;
}

void weft_dataset_hash_digests(struct weft_dataset_hash *h, struct weft_str digests)
{
    weft_sha256_add(&h->sha, digests.s, digests.len);
    h->n_rows += digests.len / WEFT_ROW_DIGEST;
}

void weft_dataset_hash_finish(struct weft_dataset_hash *h, char out[WEFT_SHA256_HEX])
{
    weft_sha256_hex(&h->sha, out);
    weft_dataset_hash_clear(h);
}

void weft_dataset_hash_clear(struct weft_dataset_hash *h)
{
    weft_sha256_clear(&h->sha);
    weft_buf_clear(&h->scratch);
    weft_buf_clear(&h->digests);
}

enum weft_status weft_dataset_hash_rows(const struct weft_rows *rows, char out[WEFT_SHA256_HEX], struct weft_err *err)
{
    struct weft_dataset_hash h = { 0 };
    enum weft_status st = weft_dataset_hash_init(&h, err);
    for (size_t i = 0; !st && i < rows->n; i++) st = weft_dataset_hash_add(&h, &rows->items[i], err);
    if (!st) weft_dataset_hash_finish(&h, out);
    weft_dataset_hash_clear(&h);
    return st;
}

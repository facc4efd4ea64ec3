#include "dataset/canon.h"

const char *weft_role_name(enum weft_role role)
{
    static const char *const names[] = { "system", "user", "assistant", "tool_call", "tool" };
    return (unsigned)role < WEFT_COUNT(names) ? names[role] : "?";
}

static void member(struct weft_json_out *o, const char *key, struct weft_str s)
{
    if (!s.s) return;
    weft_json_out_key(o, key);
    weft_json_out_str(o, s);
}

#define PUT(b, literal) weft_buf_add(b, literal, sizeof(literal) - 1)

/* As the writer would, but in pieces whose lengths the compiler knows: of short rows the canonical text is mostly
 * such pieces. */
static void turn(struct weft_json_out *o, const struct weft_turn *t)
{
    switch (t->role) {
    case WEFT_ROLE_USER: PUT(o->buf, "[\"user\","); break;
    case WEFT_ROLE_ASSISTANT: PUT(o->buf, "[\"assistant\","); break;
    default:
        PUT(o->buf, "[\"");
        weft_buf_cstr(o->buf, weft_role_name(t->role));
        PUT(o->buf, "\",");
    }
    o->after_key = true;
    weft_json_out_str(o, t->text);
    PUT(o->buf, "]");
}

static void turns(struct weft_json_out *o, const struct weft_row *row)
{
    if (o->need_comma) PUT(o->buf, ",");
    PUT(o->buf, "\"turns\":[");
    for (size_t i = 0; i < row->n_turns; i++) {
        if (i) PUT(o->buf, ",");
        turn(o, &row->turns[i]);
    }
    PUT(o->buf, "]");
    o->need_comma = true;
}

/* Texts of rows are UTF-8: whoever made the row has seen to it. */
void weft_row_canonical(struct weft_buf *b, const struct weft_row *row)
{
    struct weft_json_out o;
    bool extras = false;
    weft_json_out_init(&o, b);
    o.valid = true;
    weft_json_out_object(&o);
    member(&o, "system", row->system);
    member(&o, "tools", row->tools);
    if (row->n_turns) turns(&o, row);
    for (size_t i = 0; row->turn_extras && i < row->n_turns; i++) extras |= row->turn_extras[i].s != NULL;
    if (extras) {
        weft_json_out_key(&o, "turn_extras");
        weft_json_out_array(&o);
        for (size_t i = 0; i < row->n_turns; i++)
            if (row->turn_extras[i].s) weft_json_out_raw(&o, row->turn_extras[i]);
            else weft_json_out_null(&o);
        weft_json_out_array_end(&o);
    }
    member(&o, "text", row->text);
    const struct weft_turn *const choices[] = { &row->chosen, &row->rejected };
    static const char *const keys[] = { "chosen", "rejected" };
    for (size_t i = 0; i < WEFT_COUNT(choices); i++)
        if (choices[i]->text.s) {
            weft_json_out_key(&o, keys[i]);
            turn(&o, choices[i]);
        }
    if (row->kto_tag >= 0) {
        weft_json_out_key(&o, "kto_tag");
        weft_json_out_bool(&o, row->kto_tag);
    }
    if (row->extra.s) {
        weft_json_out_key(&o, "extra");
        weft_json_out_raw(&o, row->extra);
    }
    weft_json_out_object_end(&o);
}

enum weft_status weft_row_content_hash(const struct weft_row *row, char out[WEFT_SHA256_HEX], struct weft_err *err)
{
    struct weft_buf b = { 0 };
    weft_row_canonical(&b, row);
    enum weft_status st = weft_buf_check(&b, "a row", err);
    if (!st) st = weft_sha256_of(weft_buf_view(&b), out, err);
    weft_buf_clear(&b);
    return st;
}

enum weft_status weft_dataset_hash_init(struct weft_dataset_hash *h, struct weft_err *err)
{
    *h = (struct weft_dataset_hash){ 0 };
    return weft_sha256_init(&h->sha, err);
}

enum weft_status weft_dataset_hash_add(struct weft_dataset_hash *h, const struct weft_row *row, struct weft_err *err)
{
    weft_buf_reset(&h->buf);
    weft_row_canonical(&h->buf, row);
    weft_buf_char(&h->buf, '\n');
    enum weft_status st = weft_buf_check(&h->buf, "a row", err);
    if (st) return st;
    weft_sha256_add(&h->sha, h->buf.s, h->buf.len);
    h->n_rows++;
    return WEFT_OK;
}

void weft_dataset_hash_text(struct weft_dataset_hash *h, struct weft_str texts, uint64_t n)
{
    weft_sha256_add(&h->sha, texts.s, texts.len);
    h->n_rows += n;
}

void weft_dataset_hash_finish(struct weft_dataset_hash *h, char out[WEFT_SHA256_HEX])
{
    weft_sha256_hex(&h->sha, out);
    weft_dataset_hash_clear(h);
}

void weft_dataset_hash_clear(struct weft_dataset_hash *h)
{
    weft_sha256_clear(&h->sha);
    weft_buf_clear(&h->buf);
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

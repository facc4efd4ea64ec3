#include "dataset/patch.h"

#include "base/file.h"
#include "base/lang.h"
#include "dataset/canon.h"
#include "dataset/formats.h"
#include "dataset/grow.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const op_names[] = { "keep", "drop", "edit", "speaker" };

const char *weft_patch_op_name(enum weft_patch_op op)
{
    return (unsigned)op < WEFT_COUNT(op_names) ? op_names[op] : "?";
}

const char *weft_patch_reason(enum weft_patch_fate f)
{
    switch (f) {
    case WEFT_PATCH_DIFFERS: return "the row from this place reads differently now";
    case WEFT_PATCH_AMBIGUOUS: return "several rows say the same, none of them at this place";
    case WEFT_PATCH_GONE: return "no row comes from this place or says the same";
    default: return "";
    }
}

/* ---- flags ---- */

bool weft_flags_have(struct weft_str flags, struct weft_str flag)
{
    for (size_t from = 0; from < flags.len;) {
        size_t comma = weft_str_find(flags, WEFT_STR(","), from);
        if (weft_str_eq(weft_str_sub(flags, from, comma), flag)) return true;
        if (comma == SIZE_MAX) break;
        from = comma + 1;
    }
    return false;
}

struct weft_str weft_flags_with(struct weft_arena *a, struct weft_str flags, struct weft_str flag)
{
    if (weft_flags_have(flags, flag)) return flags;
    return weft_str_printf(a, "%.*s%s%.*s", (int)flags.len, flags.len ? flags.s : "", flags.len ? "," : "",
                           (int)flag.len, flag.s);
}

/* ---- one patch ---- */

enum weft_status weft_patch_for(struct weft_arena *a, const struct weft_row *row, enum weft_patch_op op,
                                struct weft_patch *out, struct weft_err *err)
{
    char hex[WEFT_SHA256_HEX];
    *out = (struct weft_patch){ .op = op, .at = row->origin, .row = { .kto_tag = -1 } };
    enum weft_status st = weft_row_content_hash(row, hex, err);
    if (st) return st;
    out->content = weft_str_dup(a, weft_str_c(hex));
    return out->content.s ? WEFT_OK : weft_fail_nomem(err, sizeof hex, "a patch");
}

static void member(struct weft_json_out *o, const char *key, struct weft_str s)
{
    if (!s.s) return;
    weft_json_out_key(o, key);
    weft_json_out_str(o, s);
}

static void number(struct weft_json_out *o, const char *key, uint64_t v)
{
    if (!v) return;
    weft_json_out_key(o, key);
    weft_json_out_uint(o, v);
}

enum weft_status weft_patch_write(struct weft_buf *b, const struct weft_patch *p, struct weft_err *err)
{
    struct weft_json_out o;
    enum weft_status st = WEFT_OK;
    weft_json_out_init(&o, b);
    weft_json_out_object(&o);
    number(&o, "weft_patch", 1);
    member(&o, "do", weft_str_c(weft_patch_op_name(p->op)));
    if (p->at.file.s || p->at.sha256.s) {
        weft_json_out_key(&o, "src");
        weft_json_out_object(&o);
        member(&o, "file", p->at.file);
        member(&o, "sha256", p->at.sha256);
        member(&o, "part", p->at.part);
        number(&o, "page", p->at.page);
        number(&o, "last_page", p->at.last_page);
        number(&o, "line", p->at.line);
        number(&o, "last_line", p->at.last_line);
        weft_json_out_key(&o, "bytes");
        weft_json_out_array(&o);
        weft_json_out_uint(&o, p->at.byte_begin);
        weft_json_out_uint(&o, p->at.byte_end);
        weft_json_out_array_end(&o);
        weft_json_out_object_end(&o);
    }
    member(&o, "id", p->at.id);
    member(&o, "content", p->content);
    if (p->op == WEFT_PATCH_EDIT) {
        weft_json_out_key(&o, "row");
        st = weft_row_to_json(&o, &p->row, p->row.text.s ? WEFT_FORMAT_TEXT : WEFT_FORMAT_MESSAGES, false, err);
    }
    if (p->op == WEFT_PATCH_SPEAKER) {
        member(&o, "speaker", p->speaker);
        member(&o, "prompt_speaker", p->prompt_speaker);
    }
    member(&o, "note", p->note);
    weft_json_out_object_end(&o);
    weft_buf_char(b, '\n');
    return st ? st : weft_buf_check(b, "a patch", err);
}

/* ---- reading ---- */

static struct weft_str text_of(const struct weft_json_value *v, const char *key)
{
    const struct weft_json_value *m = weft_json_get(v, key);
    return m && m->kind == WEFT_JSON_STRING ? m->text : (struct weft_str){ NULL, 0 };
}

static uint64_t number_of(const struct weft_json_value *v)
{
    return v && v->is_int && v->integer > 0 ? (uint64_t)v->integer : 0;
}

static enum weft_status bad(const char *name, uint64_t line, const char *what, struct weft_err *err)
{
    return weft_fail_rule(err, WEFT_EINPUT, "DP1", "%s:%" PRIu64 ": not a patch: %s", name, line,
                          weft_tr(err ? err->lang : WEFT_LANG_EN, what));
}

static enum weft_status read_patch(struct weft_arena *a, const char *name, uint64_t line,
                                   const struct weft_json_value *v, struct weft_patch *p,
                                   struct weft_err *err)
{
    const struct weft_json_value *version = weft_json_get(v, "weft_patch"), *src = weft_json_get(v, "src"),
                                 *bytes = weft_json_get(src, "bytes"), *row = weft_json_get(v, "row");
    struct weft_str what = text_of(v, "do");
    size_t op = 0;
    *p = (struct weft_patch){ .line = line, .row = { .kto_tag = -1 } };
    if (number_of(version) != 1) return bad(name, line, "weft_patch is not 1", err);
    while (op < WEFT_COUNT(op_names) && !weft_str_is(what, op_names[op])) op++;
    if (op == WEFT_COUNT(op_names)) return bad(name, line, "\"do\" is none of keep, drop, edit, speaker", err);
    p->op = (enum weft_patch_op)op;
    p->content = text_of(v, "content");
    if (p->content.len != WEFT_SHA256_HEX - 1) return bad(name, line, "content is not a SHA-256 in hexadecimal", err);
    p->at.id = text_of(v, "id");
    p->at.file = text_of(src, "file");
    p->at.sha256 = text_of(src, "sha256");
    p->at.part = text_of(src, "part");
    p->at.page = number_of(weft_json_get(src, "page"));
    p->at.last_page = number_of(weft_json_get(src, "last_page"));
    p->at.line = number_of(weft_json_get(src, "line"));
    p->at.last_line = number_of(weft_json_get(src, "last_line"));
    if (bytes && bytes->kind == WEFT_JSON_ARRAY && bytes->n == 2) {
        p->at.byte_begin = number_of(&bytes->items[0]);
        p->at.byte_end = number_of(&bytes->items[1]);
    }
    p->speaker = text_of(v, "speaker");
    p->prompt_speaker = text_of(v, "prompt_speaker");
    p->note = text_of(v, "note");
    if (p->op == WEFT_PATCH_SPEAKER && !p->speaker.s && !p->prompt_speaker.s)
        return bad(name, line, "no speaker is named", err);
    if (p->op != WEFT_PATCH_EDIT) return WEFT_OK;
    if (!row) return bad(name, line, "an edit without its row", err);
    struct weft_err fault = { .lang = err ? err->lang : WEFT_LANG_EN };
    enum weft_status st = weft_row_from_json(a, row, NULL, &p->row, NULL, &fault);
    if (st == WEFT_EINPUT) return bad(name, line, fault.msg, err);
    return st ? weft_fail(err, st, "%s", fault.msg) : WEFT_OK;
}

enum weft_status weft_patches_parse(struct weft_arena *a, const char *name, struct weft_str bytes,
                                    struct weft_patches *out, struct weft_err *err)
{
    struct weft_lines lines = { .text = bytes };
    struct weft_str line;
    enum weft_status st = WEFT_OK;
    if (weft_str_starts(bytes, WEFT_STR("\xEF\xBB\xBF"))) lines.at = 3;
    while (!st && weft_lines_next(&lines, &line)) {
        struct weft_err fault = { .lang = err ? err->lang : WEFT_LANG_EN };
        struct weft_json_value v;
        if (!weft_str_trim_ascii(line).len) continue;
        if (!WEFT_GROW(a, out->items, out->n, out->cap)) return weft_fail_nomem(err, sizeof *out->items, "the patches");
        st = weft_json_parse_row(a, name, lines.line, line, &v, &fault);
        if (st == WEFT_EINPUT) st = weft_fail_rule(err, st, "DP1", "%s", fault.msg);
        else if (st) st = weft_fail(err, st, "%s", fault.msg);
        else if (v.kind != WEFT_JSON_OBJECT) st = bad(name, lines.line, "the line is not an object", err);
        else st = read_patch(a, name, lines.line, &v, &out->items[out->n], err);
        if (!st) out->n++;
    }
    return st;
}

enum weft_status weft_patches_read(struct weft_arena *a, const char *path, struct weft_patches *out,
                                   struct weft_err *err)
{
    struct weft_str bytes;
    enum weft_status st = weft_file_read(a, path, 0, &bytes, err);
    return st ? st : weft_patches_parse(a, path, bytes, out, err);
}

/* ---- matching ---- */

struct key {
    uint64_t hash;
    size_t row;
};
struct table {
    struct key *keys;       /* sorted */
    size_t n;
};

static int by_hash(const void *x, const void *y)
{
    const struct key *a = x, *b = y;
    if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

/* The first key with this hash, or n. */
static size_t find(const struct table *t, uint64_t hash)
{
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (t->keys[mid].hash < hash) low = mid + 1;
        else high = mid;
    }
    return low < t->n && t->keys[low].hash == hash ? low : t->n;
}
static bool goes_on(const struct table *t, size_t at, uint64_t hash) { return at < t->n && t->keys[at].hash == hash; }

static uint64_t str_hash(struct weft_str s, uint64_t seed) { return weft_xxh3(s.len ? s.s : "", s.len, seed); }

/* The file by its bytes, or by its name where nobody hashed it. */
static uint64_t place_hash(const struct weft_origin *o)
{
    uint64_t numbers[] = { o->line, o->last_line, o->byte_begin, o->byte_end };
    return weft_xxh3(numbers, sizeof numbers, str_hash(o->part, str_hash(o->sha256.len ? o->sha256 : o->file, 7)));
}

enum { EXACT, PLACE, CONTENT, TABLES };

static enum weft_status make_tables(struct weft_arena *a, const struct weft_rows *rows, struct table t[TABLES],
                                    struct weft_err *err)
{
    for (int k = 0; k < TABLES; k++) {
        t[k] = (struct table){ WEFT_NEWS(a, struct key, rows->n + 1), rows->n };
        if (!t[k].keys) return weft_fail_nomem(err, rows->n * sizeof *t[k].keys, "the patches");
    }
    for (size_t i = 0; i < rows->n; i++) {
        char hex[WEFT_SHA256_HEX];
        enum weft_status st = weft_row_content_hash(&rows->items[i], hex, err);
        if (st) return st;
        uint64_t place = place_hash(&rows->items[i].origin), content = weft_xxh3(hex, sizeof hex - 1, 0);
        t[EXACT].keys[i] = (struct key){ weft_xxh3(&place, sizeof place, content), i };
        t[PLACE].keys[i] = (struct key){ place, i };
        t[CONTENT].keys[i] = (struct key){ content, i };
    }
    for (int k = 0; k < TABLES; k++)
        if (rows->n) qsort(t[k].keys, rows->n, sizeof *t[k].keys, by_hash);
    return WEFT_OK;
}

static void decide(struct weft_patch_match *m, size_t row, size_t patch)
{
    size_t old = m->of_row[row];
    if (old != SIZE_MAX && old != patch) m->fate[old] = WEFT_PATCH_REPLACED;
    m->of_row[row] = patch;
}

static enum weft_status match_one(const struct weft_rows *rows, const struct table t[TABLES],
                                  const struct weft_patch *p, size_t number_of_patch,
                                  struct weft_patch_match *m, struct weft_err *err)
{
    uint64_t place = place_hash(&p->at), content = str_hash(p->content, 0);
    uint64_t exact = weft_xxh3(&place, sizeof place, content);
    enum weft_patch_fate *fate = &m->fate[number_of_patch];
    size_t at = find(&t[EXACT], exact), only = SIZE_MAX, n = 0;
    *fate = WEFT_PATCH_FITS;
    if (at < t[EXACT].n) {          /* all copies of the row */
        for (; goes_on(&t[EXACT], at, exact); at++) decide(m, t[EXACT].keys[at].row, number_of_patch);
        return WEFT_OK;
    }
    at = find(&t[PLACE], place);
    if (at < t[PLACE].n && (p->at.file.len || p->at.sha256.len)) {
        *fate = WEFT_PATCH_DIFFERS;
        if (p->op != WEFT_PATCH_EDIT) return WEFT_OK;
        char want[WEFT_SHA256_HEX];
        enum weft_status st = weft_row_content_hash(&p->row, want, err);
        uint64_t done = weft_xxh3(want, sizeof want - 1, 0);
        done = weft_xxh3(&place, sizeof place, done);
        if (!st && find(&t[EXACT], done) < t[EXACT].n) *fate = WEFT_PATCH_DONE;
        return st;
    }
    for (at = find(&t[CONTENT], content); goes_on(&t[CONTENT], at, content); at++) {
        size_t row = t[CONTENT].keys[at].row;
        if (p->at.file.len && !weft_str_eq(rows->items[row].origin.file, p->at.file)) continue;
        only = row;
        n++;
    }
    *fate = n == 1 ? WEFT_PATCH_MOVED : n ? WEFT_PATCH_AMBIGUOUS : WEFT_PATCH_GONE;
    if (n == 1) decide(m, only, number_of_patch);
    return WEFT_OK;
}

enum weft_status weft_patches_match(struct weft_arena *a, const struct weft_rows *rows,
                                    const struct weft_patches *patches, struct weft_patch_match *out,
                                    struct weft_err *err)
{
    struct table t[TABLES];
    *out = (struct weft_patch_match){ .of_row = WEFT_NEWS(a, size_t, rows->n + 1),
                                      .fate = WEFT_NEWS(a, enum weft_patch_fate, patches->n + 1) };
    if (!out->of_row || !out->fate) return weft_fail_nomem(err, rows->n * sizeof *out->of_row, "the patches");
    for (size_t i = 0; i < rows->n; i++) out->of_row[i] = SIZE_MAX;
    if (!patches->n) return WEFT_OK;
    enum weft_status st = make_tables(a, rows, t, err);
    for (size_t i = 0; !st && i < patches->n; i++) st = match_one(rows, t, &patches->items[i], i, out, err);
    for (size_t i = 0; !st && i < patches->n; i++) {
        enum weft_patch_fate f = out->fate[i];
        out->fits += f == WEFT_PATCH_FITS;
        out->moved += f == WEFT_PATCH_MOVED;
        out->replaced += f == WEFT_PATCH_REPLACED;
        out->already += f == WEFT_PATCH_DONE;
        out->unfit += weft_patch_unfit(f);
    }
    return st;
}

/* ---- applying ---- */

/* The row says what the patch says, and stays where it came from. */
static void edit(struct weft_row *row, const struct weft_row *by)
{
    struct weft_row old = *row;
    *row = *by;
    row->origin = old.origin;
    /* An Alpaca prompt keeps its seam while the text around it is the same. */
    size_t after_it = old.chosen.text.s ? 1 : 2;
    if (!old.split_input || old.n_turns < after_it || old.n_turns != row->n_turns) return;
    size_t last = old.n_turns - after_it;
    struct weft_str before = old.turns[last].text, after = row->turns[last].text;
    size_t head = old.instruction_len + (old.instruction_len != 0);
    if (!weft_str_eq(weft_str_sub(before, 0, head), weft_str_sub(after, 0, head))) return;
    row->split_input = true;
    row->instruction_len = old.instruction_len;
}

enum weft_status weft_patches_apply(struct weft_arena *a, struct weft_rows *rows, const struct weft_patches *patches,
                                    struct weft_patch_result *out, struct weft_err *err)
{
    size_t n = 0;
    *out = (struct weft_patch_result){ .rows_in = rows->n };
    enum weft_status st = weft_patches_match(a, rows, patches, &out->match, err);
    if (st) return st;
    for (size_t i = 0; i < rows->n; i++) {
        struct weft_row row = rows->items[i];
        size_t which = out->match.of_row[i];
        const struct weft_patch *p = which == SIZE_MAX ? NULL : &patches->items[which];
        if (p && p->op == WEFT_PATCH_DROP) {
            out->dropped++;
            continue;
        }
        if (p) {
            bool edited = p->op == WEFT_PATCH_EDIT;
            if (edited) edit(&row, &p->row);
            if (p->op == WEFT_PATCH_SPEAKER && p->speaker.s) row.origin.speaker = p->speaker;
            if (p->op == WEFT_PATCH_SPEAKER && p->prompt_speaker.s) row.origin.prompt_speaker = p->prompt_speaker;
            row.origin.flags = weft_flags_with(a, row.origin.flags, edited ? WEFT_STR("edited") : WEFT_STR("reviewed"));
            if (!row.origin.flags.s) return weft_fail_nomem(err, 64, "the patches");
            out->edited += edited;
            out->kept += p->op == WEFT_PATCH_KEEP;
            out->renamed += p->op == WEFT_PATCH_SPEAKER;
        }
        rows->items[n++] = row;
    }
    rows->n = n;
    out->rows_out = n;
    return WEFT_OK;
}

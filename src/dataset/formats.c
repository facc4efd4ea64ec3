/* Reading: what the file is (an array, JSON lines, one object), then row by row: a tree in scratch memory, the row
 * from the tree, scratch released.  Strings of the row point into the file's text wherever no escape was used.
 *
 * Faults of a row cost the row; in an array, faults of JSON itself cost the file, but for a key that comes twice
 * (JS7): there the end of the element is found by its brackets and reading goes on behind it. */
#include "dataset/format_parts.h"

#include "base/lang.h"
#include "base/pool.h"
#include "dataset/grow.h"
#include "dataset/row_table_parts.h"
#include "text/magic.h"
#include "text/read_txt.h"

#include <inttypes.h>
#include <stdlib.h>

static const struct weft_row_format *const formats[] = { &weft_format_alpaca, &weft_format_sharegpt,
                                                         &weft_format_messages, &weft_format_text, &weft_format_dpo };

const struct weft_row_format *const *weft_row_formats(size_t *n)
{
    *n = WEFT_COUNT(formats);
    return formats;
}

/* ---- one object ---- */

static const struct weft_row_format *format_by_id(enum weft_format id)
{
    for (size_t i = 0; i < WEFT_COUNT(formats); i++)
        if (formats[i]->id == id) return formats[i];
    return NULL;
}

/* What stands in a row of no shape, for the message. */
static enum weft_status fail_shape(struct weft_row_reader *r, const struct weft_json_value *v)
{
    struct weft_buf b = { 0 };
    for (size_t i = 0; i < v->n && i < 6; i++) {
        if (i) weft_buf_cstr(&b, ", ");
        weft_buf_escaped(&b, v->keys[i], 24);
    }
    enum weft_status st =
        weft_row_bad(r, v, "DS2", "no instruction, conversations, messages or text; name them with columns",
                     "found %s", b.len ? b.s : "{}");
    weft_buf_clear(&b);
    return st;
}

static const struct weft_json_value *mark_of(const struct weft_row_reader *r, const struct weft_json_value *v,
                                             const struct weft_row_format *f)
{
    return r->s && r->s->columns.n ? weft_row_member(r, v, f->key.s) : weft_json_find(v, f->key);
}

/* DS2: exactly one shape.  `text` counts only where no other does. */
static enum weft_status find_format(struct weft_row_reader *r, const struct weft_json_value *v,
                                    const struct weft_row_format **out)
{
    enum weft_format wanted = r->s ? (enum weft_format)r->s->format : WEFT_FORMAT_AUTO;
    *out = NULL;
    if (wanted != WEFT_FORMAT_AUTO) {
        const struct weft_row_format *f = format_by_id(wanted);
        if (!mark_of(r, v, f))
            return weft_row_bad(r, v, "DS2", "not a row of the format asked for", "%s is missing", f->key.s);
        *out = f;
        return WEFT_OK;
    }
    for (size_t i = 0; i < WEFT_COUNT(formats); i++) {
        if (!mark_of(r, v, formats[i]) || (*out && formats[i]->id == WEFT_FORMAT_TEXT)) continue;
        if (*out)
            return weft_row_bad(r, v, "DS2", "two shapes in one row", "%s, %s", (*out)->key.s, formats[i]->key.s);
        *out = formats[i];
    }
    return *out ? WEFT_OK : fail_shape(r, v);
}

static enum weft_status read_object(struct weft_row_reader *r, const struct weft_json_value *v,
                                    struct weft_row *row, enum weft_format *format)
{
    const struct weft_row_format *f;
    enum weft_status st;
    if (v->kind != WEFT_JSON_OBJECT)
        return weft_row_bad(r, v, "DS1", "a row is not an object", "found %s",
                            weft_tr(r->lang, weft_json_kind_name(v->kind)));
    st = find_format(r, v, &f);
    if (st) return st;
    *format = f->id;
    st = f->read(r, v, row);
    return st ? st : weft_origin_read(r, weft_json_get(v, "weft"), row);
}

enum weft_status weft_row_from_json(struct weft_arena *a, const struct weft_json_value *v,
                                    const struct weft_rows_settings *s, struct weft_row *row,
                                    enum weft_format *format, struct weft_err *err)
{
    struct weft_row_reader r = { .arena = a, .s = s, .lang = err ? err->lang : WEFT_LANG_EN, .err = err };
    enum weft_format found;
    *row = (struct weft_row){ .kto_tag = -1 };
    enum weft_status st = read_object(&r, v, row, &found);
    if (st == WEFT_EINPUT)
        return weft_fail_rule(err, st, r.rule, "%s%s%s", weft_tr(r.lang, r.reason), *r.detail ? ": " : "",
                              r.detail);
    if (st) return st;
    row->read_as = (unsigned char)found;
    if (format) *format = found;
    return WEFT_OK;
}

/* ---- a file ---- */

struct part;

/* One thread's; on lines of its own in the cache, as each row writes to it. */
enum { READER_ALIGN = 64 };
struct reader {
    _Alignas(READER_ALIGN)
    struct weft_arena *arena;           /* of the rows when they are kept, and of tables and places of rows */
    struct weft_arena *report_arena;
    struct weft_arena scratch;          /* of the tree of one row */
    struct weft_arena row_arena;        /* of one row when `each` is called */
    struct weft_json_memo memo;         /* keys of the rows before, in the text */
    const char *name;
    struct weft_str text;
    const struct weft_rows_settings *s;
    struct weft_rows *rows;             /* kept rows, or NULL ... */
    struct weft_arena *rows_arena;      /* their array's */
    enum weft_status (*each)(void *ctx, const struct weft_row *row,
                             struct weft_err *err); /* ... and a call for each */
    void *ctx;
    const struct weft_rows_sink *sink;  /* ... or a call from whatever thread */
    struct weft_row_at at;
    struct weft_row_index *index;       /* ... or only their places */
    struct weft_row_header **header;    /* where to leave a table's header and its text, or NULL */
    struct weft_str *text_at;
    struct weft_pool *pool;             /* for JSON lines that are cut into parts; NULL: not cut */
    size_t part_bytes;
    struct part *part;                  /* the part that is being read, NULL: no parts */
    struct weft_report *report;
    struct weft_rows_shape *shape;
    uint64_t n_good;
    bool full;                          /* max_rows reached */
    bool unhashed;                      /* the shape goes without sha256 */
    size_t row_bytes;                   /* of struct weft_row: what the compiler knows it clears by a slow `rep stos` */
    struct weft_err *err;
};

static enum weft_lang lang_of(const struct reader *r) { return r->err ? r->err->lang : WEFT_LANG_EN; }

/* A JSON fault: its message begins with its place, and the rule goes behind that. */
static enum weft_status drop_json(struct reader *r, const struct weft_err *fault)
{
    static const struct {
        const char *rule, *reason;
    } reasons[] = { { "JS1", "JS1: not UTF-8" },
                    { "JS2", "JS2: not JSON" },
                    { "JS3", "JS3: nested too deep" },
                    { "JS4", "JS4: a key comes twice" },
                    { "JS5", "JS5: half a surrogate pair" },
                    { "JS6", "JS6: a number out of range" } };
    const char *reason = "JS2: not JSON";
    struct weft_buf b = { 0 };
    for (size_t i = 0; i < WEFT_COUNT(reasons); i++)
        if (strcmp(fault->rule, reasons[i].rule) == 0) reason = reasons[i].reason;
    size_t at = strlen(r->name);
    at += strncmp(fault->msg, r->name, at) == 0 ? strspn(fault->msg + at, ":0123456789") : 0;
    if (at > strlen(fault->msg)) at = 0;
    weft_buf_add(&b, fault->msg, at);
    weft_buf_printf(&b, " %s:%s%s", fault->rule, fault->msg[at] == ' ' ? "" : " ", fault->msg + at);
    enum weft_status st = weft_buf_check(&b, "the report", r->err);
    if (!st) st = weft_report_drop(r->report, r->report_arena, weft_str_c(reason), 1, weft_buf_view(&b), r->err);
    weft_buf_clear(&b);
    return st;
}

/* A fault of the row's content (DS). */
static enum weft_status drop_row(struct reader *r, const struct weft_json *j,
                                 const struct weft_row_reader *fault)
{
    struct weft_buf reason = { 0 }, place = { 0 };
    uint64_t line, column;
    enum weft_status st;
    weft_buf_printf(&reason, "%s: %s", fault->rule, fault->reason);
    if (r->report->n_places < WEFT_REPORT_PLACES) {
        weft_json_place(j, fault->at, &line, &column);
        weft_buf_printf(&place, "%s:%" PRIu64 ":%" PRIu64 ": %s: %s%s%s", r->name, line, column, fault->rule,
                        weft_tr(lang_of(r), fault->reason), *fault->detail ? ": " : "", fault->detail);
    }
    st = weft_buf_check(&reason, "the report", r->err);
    if (!st) st = weft_buf_check(&place, "the report", r->err);
    if (!st)
        st = weft_report_drop(r->report, r->report_arena, weft_buf_view(&reason), 1, weft_buf_view(&place), r->err);
    weft_buf_clear(&reason);
    weft_buf_clear(&place);
    return st;
}

static enum weft_status add_span(struct reader *r, const struct weft_json *j, const struct weft_json_value *v,
                                 struct weft_str id)
{
    struct weft_row_index *ix = r->index;
    uint64_t hash = id.len ? weft_xxh3(id.s, id.len, 0) : 0, base = (uint64_t)(j->text.s - r->text.s);
    if (!WEFT_GROW(r->arena, ix->spans, ix->n, ix->cap)) return weft_fail_nomem(r->err, sizeof *ix->spans, "the index");
    ix->spans[ix->n++] = (struct weft_row_span){ base + v->at, base + j->at, j->first_line, hash };
    return WEFT_OK;
}

/* Files that are not cut: a part ends after so many rows, so that nobody has to keep more. */
enum { ROWS_OF_PART = 4096 };

static enum weft_status end_part(struct reader *r)
{
    uint64_t n = r->at.in_part, part = r->at.part++;
    r->at.in_part = 0;
    return r->sink->part ? r->sink->part(r->sink->ctx, r->at.slot, part, n, r->err) : WEFT_OK;
}

static enum weft_status to_sink(struct reader *r, uint64_t begin, const struct weft_row *row)
{
    r->at.begin = begin;
    enum weft_status st = r->sink->row(r->sink->ctx, &r->at, row, r->err);
    r->at.in_part++;
    return st || r->part || r->at.in_part < ROWS_OF_PART ? st : end_part(r);
}

static enum weft_status deliver(struct reader *r, const struct weft_json *j, const struct weft_json_value *v,
                                const struct weft_row *row, enum weft_format format)
{
    if (!r->n_good++) r->shape->format = format;
    else if (r->shape->format != format) r->shape->format = WEFT_FORMAT_AUTO;
    r->report->rows_out++;
    r->full = r->s && r->s->max_rows > 0 && r->n_good >= (uint64_t)r->s->max_rows;
    if (r->index) return add_span(r, j, v, row->origin.id);
    if (r->each) return r->each(r->ctx, row, r->err);
    if (r->sink) return to_sink(r, (uint64_t)(j->text.s - r->text.s) + v->at, row);
    struct weft_row *kept = weft_rows_add(r->rows, r->rows_arena);
    if (!kept) return weft_fail_nomem(r->err, sizeof *kept, "the rows");
    *kept = *row;
    return WEFT_OK;
}

static uint64_t lines_before(const struct reader *r);

/* One value that has been parsed. */
static enum weft_status take_tree(struct reader *r, const struct weft_json *j, const struct weft_json_value *v)
{
    bool passing = r->each || r->index || r->sink;  /* the row goes when it has been delivered */
    struct weft_row_reader row_reader;  /* its fault is written when there is one */
    struct weft_row row;
    enum weft_format format;
    row_reader.arena = passing ? &r->row_arena : r->arena;
    row_reader.source = r->text;
    row_reader.brief = passing;
    row_reader.s = r->s;
    row_reader.lang = lang_of(r);
    row_reader.err = r->err;
    memset(&row, 0, r->row_bytes);
    row.kto_tag = -1;
    struct weft_arena_mark mark = weft_arena_mark(row_reader.arena);
    enum weft_status st = read_object(&row_reader, v, &row, &format);
    if (st == WEFT_EINPUT) {
        struct weft_json placed = *j;
        placed.first_line += lines_before(r);
        weft_arena_release(row_reader.arena, mark);
        return drop_row(r, &placed, &row_reader);
    }
    row.read_as = (unsigned char)format;
    if (!st) st = deliver(r, j, v, &row, format);
    if (passing) weft_arena_release(&r->row_arena, mark);
    return st;
}

/* ---- JSON lines ---- */

static bool is_blank(struct weft_str line) { return weft_str_trim_ascii(line).len == 0; }

/* A piece of the lines that one thread reads; see below. */
struct part {
    struct wave *wave;
    size_t begin, end;                  /* bytes of the text */
    bool is_utf8;                       /* all of it: its lines need no check of their own */
    bool counted;
    uint64_t before;                    /* lines of the file before the part, once counted */
    struct weft_arena arena;            /* of the report */
    struct weft_report report;
    struct weft_rows_shape shape;
    struct weft_rows rows;              /* when rows are kept; the array is used again */
    struct weft_arena rows_arena;
    uint64_t n_good;
    enum weft_status st;
    struct weft_err err;
};

static enum weft_status parse_line(struct reader *r, struct weft_json *j, uint64_t number, struct weft_str line,
                                   struct weft_json_value *v, struct weft_err *fault)
{
    fault->lang = lang_of(r);
    weft_err_clear(fault);
    enum weft_status st = r->part && r->part->is_utf8
                              ? weft_json_init_valid(j, &r->scratch, r->name, number, line, fault)
                              : weft_json_init_row(j, &r->scratch, r->name, number, line, fault);
    j->memo = &r->memo;
    if (!st) st = weft_json_tree(j, v, fault);
    return st ? st : weft_json_end(j, fault);
}

static enum weft_status read_line(struct reader *r, struct weft_str line, uint64_t number)
{
    struct weft_arena_mark mark = weft_arena_mark(&r->scratch);
    struct weft_err fault;
    struct weft_json_value v;
    struct weft_json j;
    r->report->units_in++;
    if (is_blank(line)) {
        r->report->blank++;
        return WEFT_OK;
    }
    enum weft_status st = parse_line(r, &j, number, line, &v, &fault);
    /* again, now that the number of its line is worth finding */
    if (st == WEFT_EINPUT && lines_before(r)) st = parse_line(r, &j, number + lines_before(r), line, &v, &fault);
    if (st == WEFT_EINPUT) st = drop_json(r, &fault);
    else if (st) st = weft_fail(r->err, st, "%s", fault.msg);
    else st = take_tree(r, &j, &v);
    weft_arena_release(&r->scratch, mark);
    return st;
}

/* Lines of r->text from `at` to `end`. */
static enum weft_status read_span(struct reader *r, size_t at, size_t end)
{
    struct weft_lines lines = { .text = weft_str_sub(r->text, 0, end), .at = at };
    struct weft_str line;
    uint64_t most = r->s && r->s->max_line_bytes > 0 ? (uint64_t)r->s->max_line_bytes : UINT64_C(64) << 20;
    while (!r->full && weft_lines_next(&lines, &line)) {
        if (line.len > most)
            return weft_fail(r->err, WEFT_ELIMIT,
                             "%s:%" PRIu64 ": a line of %zu bytes; the limit is %" PRIu64 " (max_line_bytes)",
                             r->name, lines.line + lines_before(r), line.len, most);
        enum weft_status st = read_line(r, line, lines.line);
        if (st) return st;
    }
    return WEFT_OK;
}

/* ---- JSON lines by several threads ---- */

/* The text is cut at line ends into parts, and parts are read in waves: while a wave is read, the parts of the one
 * before are handed on in order by one of the threads.  So memory is bounded, and what comes out (rows, report, the
 * first error) is as if one thread had read line after line.  Which line of the file a part begins with is not known
 * while it is read, and nobody asks but for a row at fault: then the line ends before it are counted. */
enum { PART_BYTES = 64 << 10, PARTS_OF_WAVE = 16 /* a thread */ };

struct wave {
    struct reader *all, *threads;       /* the caller's; [n_threads] */
    struct part *parts, *last;          /* this wave's and the last one's */
    size_t n, n_last, most;
    size_t begin;                       /* of its first part */
    uint64_t line;                      /* lines before that */
    uint64_t first_part, first_last;    /* numbers */
    enum weft_status st_last;           /* of handing on */
    struct weft_err err_last;
};

static uint64_t lines_before(const struct reader *r)
{
    struct part *p = r->part;
    if (!p) return 0;
    if (!p->counted) p->before = p->wave->line + weft_str_count(weft_str_sub(r->text, p->wave->begin, p->begin), '\n');
    p->counted = true;
    return p->before;
}

static void read_part(struct wave *w, size_t i, int thread)
{
    struct reader *r = &w->threads[thread];
    struct part *p = &w->parts[i];
    r->report = &p->report;
    r->report_arena = &p->arena;
    r->shape = &p->shape;
    r->rows = w->all->rows ? &p->rows : NULL;
    r->rows_arena = &p->rows_arena;
    r->err = &p->err;
    r->part = p;
    r->n_good = 0;
    r->at = (struct weft_row_at){ .thread = thread, .slot = (unsigned)(p - (w->parts < w->last ? w->parts : w->last)),
                                  .part = w->first_part + i };
    p->is_utf8 = weft_utf8_check(weft_str_sub(r->text, p->begin, p->end)) == p->end - p->begin;
    p->st = read_span(r, p->begin, p->end);
    p->n_good = r->n_good;
}

/* Room for all the rows there will be, judged by those there are. */
static bool reserve_rows(struct reader *r, size_t more, size_t at)
{
    struct weft_rows *rows = r->rows;
    size_t want = rows->n + more;
    if (want <= rows->cap) return true;
    if (at) want = weft_max_size(want, (size_t)((double)r->text.len / (double)at * 1.05 * (double)want));
    want = weft_max_size(want, rows->cap + rows->cap / 2);
    size_t bytes;
    if (!weft_size_mul(want, sizeof *rows->items, &bytes)) return false;
    struct weft_row *items = weft_arena_alloc(r->arena, bytes);
    if (!items) return false;
    if (rows->n) memcpy(items, rows->items, rows->n * sizeof *items);
    rows->items = items;
    rows->cap = want;
    return true;
}

/* Hands on the parts of the last wave, in order. */
static void hand_on(struct wave *w)
{
    struct reader *r = w->all;
    for (size_t i = 0; i < w->n_last && !w->st_last; i++) {
        struct part *p = &w->last[i];
        unsigned slot = (unsigned)(p - (w->parts < w->last ? w->parts : w->last));
        if (r->sink && r->sink->part)
            w->st_last = r->sink->part(r->sink->ctx, slot, w->first_last + i, p->n_good, &w->err_last);
        if (!r->rows || !p->rows.n) continue;
        if (!reserve_rows(r, p->rows.n, p->end)) {
            w->st_last = weft_fail_nomem(&w->err_last, p->rows.n * sizeof *p->rows.items, "the rows");
            return;
        }
        memcpy(r->rows->items + r->rows->n, p->rows.items, p->rows.n * sizeof *p->rows.items);
        r->rows->n += p->rows.n;
        p->rows.n = 0;
    }
}

static void work(void *ctx, size_t chunk, int thread)
{
    struct wave *w = ctx;
    if (!chunk) hand_on(w);
    else read_part(w, chunk - 1, thread);
}

/* Adds what a part found to what is known of the file. */
static enum weft_status take_report(struct reader *r, struct part *p)
{
    const struct weft_report *from = &p->report;
    struct weft_report *to = r->report;
    const struct weft_str no_place = { NULL, 0 };
    enum weft_status st = WEFT_OK;
    to->units_in += from->units_in;
    to->rows_out += from->rows_out;
    to->blank += from->blank;
    for (size_t i = 0; !st && i < from->n_drops; i++)
        st = weft_report_drop(to, r->report_arena, from->drops[i].reason, from->drops[i].count, no_place, r->err);
    for (size_t i = 0; !st && i < from->n_places && to->n_places < WEFT_REPORT_PLACES; i++) {
        struct weft_str place = weft_str_dup(r->report_arena, from->places[i]);
        if (!place.s) return weft_fail_nomem(r->err, from->places[i].len, "the report");
        to->places[to->n_places++] = place;
    }
    if (p->n_good && !r->n_good) r->shape->format = p->shape.format;
    else if (p->n_good && r->shape->format != p->shape.format) r->shape->format = WEFT_FORMAT_AUTO;
    r->n_good += p->n_good;
    return st;
}

/* Cuts the next wave; false: there is none. */
static bool next_wave(struct wave *w, size_t part_bytes)
{
    struct weft_str text = w->all->text;
    size_t at = w->n ? w->parts[w->n - 1].end : w->begin;
    struct part *parts = w->last;
    w->last = w->parts;
    w->n_last = w->n;
    w->first_last = w->first_part;
    w->first_part += w->n;
    w->parts = parts;
    w->begin = at;
    for (w->n = 0; w->n < w->most && at < text.len; w->n++) {
        struct part *p = &parts[w->n];
        size_t end = at + weft_min_size(part_bytes, text.len - at);
        const char *lf = end < text.len ? memchr(text.s + end - 1, '\n', text.len - end + 1) : NULL;
        p->begin = at;
        p->end = at = lf ? (size_t)(lf - text.s) + 1 : text.len;
        p->wave = w;
        p->counted = false;
        weft_arena_clear(&p->arena);
        p->report = (struct weft_report){ 0 };
        p->shape = (struct weft_rows_shape){ 0 };
        p->err = (struct weft_err){ .lang = lang_of(w->all) };
    }
    return w->n > 0;
}

/* The lines of r->text from `at` on. */
static enum weft_status read_in_parts(struct reader *r, size_t at)
{
    int n_threads = weft_pool_threads(r->pool);
    size_t part_bytes = r->part_bytes ? r->part_bytes : PART_BYTES, most = (size_t)n_threads * PARTS_OF_WAVE;
    struct part *parts = calloc(2 * most, sizeof *parts);
    struct reader *threads = aligned_alloc(READER_ALIGN, (size_t)n_threads * sizeof *threads);
    struct weft_arena *arenas = calloc((size_t)n_threads, sizeof *arenas);
    struct wave w = { .all = r, .threads = threads, .parts = parts, .last = parts + most, .most = most, .begin = at,
                      .err_last.lang = lang_of(r) };
    enum weft_status st = WEFT_OK;
    if (threads) memset(threads, 0, (size_t)n_threads * sizeof *threads);
    if (!parts || !threads || !arenas) st = weft_fail_nomem(r->err, 2 * most * sizeof *parts, "the rows");
    for (int t = 0; !st && t < n_threads; t++) {
        threads[t] = (struct reader){
            .arena = &arenas[t], .name = r->name, .text = r->text, .s = r->s, .sink = r->sink, .row_bytes = r->row_bytes
        };
        arenas[t].block_bytes = (size_t)256 << 10;
        arenas[t].max_bytes = r->arena->max_bytes;
    }
    for (bool more = true; !st && more;) {
        more = next_wave(&w, part_bytes);
        weft_pool_run(r->pool, w.n + 1, work, &w);
        st = w.st_last;
        if (st) st = weft_fail_rule(r->err, st, w.err_last.rule, "%s", w.err_last.msg);
        for (size_t i = 0; !st && i < w.n; i++) {
            struct part *p = &w.parts[i];
            st = take_report(r, p);
            if (!st && p->st) st = weft_fail_rule(r->err, p->st, p->err.rule, "%s", p->err.msg);
            w.line += p->report.units_in;
        }
    }
    for (int t = 0; threads && arenas && t < n_threads; t++) {
        weft_arena_clear(&threads[t].scratch);
        weft_arena_clear(&threads[t].row_arena);
        if (r->rows && !st && !weft_arena_adopt(r->arena, &arenas[t]))
            st = weft_fail_nomem(r->err, arenas[t].held_bytes, "the rows");
        weft_arena_clear(&arenas[t]);
    }
    for (size_t i = 0; parts && i < 2 * most; i++) {
        weft_arena_clear(&parts[i].arena);
        weft_arena_clear(&parts[i].rows_arena);
    }
    free(parts);
    free(threads);
    free(arenas);
    return st;
}

/* Below this a thread is not worth its start. */
enum { LONG_TEXT = 1 << 20 };

static enum weft_status read_lines(struct reader *r, struct weft_str text)
{
    size_t at = (size_t)(text.s - r->text.s);
    bool in_order = r->each || r->index || (r->s && r->s->max_rows > 0);
    struct weft_pool *own = NULL;
    if (in_order || (!r->part_bytes && text.len < LONG_TEXT)) return read_span(r, at, r->text.len);
    /* Where no thread can be had this one does it all. */
    if (!r->sink && !weft_pool_new(&own, r->s ? r->s->threads : 0, NULL)) r->pool = own;
    enum weft_status st = read_in_parts(r, at);
    if (own) r->pool = NULL;
    weft_pool_free(own);
    return st;
}

/* ---- an array, or one object ---- */

/* Offset behind the value at `at`, by brackets and strings alone; SIZE_MAX: it does not end. */
static size_t value_end(struct weft_str text, size_t at)
{
    size_t depth = 0;
    for (; at < text.len; at++) {
        char c = text.s[at];
        if (c == '"') {
            for (at++; at < text.len && text.s[at] != '"'; at++) at += text.s[at] == '\\';
            if (at >= text.len) return SIZE_MAX;
        } else if (c == '{' || c == '[') depth++;
        else if ((c == '}' || c == ']') && depth && --depth == 0) return at + 1;
    }
    return SIZE_MAX;
}

/* The line of the element and where that line begins, moved along as the array is read. */
struct place {
    size_t seen, line_start;
    uint64_t line;
};

static void move_place(struct place *p, struct weft_str text, size_t at)
{
    for (const char *lf; p->seen < at && (lf = memchr(text.s + p->seen, '\n', at - p->seen));) {
        p->seen = p->line_start = (size_t)(lf - text.s) + 1;
        p->line++;
    }
    p->seen = at;
}

/* The element at outer->at.  It is read by a reader of its own that begins at its line: places come out right and
 * cost no walk from the start of the file, and what it allocates goes with the row. */
static enum weft_status read_element(struct reader *r, struct weft_json *outer, struct place *p)
{
    struct weft_arena_mark mark = weft_arena_mark(&r->scratch);
    struct weft_err fault = { .lang = lang_of(r) };
    struct weft_json_value v;
    struct weft_json j = { .arena = &r->scratch, .name = r->name, .max_depth = WEFT_JSON_MAX_DEPTH - 1 };
    enum weft_json_kind kind;
    enum weft_status st = weft_json_peek(outer, &kind, r->err);
    if (st) return st;
    move_place(p, outer->text, outer->at);
    /* Many faults in one long line: beyond those whose places are kept, columns do not matter. */
    size_t from = r->report->n_places < WEFT_REPORT_PLACES ? p->line_start : outer->at;
    j.text = weft_str_skip(outer->text, from);
    j.at = outer->at - from;
    j.first_line = p->line;
    r->report->units_in++;
    st = weft_json_tree(&j, &v, &fault);
    if (st == WEFT_EINPUT && strcmp(fault.rule, "JS4") == 0) {
        size_t end = value_end(outer->text, outer->at);
        if (end != SIZE_MAX) {
            outer->at = end;
            st = drop_json(r, &fault);
            goto done;
        }
    }
    if (st) {
        st = weft_fail_rule(r->err, st, fault.rule, "%s", fault.msg);
        goto done;
    }
    outer->at = from + j.at;
    st = take_tree(r, &j, &v);
done:
    weft_arena_release(&r->scratch, mark);
    return st;
}

static enum weft_status read_array(struct reader *r, struct weft_str text)
{
    struct weft_json outer;
    struct place p = { .line = 1 };
    bool more = true;
    enum weft_status st = weft_json_init(&outer, r->arena, r->name, text, r->err);
    if (!st) st = weft_json_array(&outer, r->err);
    while (!st && !r->full) {
        st = weft_json_element(&outer, &more, r->err);
        if (st || !more) break;
        st = read_element(r, &outer, &p);
    }
    return st || r->full ? st : weft_json_end(&outer, r->err);
}

static enum weft_status read_single(struct reader *r, struct weft_str text)
{
    struct weft_json j;
    struct weft_json_value v;
    enum weft_status st = weft_json_init(&j, &r->scratch, r->name, text, r->err);
    if (!st) st = weft_json_tree(&j, &v, r->err);
    if (!st) st = weft_json_end(&j, r->err);
    r->report->units_in++;
    return st ? st : take_tree(r, &j, &v);
}

/* ---- a table ---- */

/* Excel saves Chinese as GB18030 unless told otherwise; what is not UTF-8 is decoded as any text is. */
static enum weft_status table_text(struct reader *r, struct weft_str *text)
{
    struct weft_text decoded = { .name = weft_str_c(r->name), .bytes = text->len };
    if (weft_utf8_check(*text) == text->len) return WEFT_OK;
    enum weft_status st = weft_reader_txt.read(r->arena, *text, &(struct weft_text_settings){ 0 }, &decoded, r->err);
    if (!st) *text = decoded.text;
    return st;
}

static enum weft_status read_cells(struct reader *r, const struct weft_row_header *h, const struct weft_csv_row *cells)
{
    struct weft_arena_mark mark = weft_arena_mark(&r->scratch);
    struct weft_row_reader fault = { .rule = "DS13", .reason = "a row has more cells than the table has columns" };
    struct weft_json_value v;
    /* A place is the row's first line: cells have no columns of their own. */
    struct weft_json j = { .arena = &r->scratch,
                           .name = r->name,
                           .text = weft_str_sub(r->text, cells->begin, cells->end),
                           .first_line = cells->line };
    enum weft_status st;
    r->report->units_in++;
    for (size_t i = h->n; i < cells->n; i++)
        if (cells->cells[i].len) return drop_row(r, &j, &fault);
    if (!weft_table_tree(&r->scratch, h, cells, &v)) st = weft_fail_nomem(r->err, cells->n * sizeof v, "a row");
    else {
        j.at = j.text.len;
        st = take_tree(r, &j, &v);
    }
    weft_arena_release(&r->scratch, mark);
    return st;
}

/* units: rows below the header. */
static enum weft_status read_table(struct reader *r, const struct weft_row_header *h, struct weft_str text)
{
    struct weft_csv csv;
    struct weft_csv_row row = { 0 };
    r->text = text;
    r->shape->layout = h->separator == '\t' ? WEFT_LAYOUT_TSV : WEFT_LAYOUT_CSV;
    if (r->header) {
        *r->text_at = text;
        *r->header = WEFT_NEW(r->arena, struct weft_row_header);
        if (!*r->header) return weft_fail_nomem(r->err, sizeof *h, "the index");
        **r->header = *h;
    }
    weft_csv_init(&csv, r->name, text, h->separator);
    enum weft_status st = weft_csv_next(&csv, &row, r->err);
    for (size_t i = 0; !st && i < h->n; i++)
        for (size_t k = 0; !st && k < i; k++)
            if (weft_str_eq(h->names[i], h->names[k]))
                st = weft_fail_rule(r->err, WEFT_EINPUT, "DS13", "%s: two columns are named %.*s", r->name,
                                    (int)h->names[i].len, h->names[i].s);
    while (!st && !r->full && !(st = weft_csv_next(&csv, &row, r->err)) && row.cells) st = read_cells(r, h, &row);
    weft_csv_clear(&csv);
    return st;
}

/* ---- what the file is ---- */

/* Is this text one JSON value and nothing more? */
static bool is_one_value(struct reader *r, struct weft_str text)
{
    struct weft_arena_mark mark = weft_arena_mark(&r->scratch);
    struct weft_json j;
    struct weft_err fault = { 0 };
    bool one = !weft_json_init(&j, &r->scratch, r->name, text, &fault) && !weft_json_skip(&j, &fault)
               && !weft_json_end(&j, &fault);
    weft_arena_release(&r->scratch, mark);
    return one;
}

/* The first line with something in it, and what follows it, trimmed. */
static struct weft_str first_line(struct weft_str text, struct weft_str *rest)
{
    struct weft_lines lines = { .text = text };
    struct weft_str line = { NULL, 0 };
    while (weft_lines_next(&lines, &line) && is_blank(line)) continue;
    *rest = weft_str_trim_ascii(weft_str_skip(text, lines.at));
    return line;
}

static bool ends_with_suffix(const char *name, const char *suffix)
{
    return weft_str_ends(weft_str_c(name), weft_str_c(suffix));
}

static enum weft_status read_text(struct reader *r)
{
    struct weft_str text = r->text, body = text;
    const char *magic = weft_magic_name(text);
    struct weft_str rest;
    if (magic)
        return weft_fail_rule(r->err, WEFT_EINPUT, "JS2", "%s: byte 0: this is %s; expected JSON", r->name,
                              weft_tr(lang_of(r), magic));
    r->shape->bom = weft_str_starts(text, WEFT_STR("\xEF\xBB\xBF"));
    if (r->shape->bom) body = weft_str_skip(text, 3);
    struct weft_str trimmed = weft_str_trim_ascii(body), line = first_line(body, &rest);
    struct weft_row_header header;
    if (trimmed.len && trimmed.s[0] != '[' && trimmed.s[0] != '{' && !(text.len >= 2 && (!text.s[0] || !text.s[1]))) {
        struct weft_err ignored = { 0 }, *err = r->err;
        r->err = &ignored;
        enum weft_status st = table_text(r, &body);
        r->err = err;
        if (!st && weft_table_sniff(r->arena, body, r->s, &header)) return read_table(r, &header, body);
    }
    if (!trimmed.len)
        return weft_fail_rule(r->err, WEFT_EINPUT, "DS9", "%s: no row: the file is empty", r->name);
    /* An array is the whole file, unless its first line is a value by itself and another follows. */
    bool more = rest.len > 0, another = more && (rest.s[0] == '{' || rest.s[0] == '[');
    bool list = trimmed.s[0] == '[' && !(another && is_one_value(r, line));
    bool single = trimmed.s[0] == '{' && more && !is_one_value(r, line) && is_one_value(r, text);
    bool utf16 = text.len >= 2 && ((unsigned char)text.s[0] >= 0xFE || !text.s[0] || !text.s[1]);
    r->shape->layout = list || single ? WEFT_LAYOUT_ARRAY : WEFT_LAYOUT_JSONL;
    r->shape->single = single;
    r->shape->mislabelled =
        (list || single) ? ends_with_suffix(r->name, ".jsonl") : more && ends_with_suffix(r->name, ".json");
    if (list || utf16) return read_array(r, text);
    return single ? read_single(r, text) : read_lines(r, body);
}

static enum weft_status read_all(struct reader *r)
{
    if (!r->report_arena) r->report_arena = r->arena;
    if (!r->rows_arena) r->rows_arena = r->arena;
    struct weft_rows_shape shape = { .bytes = r->text.len };
    struct weft_rows_shape *asked = r->shape;
    enum weft_status st = WEFT_OK;
    if (asked && !r->unhashed) st = weft_sha256_of(r->text, shape.sha256, r->err);
    r->shape = &shape;
    r->row_bytes = sizeof(struct weft_row);
    if (!st) st = read_text(r);
    if (!st && r->sink && r->at.in_part) st = end_part(r);
    if (!st && !r->n_good) {
        const char *first = r->report->n_places ? r->report->places[0].s : "";
        st = weft_fail_rule(r->err, WEFT_EINPUT, "DS9",
                            "%s: no good row among %" PRIu64 "; the first fault: %s", r->name,
                            r->report->units_in - r->report->blank, first);
    }
    if (asked) *asked = shape;
    weft_arena_clear(&r->scratch);
    weft_arena_clear(&r->row_arena);
    return st;
}

enum weft_status weft_rows_parse_parts(struct weft_arena *a, const char *name, struct weft_str bytes,
                                       const struct weft_rows_settings *s, size_t part_bytes, struct weft_rows *rows,
                                       struct weft_report *report, struct weft_rows_shape *shape, struct weft_err *err)
{
    struct weft_report own = { 0 };
    struct reader r = { .arena = a,
                        .name = name,
                        .text = bytes,
                        .s = s,
                        .part_bytes = part_bytes,
                        .rows = rows,
                        .report = report ? report : &own,
                        .shape = shape,
                        .err = err };
    return read_all(&r);
}

enum weft_status weft_rows_parse(struct weft_arena *a, const char *name, struct weft_str bytes,
                                 const struct weft_rows_settings *s, struct weft_rows *rows,
                                 struct weft_report *report, struct weft_rows_shape *shape,
                                 struct weft_err *err)
{
    return weft_rows_parse_parts(a, name, bytes, s, 0, rows, report, shape, err);
}

/* Far beyond any dataset; memory sets the limit. */
static const uint64_t MAX_BYTES = UINT64_C(1) << 40;

enum weft_status weft_rows_read(struct weft_arena *a, const char *path, const struct weft_rows_settings *s,
                                struct weft_rows *rows, struct weft_report *report,
                                struct weft_rows_shape *shape, struct weft_err *err)
{
    struct weft_str bytes;
    enum weft_status st = weft_file_read(a, path, MAX_BYTES, &bytes, err);
    return st ? st : weft_rows_parse(a, path, bytes, s, rows, report, shape, err);
}

enum weft_status
weft_rows_each(struct weft_arena *a, const char *path, const struct weft_rows_settings *s,
               enum weft_status (*each)(void *ctx, const struct weft_row *row, struct weft_err *err),
               void *ctx, struct weft_report *report, struct weft_rows_shape *shape, struct weft_err *err)
{
    struct weft_report own = { 0 };
    struct weft_map map = { 0 };
    struct reader r = { .arena = a,
                        .name = path,
                        .s = s,
                        .each = each,
                        .ctx = ctx,
                        .report = report ? report : &own,
                        .shape = shape,
                        .err = err };
    enum weft_status st;
    if (strcmp(path, "-") == 0) st = weft_file_read(a, path, MAX_BYTES, &r.text, err);
    else {
        st = weft_map_open(&map, path, err);
        if (!st) r.text = (struct weft_str){ (const char *)map.p, map.len };
    }
    if (!st) st = read_all(&r);
    weft_map_close(&map);
    return st;
}

/* ---- rows by number ---- */

/* Opens the file for the index and for r. */
static enum weft_status open_index(struct reader *r, struct weft_row_index *out, const struct weft_rows_settings *s)
{
    struct weft_report own = { 0 };
    enum weft_status st;
    *out = (struct weft_row_index){ .name = r->name };
    if (s) out->s = *s;
    r->s = &out->s;
    r->shape = &out->shape;
    if (strcmp(r->name, "-") == 0) st = weft_file_read(r->arena, r->name, MAX_BYTES, &out->text, r->err);
    else {
        st = weft_map_open(&out->map, r->name, r->err);
        if (!st) out->text = (struct weft_str){ (const char *)out->map.p, out->map.len };
    }
    r->text = out->text;
    if (!r->report) r->report = &own;
    if (!st) st = read_all(r);
    if (st) weft_row_index_close(out);
    return st;
}

enum weft_status weft_row_index_open(struct weft_arena *a, const char *path, const struct weft_rows_settings *s,
                                     struct weft_row_index *out, struct weft_report *report, struct weft_err *err)
{
    struct reader r = { .arena = a, .name = path, .index = out, .header = &out->header, .text_at = &out->text,
                        .report = report, .err = err };
    return open_index(&r, out, s);
}

enum weft_status weft_rows_stream(struct weft_arena *a, const char *path, const struct weft_rows_settings *s,
                                  struct weft_pool *pool, const struct weft_rows_sink *sink, struct weft_row_index *out,
                                  struct weft_report *report, struct weft_err *err)
{
    struct reader r = { .arena = a, .name = path, .sink = sink, .pool = pool, .header = &out->header,
                        .text_at = &out->text, .unhashed = true, .report = report, .err = err };
    return open_index(&r, out, s);
}

static enum weft_status get_span(const struct weft_row_index *ix, struct weft_arena *a,
                                 const struct weft_row_span *span, struct weft_row *row, struct weft_err *err)
{
    struct weft_row_reader r = { .arena = a, .source = ix->text, .s = &ix->s, .err = err };
    struct weft_arena scratch = { 0 };
    struct weft_json_value v;
    enum weft_format format;
    struct weft_str json = weft_str_sub(ix->text, (size_t)span->begin, (size_t)span->end);
    struct weft_csv csv = { 0 };
    struct weft_csv_row cells = { 0 };
    enum weft_status st;
    *row = (struct weft_row){ .kto_tag = -1 };
    if (!ix->header) st = weft_json_parse_row(&scratch, ix->name, span->line, json, &v, err);
    else {
        weft_csv_init(&csv, ix->name, json, ix->header->separator);
        st = weft_csv_next(&csv, &cells, err);
        if (!st && !weft_table_tree(&scratch, ix->header, &cells, &v))
            st = weft_fail_nomem(err, cells.n * sizeof v, "a row");
    }
    if (!st) st = read_object(&r, &v, row, &format);
    if (st == WEFT_EINPUT)      /* it was good when the index was made */
        st = weft_fail(err, WEFT_ESYSTEM, "%s:%" PRIu64 ": the file changed while it was read", ix->name, span->line);
    weft_csv_clear(&csv);
    weft_arena_clear(&scratch);
    return st;
}

enum weft_status weft_row_index_get(const struct weft_row_index *ix, struct weft_arena *a, size_t i,
                                    struct weft_row *row, struct weft_err *err)
{
    return get_span(ix, a, &ix->spans[i], row, err);
}

enum weft_status weft_rows_at(const struct weft_row_index *ix, struct weft_arena *a, uint64_t begin,
                              struct weft_row *row, struct weft_err *err)
{
    struct weft_row_span span = { .begin = begin, .end = ix->text.len, .line = 1 };
    size_t end = ix->header ? SIZE_MAX : value_end(ix->text, (size_t)begin);
    if (end != SIZE_MAX) span.end = end;
    return get_span(ix, a, &span, row, err);
}

void weft_row_index_close(struct weft_row_index *ix)
{
    weft_map_close(&ix->map);
    *ix = (struct weft_row_index){ 0 };
}

/* ---- writing ---- */

enum weft_status weft_row_to_json(struct weft_json_out *o, const struct weft_row *row,
                                  enum weft_format format, bool origin, struct weft_err *err)
{
    if (format == WEFT_FORMAT_AUTO) format = row->text.s ? WEFT_FORMAT_TEXT : WEFT_FORMAT_ALPACA;
    if (row->text.s && format != WEFT_FORMAT_TEXT)
        return weft_fail(err, WEFT_EINPUT, "a text row is no conversation; write it in the format text");
    weft_json_out_object(o);
    enum weft_status st = format_by_id(format)->write(o, row, err);
    if (!st && row->kto_tag >= 0) {
        weft_json_out_key(o, "kto_tag");
        weft_json_out_bool(o, row->kto_tag);
    }
    /* dpo puts one of them where it belongs */
    if (!st && format != WEFT_FORMAT_DPO) st = weft_json_out_extra(o, row->extra, err);
    if (!st && origin) weft_origin_write(o, row, format != WEFT_FORMAT_ALPACA);
    weft_json_out_object_end(o);
    return st;
}

enum weft_status weft_rows_writer_open(struct weft_rows_writer *w, const char *path,
                                       const struct weft_rows_writer_settings *s, struct weft_err *err)
{
    static const struct weft_rows_writer_settings defaults;
    *w = (struct weft_rows_writer){ .s = s ? *s : defaults };
    if (w->s.layout == WEFT_LAYOUT_AUTO)
        w->s.layout = ends_with_suffix(path, ".json")  ? WEFT_LAYOUT_ARRAY
                      : ends_with_suffix(path, ".csv") ? WEFT_LAYOUT_CSV
                      : ends_with_suffix(path, ".tsv") ? WEFT_LAYOUT_TSV
                                                       : WEFT_LAYOUT_JSONL;
    if (!w->s.indent) w->s.indent = 4;
    weft_json_out_init(&w->json, &w->buf);
    enum weft_status st = weft_out_open(&w->out, path, err);
    if (!st && w->s.layout == WEFT_LAYOUT_ARRAY) {
        w->json.indent = w->s.indent;
        weft_json_out_array(&w->json);
    }
    return st;
}

static bool is_table(const struct weft_rows_writer *w)
{
    return w->s.layout == WEFT_LAYOUT_CSV || w->s.layout == WEFT_LAYOUT_TSV;
}

/* Hands finished text on; the buffer keeps its memory. */
static enum weft_status flush(struct weft_rows_writer *w, struct weft_err *err)
{
    enum weft_status st = weft_buf_check(&w->buf, "a row", err);
    if (st) return st;
    if (is_table(w)) weft_buf_str(&w->table, weft_buf_view(&w->buf));
    else weft_out_str(&w->out, weft_buf_view(&w->buf));
    weft_buf_reset(&w->buf);
    return WEFT_OK;
}

enum weft_status weft_rows_writer_add(struct weft_rows_writer *w, const struct weft_row *row,
                                      struct weft_err *err)
{
    struct weft_json_out before = w->json;
    size_t len = w->buf.len;
    w->n_rows++;
    enum weft_status st = weft_row_to_json(&w->json, row, (enum weft_format)w->s.format, !w->s.no_origin, err);
    if (st) {       /* nothing of the row stays */
        w->json = before;
        w->buf.len = len;
        w->n_rows--;
        return st;
    }
    if (w->s.layout != WEFT_LAYOUT_ARRAY) {
        weft_buf_char(&w->buf, '\n');
        weft_json_out_init(&w->json, &w->buf);
    }
    return flush(w, err);
}

enum weft_status weft_rows_writer_commit(struct weft_rows_writer *w, struct weft_err *err)
{
    if (w->s.layout == WEFT_LAYOUT_ARRAY) weft_json_out_array_end(&w->json);
    enum weft_status st = flush(w, err);
    if (!st && is_table(w)) {
        st = weft_buf_check(&w->table, "the table", err);
        char separator = w->s.layout == WEFT_LAYOUT_TSV ? '\t' : ',';
        if (!st) st = weft_table_write(&(struct weft_table_out){ w->table }, separator, &w->out, err);
    }
    return st ? st : weft_out_commit(&w->out, err);
}

void weft_rows_writer_close(struct weft_rows_writer *w)
{
    weft_out_close(&w->out);
    weft_buf_clear(&w->buf);
    weft_buf_clear(&w->table);
}

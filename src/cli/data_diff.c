/* weft data diff OLD NEW: rows added, removed and changed, with the changed characters marked. */
#include "cli/data.h"
#include "cli/verbs.h"
#include "dataset/canon.h"
#include "dataset/diff.h"

#include <inttypes.h>
#include <unistd.h>

struct settings {
    struct weft_cli_common common;
    struct weft_data_input in;
    int64_t limit, context;
};

static const struct weft_option diff_rows[] = {
    { .key = "limit", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, limit), .def = "50", .max = 1e15,
      .unit = "rows", .group = "Output", .help = "differences to show; 0: all", .help_zh = "显示多少处差异；0 为全部" },
    { .key = "context", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, context), .def = "20", .max = 1e6,
      .unit = "characters", .group = "Output", .help = "unchanged characters to show beside a change",
      .help_zh = "变化前后各显示多少个未变的字" },
    WEFT_DATA_INPUT_ROWS(struct settings, in),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { diff_rows, WEFT_COUNT(diff_rows) };

/* On a terminal red and green; elsewhere [-gone-] and {+new+}. */
struct marks {
    const char *open[3], *close[3];
};
static const struct marks colours = { { "", "\033[31;9m", "\033[32m" }, { "", "\033[0m", "\033[0m" } };
static const struct marks plain = { { "", "[-", "{+" }, { "", "-]", "+}" } };

static void put_piece(struct weft_buf *b, const struct weft_diff_piece *p, bool first, bool last, size_t around,
                      const struct marks *m)
{
    struct weft_str text = p->text;
    size_t chars = weft_utf8_chars(text), most = first || last ? around : 2 * around;
    weft_buf_cstr(b, m->open[p->op]);
    if (p->op != WEFT_DIFF_EQUAL || chars <= most + 1) weft_buf_escaped(b, text, SIZE_MAX);
    else {
        if (!first) weft_buf_escaped(b, weft_str_sub(text, 0, weft_utf8_offset(text, around)), SIZE_MAX);
        weft_buf_cstr(b, "…");
        if (!last) weft_buf_escaped(b, weft_str_skip(text, weft_utf8_offset(text, chars - around)), SIZE_MAX);
    }
    weft_buf_cstr(b, m->close[p->op]);
}

static enum weft_status put_field(struct weft_cli *cli, const struct weft_diff_field *f, size_t around,
                                  const struct marks *m)
{
    struct weft_arena scratch = { 0 };
    struct weft_buf b = { 0 };
    struct weft_diff_piece *pieces = NULL;
    size_t n = 0;
    weft_buf_printf(&b, "    %.*s: ", (int)f->name.len, f->name.s);
    enum weft_status st = weft_diff_text(&scratch, f->before, f->after, &pieces, &n, &cli->err);
    for (size_t i = 0; !st && i < n; i++) put_piece(&b, &pieces[i], i == 0, i + 1 == n, around, m);
    weft_buf_char(&b, '\n');
    if (!st) st = weft_buf_check(&b, "the output", &cli->err);
    if (!st) weft_put(cli, weft_buf_view(&b));
    weft_buf_clear(&b);
    weft_arena_clear(&scratch);
    return st;
}

/* "+ #12 s000012: the question ... => the answer" */
static void put_row(struct weft_cli *cli, char sign, size_t number, const struct weft_row *row)
{
    struct weft_buf b = { 0 };
    struct weft_str id = row->origin.id, first = row->text.s    ? row->text
                                                 : row->n_turns ? row->turns[0].text
                                                                : row->text;
    weft_buf_printf(&b, "%c #%zu %.*s%s", sign, number + 1, (int)id.len, id.len ? id.s : "", id.len ? ": " : "");
    weft_buf_escaped(&b, weft_str_sub(first, 0, weft_utf8_offset(first, 40)), SIZE_MAX);
    if (row->n_turns > 1) {
        struct weft_str last = row->turns[row->n_turns - 1].text;
        weft_buf_cstr(&b, " => ");
        weft_buf_escaped(&b, weft_str_sub(last, 0, weft_utf8_offset(last, 40)), SIZE_MAX);
    }
    weft_buf_char(&b, '\n');
    weft_put(cli, weft_buf_view(&b));
    weft_buf_clear(&b);
}

static enum weft_status show(struct weft_cli *cli, const struct settings *s, const struct weft_rows *x,
                             const struct weft_rows *y, const struct weft_diff *d)
{
    const struct marks *m = weft_cli_is_terminal(STDOUT_FILENO) ? &colours : &plain;
    size_t shown = s->limit ? weft_min_size(d->n_items, (size_t)s->limit) : d->n_items;
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; !st && i < shown; i++) {
        const struct weft_diff_item *item = &d->items[i];
        struct weft_arena scratch = { 0 };
        struct weft_diff_field *fields = NULL;
        size_t n = 0;
        if (item->kind == WEFT_DIFF_ADDED) put_row(cli, '+', item->after, &y->items[item->after]);
        else if (item->kind == WEFT_DIFF_REMOVED) put_row(cli, '-', item->before, &x->items[item->before]);
        else {
            put_row(cli, '~', item->after, &y->items[item->after]);
            st = weft_diff_fields(&scratch, &x->items[item->before], &y->items[item->after], &fields, &n, &cli->err);
            for (size_t k = 0; !st && k < n; k++) st = put_field(cli, &fields[k], (size_t)s->context, m);
        }
        weft_arena_clear(&scratch);
    }
    if (shown < d->n_items) weft_say(cli, "... and %zu more; --limit 0 shows all\n", d->n_items - shown);
    weft_data_figure(cli, "rows before", d->before, 0);
    weft_data_figure(cli, "rows after", d->after, 0);
    weft_data_figure(cli, "unchanged", d->same, d->after);
    weft_data_figure(cli, "changed", d->changed, d->after);
    weft_data_figure(cli, "added", d->added, d->after);
    weft_data_figure(cli, "removed", d->removed, d->before);
    if (d->renumbered) weft_data_figure(cli, "unchanged, with another id", d->renumbered, d->after);
    if (d->moved) weft_data_figure(cli, "in another order", d->moved, d->after);
    weft_say(cli, "hash before %s\nhash after  %s\n", d->hash_before, d->hash_after);
    return st;
}

static enum weft_status item_json(struct weft_cli *cli, struct weft_json_out *o, const struct weft_diff_item *item,
                                  const struct weft_rows *x, const struct weft_rows *y)
{
    static const char *const kinds[] = { "added", "removed", "changed" };
    const struct weft_row *before = item->before == SIZE_MAX ? NULL : &x->items[item->before],
                          *after = item->after == SIZE_MAX ? NULL : &y->items[item->after];
    struct weft_arena scratch = { 0 };
    struct weft_diff_field *fields = NULL;
    size_t n = 0;
    enum weft_status st = WEFT_OK;
    weft_json_out_object(o);
    weft_data_key_str(o, "kind", weft_str_c(kinds[item->kind]));
    if (before) weft_data_key_uint(o, "before", item->before + 1);
    if (after) weft_data_key_uint(o, "after", item->after + 1);
    weft_data_key_str(o, "id", (after ? after : before)->origin.id);
    if (before && after) {
        st = weft_diff_fields(&scratch, before, after, &fields, &n, &cli->err);
        weft_json_out_key(o, "fields");
        weft_json_out_array(o);
        for (size_t i = 0; i < n; i++) {
            weft_json_out_object(o);
            weft_data_key_str(o, "name", fields[i].name);
            weft_data_key_str(o, "before", fields[i].before);
            weft_data_key_str(o, "after", fields[i].after);
            weft_json_out_object_end(o);
        }
        weft_json_out_array_end(o);
    } else {
        const struct weft_row *row = after ? after : before;
        weft_json_out_key(o, "row");
        st = weft_row_to_json(o, row, (enum weft_format)row->read_as, false, &cli->err);
    }
    weft_json_out_object_end(o);
    weft_arena_clear(&scratch);
    return st;
}

static enum weft_status show_json(struct weft_cli *cli, const struct settings *s, const struct weft_rows *x,
                                  const struct weft_rows *y, const struct weft_diff *d)
{
    size_t shown = s->limit ? weft_min_size(d->n_items, (size_t)s->limit) : d->n_items;
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    enum weft_status st = WEFT_OK;
    weft_json_out_init(&o, &b);
    weft_json_out_object(&o);
    weft_data_key_uint(&o, "before", d->before);
    weft_data_key_uint(&o, "after", d->after);
    weft_data_key_uint(&o, "same", d->same);
    weft_data_key_uint(&o, "changed", d->changed);
    weft_data_key_uint(&o, "added", d->added);
    weft_data_key_uint(&o, "removed", d->removed);
    weft_data_key_uint(&o, "renumbered", d->renumbered);
    weft_data_key_uint(&o, "moved", d->moved);
    weft_data_key_str(&o, "hash_before", weft_str_c(d->hash_before));
    weft_data_key_str(&o, "hash_after", weft_str_c(d->hash_after));
    weft_json_out_key(&o, "items");
    weft_json_out_array(&o);
    for (size_t i = 0; !st && i < shown; i++) st = item_json(cli, &o, &d->items[i], x, y);
    weft_json_out_array_end(&o);
    weft_json_out_object_end(&o);
    if (!st) return weft_data_print_json(cli, &b);
    weft_buf_clear(&b);
    return st;
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list files = { 0 };
    struct weft_rows sides[2] = { { 0 } };
    struct weft_report reports[2] = { { 0 } };
    struct weft_diff d;
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_data_diff, &s, &s.common, &files, &done);
    if (st || done) return st;
    if (files.n != 2) return weft_fail(&cli->err, WEFT_EARG, "usage: weft data diff OLD NEW");
    for (size_t i = 0; !st && i < 2; i++)
        st = weft_data_read(cli, &s.in, &(struct weft_str_list){ &files.items[i], 1 }, &sides[i], &reports[i]);
    if (!st) st = weft_diff_rows(&cli->arena, &sides[0], &sides[1], &d, &cli->err);
    if (st) return st;
    if (cli->json) st = show_json(cli, &s, &sides[0], &sides[1], &d);
    else {
        if (!cli->quiet) st = show(cli, &s, &sides[0], &sides[1], &d);
        for (size_t i = 0; i < 2; i++) weft_data_drops(cli, &reports[i], 8);
    }
    for (size_t i = 0; !st && i < 2; i++) st = weft_data_partial(cli, &reports[i]);
    if (!st && (d.n_items || strcmp(d.hash_before, d.hash_after) != 0))
        st = weft_fail(&cli->err, WEFT_EPARTIAL,
                       "the sets differ: %" PRIu64 " added, %" PRIu64 " removed, %" PRIu64 " changed, %" PRIu64
                       " in another order",
                       d.added, d.removed, d.changed, d.moved);
    return st;
}

const struct weft_verb weft_verb_data_diff = {
    .name = "diff",
    .usage = "OLD NEW",
    .help = "rows added, removed and changed between two versions (exit status 4: they differ)",
    .help_zh = "比较数据集的两个版本：新增、删除、修改的行（有差异时退出码为 4）",
    .options = &table,
    .run = run,
};

/* weft data trace ROW FILE...: where a row came from, and the rows that it was made of, as far back as the files
 * go.  With --run the files are those that a run of the store was trained on: from a model to the line of a source. */
#include "cli/data.h"
#include "cli/data_row.h"
#include "cli/store.h"
#include "cli/verbs.h"
#include "dataset/canon.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST_SETS = 64, MOST_DEPTH = 64 };

struct settings {
    struct weft_cli_common common;
    struct weft_data_input in;
    int64_t context;
    const char *run;
};

static const struct weft_option trace_rows[] = {
    { .key = "run", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, run), .group = "Input",
      .help = "a run of the store, by name, as PROJECT/NAME, or by its folder: its data stand for FILE",
      .help_zh = "仓库中的一个运行（名称、项目/名称或其目录），用它的训练数据代替 FILE" },
    { .key = "context", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, context), .def = "1", .max = 1000,
      .unit = "lines", .group = "Output", .help = "lines of the source before and after", .help_zh = "原文前后各显示几行" },
    WEFT_DATA_INPUT_ROWS(struct settings, in),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { trace_rows, WEFT_COUNT(trace_rows) };

/* A row of one of the sets; beside it the row whose ancestor it is, so that no circle is followed. */
struct step {
    size_t set, row;
    const struct step *below;
    size_t depth;
};

struct trace {
    struct weft_cli *cli;
    const struct settings *s;
    struct weft_row_index sets[MOST_SETS];
    size_t n_sets;
    struct weft_data_source source;
    const struct weft_store_run *run;   /* of --run; NULL: none */
    char *borrowed[MOST_SETS];          /* [n_borrowed] files written from the store, malloc */
    size_t n_borrowed;
    struct weft_json_out *json;         /* NULL: for people */
    struct weft_buf *out;
    uint64_t missing;                   /* parents and sets that were not found, sources gone or changed */
};

/* ---- looking up ---- */

static enum weft_status open_set(struct trace *t, const char *word, size_t *set)
{
    struct weft_rows_settings how;
    const char *path;
    if (t->n_sets == MOST_SETS) return weft_fail(&t->cli->err, WEFT_ELIMIT, "more than %d sets", MOST_SETS);
    enum weft_status st = weft_data_find(t->cli, &t->s->in, word, &path, &how);
    if (!st) st = weft_row_index_open(&t->cli->arena, path, &how, &t->sets[t->n_sets], NULL, &t->cli->err);
    if (!st) *set = t->n_sets++;
    return st;
}

/* The row with this id; false: there is none. */
static bool find_id(const struct trace *t, size_t set, struct weft_str id, size_t *row)
{
    const struct weft_row_index *ix = &t->sets[set];
    uint64_t hash = weft_xxh3(id.len ? id.s : "", id.len, 0);
    for (size_t i = 0; id.len && i < ix->n; i++)
        if (ix->spans[i].id == hash) {
            *row = i;
            return true;
        }
    return false;
}

static struct weft_str base_name(struct weft_str path)
{
    for (size_t i = path.len; i-- > 0;)
        if (path.s[i] == '/') return weft_str_skip(path, i + 1);
    return path;
}

/* The set that a mixed row names: among the files given (by path, then by name), or a file on disk, also beside the
 * set that the row is in. */
static bool find_set(struct trace *t, size_t from, struct weft_str name, size_t *set)
{
    struct weft_str words[2] = { weft_str_dup(&t->cli->arena, name), { NULL, 0 } };
    struct weft_str here = weft_str_c(t->sets[from].name);
    struct weft_err before = t->cli->err;
    for (size_t i = 0; i < t->n_sets; i++)
        if (weft_str_is(name, t->sets[i].name)) return *set = i, true;
    for (size_t i = 0; i < t->n_sets; i++)
        if (i != from && weft_str_eq(base_name(name), base_name(weft_str_c(t->sets[i].name)))) return *set = i, true;
    words[1] = weft_str_printf(&t->cli->arena, "%.*s%.*s", (int)(here.len - base_name(here).len), here.s,
                               (int)name.len, name.s);
    for (size_t i = 0; i < 2; i++) {
        if (!words[i].s || !weft_file_exists(words[i].s)) continue;
        if (!open_set(t, words[i].s, set)) return true;
        t->cli->err = before;       /* a set that cannot be read is reported as not found */
    }
    return false;
}

/* ---- what is shown ---- */

static void indent(struct trace *t, size_t depth)
{
    for (size_t i = 0; i < depth; i++) weft_buf_cstr(t->out, "  ");
}

static void line(struct trace *t, size_t depth, const char *label, struct weft_str value)
{
    if (t->json || !value.len) return;
    indent(t, depth);
    size_t width = weft_utf8_width(weft_str_c(weft_tr(t->cli->lang, label)));
    weft_buf_printf(t->out, "  %s", weft_tr(t->cli->lang, label));
    for (; width < 12; width++) weft_buf_char(t->out, ' ');
    weft_buf_escaped(t->out, value, 300);
    weft_buf_char(t->out, '\n');
}

static void member(struct trace *t, const char *key, struct weft_str value)
{
    if (t->json && value.s) weft_data_key_str(t->json, key, value);
}

/* One fact, in both forms. */
static void fact(struct trace *t, size_t depth, const char *label, const char *key, struct weft_str value)
{
    line(t, depth, label, value);
    member(t, key, value);
}

static void show_place(struct trace *t, size_t depth, const struct weft_origin *o)
{
    struct weft_buf b = { 0 };
    if (t->json) {
        weft_json_out_key(t->json, "src");
        weft_json_out_object(t->json);
        member(t, "file", o->file);
        member(t, "sha256", o->sha256);
        member(t, "part", o->part);
        if (o->page) weft_data_key_uint(t->json, "page", o->page);
        if (o->last_page > o->page) weft_data_key_uint(t->json, "last_page", o->last_page);
        if (o->line) {
            weft_data_key_uint(t->json, "line", o->line);
            weft_data_key_uint(t->json, "last_line", o->last_line);
            weft_json_out_key(t->json, "bytes");
            weft_json_out_array(t->json);
            weft_json_out_uint(t->json, o->byte_begin);
            weft_json_out_uint(t->json, o->byte_end);
            weft_json_out_array_end(t->json);
        }
        weft_json_out_object_end(t->json);
        return;
    }
    line(t, depth, "source", o->file);
    line(t, depth, "sha256", o->sha256);
    line(t, depth, "part", o->part);
    if (o->page) weft_buf_printf(&b, "%s %" PRIu64, weft_tr(t->cli->lang, "page"), o->page);
    if (o->last_page > o->page) weft_buf_printf(&b, "-%" PRIu64, o->last_page);
    if (o->page) weft_buf_cstr(&b, ", ");
    if (o->line)
        weft_buf_printf(&b, weft_tr(t->cli->lang, "lines %" PRIu64 "-%" PRIu64 ", bytes %" PRIu64 "-%" PRIu64), o->line,
                        o->last_line, o->byte_begin, o->byte_end);
    line(t, depth, "place", weft_buf_view(&b));
    weft_buf_clear(&b);
}

static void json_lines(struct trace *t, const struct weft_origin *o)
{
    weft_json_out_key(t->json, "lines");
    weft_json_out_array(t->json);
    for (uint64_t i = o->line; i <= o->last_line && i <= t->source.text.n_lines; i++)
        weft_json_out_str(t->json, weft_text_line(&t->source.text, (size_t)i - 1));
    weft_json_out_array_end(t->json);
}

static void show_source(struct trace *t, size_t depth, const char *dataset, const struct weft_origin *o)
{
    static const char *const words[] = { "unnamed", "found", "changed", "gone" };
    enum weft_source_state state = weft_data_source_find(t->cli, &t->source, dataset, o);
    if (state == WEFT_SOURCE_UNNAMED) return;
    t->missing += state != WEFT_SOURCE_FOUND;
    member(t, "source_file", weft_str_c(words[state]));
    if (t->json && state == WEFT_SOURCE_FOUND) json_lines(t, o);
    if (t->json && state == WEFT_SOURCE_CHANGED) member(t, "sha256_now", weft_str_c(t->source.text.sha256));
    if (t->json) return;
    if (state == WEFT_SOURCE_CHANGED) {
        line(t, depth, "changed",
             weft_str_c(weft_tr(t->cli->lang, "the source file is another now; its lines are not shown")));
        line(t, depth, "sha256 now", weft_str_c(t->source.text.sha256));
    } else if (state == WEFT_SOURCE_GONE) line(t, depth, "lost", weft_str_c(t->source.err.msg));
    else weft_data_source_lines(t->out, &t->source, o, (uint64_t)t->s->context);
}

static enum weft_status show_row(struct trace *t, const struct step *at);

/* An ancestor that was found, or the words that it was not. */
static enum weft_status show_ancestor(struct trace *t, const struct step *at, bool found, size_t set, size_t row,
                                      struct weft_str name)
{
    struct step next = { set, row, at, at->depth + 1 };
    bool circle = false;
    for (const struct step *s = at; found && s; s = s->below) circle |= s->set == set && s->row == row;
    if (found && !circle && next.depth < MOST_DEPTH) return show_row(t, &next);
    t->missing++;
    const char *why = !found   ? "not in the files given"
                      : circle ? "a circle: this row is its own ancestor"
                               : "too many generations";
    if (t->json) {
        weft_json_out_object(t->json);
        member(t, "id", name);
        member(t, "missing", weft_str_c(why));
        weft_json_out_object_end(t->json);
    } else {
        indent(t, next.depth);
        weft_buf_escaped(t->out, name, 200);
        weft_buf_printf(t->out, ": %s\n", weft_tr(t->cli->lang, why));
    }
    return WEFT_OK;
}

static enum weft_status show_from(struct trace *t, const struct step *at, const struct weft_origin *o)
{
    size_t set = 0, row = 0;
    struct weft_buf b = { 0 };
    if (!o->from_set.len) return WEFT_OK;
    bool found = find_set(t, at->set, o->from_set, &set);
    if (found && !find_id(t, set, o->from_id, &row)) {
        found = !o->from_id.len && o->from_row > 0 && o->from_row <= t->sets[set].n;
        row = found ? (size_t)o->from_row - 1 : 0;
    }
    /* Of several rows with one id, the one whose number is remembered. */
    size_t number = o->from_row ? (size_t)o->from_row - 1 : 0;
    if (found && o->from_row && number < t->sets[set].n
        && t->sets[set].spans[number].id == t->sets[set].spans[row].id)
        row = number;
    weft_buf_printf(&b, "%.*s #%" PRIu64 " %.*s", (int)o->from_set.len, o->from_set.s, o->from_row, (int)o->from_id.len,
                    o->from_id.len ? o->from_id.s : "");
    line(t, at->depth, "mixed from", weft_str_trim_ascii(weft_buf_view(&b)));
    if (t->json) weft_json_out_key(t->json, "from");
    enum weft_status st = show_ancestor(t, at, found, set, row, weft_str_trim_ascii(weft_buf_view(&b)));
    weft_buf_clear(&b);
    return st;
}

static enum weft_status show_parents(struct trace *t, const struct step *at, const struct weft_origin *o)
{
    enum weft_status st = WEFT_OK;
    if (!o->parents.len) return st;
    line(t, at->depth, "parents", o->parents);
    if (t->json) {
        weft_json_out_key(t->json, "parents");
        weft_json_out_array(t->json);
    }
    for (size_t from = 0; !st && from <= o->parents.len;) {
        size_t comma = weft_str_find(o->parents, WEFT_STR(","), from), set = at->set, row = 0;
        struct weft_str id = weft_str_sub(o->parents, from, comma);
        bool found = find_id(t, set, id, &row);
        for (size_t k = 0; !found && k < t->n_sets; k++) found = find_id(t, set = k, id, &row);
        st = show_ancestor(t, at, found, set, row, id);
        if (comma == SIZE_MAX) break;
        from = comma + 1;
    }
    if (t->json) weft_json_out_array_end(t->json);
    return st;
}

static void show_run(struct trace *t)
{
    const struct weft_store_run *r = t->run;
    struct weft_str name = weft_str_printf(&t->cli->arena, "%.*s/%.*s", (int)r->project.len, r->project.s,
                                           (int)r->name.len, r->name.s);
    fact(t, 0, "trained in", "run", name);
    fact(t, 0, "folder", "output_dir", r->output_dir);
    fact(t, 0, "base model", "base", r->base);
    member(t, "base_sha256", r->base_sha256);
}

static enum weft_status show_row(struct trace *t, const struct step *at)
{
    const struct weft_row_index *ix = &t->sets[at->set];
    struct weft_arena scratch = { 0 };
    struct weft_row row;
    char hash[WEFT_SHA256_HEX], confidence[32];
    enum weft_status st = weft_row_index_get(ix, &scratch, at->row, &row, &t->cli->err);
    if (!st) st = weft_row_content_hash(&row, hash, &t->cli->err);
    if (st) goto done;
    const struct weft_origin *o = &row.origin;
    const char *name = ix->name;        /* the array may grow below; the name stays */
    if (t->json) {
        weft_json_out_object(t->json);
        member(t, "set", weft_str_c(name));
        weft_data_key_uint(t->json, "row", at->row + 1);
        weft_data_key_uint(t->json, "line", ix->spans[at->row].line);
    } else {
        struct weft_str said = row.text.s ? row.text : row.n_turns ? row.turns[row.n_turns - 1].text : row.text;
        indent(t, at->depth);
        weft_buf_printf(t->out, "%s#%zu  ", name, at->row + 1);
        weft_buf_escaped(t->out, o->id, 200);
        weft_buf_cstr(t->out, "  ");
        weft_buf_escaped(t->out, weft_str_sub(said, 0, weft_utf8_offset(said, 40)), SIZE_MAX);
        weft_buf_char(t->out, '\n');
    }
    if (t->run && !at->depth) show_run(t);
    member(t, "id", o->id);
    fact(t, at->depth, "content", "content", weft_str_c(hash));
    fact(t, at->depth, "made by", "via", o->via);
    fact(t, at->depth, "episode", "episode", o->episode);
    fact(t, at->depth, "scene", "scene", o->scene);
    fact(t, at->depth, "asked by", "prompt_speaker", o->prompt_speaker);
    fact(t, at->depth, "answered by", "speaker", o->speaker);
    fact(t, at->depth, "flags", "flags", o->flags);
    if (o->confidence > 0)
        fact(t, at->depth, "confidence", "confidence",
             weft_str_c(weft_json_format_double(confidence, o->confidence)));
    if (o->file.s) show_place(t, at->depth, o);
    show_source(t, at->depth, name, o);
    st = show_from(t, at, o);
    if (!st) st = show_parents(t, at, o);
    if (t->json) weft_json_out_object_end(t->json);
done:
    weft_arena_clear(&scratch);
    return st;
}

/* ---- the data of a run ---- */

/* "name", "project/name", "run:project/name", or the run's folder or one in it. */
static bool is_run(const struct weft_store_run *r, struct weft_str word, struct weft_str folder)
{
    size_t slash = weft_str_find(word, WEFT_STR("/"), 0);
    if (weft_str_starts(word, WEFT_STR("run:"))) return is_run(r, weft_str_skip(word, 4), folder);
    if (weft_str_eq(word, r->name)) return true;
    if (slash != SIZE_MAX && weft_str_eq(weft_str_sub(word, 0, slash), r->project)
        && weft_str_eq(weft_str_skip(word, slash + 1), r->name))
        return true;
    return r->output_dir.len && weft_str_starts(folder, r->output_dir)
           && (folder.len == r->output_dir.len || folder.s[r->output_dir.len] == '/');
}

static enum weft_status find_run(struct trace *t, struct weft_store *store)
{
    struct weft_cli *cli = t->cli;
    struct weft_store_run *runs = NULL;
    char shown[200], *folder = realpath(t->s->run, NULL);
    size_t n = 0;
    enum weft_status st = store ? weft_store_runs(store, &cli->arena, 0, &runs, &n, &cli->err) : WEFT_OK;
    for (size_t i = 0; !st && i < n && !t->run; i++)
        if (is_run(&runs[i], weft_str_c(t->s->run), weft_str_c(folder))) t->run = &runs[i];
    free(folder);
    if (!st && !t->run)
        st = weft_fail(&cli->err, WEFT_EARG, "no run \"%s\" in the store; `weft ls runs` lists what there is",
                       weft_escape(shown, sizeof shown, weft_str_c(t->s->run)));
    return st;
}

static enum weft_status put_line(void *ctx, struct weft_str json, struct weft_err *err)
{
    struct weft_out *out = ctx;
    weft_out_str(out, json);
    weft_out_str(out, WEFT_STR("\n"));
    return out->failed;
}

/* The version of the store with these rows, as a file for the time being. */
static enum weft_status borrow(struct trace *t, struct weft_store *store, int64_t dataset, const char **path)
{
    const char *tmp = getenv("TMPDIR");
    struct weft_out out = { 0 };
    char *name = NULL;
    if (asprintf(&name, "%s/weft-rows-XXXXXX", tmp && *tmp ? tmp : "/tmp") < 0)
        return weft_fail_nomem(&t->cli->err, 64, "a path");
    int fd = mkstemp(name);
    if (fd < 0) {
        enum weft_status st = weft_fail_errno(&t->cli->err, "create", name);
        free(name);
        return st;
    }
    close(fd);
    t->borrowed[t->n_borrowed++] = name;
    enum weft_status st = weft_out_open(&out, name, &t->cli->err);
    if (!st) st = weft_store_dataset_rows(store, dataset, put_line, &out, &t->cli->err);
    if (!st) st = weft_out_commit(&out, &t->cli->err);
    weft_out_close(&out);
    *path = name;
    return st;
}

/* A file that is still what was trained on; else the version in the store; else it is said that both are gone. */
static enum weft_status open_data(struct trace *t, struct weft_store *store, const struct weft_store_run_data *d)
{
    struct weft_cli *cli = t->cli;
    struct weft_store_dataset version;
    struct weft_err ignored = { 0 };
    char now[WEFT_SHA256_HEX] = "", shown[200];
    const char *path = d->path.s;
    size_t set;
    bool found = false, same = weft_file_exists(path) && !weft_sha256_file(path, now, &ignored)
                               && weft_str_is(d->sha256, now);
    enum weft_status st = WEFT_OK;
    if (t->n_borrowed == MOST_SETS) return weft_fail(&cli->err, WEFT_ELIMIT, "more than %d sets", MOST_SETS);
    weft_escape(shown, sizeof shown, d->path);
    if (!same && d->content.len)
        st = weft_store_dataset_by_hash(store, &cli->arena, d->content, &version, &found, &cli->err);
    if (!st && found) {
        weft_note(cli, "%s is not what was trained on; %s/%s@%" PRId64 " of the store is\n", shown, version.project.s,
                  version.name.s, version.version);
        st = borrow(t, store, version.id, &path);
    } else if (!st && !same) {
        t->missing++;
        weft_warn(cli, now[0] ? "%s is another file now, and the store has no version with the rows that were trained on"
                              : "%s is gone, and the store has no version with the rows that were trained on", shown);
        return WEFT_OK;
    }
    return st ? st : open_set(t, path, &set);
}

static enum weft_status open_run(struct trace *t)
{
    struct weft_cli *cli = t->cli;
    struct weft_store *store = NULL;
    struct weft_store_run_data *data = NULL;
    size_t n = 0;
    enum weft_status st = weft_cli_store_if_any(cli, &store);
    if (!st) st = find_run(t, store);
    if (!st) st = weft_store_run_data(store, &cli->arena, t->run->id, &data, &n, &cli->err);
    for (size_t i = 0; !st && i < n; i++) st = open_data(t, store, &data[i]);
    if (!st && !t->n_sets)
        st = weft_fail(&cli->err, WEFT_EINPUT, "none of the %zu files of run %s is there any more", n, t->run->name.s);
    weft_store_close(store);
    return st;
}

/* ---- the verb ---- */

static enum weft_status first_row(struct trace *t, const char *word, size_t *set, size_t *row)
{
    char shown[64];
    bool digits = *word && strlen(word) < 18;
    uint64_t number = 0;
    for (*set = 0; *set < (t->run ? t->n_sets : 1); ++*set)
        if (find_id(t, *set, weft_str_c(word), row)) return WEFT_OK;
    *set = 0;
    for (const char *c = word; *c; c++) {
        digits &= *c >= '0' && *c <= '9';
        if (digits) number = number * 10 + (uint64_t)(*c - '0');
    }
    if (!digits || !number || number > t->sets[0].n)
        return weft_fail(&t->cli->err, WEFT_EARG, "no row \"%s\": expected an id, or a number from 1 to %zu",
                         weft_escape(shown, sizeof shown, weft_str_c(word)), t->sets[0].n);
    *row = (size_t)number - 1;
    return WEFT_OK;
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list words = { 0 };
    struct weft_buf b = { 0 };
    struct weft_json_out json;
    struct trace t = { .cli = cli, .s = &s, .out = &b };
    struct step at = { 0 };
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_data_trace, &s, &s.common, &words, &done);
    if (st || done) return st;
    if (words.n < (s.run ? 1 : 2))
        return weft_fail(&cli->err, WEFT_EARG, "usage: weft data trace ROW FILE [FILE...]");
    if (s.run) st = open_run(&t);
    for (size_t i = 1; !st && i < words.n; i++) st = open_set(&t, words.items[i], &at.set);
    at.set = 0;
    if (!st) st = first_row(&t, words.items[0], &at.set, &at.row);
    weft_json_out_init(&json, &b);
    if (cli->json) t.json = &json;
    if (!st) st = show_row(&t, &at);
    if (!st && cli->json) st = weft_data_print_json(cli, &b);
    else if (!st) st = weft_buf_check(&b, "the output", &cli->err);
    if (!st && b.len) weft_put(cli, weft_buf_view(&b));
    weft_buf_clear(&b);
    weft_data_source_close(&t.source);
    for (size_t i = 0; i < t.n_sets; i++) weft_row_index_close(&t.sets[i]);
    for (size_t i = 0; i < t.n_borrowed; i++) {
        unlink(t.borrowed[i]);
        free(t.borrowed[i]);
    }
    if (!st && t.missing)
        st = weft_fail(&cli->err, WEFT_EPARTIAL,
                       "%" PRIu64 " steps of the way back were not found; see above", t.missing);
    return st;
}

const struct weft_verb weft_verb_data_trace = {
    .name = "trace",
    .usage = "ROW FILE [FILE...] | ROW --run NAME",
    .help = "where a row came from: source lines, rule or prompt, parents",
    .help_zh = "追溯一行的来历：原文、规则或提示词、上一级数据",
    .options = &table,
    .run = run,
};

/* weft data search QUERY FILE...: full-text search over rows of datasets and lines of texts, or over the store. 
 * Without --index the index of files is made in memory for this one question; with it, it is kept in a file and
 * made anew only when a source changed. */
#include "cli/data.h"
#include "cli/store.h"
#include "cli/verbs.h"
#include "base/file.h"
#include "dataset/row_text.h"
#include "dataset/search.h"
#include "text/text.h"

#include <inttypes.h>
#include <sys/stat.h>

enum { SHOWN_CHARS = 100, BEFORE_CHARS = 24 };

struct settings {
    struct weft_cli_common common;
    struct weft_text_settings text;
    struct weft_rows_settings rows;
    const char *index, *project;
    int64_t limit;
    bool any, store, all_versions;
};

static const struct weft_option rows_table[] = {
    { .key = "limit", .type = WEFT_OPT_INT, .offset = offsetof(struct settings, limit), .def = "10", .min = 1, .max = 1e6,
      .group = "Search", .help = "hits to show", .help_zh = "显示多少条结果" },
    { .key = "any", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, any), .group = "Search",
      .help = "any word of the query, best first; for a sentence as query",
      .help_zh = "包含查询中任意一个词即可，最相关的在前；适合用一句话来查" },
    { .key = "store", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, store), .group = "Store",
      .help = "search the datasets of the store, the newest version of each",
      .help_zh = "在仓库的数据集中查找（各取最新版本）" },
    { .key = "project", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, project), .group = "Store",
      .help = "only those of this project", .help_zh = "只查这个项目的数据集" },
    { .key = "all_versions", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, all_versions), .group = "Store",
      .help = "older versions too", .help_zh = "旧版本也查" },
    { .key = "index", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, index), .group = "Search",
      .help = "file that keeps the index; made anew when a source changed",
      .help_zh = "保存索引的文件；来源有变化时自动重建" },
    { .key = "format", .type = WEFT_OPT_CHOICE, .offset = offsetof(struct settings, rows.format), .def = "auto",
      .choices = WEFT_FORMAT_CHOICES, .group = "Input",
      .help = "shape of the rows read (auto: each row shows it)", .help_zh = "读入的格式（auto 逐行识别）" },
    { .key = "columns", .type = WEFT_OPT_LIST, .offset = offsetof(struct settings, rows.columns), .group = "Input",
      .help = "renamed members: instruction=question,output=answer",
      .help_zh = "成员改名：instruction=question,output=answer" },
    WEFT_TEXT_OPTION_ROWS(struct settings, text),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows_table, WEFT_COUNT(rows_table) };

struct build {
    struct weft_cli *cli;
    struct weft_search *search;
    const char *path;
    uint64_t n, n_file;
    struct weft_buf text, origin;
    bool partial;
};

static enum weft_status add(struct build *b, struct weft_str text, struct weft_err *err)
{
    struct weft_search_doc doc = { text, weft_buf_view(&b->origin) };
    enum weft_status st = weft_data_tick(b->cli, "indexing", b->n++, 0, err);
    return st ? st : weft_search_add(b->search, &doc, NULL, err);
}

/* A row is found by everything it says; it is shown where it came from, and else where it stands. */
static enum weft_status add_row(void *ctx, const struct weft_row *row, struct weft_err *err)
{
    struct build *b = ctx;
    const struct weft_origin *at = &row->origin;
    b->n_file++;
    weft_buf_reset(&b->text);
    weft_buf_reset(&b->origin);
    weft_buf_str(&b->text, row->text);
    for (size_t i = 0; i < row->n_turns; i++) {
        if (i) weft_buf_char(&b->text, '\n');
        weft_buf_str(&b->text, row->turns[i].text);
    }
    if (row->chosen.text.s) {
        weft_buf_char(&b->text, '\n');
        weft_buf_str(&b->text, row->chosen.text);
    }
    weft_buf_printf(&b->origin, "%s row %" PRIu64, b->path, b->n_file);
    if (at->file.s && at->line) {
        weft_buf_cstr(&b->origin, " <- ");
        weft_buf_str(&b->origin, at->file);
        weft_buf_printf(&b->origin, ":%" PRIu64, at->line);
    }
    enum weft_status st = weft_buf_check(&b->text, "a row", err);
    return st ? st : add(b, weft_buf_view(&b->text), err);
}

static enum weft_status add_lines(struct build *b, const struct settings *s, struct weft_err *err)
{
    struct weft_text t;
    enum weft_status st = weft_text_read(&b->cli->arena, b->path, &s->text, &t, err);
    for (size_t i = 0; !st && i < t.n_lines; i++) {
        struct weft_str line = weft_text_line(&t, i);
        uint64_t page = weft_text_page_of(&t, i);
        if (!weft_text_visible(line)) continue;
        weft_buf_reset(&b->origin);
        weft_buf_printf(&b->origin, "%s:%zu", b->path, i + 1);
        if (page) weft_buf_printf(&b->origin, " (p. %" PRIu64 ")", page);
        st = add(b, line, err);
    }
    b->partial |= !st && weft_text_partial(&t);
    return st;
}

/* The first byte that is no white space opens an object or an array: a dataset. */
static enum weft_status is_dataset(const char *path, bool *yes, struct weft_err *err)
{
    struct weft_map m;
    size_t i = 0;
    enum weft_status st = weft_map_open(&m, path, err);
    if (st) return st;
    if (m.len > 3 && memcmp(m.p, "\xEF\xBB\xBF", 3) == 0) i = 3;
    while (i < m.len && (m.p[i] == ' ' || m.p[i] == '\t' || m.p[i] == '\r' || m.p[i] == '\n')) i++;
    *yes = i < m.len && (m.p[i] == '{' || m.p[i] == '[');
    weft_map_close(&m);
    return WEFT_OK;
}

static enum weft_status add_file(struct build *b, const struct settings *s, const char *path)
{
    struct weft_cli *cli = b->cli;
    struct weft_arena_mark mark = weft_arena_mark(&cli->arena);
    struct weft_report report = { 0 };
    struct weft_rows_shape shape = { 0 };
    bool rows = false;
    b->path = path;
    b->n_file = 0;
    enum weft_status st = is_dataset(path, &rows, &cli->err);
    if (!st && !rows) st = add_lines(b, s, &cli->err);
    if (!st && rows) {
        st = weft_rows_each(&cli->arena, path, &s->rows, add_row, b, &report, &shape, &cli->err);
        if (!st && weft_report_dropped(&report)) {
            weft_warn(cli, "%s: %" PRIu64 " rows could not be read and are not searched", path, weft_report_dropped(&report));
            b->partial = true;
        }
    }
    weft_arena_release(&cli->arena, mark);
    return st;
}

/* What an index is built from: one line for each file with its length and the times of its last change, as make does.
 * A hash of 100 MB takes ten times as long as the search. */
static enum weft_status describe(struct weft_cli *cli, const struct weft_str_list *words, struct weft_buf *label)
{
    struct stat f;
    for (size_t i = 1; i < words->n; i++) {
        if (stat(words->items[i], &f) != 0) return weft_fail_errno(&cli->err, "open", words->items[i]);
        weft_buf_printf(label, "%llu %llu %lld.%09ld %lld.%09ld %s\n", (unsigned long long)f.st_ino,
                        (unsigned long long)f.st_size, (long long)f.st_mtim.tv_sec, f.st_mtim.tv_nsec,
                        (long long)f.st_ctim.tv_sec, f.st_ctim.tv_nsec, words->items[i]);
    }
    return weft_buf_check(label, "a search index", &cli->err);
}

static enum weft_status build(struct weft_cli *cli, const struct settings *s, const struct weft_str_list *words,
                              struct weft_search *search, bool *partial)
{
    struct build b = { .cli = cli, .search = search };
    struct weft_buf label = { 0 };
    struct weft_str had = { NULL, 0 };
    enum weft_status st = WEFT_OK;
    if (s->index) {
        st = describe(cli, words, &label);
        if (!st) st = weft_search_label(search, &cli->arena, &had, &cli->err);
        if (st || weft_str_eq(had, weft_buf_view(&label))) goto done;
        st = weft_search_clear(search, &cli->err);
    }
    for (size_t i = 1; i < words->n && !st; i++) st = add_file(&b, s, words->items[i]);
    /* An index of a part of the sources is not taken for whole the next time. */
    if (!st && s->index && !b.partial) st = weft_search_set_label(search, weft_buf_view(&label), &cli->err);
    if (!st) st = weft_search_commit(search, &cli->err);
    *partial = b.partial;
done:
    weft_cli_progress_end(cli);
    weft_buf_clear(&b.text);
    weft_buf_clear(&b.origin);
    weft_buf_clear(&label);
    return st;
}

/* The part of the text round the first word of the query that stands there as it was typed. */
static struct weft_str part_of(struct weft_str text, struct weft_str query)
{
    size_t end = 0, at;
    while (end < query.len && query.s[end] != ' ') end++;
    at = weft_str_find(text, weft_str_sub(query, 0, end), 0);
    if (at == SIZE_MAX || !end) return text;
    for (size_t back = 0; at > 0 && back < BEFORE_CHARS && text.s[at - 1] != '\n'; back++)
        do at--;
        while (at > 0 && ((unsigned char)text.s[at] & 0xC0) == 0x80);
    return weft_str_skip(text, at);
}

static enum weft_status show(struct weft_cli *cli, struct weft_str query, const struct weft_search_hit *hits, size_t n,
                             uint64_t all)
{
    if (cli->json) {
        struct weft_buf b = { 0 };
        struct weft_json_out o;
        weft_json_out_init(&o, &b);
        weft_json_out_object(&o);
        weft_data_key_uint(&o, "found", all);
        weft_json_out_key(&o, "hits");
        weft_json_out_array(&o);
        for (size_t i = 0; i < n; i++) {
            weft_json_out_object(&o);
            weft_json_out_key(&o, "score");
            weft_json_out_double(&o, hits[i].score);
            weft_data_key_str(&o, "origin", hits[i].origin);
            weft_data_key_str(&o, "text", hits[i].text);
            weft_json_out_object_end(&o);
        }
        weft_json_out_array_end(&o);
        weft_json_out_object_end(&o);
        return weft_data_print_json(cli, &b);
    }
    for (size_t i = 0; i < n; i++) {
        weft_data_line(cli, "", hits[i].origin, 400);
        weft_data_line(cli, "    ", part_of(hits[i].text, query), SHOWN_CHARS);
    }
    weft_note(cli, "found %" PRIu64 ", shown %zu\n", all, n);
    return WEFT_OK;
}

/* Rows of the store as hits: "ferry/pairs@2 row 3 <- ferry.txt:3". */
static enum weft_status search_store(struct weft_cli *cli, const struct settings *s, const char *words)
{
    struct weft_store *store = NULL;
    struct weft_store_hit *found = NULL;
    struct weft_store_words q = { .text = weft_str_c(words), .mode = s->any ? WEFT_SEARCH_ANY : WEFT_SEARCH_ALL,
                                  .all_versions = s->all_versions, .limit = (size_t)s->limit };
    struct weft_search_hit *hits = NULL;
    size_t n = 0;
    uint64_t all = 0;
    enum weft_status st = weft_cli_store_if_any(cli, &store);
    if (!st && s->project && !store)
        st = weft_fail(&cli->err, WEFT_EARG, "no project \"%s\" in the store; `weft ls` lists what there is", s->project);
    if (!st && s->project) st = weft_store_project(store, weft_str_c(s->project), false, &q.project_id, &cli->err);
    if (!st && store) st = weft_store_search(store, &cli->arena, &q, &found, &n, &all, &cli->err);
    if (!st) hits = WEFT_NEWS(&cli->arena, struct weft_search_hit, n + 1);
    if (!st && !hits) st = weft_fail_nomem(&cli->err, n * sizeof *hits, "the hits");
    for (size_t i = 0; !st && i < n; i++) {
        const struct weft_store_dataset *d = &found[i].dataset;
        struct weft_json_value v;
        struct weft_row row = { 0 };
        struct weft_buf b = { 0 };
        weft_buf_printf(&b, "%s/%s@%" PRId64 " row %" PRIu64, d->project.s, d->name.s, d->version, found[i].row);
        if (!weft_json_parse(&cli->arena, "a row", found[i].json, &v, NULL)
            && !weft_row_from_json(&cli->arena, &v, NULL, &row, NULL, NULL) && row.origin.file.s && row.origin.line) {
            weft_buf_cstr(&b, " <- ");
            weft_buf_str(&b, row.origin.file);
            weft_buf_printf(&b, ":%" PRIu64, row.origin.line);
        }
        hits[i] = (struct weft_search_hit){ .score = found[i].score, .text = found[i].text,
                                            .origin = weft_str_dup(&cli->arena, weft_buf_view(&b)) };
        if (!hits[i].origin.s) st = weft_fail_nomem(&cli->err, b.len, "the hits");
        weft_buf_clear(&b);
    }
    if (!st) st = show(cli, q.text, hits, n, all);
    weft_store_close(store);
    return st;
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list words = { 0 };
    struct weft_search *search = NULL;
    struct weft_search_hit *hits;
    size_t n;
    uint64_t all;
    bool done, partial = false;
    enum weft_status st = weft_cli_options(cli, &weft_verb_data_search, &s, &s.common, &words, &done);
    if (st || done) return st;
    if (words.n == 1 && (s.store || s.project)) return search_store(cli, &s, words.items[0]);
    if (words.n < 2) return weft_fail(&cli->err, WEFT_EARG, "usage: weft data search QUERY FILE...");
    st = weft_search_open(&search, s.index, &cli->err);
    if (!st) st = build(cli, &s, &words, search, &partial);
    if (!st)
        st = weft_search_query(search, &cli->arena, weft_str_c(words.items[0]),
                               s.any ? WEFT_SEARCH_ANY : WEFT_SEARCH_ALL, (size_t)s.limit, &hits, &n, &all, &cli->err);
    if (!st) st = show(cli, weft_str_c(words.items[0]), hits, n, all);
    weft_search_close(search);
    if (!st && partial)
        st = weft_fail(&cli->err, WEFT_EPARTIAL, "some input was damaged or left out; see above");
    return st;
}

const struct weft_verb weft_verb_data_search = {
    .name = "search",
    .usage = "QUERY FILE... | QUERY --store",
    .help = "find words in rows and texts, Chinese names of two characters too",
    .help_zh = "在数据行和文本中查找词语，两个字的人名也能找到",
    .options = &table,
    .run = run,
};

/* weft read FILE...: the text of files and folders, whatever their format and charset; --json gives every line with
 * its place in the original.  A bad file costs only itself: the others are read, and a table says which were not. */
#include "base/file.h"
#include "cli/data.h"
#include "cli/verbs.h"
#include "dataset/rows_text.h"
#include "text/text.h"

#include <inttypes.h>
#include <sys/stat.h>

#include <utf8proc.h>

struct settings {
    struct weft_cli_common common;
    struct weft_text_settings text;
    bool stats, hidden;
    const char *output;
};

static const struct weft_option rows[] = {
    WEFT_TEXT_OPTION_ROWS(struct settings, text),
    { .key = "hidden", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, hidden), .group = "Input",
      .help = "in folders, read files whose names begin with a dot too", .help_zh = "读取文件夹时也包括以点开头的文件" },
    { .key = "output", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, output), .group = "Output",
      .short_flag = 'o', .help = "write to this file instead of standard output", .help_zh = "写入此文件，而不是标准输出" },
    { .key = "stats", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, stats), .group = "Output",
      .help = "no text; characters, lines, charset and repairs of each file",
      .help_zh = "不输出文字，只显示每个文件的字数、行数、编码和修复情况" },
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

enum { MAX_DEPTH = 64, SHOWN = 100 };
enum verdict { ACCEPT, PARTIAL, REFUSED };

struct file {
    const char *path, *message;         /* NULL while nothing is wrong */
    char rule[8];
    enum verdict verdict;
};

struct reading {
    struct weft_cli *cli;
    const struct settings *s;
    struct weft_arena arena;            /* of the list of files; cli->arena holds one text at a time */
    struct file *files;
    size_t n, cap;
    uint64_t passed_over;               /* of folders: hidden, or neither a file nor a folder */
    struct weft_out out;
    bool to_file;
    uint64_t lines, chars, ink;         /* of all texts */
};

/* ---- which files ---- */

static enum weft_status add_file(struct reading *r, const char *path)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 64;
        struct file *more = WEFT_NEWS(&r->arena, struct file, cap);
        if (!more) return weft_fail_nomem(&r->cli->err, cap * sizeof *more, "the list of files");
        if (r->n) memcpy(more, r->files, r->n * sizeof *more);
        r->files = more;
        r->cap = cap;
    }
    r->files[r->n++] = (struct file){ .path = path };
    return WEFT_OK;
}

/* Keeps what cli->err says as the verdict on `f`, so that the others can go on. */
static enum weft_status refuse(struct reading *r, struct file *f)
{
    struct weft_err *err = &r->cli->err;
    struct weft_str kept = weft_str_dup(&r->arena, weft_str_c(err->msg));
    f->verdict = REFUSED;
    f->message = kept.s ? kept.s : "";
    memcpy(f->rule, err->rule, sizeof f->rule);
    weft_err_clear(err);
    return WEFT_OK;
}

static enum weft_status add_folder(struct reading *r, const char *path, int depth);

static enum weft_status add_entry(struct reading *r, const char *folder, const char *name, int depth)
{
    struct stat st, target;
    const char *path = weft_path_join(&r->arena, folder, name);
    if (!path) return weft_fail_nomem(&r->cli->err, strlen(name), "a path");
    if ((name[0] == '.' && !r->s->hidden) || lstat(path, &st)) {
        r->passed_over++;
        return WEFT_OK;
    }
    if (S_ISDIR(st.st_mode)) return add_folder(r, path, depth + 1);
    /* A link to a file is read; one to a folder could lead in a circle. */
    if (S_ISREG(st.st_mode) || (S_ISLNK(st.st_mode) && !stat(path, &target) && S_ISREG(target.st_mode)))
        return add_file(r, path);
    r->passed_over++;
    return WEFT_OK;
}

static enum weft_status add_folder(struct reading *r, const char *path, int depth)
{
    const char **names;
    size_t n;
    enum weft_status st = depth > MAX_DEPTH ? weft_fail(&r->cli->err, WEFT_ELIMIT,
                                                        "%s: folders are nested more than %d deep", path, MAX_DEPTH)
                                            : weft_dir_list(&r->arena, path, &names, &n, &r->cli->err);
    if (st == WEFT_ENOMEM) return st;
    if (st) {
        st = add_file(r, path);
        return st ? st : refuse(r, &r->files[r->n - 1]);
    }
    for (size_t i = 0; !st && i < n; i++) st = add_entry(r, path, names[i], depth);
    return st;
}

/* ---- one text ---- */

static void emit(struct reading *r, struct weft_str s)
{
    if (r->to_file) weft_out_str(&r->out, s);
    else weft_put(r->cli, s);
}

static void emit_json(struct reading *r, struct weft_buf *b)
{
    weft_buf_char(b, '\n');
    emit(r, weft_buf_view(b));
    weft_buf_reset(b);
}

/* Characters that are no white space: how books are counted. */
static uint64_t count_ink(struct weft_str s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.len;) {
        uint32_t cp;
        i += weft_utf8_decode(s.s + i, s.len - i, &cp, NULL);
        utf8proc_category_t c = cp < 0x80 ? UTF8PROC_CATEGORY_LO : utf8proc_category((utf8proc_int32_t)cp);
        n += cp < 0x80 ? cp > 0x20 || (cp < 0x20 && !(cp >= '\t' && cp <= '\r'))
                       : c != UTF8PROC_CATEGORY_ZS && c != UTF8PROC_CATEGORY_ZL && c != UTF8PROC_CATEGORY_ZP &&
                             cp != 0x85;
    }
    return n;
}

static const char *verdict_name(enum verdict v) { return v == ACCEPT ? "accept" : v == PARTIAL ? "partial" : "error"; }

static void json_text(struct weft_json_out *o, const struct weft_text *t, uint64_t chars, uint64_t ink)
{
    const struct {
        const char *key;
        uint64_t n;
    } counts[] = { { "lines", t->n_lines },           { "chars", chars },
                   { "chars_ink", ink },              { "repaired", t->repaired },
                   { "nul_dropped", t->nul_dropped }, { "left_out", t->left_out },
                   { "ignored", t->ignored },         { "private_use", t->private_use },
                   { "replacement", t->replacement }, { "controls", t->controls },
                   { "cr", t->cr } };
    weft_data_key_str(o, "sha256", weft_str_c(t->sha256));
    weft_data_key_uint(o, "bytes", t->bytes);
    weft_data_key_str(o, "format", weft_str_c(t->format));
    weft_data_key_str(o, "charset", weft_str_c(weft_charset_name(t->charset)));
    weft_json_out_key(o, "bom");
    weft_json_out_bool(o, t->bom);
    if (t->title.len) weft_data_key_str(o, "title", t->title);
    for (size_t i = 0; i < WEFT_COUNT(counts); i++) weft_data_key_uint(o, counts[i].key, counts[i].n);
    weft_json_out_key(o, "places");
    weft_json_out_array(o);
    for (size_t i = 0; i < t->n_places; i++) {
        weft_json_out_object(o);
        weft_data_key_uint(o, "line", t->places[i].line);
        weft_data_key_uint(o, "byte", t->places[i].byte);
        weft_json_out_object_end(o);
    }
    weft_json_out_array_end(o);
    weft_json_out_key(o, "notes");
    weft_json_out_array(o);
    for (size_t i = 0; i < t->n_notes; i++) weft_json_out_str(o, t->notes[i]);
    weft_json_out_array_end(o);
}

/* The object of a file: what it is, before its lines. `t` NULL: it was refused. */
static void json_file(struct reading *r, const struct file *f, const struct weft_text *t, uint64_t chars, uint64_t ink)
{
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &b);
    weft_json_out_object(&o);
    weft_data_key_str(&o, "file", weft_str_c(f->path));
    weft_data_key_str(&o, "verdict", weft_str_c(verdict_name(f->verdict)));
    if (t) json_text(&o, t, chars, ink);
    else {
        weft_data_key_str(&o, "rule", f->rule[0] ? weft_str_c(f->rule) : (struct weft_str){ NULL, 0 });
        weft_data_key_str(&o, "message", weft_str_c(f->message));
    }
    weft_json_out_object_end(&o);
    emit_json(r, &b);
    weft_buf_clear(&b);
}

static void json_lines(struct reading *r, const struct weft_text *t)
{
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    for (size_t i = 0; i < t->n_lines; i++) {
        const struct weft_text_section *in = weft_text_section_of(t, i);
        weft_json_out_init(&o, &b);
        weft_json_out_object(&o);
        weft_data_key_str(&o, "file", t->name);
        weft_data_key_uint(&o, "line", weft_text_source_line(t, i));
        if (in && in->page) weft_data_key_uint(&o, "page", in->page);
        if (in && in->last_page > in->page) weft_data_key_uint(&o, "last_page", in->last_page);
        if (in && in->part.len) weft_data_key_str(&o, "part", in->part);
        if (in && in->title.len) weft_data_key_str(&o, "section", in->title);
        weft_json_out_key(&o, "bytes");
        weft_json_out_array(&o);
        weft_json_out_uint(&o, t->lines[i].begin);
        weft_json_out_uint(&o, t->lines[i].end);
        weft_json_out_array_end(&o);
        weft_data_key_str(&o, "text", weft_text_line(t, i));
        weft_json_out_object_end(&o);
        emit_json(r, &b);
    }
    weft_buf_clear(&b);
}

/* What was changed, left out or odd, for people. */
static void tell_oddities(struct weft_cli *cli, const struct weft_text *t)
{
    for (size_t i = 0; i < t->n_notes; i++) weft_warn(cli, "%s", t->notes[i].s);
    if (t->repaired || t->nul_dropped)
        weft_warn(cli,
                  "%.*s: %" PRIu64 " damaged places became U+FFFD, %" PRIu64
                  " NUL bytes were dropped; the first in line %" PRIu64,
                  (int)t->name.len, t->name.s, t->repaired, t->nul_dropped, t->places[0].line);
    if (t->private_use || t->replacement || t->controls)
        weft_note(cli,
                  "  kept as they are: %" PRIu64 " private-use characters, %" PRIu64 " U+FFFD, %" PRIu64
                  " control characters\n",
                  t->private_use, t->replacement, t->controls);
    if (t->ignored) weft_note(cli, "  left out as no text: %" PRIu64 " elements of markup\n", t->ignored);
}

static void show(struct reading *r, const struct file *f, const struct weft_text *t)
{
    struct weft_cli *cli = r->cli;
    uint64_t chars = weft_utf8_chars(t->text), ink = count_ink(t->text);
    r->lines += t->n_lines;
    r->chars += chars;
    r->ink += ink;
    if (cli->json) {
        json_file(r, f, t, chars, ink);
        if (!r->s->stats) json_lines(r, t);
        return;
    }
    char a[32], b[32];
    const char *mark = t->bom ? " (BOM)" : "";
    if (r->s->stats) {
        struct weft_str line = weft_str_printf(
            &cli->arena,
            weft_tr(cli->lang, "%s: %s, %s%s, %zu lines, %s characters, %s without white space\n"), t->name.s, t->format,
            weft_charset_name(t->charset), mark, t->n_lines, weft_cli_count(a, chars), weft_cli_count(b, ink));
        emit(r, line);
    } else {
        emit(r, t->text);
        if (t->text.len && t->text.s[t->text.len - 1] != '\n') emit(r, WEFT_STR("\n"));
        if (r->n <= SHOWN)
            weft_note(cli, "%s: %s, %s%s, %zu lines, %s characters\n", t->name.s, t->format, weft_charset_name(t->charset),
                      mark, t->n_lines, weft_cli_count(a, chars));
    }
    tell_oddities(cli, t);
}

/* A dataset by its content, else the reader that fits; a name given decides ("rows" is a dataset's). */
static enum weft_status read_text(struct reading *r, const char *path, struct weft_text *t)
{
    struct weft_cli *cli = r->cli;
    const char *reader = r->s->text.reader;
    bool given = reader && strcmp(reader, "rows") == 0, found = reader && strcmp(reader, "auto") != 0;
    if (given || (!found && r->s->text.charset == WEFT_CHARSET_AUTO && weft_rows_sniff(path))) {
        struct weft_report report = { 0 };
        enum weft_status st = weft_rows_text(&cli->arena, path, NULL, t, &report, &cli->err);
        /* JSON of another kind, or a text that begins like it: more bad rows than good ones are no dataset. */
        if (given || (st && st != WEFT_EINPUT) || (!st && t->left_out <= report.rows_out)) return st;
        weft_err_clear(&cli->err);
    }
    return weft_text_read(&cli->arena, path, &r->s->text, t, &cli->err);
}

static enum weft_status read_one(struct reading *r, struct file *f)
{
    struct weft_cli *cli = r->cli;
    struct weft_arena_mark mark = weft_arena_mark(&cli->arena);
    struct weft_text t;
    enum weft_status st = read_text(r, f->path, &t);
    if (!st) {
        f->verdict = weft_text_partial(&t) ? PARTIAL : ACCEPT;
        show(r, f, &t);
    }
    weft_arena_release(&cli->arena, mark);
    return st;
}

/* ---- all of them ---- */

/* One bad file among many is named at the end, and the others are read (A12). */
static enum weft_status read_all(struct reading *r)
{
    struct weft_cli *cli = r->cli;
    for (size_t i = 0; i < r->n; i++) {
        struct file *f = &r->files[i];
        if (weft_progress_cancelled(&cli->progress)) return weft_fail(&cli->err, WEFT_ECANCEL, "stopped");
        if (r->n > 1) weft_progress_update(&cli->progress, "reading", i, r->n, "files", "");
        enum weft_status st = f->message ? WEFT_OK : read_one(r, f);
        bool his_own = st == WEFT_EINPUT || st == WEFT_ELIMIT || st == WEFT_ESYSTEM;
        if (st && (r->n == 1 || !his_own)) return st;
        if (st) refuse(r, f);
        if (cli->json && f->verdict == REFUSED) json_file(r, f, NULL, 0, 0);
    }
    weft_cli_progress_end(cli);
    return WEFT_OK;
}

static void json_total(struct reading *r, const size_t n[3])
{
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &b);
    weft_json_out_object(&o);
    weft_data_key_uint(&o, "files", r->n);
    for (int v = ACCEPT; v <= REFUSED; v++) weft_data_key_uint(&o, verdict_name((enum verdict)v), n[v]);
    weft_data_key_uint(&o, "passed_over", r->passed_over);
    weft_data_key_uint(&o, "lines", r->lines);
    weft_data_key_uint(&o, "chars", r->chars);
    weft_data_key_uint(&o, "chars_ink", r->ink);
    weft_json_out_object_end(&o);
    emit_json(r, &b);
    weft_buf_clear(&b);
}

static enum weft_status finish(struct reading *r)
{
    struct weft_cli *cli = r->cli;
    size_t n[3] = { 0 }, shown = 0;
    for (size_t i = 0; i < r->n; i++) n[r->files[i].verdict]++;
    bool many = r->n > 1 || r->passed_over;
    if (many && cli->json) json_total(r, n);
    else if (many) {
        char a[32], b[32];
        if (r->s->stats) {
            struct weft_str line = weft_str_printf(
                &cli->arena, weft_tr(cli->lang, "in all: %zu files, %" PRIu64 " lines, %s characters, %s without white space\n"),
                n[ACCEPT] + n[PARTIAL], r->lines, weft_cli_count(a, r->chars), weft_cli_count(b, r->ink));
            emit(r, line);
        }
        weft_note(cli, "%zu files: %zu read, %zu read in part, %zu refused; %" PRIu64
                       " entries of folders passed over (hidden, or no files)\n",
                  r->n, n[ACCEPT], n[PARTIAL], n[REFUSED], r->passed_over);
    }
    for (size_t i = 0; i < r->n && shown < SHOWN; i++) {
        const struct file *f = &r->files[i];
        if (f->verdict == ACCEPT || !many) continue;
        shown++;
        char name[512];         /* of a folder, so perhaps not the user's own */
        if (f->verdict == PARTIAL)
            weft_note(cli, "  read in part: %s\n", weft_escape(name, sizeof name, weft_str_c(f->path)));
        else weft_warn(cli, "%s%s%s%s", f->message, f->rule[0] ? " [" : "", f->rule, f->rule[0] ? "]" : "");
    }
    if (n[REFUSED] == r->n) return weft_fail(&cli->err, WEFT_EINPUT, "none of %zu files could be read", r->n);
    if (r->to_file) {
        enum weft_status st = weft_out_commit(&r->out, &cli->err);
        if (st) return st;
    }
    if (n[REFUSED])
        return weft_fail(&cli->err, WEFT_EPARTIAL, "%zu of %zu files could not be read", n[REFUSED], r->n);
    return n[PARTIAL] ? weft_fail(&cli->err, WEFT_EPARTIAL, "some input was damaged or left out; see above") : WEFT_OK;
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct reading r = { .cli = cli, .s = &s };
    struct weft_str_list words = { 0 };
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_read, &s, &s.common, &words, &done);
    if (st || done) return st;
    if (!words.n) return weft_fail(&cli->err, WEFT_EARG, "expected at least one FILE; - is standard input");
    for (size_t i = 0; !st && i < words.n; i++)
        st = weft_dir_exists(words.items[i]) ? add_folder(&r, words.items[i], 0) : add_file(&r, words.items[i]);
    if (!st && !r.n)
        st = weft_fail(&cli->err, WEFT_EINPUT, "%s: no file in this folder; %" PRIu64 " entries were passed over",
                       words.items[0], r.passed_over);
    if (!st && s.output) {
        st = weft_out_open(&r.out, s.output, &cli->err);
        r.to_file = !st;
    }
    if (!st) st = read_all(&r);
    if (!st) st = finish(&r);
    weft_out_close(&r.out);
    weft_arena_clear(&r.arena);
    return st;
}

const struct weft_verb weft_verb_read = {
    .name = "read",
    .usage = "FILE|FOLDER... [-o OUT]",
    .help = "the text of files and folders, whatever their format and charset",
    .help_zh = "读出文件和文件夹里的文字，自动识别格式和编码",
    .options = &table,
    .run = run,
};

/* weft data review FILE: the doubtful rows, one by one, for a person to decide; decisions go to a patch file, each
 * as soon as it is taken.  weft data apply FILE --patches P -o OUT does what they say. */
#include "cli/data.h"
#include "cli/data_patch.h"
#include "cli/data_quality.h"
#include "cli/data_row.h"
#include "cli/record.h"
#include "cli/verbs.h"
#include "dataset/canon.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct settings {
    struct weft_cli_common common;
    struct weft_data_input in;
    const char *patches, *note, *project;
    struct weft_str_list decide, flags, signs;
    struct weft_data_quality quality;
    double confidence;
    bool list, all;
    int64_t context;
};

static const struct weft_option review_rows[] = {
    { .key = "patches",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, patches),
      .group = "Decisions",
      .short_flag = 'p',
      .help = "file of decisions, made when there is none (FILE.patches.jsonl)",
      .help_zh = "保存决定的文件，没有则新建（默认 FILE.patches.jsonl）" },
    { .key = "decide",
      .type = WEFT_OPT_LIST,
      .offset = offsetof(struct settings, decide),
      .group = "Decisions",
      .help = "ROW=keep, drop, speaker:NAME, asker:NAME or edit:FILE (a JSON row); ROW is a number or an id",
      .help_zh =
          "不进入界面直接决定：ROW=keep、drop、speaker:名字、asker:名字 或 edit:文件（一行 JSON）；ROW 为行号或编号" },
    { .key = "note",
      .type = WEFT_OPT_STRING,
      .offset = offsetof(struct settings, note),
      .group = "Decisions",
      .help = "a word on why, kept with the decisions",
      .help_zh = "与决定一起保存的说明" },
    { .key = "list",
      .type = WEFT_OPT_BOOL,
      .offset = offsetof(struct settings, list),
      .group = "Output",
      .help = "print the rows, ask nothing",
      .help_zh = "只列出，不询问" },
    { .key = "flags",
      .type = WEFT_OPT_LIST,
      .offset = offsetof(struct settings, flags),
      .def = "review,chorus,self,continued,quality,unverified,quarantined",
      .group = "Which",
      .help = "flags that make a row doubtful",
      .help_zh = "带这些标记的行视为存疑" },
    { .key = "signs",
      .type = WEFT_OPT_LIST,
      .offset = offsetof(struct settings, signs),
      .def = "all",
      .group = "Which",
      .help = "signs of weft data check --quality that make a row doubtful, by name; all, or none",
      .help_zh = "带这些质量迹象（同 weft data check --quality）的行视为存疑；all 为全部，none 为不看" },
    { .key = "confidence",
      .type = WEFT_OPT_FLOAT,
      .offset = offsetof(struct settings, confidence),
      .def = "0.8",
      .max = 1,
      .group = "Which",
      .help = "rows whose confidence is below this are doubtful",
      .help_zh = "置信度低于此值的行视为存疑" },
    { .key = "all",
      .type = WEFT_OPT_BOOL,
      .offset = offsetof(struct settings, all),
      .group = "Which",
      .help = "rows that are decided too",
      .help_zh = "已经决定过的行也列出" },
    { .key = "context",
      .type = WEFT_OPT_INT,
      .offset = offsetof(struct settings, context),
      .def = "3",
      .max = 1000,
      .unit = "lines",
      .group = "Output",
      .help = "lines of the source before and after",
      .help_zh = "原文前后各显示几行" },
    WEFT_DATA_QUALITY_ROWS(struct settings, quality),
    WEFT_RECORD_ROW(struct settings, project),
    WEFT_DATA_INPUT_ROWS(struct settings, in),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table review_table = { review_rows, WEFT_COUNT(review_rows) };

struct review {
    struct weft_cli *cli;
    const struct settings *s;
    const char *file;
    struct weft_rows rows;
    struct weft_patches patches;
    struct weft_patch_match match;
    struct weft_quality_settings quality;
    uint32_t signs;             /* of quality, as bits */
    size_t *queue;              /* doubtful rows */
    struct weft_str *why;       /* [n] beside it */
    size_t n;
    struct weft_data_source source;
    uint64_t taken;             /* decisions of this run */
};

/* ---- the queue ---- */

/* Flags, confidence, signs of quality; what somebody has decided is beyond doubt. */
static bool is_doubtful(const struct review *x, const struct weft_row *row, struct weft_buf *why)
{
    const struct weft_quality_rule *rules = weft_quality_rules();
    bool any = weft_data_doubts(row, &x->s->flags, x->s->confidence, why);
    if (weft_flags_have(row->origin.flags, WEFT_STR("reviewed")) || weft_flags_have(row->origin.flags, WEFT_STR("edited")))
        return false;
    uint32_t signs = x->signs ? weft_quality_row(row, &x->quality, NULL) & x->signs : 0;
    for (int i = 0; i < WEFT_N_QUALITY; i++)
        if (signs & 1u << i) weft_buf_printf(why, "%s%s", why->len ? ", " : "", rules[i].name);
    return any || signs;
}

static enum weft_status fill_queue(struct review *x)
{
    struct weft_arena *a = &x->cli->arena;
    struct weft_buf why = { 0 };
    x->queue = WEFT_NEWS(a, size_t, x->rows.n + 1);
    x->why = WEFT_NEWS(a, struct weft_str, x->rows.n + 1);
    if (!x->queue || !x->why) return weft_fail_nomem(&x->cli->err, x->rows.n * 24, "the rows");
    for (size_t i = 0; i < x->rows.n; i++) {
        weft_buf_reset(&why);
        if (!is_doubtful(x, &x->rows.items[i], &why)) continue;
        if (x->match.of_row[i] != SIZE_MAX && !x->s->all) continue;
        x->queue[x->n] = i;
        x->why[x->n++] = weft_str_dup(a, weft_buf_view(&why));
    }
    weft_buf_clear(&why);
    return WEFT_OK;
}

static uint64_t count_doubtful(const struct review *x, uint64_t *decided)
{
    struct weft_buf why = { 0 };
    uint64_t n = 0;
    *decided = 0;
    for (size_t i = 0; i < x->rows.n; i++) {
        weft_buf_reset(&why);
        if (!is_doubtful(x, &x->rows.items[i], &why)) continue;
        n++;
        *decided += x->match.of_row[i] != SIZE_MAX;
    }
    weft_buf_clear(&why);
    return n;
}

static const char *decision(const struct review *x, size_t row)
{
    size_t p = x->match.of_row[row];
    return p == SIZE_MAX ? NULL : weft_patch_op_name(x->patches.items[p].op);
}

/* ---- decisions ---- */

/* Appends to the file and to the list; a decision of this run shows at once. */
static enum weft_status take(struct review *x, size_t row, struct weft_patch *p)
{
    struct weft_err *err = &x->cli->err;
    struct weft_buf b = { 0 };
    p->note = weft_str_c(x->s->note);
    enum weft_status st = weft_patch_write(&b, p, err);
    if (!st) st = weft_file_append(x->s->patches, weft_buf_view(&b), err);
    if (!st)
        st = weft_patches_parse(&x->cli->arena, x->s->patches,
                                weft_str_dup(&x->cli->arena, weft_buf_view(&b)), &x->patches, err);
    if (!st) x->match.of_row[row] = x->patches.n - 1;
    if (!st) x->taken++;
    weft_buf_clear(&b);
    return st;
}

static enum weft_status take_simple(struct review *x, size_t row, enum weft_patch_op op, const char *speaker,
                                    const char *asker)
{
    struct weft_patch p;
    enum weft_status st = weft_patch_for(&x->cli->arena, &x->rows.items[row], op, &p, &x->cli->err);
    p.speaker = weft_str_c(speaker);
    p.prompt_speaker = weft_str_c(asker);
    return st ? st : take(x, row, &p);
}

/* The row as it is in the file `path` now. */
static enum weft_status take_edit(struct review *x, size_t row, const char *path, struct weft_err *err)
{
    struct weft_arena *a = &x->cli->arena;
    struct weft_rows edited = { 0 };
    struct weft_report report = { 0 };
    struct weft_patch p;
    char before[WEFT_SHA256_HEX], after[WEFT_SHA256_HEX];
    enum weft_status st = weft_rows_read(a, path, NULL, &edited, &report, NULL, err);
    if (!st && (edited.n != 1 || weft_report_dropped(&report)))
        st = weft_fail(err, WEFT_EINPUT, "%s: expected one row, found %zu", path, edited.n);
    if (!st) st = weft_row_content_hash(&x->rows.items[row], before, err);
    if (!st) st = weft_row_content_hash(&edited.items[0], after, err);
    if (st || strcmp(before, after) == 0) return st;
    st = weft_patch_for(a, &x->rows.items[row], WEFT_PATCH_EDIT, &p, err);
    p.row = edited.items[0];
    return st ? st : take(x, row, &p);
}

/* The row that a word names: its number, or its id. */
static enum weft_status find_row(struct review *x, struct weft_str word, size_t *row)
{
    char shown[64];
    uint64_t number = 0;
    bool digits = word.len > 0 && word.len < 18;
    for (size_t i = 0; i < word.len; i++) {
        digits &= word.s[i] >= '0' && word.s[i] <= '9';
        if (digits) number = number * 10 + (uint64_t)(word.s[i] - '0');
    }
    for (size_t i = 0; i < x->rows.n; i++)
        if (weft_str_eq(x->rows.items[i].origin.id, word)) {
            *row = i;
            return WEFT_OK;
        }
    if (!digits || !number || number > x->rows.n)
        return weft_fail(&x->cli->err, WEFT_EARG, "no row \"%s\": expected an id, or a number from 1 to %zu",
                         weft_escape(shown, sizeof shown, word), x->rows.n);
    *row = (size_t)number - 1;
    return WEFT_OK;
}

static enum weft_status decide(struct review *x, const char *word)
{
    const char *equals = strrchr(word, '='), *what = equals ? equals + 1 : "";
    size_t row = 0;
    enum weft_status st = equals ? find_row(x, (struct weft_str){ word, (size_t)(equals - word) }, &row) : WEFT_OK;
    if (st) return st;
    if (equals && strcmp(what, "keep") == 0) return take_simple(x, row, WEFT_PATCH_KEEP, NULL, NULL);
    if (equals && strcmp(what, "drop") == 0) return take_simple(x, row, WEFT_PATCH_DROP, NULL, NULL);
    if (strncmp(what, "speaker:", 8) == 0 && what[8]) return take_simple(x, row, WEFT_PATCH_SPEAKER, what + 8, NULL);
    if (strncmp(what, "asker:", 6) == 0 && what[6]) return take_simple(x, row, WEFT_PATCH_SPEAKER, NULL, what + 6);
    if (strncmp(what, "edit:", 5) == 0 && what[5]) return take_edit(x, row, what + 5, &x->cli->err);
    return weft_fail(
        &x->cli->err, WEFT_EARG,
        "--decide %s: expected ROW=keep, ROW=drop, ROW=speaker:NAME, ROW=asker:NAME or ROW=edit:FILE", word);
}

/* ---- the editor ---- */

static enum weft_status run_editor(struct weft_cli *cli, const char *path)
{
    const char *editor = getenv("VISUAL");
    int status = 0;
    if (!editor || !*editor) editor = getenv("EDITOR");
    if (!editor || !*editor) editor = "vi";
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) return weft_fail_errno(&cli->err, "start", editor);
    if (pid == 0) {
        /* $EDITOR may hold arguments, so the shell reads it; the path is an argument of its own. */
        struct weft_str command = weft_str_printf(&cli->arena, "%s \"$1\"", editor);
        if (command.s) execl("/bin/sh", "sh", "-c", command.s, "sh", path, (char *)NULL);
        _exit(127);
    }
    while (waitpid(pid, &status, 0) < 0) continue;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return weft_fail(&cli->err, WEFT_ESYSTEM, "%s did not end well; the row is as it was", editor);
    return WEFT_OK;
}

/* Until the row can be read or the user gives up. */
static enum weft_status edit(struct review *x, size_t row)
{
    struct weft_cli *cli = x->cli;
    const struct weft_row *r = &x->rows.items[row];
    struct weft_rows_writer_settings how = { .format = r->text.s ? WEFT_FORMAT_TEXT : WEFT_FORMAT_MESSAGES,
                                             .layout = WEFT_LAYOUT_ARRAY, .indent = 2, .no_origin = true };
    const char *tmp = getenv("TMPDIR");
    char *path = NULL;
    if (asprintf(&path, "%s/weft-row-XXXXXX", tmp && *tmp ? tmp : "/tmp") < 0)
        return weft_fail_nomem(&cli->err, 64, "a path");
    int fd = mkstemp(path);
    enum weft_status st = fd < 0 ? weft_fail_errno(&cli->err, "create", path) : WEFT_OK;
    if (fd >= 0) close(fd);
    if (!st) st = weft_rows_write(path, &how, &(struct weft_rows){ (struct weft_row *)r, 1, 1 }, &cli->err);
    while (!st) {
        struct weft_err fault = { .lang = cli->lang };
        st = run_editor(cli, path);
        if (st) break;
        enum weft_status read = take_edit(x, row, path, &fault);
        if (!read) break;
        if (read != WEFT_EINPUT) st = weft_fail(&cli->err, read, "%s", fault.msg);
        else if (weft_pager_show(cli, weft_str_c(fault.msg),
                                 weft_tr(cli->lang, " e edit again   any other key: leave it "))
                 != 'e')
            break;
    }
    if (fd >= 0) unlink(path);
    free(path);
    return st;
}

/* ---- the terminal ---- */

static const char help_en[] =
    "k  keep the row as it is\nd  drop it\ne  edit it in $EDITOR\ns  set who speaks\n"
    "a  set who asks\nn, Enter, right  next\np, left  previous\nq  end; decisions are saved already\n";

static void page(struct review *x, size_t at, struct weft_buf *b)
{
    size_t row = x->queue[at];
    const struct weft_row *r = &x->rows.items[row];
    const char *decided = decision(x, row);
    weft_data_row_text(b, x->cli, r, row + 1);
    weft_buf_printf(b, "\n%s: %.*s\n", weft_tr(x->cli->lang, "in doubt"), (int)x->why[at].len, x->why[at].s);
    if (decided) weft_buf_printf(b, "%s: %s\n", weft_tr(x->cli->lang, "decided"), weft_tr(x->cli->lang, decided));
    switch (weft_data_source_find(x->cli, &x->source, x->file, &r->origin)) {
    case WEFT_SOURCE_FOUND:
        weft_buf_char(b, '\n');
        weft_data_source_lines(b, &x->source, &r->origin, (uint64_t)x->s->context);
        break;
    case WEFT_SOURCE_CHANGED:
        weft_buf_printf(b, "\n%s\n", weft_tr(x->cli->lang, "the source file has changed since"));
        break;
    case WEFT_SOURCE_GONE: weft_buf_printf(b, "\n%s\n", weft_tr(x->cli->lang, "the source file is not here")); break;
    default: break;
    }
}

static enum weft_status ask_speaker(struct review *x, size_t row, bool asker)
{
    const char *name =
        weft_pager_ask(x->cli, weft_tr(x->cli->lang, asker ? "who asks (Enter: as it was):"
                                                           : "who speaks (Enter: as it was):"));
    if (!name) return WEFT_OK;
    return take_simple(x, row, WEFT_PATCH_SPEAKER, asker ? NULL : name, asker ? name : NULL);
}

static enum weft_status review(struct review *x)
{
    struct weft_cli *cli = x->cli;
    enum weft_status st = WEFT_OK;
    size_t at = 0;
    bool done = !x->n;
    while (!st && !done) {
        struct weft_buf b = { 0 }, status = { 0 };
        size_t row = x->queue[at];
        page(x, at, &b);
        weft_buf_printf(&status, " %zu/%zu  ", at + 1, x->n);
        weft_buf_cstr(&status, weft_tr(cli->lang,
                                       "k keep  d drop  e edit  s speaker  n next  p back  q quit  ? help "));
        st = weft_buf_check(&b, "the output", &cli->err);
        int key = st || !status.s ? WEFT_KEY_END : weft_pager_show(cli, weft_buf_view(&b), status.s);
        bool next = false;
        if (st) continue;
        switch (key) {
        case 'k': st = take_simple(x, row, WEFT_PATCH_KEEP, NULL, NULL), next = true; break;
        case 'd': st = take_simple(x, row, WEFT_PATCH_DROP, NULL, NULL), next = true; break;
        case 'e': st = edit(x, row); break;
        case 's': st = ask_speaker(x, row, false); break;
        case 'a': st = ask_speaker(x, row, true); break;
        case '?':
        case 'h':
            weft_pager_show(cli, weft_str_c(weft_tr(cli->lang, help_en)),
                            weft_tr(cli->lang, " any key goes on "));
            break;
        case 'p':
        case WEFT_KEY_LEFT: at -= at > 0; break;
        case 'n':
        case ' ':
        case '\n':
        case '\r':
        case WEFT_KEY_RIGHT: next = true; break;
        case 'q':
        case WEFT_KEY_END: done = true; break;
        default: break;
        }
        if (next) done |= ++at == x->n;
        weft_buf_clear(&b);
        weft_buf_clear(&status);
    }
    return st;
}

/* ---- lists ---- */

static enum weft_status list_json(struct review *x)
{
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    uint64_t decided, doubtful = count_doubtful(x, &decided);
    enum weft_status st = WEFT_OK;
    weft_json_out_init(&o, &b);
    weft_json_out_object(&o);
    weft_data_key_uint(&o, "rows", x->rows.n);
    weft_data_key_uint(&o, "doubtful", doubtful);
    weft_data_key_uint(&o, "decided", decided);
    weft_data_key_uint(&o, "taken", x->taken);
    weft_data_key_uint(&o, "unfit", x->match.unfit);
    weft_data_key_str(&o, "patches", weft_str_c(x->s->patches));
    weft_json_out_key(&o, "items");
    weft_json_out_array(&o);
    for (size_t i = 0; !st && i < x->n; i++) {
        const struct weft_row *row = &x->rows.items[x->queue[i]];
        weft_json_out_object(&o);
        weft_data_key_uint(&o, "row", x->queue[i] + 1);
        weft_data_key_str(&o, "id", row->origin.id);
        weft_data_key_str(&o, "why", x->why[i]);
        weft_data_key_str(&o, "decision", weft_str_c(decision(x, x->queue[i])));
        weft_json_out_key(&o, "content");
        st = weft_row_to_json(&o, row, row->text.s ? WEFT_FORMAT_TEXT : WEFT_FORMAT_MESSAGES, true, &x->cli->err);
        weft_json_out_object_end(&o);
    }
    weft_json_out_array_end(&o);
    weft_json_out_object_end(&o);
    if (!st) return weft_data_print_json(x->cli, &b);
    weft_buf_clear(&b);
    return st;
}

static void list(struct review *x)
{
    for (size_t i = 0; i < x->n; i++) {
        struct weft_buf b = { 0 };
        page(x, i, &b);
        weft_buf_char(&b, '\n');
        if (!b.failed) weft_put(x->cli, weft_buf_view(&b));
        weft_buf_clear(&b);
    }
}

static void summary(struct review *x)
{
    uint64_t decided, doubtful = count_doubtful(x, &decided);
    weft_data_figure(x->cli, "rows", x->rows.n, 0);
    weft_data_figure(x->cli, "rows in doubt", doubtful, x->rows.n);
    weft_data_figure(x->cli, "decided", decided, doubtful);
    weft_data_figure(x->cli, "left to decide", doubtful - decided, doubtful);
    if (x->taken) weft_say(x->cli, "%s: %" PRIu64 " decisions added\n", x->s->patches, x->taken);
    if (x->match.unfit)
        weft_say(x->cli, "%" PRIu64 " decisions of %s do not fit these rows; weft data apply names them\n",
                 x->match.unfit, x->s->patches);
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list files = { 0 };
    struct weft_report report = { 0 };
    struct review x = { .cli = cli, .s = &s };
    char content[WEFT_SHA256_HEX];
    bool done;
    enum weft_status st = weft_cli_options(cli, &weft_verb_data_review, &s, &s.common, &files, &done);
    if (st || done) return st;
    if (files.n != 1) return weft_fail(&cli->err, WEFT_EARG, "usage: weft data review FILE [--patches P]");
    x.file = files.items[0];
    if (!s.patches) s.patches = weft_str_printf(&cli->arena, "%s.patches.jsonl", x.file).s;
    if (!s.patches) return weft_fail_nomem(&cli->err, 64, "a path");
    if (s.signs.n != 1 || strcmp(s.signs.items[0], "none") != 0) st = weft_quality_bits(&s.signs, &x.signs, &cli->err);
    if (!st) st = weft_data_quality_settings(cli, &s.quality, &x.quality);
    if (!st) st = weft_data_read(cli, &s.in, &files, &x.rows, &report);
    if (!st && weft_file_exists(s.patches)) st = weft_patches_read(&cli->arena, s.patches, &x.patches, &cli->err);
    if (!st) st = weft_patches_match(&cli->arena, &x.rows, &x.patches, &x.match, &cli->err);
    for (size_t i = 0; !st && i < s.decide.n; i++) st = decide(&x, s.decide.items[i]);
    if (!st) st = fill_queue(&x);
    if (!st && cli->json) st = list_json(&x);
    else if (!st) {
        if (s.list || (!s.decide.n && !weft_pager_can())) list(&x);
        else if (!s.decide.n) st = review(&x);
        if (!st && !cli->quiet) summary(&x);
    }
    weft_data_source_close(&x.source);
    if (x.taken && !weft_dataset_hash_rows(&x.rows, content, NULL))
        weft_record_patches(cli, s.project, x.file, content, s.patches);
    return st ? st : weft_data_partial(cli, &report);
}

const struct weft_verb weft_verb_data_review = {
    .name = "review",
    .usage = "FILE [--list] [--decide ROW=keep|drop ...]",
    .help = "the doubtful rows, for a person to keep, drop or edit; decisions survive a rebuild",
    .help_zh = "逐条审阅存疑的行：保留、删除或修改；重新构建后决定仍然有效",
    .options = &review_table,
    .run = run,
};

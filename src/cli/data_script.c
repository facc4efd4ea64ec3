/* weft data script FILE... --role R -o OUT: a screenplay becomes rows in which R answers.  Without -o nothing
 * is written: the figures and the first rows show what would be. */
#include "cli/data_patch.h"
#include "cli/verbs.h"
#include "dataset/script_options.h"

#include <inttypes.h>

struct settings {
    struct weft_cli_common common;
    struct weft_script_settings script;
    struct weft_text_settings text;
    const char *output, *patches;
    int format, layout;
    bool no_origin;
    int64_t places;
};

static const struct weft_option rows[] = {
    WEFT_DATA_OUTPUT_ROW(struct settings, output),
    { .key = "patches", .type = WEFT_OPT_STRING, .offset = offsetof(struct settings, patches), .group = "Output",
      .help = "decisions of weft data review about these rows", .help_zh = "weft data review 对这些行的决定" },
    { .key = "format", .type = WEFT_OPT_CHOICE, .offset = offsetof(struct settings, format), .def = "auto",
      .choices = WEFT_FORMAT_CHOICES, .group = "Output", .help = "shape of the rows (auto: alpaca)",
      .help_zh = "行的格式（auto 为 alpaca）" },
    WEFT_DATA_LAYOUT_ROW(struct settings, layout),
    { .key = "no_origin", .type = WEFT_OPT_BOOL, .offset = offsetof(struct settings, no_origin),
      .group = "Output",
      .help = "leave the member \"weft\" out (where each row came from); mode seed into .json does so anyway",
      .help_zh = "不写 weft 成员（每行的出处）；seed 模式写 .json 时本来就不写" },
    WEFT_DATA_PLACES_ROW(struct settings, places, "lines left out to show",
                         "显示多少处被舍去的行"),
    WEFT_SCRIPT_OPTION_ROWS(struct settings, script.),
    WEFT_TEXT_OPTION_ROWS(struct settings, text),
    WEFT_CLI_COMMON_ROWS(struct settings, common),
};
static const struct weft_option_table table = { rows, WEFT_COUNT(rows) };

struct result {
    struct weft_text *texts;
    size_t n_texts, n_failed;
    struct weft_rows rows;
    struct weft_report report;
    struct weft_script_funnel funnel;
    struct weft_patch_result patched;
};

void weft_data_script_repairs(struct weft_cli *cli, const struct weft_text *t)
{
    for (size_t i = 0; i < t->n_notes; i++) weft_warn(cli, "%s", t->notes[i].s);
    if (t->repaired || t->nul_dropped)
        weft_warn(cli,
                  "%s: %" PRIu64 " damaged places became U+FFFD, %" PRIu64
                  " NUL bytes were dropped; the first in line %" PRIu64,
                  t->name.s, t->repaired, t->nul_dropped, t->places[0].line);
}

/* A12: a file that cannot be read is named and left out; the others go on. */
static enum weft_status read_texts(struct weft_cli *cli, const struct settings *s,
                                   const struct weft_str_list *files, struct result *r)
{
    r->texts = WEFT_NEWS(&cli->arena, struct weft_text, files->n);
    if (!r->texts) return weft_fail_nomem(&cli->err, files->n * sizeof *r->texts, "the texts");
    for (size_t i = 0; i < files->n; i++) {
        enum weft_status st =
            weft_text_read(&cli->arena, files->items[i], &s->text, &r->texts[r->n_texts], &cli->err);
        if (st && (files->n == 1 || (st != WEFT_EINPUT && st != WEFT_ELIMIT))) return st;
        if (st) {
            weft_warn(cli, "%s [%s]", cli->err.msg, cli->err.rule);
            weft_err_clear(&cli->err);
            r->n_failed++;
            continue;
        }
        const struct weft_text *t = &r->texts[r->n_texts++];
        weft_data_script_repairs(cli, t);
    }
    return r->n_texts ? WEFT_OK
                      : weft_fail(&cli->err, WEFT_EINPUT, "none of %zu files could be read", files->n);
}

static enum weft_status write_rows(struct weft_cli *cli, const struct settings *s, const struct result *r)
{
    struct weft_rows_writer_settings w = { .format = s->format,
                                           .layout = s->layout,
                                           .no_origin = s->no_origin,
                                           .threads = s->common.threads };
    size_t len = strlen(s->output);
    bool array = s->layout == WEFT_LAYOUT_ARRAY
                 || (s->layout == WEFT_LAYOUT_AUTO && len > 5 && strcmp(s->output + len - 5, ".json") == 0);
    if (s->script.mode == WEFT_SCRIPT_SEED && array) w.no_origin = true;
    return weft_rows_write(s->output, &w, &r->rows, &cli->err);
}

/* ---- what people see ---- */

static void show_rows(struct weft_cli *cli, const struct result *r, size_t n)
{
    for (size_t i = 0; i < r->rows.n && i < n; i++) {
        const struct weft_row *row = &r->rows.items[i];
        struct weft_str who = row->origin.prompt_speaker.s ? row->origin.prompt_speaker : WEFT_STR("-");
        weft_say(cli, "\n%.*s  %.*s:%" PRIu64 "\n", (int)row->origin.id.len, row->origin.id.s,
                 (int)row->origin.file.len, row->origin.file.s, row->origin.line);
        for (size_t t = 0; t < row->n_turns && t < 6; t++) {
            struct weft_buf b = { 0 };
            struct weft_str name = t & 1 ? row->origin.speaker : who;
            weft_buf_printf(&b, "  %.*s  ", (int)name.len, name.s);
            if (b.s) weft_data_line(cli, b.s, row->turns[t].text, 60);
            weft_buf_clear(&b);
        }
    }
}

void weft_data_script_show(struct weft_cli *cli, const struct weft_text *texts, size_t n_texts,
                           const char *role, const struct weft_script_funnel *f,
                           const struct weft_report *report, size_t places)
{
    size_t most = weft_max_size(f->n_speakers, weft_max_size(f->n_names, f->n_episodes));
    struct weft_check_item *names = WEFT_NEWS(&cli->arena, struct weft_check_item, most + 1);
    for (size_t i = 0; i < n_texts; i++)
        weft_say(cli, "%.*s: %s, %zu lines\n", (int)texts[i].name.len, texts[i].name.s,
                 weft_charset_name(texts[i].charset), texts[i].n_lines);
    weft_data_figure(cli, "lines", f->lines, 0);
    weft_data_figure(cli, "used in rows", f->used, f->lines);
    weft_data_figure(cli, "headings", f->headings, f->lines);
    weft_data_figure(cli, "narration and action", f->narration, f->lines);
    weft_data_figure(cli, "talk not beside the role", f->other, f->lines);
    weft_data_figure(cli, "blank", f->blank, f->lines);
    weft_data_figure(cli, "left out", weft_report_dropped(report), f->lines);
    weft_say(cli, "%" PRIu64 " rows with %" PRIu64 " answers, from %" PRIu64 " turns of %s\n", f->rows,
             f->answers, f->role_turns, role);
    if (f->merged || f->repaired || f->chorus || f->self || f->review)
        weft_say(cli,
                 "  of these: %" PRIu64 " merged, %" PRIu64 " repaired, %" PRIu64
                 " asked by several, %" PRIu64 " in doubt, %" PRIu64 " that call themselves differently\n",
                 f->merged, f->repaired, f->chorus, f->review, f->self);
    for (size_t i = 0; names && i < f->n_speakers; i++)
        names[i] = (struct weft_check_item){ f->speakers[i].name, f->speakers[i].count, 0 };
    if (names) weft_data_names(cli, "asked by", names, f->n_speakers, 10);
    for (size_t i = 0; names && i < f->n_names; i++)
        names[i] = (struct weft_check_item){ f->names[i].name, f->names[i].count, 0 };
    if (names && f->n_names > 1) weft_data_names(cli, "lines by name", names, f->n_names, 10);
    for (size_t i = 0; names && i < f->n_episodes; i++)
        names[i] = (struct weft_check_item){ f->episodes[i].name, f->episodes[i].count, 0 };
    if (names) weft_data_names(cli, "rows by episode", names, f->n_episodes, 12);
    weft_data_drops(cli, report, places);
}

static void json_names(struct weft_json_out *o, const char *key, const char *count,
                       const struct weft_roster_name *names, size_t n)
{
    weft_json_out_key(o, key);
    weft_json_out_array(o);
    for (size_t i = 0; i < n; i++) {
        weft_json_out_object(o);
        weft_data_key_str(o, "name", names[i].name);
        weft_data_key_uint(o, count, names[i].count);
        weft_json_out_object_end(o);
    }
    weft_json_out_array_end(o);
}

void weft_data_script_members(struct weft_json_out *o, const struct weft_script_funnel *f,
                              const struct weft_report *report)
{
    weft_data_key_uint(o, "rows", f->rows);
    weft_data_key_uint(o, "answers", f->answers);
    weft_data_key_uint(o, "role_turns", f->role_turns);
    weft_json_out_key(o, "funnel");
    weft_json_out_object(o);
    weft_data_key_uint(o, "lines", f->lines);
    weft_data_key_uint(o, "used", f->used);
    weft_data_key_uint(o, "headings", f->headings);
    weft_data_key_uint(o, "narration", f->narration);
    weft_data_key_uint(o, "other", f->other);
    weft_data_key_uint(o, "blank", f->blank);
    weft_data_json_drops(o, report);
    weft_json_out_object_end(o);
    weft_json_out_key(o, "flags");
    weft_json_out_object(o);
    weft_data_key_uint(o, "merged", f->merged);
    weft_data_key_uint(o, "repaired", f->repaired);
    weft_data_key_uint(o, "chorus", f->chorus);
    weft_data_key_uint(o, "review", f->review);
    weft_data_key_uint(o, "self", f->self);
    weft_json_out_object_end(o);
    json_names(o, "prompt_speakers", "rows", f->speakers, f->n_speakers);
    json_names(o, "names", "lines", f->names, f->n_names);
    json_names(o, "episodes", "rows", f->episodes, f->n_episodes);
}

static enum weft_status show_json(struct weft_cli *cli, const struct settings *s, const struct result *r)
{
    const struct weft_script_funnel *f = &r->funnel;
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &b);
    weft_json_out_object(&o);
    weft_json_out_key(&o, "files");
    weft_json_out_array(&o);
    for (size_t i = 0; i < r->n_texts; i++) {
        const struct weft_text *t = &r->texts[i];
        weft_json_out_object(&o);
        weft_data_key_str(&o, "file", t->name);
        weft_data_key_str(&o, "sha256", weft_str_c(t->sha256));
        weft_data_key_str(&o, "charset", weft_str_c(weft_charset_name(t->charset)));
        weft_data_key_uint(&o, "lines", t->n_lines);
        weft_data_key_uint(&o, "repaired", t->repaired + t->nul_dropped);
        weft_json_out_object_end(&o);
    }
    weft_json_out_array_end(&o);
    weft_data_key_uint(&o, "files_failed", r->n_failed);
    weft_data_key_str(&o, "role", weft_str_c(s->script.role));
    weft_data_script_members(&o, f, &r->report);
    if (s->patches) weft_data_patch_members(&o, &r->patched);
    weft_data_key_str(&o, "output", weft_str_c(s->output));
    weft_json_out_object_end(&o);
    return weft_data_print_json(cli, &b);
}

static enum weft_status run(struct weft_cli *cli)
{
    struct settings s = { 0 };
    struct weft_str_list files = { 0 };
    struct result r = { 0 };
    bool done, to_stdout;
    enum weft_status st = weft_cli_options(cli, &weft_verb_data_script, &s, &s.common, &files, &done);
    if (st || done) return st;
    if (!files.n) return weft_fail(&cli->err, WEFT_EARG, "expected at least one FILE: a screenplay");
    st = weft_data_to_stdout(cli, s.output, &to_stdout);
    if (st) return st;
    s.script.threads = s.text.threads = s.common.threads;
    st = read_texts(cli, &s, &files, &r);
    if (!st)
        st = weft_script_rows(&cli->arena, r.texts, r.n_texts, &s.script, &r.rows, &r.report, &r.funnel,
                              &cli->err);
    if (!st && s.patches) st = weft_data_patch(cli, s.patches, &r.rows, &r.patched);
    if (!st && s.output) st = write_rows(cli, &s, &r);
    if (st) return st;
    if (cli->json) st = show_json(cli, &s, &r);
    else if (!to_stdout && !cli->quiet) {
        weft_data_script_show(cli, r.texts, r.n_texts, s.script.role, &r.funnel, &r.report, (size_t)s.places);
        if (s.patches) weft_data_patch_show(cli, &r.patched);
        if (s.output) weft_say(cli, "%s: %" PRIu64 " rows written\n", s.output, (uint64_t)r.rows.n);
        else {
            show_rows(cli, &r, 3);
            weft_say(cli, "\nnothing written; -o FILE writes these rows\n");
        }
    }
    bool partial = r.n_failed > 0;
    for (size_t i = 0; i < r.n_texts; i++) partial |= weft_text_partial(&r.texts[i]);
    if (!st && partial)
        st = weft_fail(&cli->err, WEFT_EPARTIAL, "some input was damaged or left out; see above");
    return st ? st : weft_data_patch_partial(cli, s.patches, &r.patched);
}

const struct weft_verb weft_verb_data_script = {
    .name = "script",
    .usage = "FILE... --role NAME [-o OUT.jsonl]",
    .help = "a screenplay becomes rows in which one role answers",
    .help_zh = "把剧本变成由某个角色回答的数据行",
    .options = &table,
    .run = run,
};

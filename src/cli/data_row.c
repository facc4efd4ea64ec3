#include "cli/data_row.h"

#include "dataset/canon.h"
#include "dataset/normal.h"
#include "dataset/patch.h"

#include <inttypes.h>

static void put_turn(struct weft_buf *b, struct weft_str who, struct weft_str text)
{
    size_t at = 0, width = weft_utf8_width(who);
    weft_buf_cstr(b, "  ");
    weft_buf_escaped(b, who, 60);
    for (; width < 12; width++) weft_buf_char(b, ' ');
    /* Each line of the text stands under the first. */
    do {
        size_t lf = weft_str_find(text, WEFT_STR("\n"), at);
        if (at) weft_buf_cstr(b, "              ");
        weft_buf_escaped(b, weft_str_sub(text, at, lf), SIZE_MAX);
        weft_buf_char(b, '\n');
        at = lf == SIZE_MAX ? text.len : lf + 1;
    } while (at < text.len);
}

void weft_data_row_text(struct weft_buf *b, struct weft_cli *cli, const struct weft_row *row, uint64_t number)
{
    const struct weft_origin *o = &row->origin;
    const struct weft_str parts[] = { o->id, o->file, o->part, o->episode, o->scene, o->via, o->flags };
    weft_buf_printf(b, "#%" PRIu64, number);
    for (size_t i = 0; i < WEFT_COUNT(parts); i++) {
        if (!parts[i].len) continue;
        weft_buf_cstr(b, "  ");
        weft_buf_escaped(b, parts[i], 200);
        if (i == 1 && o->line) weft_buf_printf(b, ":%" PRIu64 "-%" PRIu64, o->line, o->last_line);
        if (i == 1 && o->page) weft_buf_printf(b, " %s %" PRIu64, weft_tr(cli->lang, "page"), o->page);
    }
    if (o->confidence > 0) weft_buf_printf(b, "  %s %.2f", weft_tr(cli->lang, "confidence"), o->confidence);
    weft_buf_char(b, '\n');
    if (o->speaker.s || o->prompt_speaker.s) {
        weft_buf_printf(b, "  %s ", weft_tr(cli->lang, "speakers"));
        weft_buf_escaped(b, o->prompt_speaker.s ? o->prompt_speaker : WEFT_STR("-"), 60);
        weft_buf_cstr(b, " -> ");
        weft_buf_escaped(b, o->speaker.s ? o->speaker : WEFT_STR("-"), 60);
        weft_buf_char(b, '\n');
    }
    if (row->system.s) put_turn(b, weft_str_c(weft_role_name(WEFT_ROLE_SYSTEM)), row->system);
    if (row->text.s) put_turn(b, WEFT_STR("text"), row->text);
    for (size_t i = 0; i < row->n_turns; i++)
        put_turn(b, weft_str_c(weft_role_name(row->turns[i].role)), row->turns[i].text);
    if (row->chosen.text.s) put_turn(b, WEFT_STR("chosen"), row->chosen.text);
    if (row->rejected.text.s) put_turn(b, WEFT_STR("rejected"), row->rejected.text);
    if (row->kto_tag >= 0) put_turn(b, WEFT_STR("kto_tag"), row->kto_tag ? WEFT_STR("true") : WEFT_STR("false"));
}

/* ---- sources ---- */

enum weft_source_state weft_data_source_find(struct weft_cli *cli, struct weft_data_source *s, const char *dataset,
                                             const struct weft_origin *o)
{
    const char *slash = dataset ? strrchr(dataset, '/') : NULL;
    if (!o->file.len || !o->line) return WEFT_SOURCE_UNNAMED;
    if (weft_str_eq(s->name, o->file)) return s->state;
    weft_data_source_close(s);
    s->err.lang = cli->lang;
    s->state = WEFT_SOURCE_GONE;
    s->name = weft_str_dup(&s->arena, o->file);
    s->path = s->name.s;
    if (!s->path) return s->state;
    if (!weft_file_exists(s->path) && slash) {
        struct weft_str beside = weft_str_printf(&s->arena, "%.*s/%s", (int)(slash - dataset), dataset, s->path);
        if (beside.s && weft_file_exists(beside.s)) s->path = beside.s;
    }
    if (weft_text_read(&s->arena, s->path, NULL, &s->text, &s->err)) return s->state;
    s->state = o->sha256.s && !weft_str_is(o->sha256, s->text.sha256) ? WEFT_SOURCE_CHANGED : WEFT_SOURCE_FOUND;
    return s->state;
}

void weft_data_source_lines(struct weft_buf *b, const struct weft_data_source *s, const struct weft_origin *o,
                            uint64_t around)
{
    uint64_t first = o->line > around ? o->line - around : 1, last = o->last_line;
    if (last < o->line) last = o->line;
    last = last > UINT64_MAX - around ? UINT64_MAX : last + around;
    for (uint64_t i = first; i <= last && i <= s->text.n_lines; i++) {
        struct weft_str line = weft_trim(weft_text_line(&s->text, (size_t)i - 1));
        size_t cut = weft_utf8_offset(line, 200);
        weft_buf_printf(b, "  %c %6" PRIu64 "  ", i >= o->line && i <= o->last_line ? '>' : ' ', i);
        weft_buf_escaped(b, weft_str_sub(line, 0, cut), SIZE_MAX);
        weft_buf_cstr(b, cut < line.len ? "…\n" : "\n");
    }
}

void weft_data_source_close(struct weft_data_source *s)
{
    weft_arena_clear(&s->arena);
    *s = (struct weft_data_source){ 0 };
}

/* ---- doubts ---- */

bool weft_data_doubts(const struct weft_row *row, const struct weft_str_list *flags, double sure, struct weft_buf *why)
{
    const struct weft_origin *o = &row->origin;
    size_t n = 0;
    if (weft_flags_have(o->flags, WEFT_STR("reviewed")) || weft_flags_have(o->flags, WEFT_STR("edited"))) return false;
    for (size_t i = 0; i < flags->n; i++)
        if (weft_flags_have(o->flags, weft_str_c(flags->items[i])))
            weft_buf_printf(why, "%s%s", n++ ? ", " : "", flags->items[i]);
    if (o->confidence > 0 && o->confidence < sure)
        weft_buf_printf(why, "%sconfidence %.2f", n++ ? ", " : "", o->confidence);
    return n > 0;
}

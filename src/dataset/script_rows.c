/* Rows from a parsed script, and the account of its lines.
 *
 * Each line has one fate.  Building rows marks lines as used, or gives the turns that could not answer a reason; a
 * last pass over all lines adds up: used first, then the reason, then what kind of context the line is. */
#include "dataset/script_rows.h"

#include "base/lang.h"
#include "dataset/normal.h"

#include <inttypes.h>

/* English keys of the catalogue. */
static const char *const reasons[SCRIPT_REASONS] = {
    [SCRIPT_NOTE_LINE] = "editor's note",
    [SCRIPT_ORPHAN] = "no speaker",
    [SCRIPT_DOUBTFUL] = "doubtful speaker",
    [SCRIPT_CHORUS] = "spoken by several",
    [SCRIPT_NO_PROMPT] = "nobody speaks before it in its scene",
    [SCRIPT_OWN_PROMPT] = "the role speaks before it",
    [SCRIPT_SHORT] = "prompt or answer too short",
    [SCRIPT_KEPT] = "prompt kept often enough",
    [SCRIPT_OTHER_EPISODE] = "outside the chosen episodes or scenes",
};

/* ---- the account ---- */

bool script_fates_init(struct weft_arena *a, const struct weft_text *texts, size_t n_texts,
                       struct script_fates *f)
{
    *f = (struct script_fates){ .texts = texts, .n_texts = n_texts, .of = WEFT_NEWS(a, unsigned char *, n_texts + 1) };
    if (!f->of) return false;
    for (size_t i = 0; i < n_texts; i++)
        if (!(f->of[i] = WEFT_NEWS(a, unsigned char, texts[i].n_lines + 1))) return false;
    return true;
}

void script_fate_used(struct script_fates *f, struct weft_line_ref ref)
{
    f->of[ref.text_idx][ref.line_idx] = SCRIPT_USED;
}

void script_fate_reason(struct script_fates *f, struct weft_line_ref ref, enum script_fate reason)
{
    unsigned char *fate = &f->of[ref.text_idx][ref.line_idx];
    if (*fate != SCRIPT_USED) *fate = (unsigned char)reason;
}

/* What the places of the report show of a line. */
enum { EXCERPT_CHARS = 30 };

static enum weft_status drop_line(struct weft_arena *a, const struct weft_text *t, size_t line,
                                  enum script_fate reason, struct weft_report *report, struct weft_err *err)
{
    struct weft_buf b = { 0 };
    struct weft_str text = weft_trim(weft_text_line(t, line));
    const char *why = weft_tr(err ? err->lang : WEFT_LANG_EN, reasons[reason]);
    weft_buf_printf(&b, "%s:%zu: %s: ", t->name.s, line + 1, why);
    weft_buf_escaped(&b, weft_str_sub(text, 0, weft_utf8_offset(text, EXCERPT_CHARS)), 200);
    if (weft_utf8_chars(text) > EXCERPT_CHARS) weft_buf_cstr(&b, "…");
    enum weft_status st = weft_buf_check(&b, "the report", err);
    if (!st) st = weft_report_drop(report, a, weft_str_c(reasons[reason]), 1, weft_buf_view(&b), err);
    weft_buf_clear(&b);
    return st;
}

/* Why a line was dropped; SCRIPT_UNUSED: it was not. */
static enum script_fate reason_of(enum weft_line_class class, enum script_fate fate)
{
    if (fate == SCRIPT_USED) return SCRIPT_UNUSED;
    if (class == WEFT_LINE_NOTE) return SCRIPT_NOTE_LINE;
    if (class == WEFT_LINE_ORPHAN) return SCRIPT_ORPHAN;
    return class == WEFT_LINE_TURN ? fate : SCRIPT_UNUSED;
}

/* `n` lines dropped for a reason: as many places as the report still takes are written, the rest is only counted. */
static enum weft_status drop_lines(struct weft_arena *a, const struct script_fates *f,
                                   unsigned char *const *classes, enum script_fate reason, uint64_t n,
                                   struct weft_report *report, struct weft_err *err)
{
    for (size_t i = 0; i < f->n_texts && n; i++)
        for (size_t k = 0; k < f->texts[i].n_lines && n; k++) {
            if (report->n_places >= WEFT_REPORT_PLACES)
                return weft_report_drop(report, a, weft_str_c(reasons[reason]), n, (struct weft_str){ NULL, 0 }, err);
            if (reason_of((enum weft_line_class)classes[i][k], (enum script_fate)f->of[i][k]) != reason) continue;
            enum weft_status st = drop_line(a, &f->texts[i], k, reason, report, err);
            if (st) return st;
            n--;
        }
    return WEFT_OK;
}

enum weft_status script_account(struct weft_arena *a, const struct script_fates *f,
                                unsigned char *const *classes, struct weft_report *report,
                                struct weft_script_funnel *funnel, struct weft_err *err)
{
    uint64_t counts[WEFT_LINE_ORPHAN + 1][SCRIPT_REASONS] = { { 0 } }, dropped[SCRIPT_REASONS] = { 0 };
    for (size_t i = 0; i < f->n_texts; i++)
        for (size_t k = 0; k < f->texts[i].n_lines; k++) counts[classes[i][k]][f->of[i][k]]++;
    for (int c = 0; c <= WEFT_LINE_ORPHAN; c++)
        for (int r = 0; r < SCRIPT_REASONS; r++) {
            enum weft_line_class class = (enum weft_line_class)c;
            enum script_fate fate = (enum script_fate)r;
            uint64_t n = counts[c][r];
            funnel->lines += n;
            dropped[reason_of(class, fate)] += n;
            if (fate == SCRIPT_USED) funnel->used += n;
            else if (class == WEFT_LINE_BLANK) funnel->blank += n;
            else if (class == WEFT_LINE_EPISODE || class == WEFT_LINE_SCENE) funnel->headings += n;
            else if (class == WEFT_LINE_NARRATION || class == WEFT_LINE_ACTION) funnel->narration += n;
            else if (class == WEFT_LINE_TURN && fate == SCRIPT_UNUSED) funnel->other += n;
        }
    /* Drops by reason, the rarest and most surprising first: only 100 places are kept. */
    for (enum script_fate reason = SCRIPT_NOTE_LINE; reason < SCRIPT_REASONS; reason++) {
        enum weft_status st = drop_lines(a, f, classes, reason, dropped[reason], report, err);
        if (st) return st;
    }
    report->units_in += funnel->lines;
    report->blank += funnel->blank;
    report->rows_out += funnel->rows;
    report->repaired += funnel->repaired;
    return WEFT_OK;
}

bool weft_script_balanced(const struct weft_script_funnel *f, const struct weft_report *r)
{
    return f->lines == f->used + f->headings + f->narration + f->other + f->blank + weft_report_dropped(r);
}

/* ---- rows ---- */

void script_fill_row(struct weft_row *row, struct weft_str id, const struct script_row *in)
{
    const struct weft_text *t = in->text;
    struct weft_text_span span = weft_text_span_of(t, in->first_line, in->last_line);
    *row = (struct weft_row){
        .kto_tag = -1,
        .turns = in->turns,
        .n_turns = in->n_turns,
        .system = in->system,
        .origin = {
            .id = id,
            .file = t->name,
            .sha256 = { t->sha256, WEFT_SHA256_HEX - 1 },
            .line = weft_text_source_line(t, in->first_line),
            .last_line = weft_text_source_line(t, in->last_line),
            .byte_begin = span.begin,
            .byte_end = span.end,
            .part = span.part,
            .page = span.page,
            .last_page = span.last_page > span.page ? span.last_page : 0,
            .via = in->via,
            .episode = in->episode,
            .scene = in->scene,
            .speaker = in->speaker,
            .prompt_speaker = in->prompt_speaker,
            .flags = in->flags,
        },
    };
}

enum weft_status script_add_row(struct weft_arena *a, struct weft_rows *rows, const struct script_row *in,
                                struct weft_err *err)
{
    struct weft_row *row = weft_rows_add(rows, a);
    struct weft_str id = weft_row_id(a, 's', rows->n);
    if (!row || !id.s) return weft_fail_nomem(err, sizeof *row, "the rows");
    script_fill_row(row, id, in);
    return WEFT_OK;
}

bool script_block_make(struct script_block *b, struct weft_arena *a, struct weft_rows *rows, size_t n)
{
    char longest[WEFT_ROW_ID_BYTES];
    *b = (struct script_block){ .first = rows->n, .id_bytes = weft_row_id_write(longest, 's', rows->n + n) };
    b->turns = weft_arena_alloc(a, 2 * n * sizeof *b->turns);
    b->ids = weft_arena_alloc(a, n * b->id_bytes);
    if (!weft_rows_reserve(rows, a, n) || !b->turns || !b->ids) return false;
    if (n) b->rows = rows->items + rows->n;
    return true;
}

struct weft_str script_block_id(struct script_block *b, size_t i)
{
    char *id = b->ids + i * b->id_bytes;
    return (struct weft_str){ id, weft_row_id_write(id, 's', b->first + i + 1) };
}

bool script_add_speakers(struct weft_tally *all, const struct weft_tally *part)
{
    for (size_t i = 0; i < part->n; i++) {
        struct weft_tally_item *item = weft_tally_add(all, part->items[i].text, 0);
        if (!item) return false;
        item->count += part->items[i].count - 1;
    }
    return true;
}

bool script_speakers(struct weft_arena *a, struct weft_tally *t, struct weft_script_funnel *funnel)
{
    weft_tally_sort(t);
    funnel->speakers = WEFT_NEWS(a, struct weft_roster_name, t->n + 1);
    if (!funnel->speakers) return false;
    for (size_t i = 0; i < t->n; i++)
        funnel->speakers[funnel->n_speakers++] =
            (struct weft_roster_name){ t->items[i].text, t->items[i].text, t->items[i].count };
    return true;
}

/* ---- the whole ---- */

/* The most frequent speakers, for a message. */
static enum weft_status fail_no_role(struct weft_arena *a, const struct weft_text *texts, size_t n_texts,
                                     const struct weft_script_settings *s, struct weft_err *err)
{
    struct weft_script script;
    struct weft_buf b = { 0 };
    enum weft_status st = weft_script_parse(a, texts, n_texts, s, &script, err);
    if (st) return st;
    for (size_t i = 0; i < script.n_roster && i < 12; i++)
        weft_buf_printf(&b, "%s%.*s (%" PRIu64 ")", i ? ", " : "", (int)script.roster[i].name.len,
                        script.roster[i].name.s, script.roster[i].count);
    st = weft_buf_check(&b, "the speakers", err);
    if (!st && b.len)
        st = weft_fail(err, WEFT_EINPUT, "%s: %s never speaks; those who speak most: %s", texts[0].name.s,
                       s->role, b.s);
    else if (!st)
        st = weft_fail(err, WEFT_EINPUT, "%s: no line of dialogue found; expected lines such as NAME：TEXT",
                       texts[0].name.s);
    weft_buf_clear(&b);
    return st;
}

static enum weft_status fail_no_row(const struct weft_text *texts, const struct weft_report *report,
                                    const struct weft_script_funnel *funnel,
                                    const struct weft_script_settings *s, struct weft_err *err)
{
    struct weft_buf b = { 0 };
    for (size_t i = 0; i < report->n_drops; i++)
        weft_buf_printf(&b, "%s%" PRIu64 " %s", i ? ", " : "", report->drops[i].count,
                        weft_tr(err ? err->lang : WEFT_LANG_EN, report->drops[i].reason.s));
    enum weft_status st = weft_buf_check(&b, "the reasons", err);
    if (!st)
        st = weft_fail(err, WEFT_EINPUT, "%s: no row is left of %" PRIu64 " turns of %s: %s", texts[0].name.s,
                       funnel->role_turns, s->role, b.len ? b.s : "-");
    weft_buf_clear(&b);
    return st;
}

enum weft_status weft_script_rows(struct weft_arena *a, const struct weft_text *texts, size_t n_texts,
                                  const struct weft_script_settings *s, struct weft_rows *rows,
                                  struct weft_report *report, struct weft_script_funnel *funnel,
                                  struct weft_err *err)
{
    enum weft_status st;
    *funnel = (struct weft_script_funnel){ 0 };
    if (!s->role || !weft_trim(weft_str_c(s->role)).len)
        return weft_fail(err, WEFT_EARG, "no role given: say who answers, for example --role 甄嬛");
    if (!n_texts) return weft_fail(err, WEFT_EARG, "no text given");
    if (s->mode == WEFT_SCRIPT_DEFAULT)
        st = script_default_rows(a, texts, n_texts, s, rows, report, funnel, err);
    else if (s->mode == WEFT_SCRIPT_SEED) st = script_seed_rows(a, texts, n_texts, s, rows, report, funnel, err);
    else st = script_compat_rows(a, texts, n_texts, s, rows, report, funnel, err);
    if (st) return st;
    if (!funnel->role_turns) return fail_no_role(a, texts, n_texts, s, err);
    if (!funnel->rows) return fail_no_row(texts, report, funnel, s, err);
    return WEFT_OK;
}

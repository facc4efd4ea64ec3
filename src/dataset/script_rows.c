/* Rows from a parsed script, and the account of its lines.
 *
 * Each line has one fate.  Building rows marks lines as used, or gives the turns that could not answer a reason; a
 * last pass over all lines adds up: used first, then the reason, then what kind of context the line is. */
#include "dataset/script_rows.h"

#include "base/lang.h"
#include "base/pool.h"
#include "dataset/grow.h"
#include "dataset/normal.h"
#include "dataset/words.h"

#include <inttypes.h>
#include <stdlib.h>

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

/* Below this a thread is not worth its start. */
enum { LONG_TEXT = 1 << 20 };

struct weft_pool *script_pool(const struct weft_text *texts, size_t n_texts, const struct weft_script_settings *s)
{
    struct weft_pool *pool = NULL;
    size_t bytes = 0;
    for (size_t i = 0; i < n_texts; i++) bytes += texts[i].text.len;
    if (bytes < LONG_TEXT && s->threads <= 0) return NULL;
    /* Where no thread can be had the calling one does it all. */
    return weft_pool_new(&pool, (int)s->threads, NULL) ? NULL : pool;
}

enum { FLAG_RESUMED = 1 << 16, FLAG_NARRATION = 1 << 17 };

static struct weft_str flag_text(struct weft_arena *a, unsigned flags)
{
    static const struct {
        unsigned flag;
        const char *name;
    } names[] = { { WEFT_TURN_MERGED, "merged" },       { WEFT_TURN_CHORUS, "chorus" },
                  { WEFT_TURN_REPAIRED, "repaired" },   { WEFT_TURN_REVIEW, "review" },
                  { WEFT_TURN_CONTINUED, "continued" }, { WEFT_TURN_ASIDE, "aside" },
                  { WEFT_TURN_SELF, "self" },           { FLAG_RESUMED, "resumed" },
                  { FLAG_NARRATION, "narration" } };
    char text[128] = "";
    for (size_t i = 0; i < WEFT_COUNT(names); i++)
        if (flags & names[i].flag) {
            if (*text) strcat(text, ",");
            strcat(text, names[i].name);
        }
    return *text ? weft_str_dup(a, weft_str_c(text)) : (struct weft_str){ NULL, 0 };
}

struct builder {
    struct weft_arena *arena;
    const struct weft_script *script;
    const struct weft_script_settings *s;
    struct script_fates fates;
    struct weft_rows *rows;
    struct weft_script_funnel *f;
    struct weft_str via;
    struct weft_err *err;
    struct weft_tally prompts;          /* for keep_per_prompt */
    struct weft_tally speakers;         /* who prompts */
};

static bool is_role(const struct builder *b, const struct weft_script_turn *t)
{
    for (size_t i = 0; i < t->n_speakers; i++)
        if (weft_str_eq(t->speakers[i], b->script->role)) return true;
    return false;
}

static bool is_doubtful(const struct builder *b, const struct weft_script_turn *t)
{
    return (t->flags & WEFT_TURN_REVIEW) && !b->s->review;
}

static void use_refs(struct builder *b, size_t first, size_t n)
{
    for (size_t i = first; i < first + n; i++) script_fate_used(&b->fates, b->script->refs[i]);
}

static void refuse(struct builder *b, const struct weft_script_turn *t, enum script_fate reason)
{
    for (size_t i = t->first_ref; i < t->first_ref + t->n_refs; i++)
        script_fate_reason(&b->fates, b->script->refs[i], reason);
}

/* The template with its words filled in; s == NULL for a NULL template. */
static enum weft_status fill(struct builder *b, const char *template, struct weft_str speaker,
                             const struct weft_scene *scene, struct weft_buf *out)
{
    const struct weft_word words[] = { { "{role}", weft_str_c(b->s->role) },
                                       { "{speaker}", speaker },
                                       { "{episode}", scene->episode },
                                       { "{scene}", scene->heading } };
    weft_fill_words(out, template, words, WEFT_COUNT(words));
    return weft_buf_check(out, "a template", b->err);
}

static enum weft_status count_speaker(struct builder *b, struct weft_str name)
{
    return weft_tally_add(&b->speakers, name, 0) ? WEFT_OK : weft_fail_nomem(b->err, 64, "the speakers");
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

static void count_flags(struct builder *b, unsigned flags)
{
    b->f->merged += !!(flags & WEFT_TURN_MERGED);
    b->f->chorus += !!(flags & WEFT_TURN_CHORUS);
    b->f->repaired += !!(flags & WEFT_TURN_REPAIRED);
    b->f->review += !!(flags & WEFT_TURN_REVIEW);
    b->f->self += !!(flags & WEFT_TURN_SELF);
}

/* One row, from the first line of `begin` to the last line of `end`, the turn that answers (last). */
static enum weft_status add_row(struct builder *b, const struct weft_scene *scene, struct weft_turn *turns,
                                size_t n_turns, struct weft_str speaker, unsigned flags,
                                const struct weft_script_turn *begin, const struct weft_script_turn *end)
{
    const struct weft_line_ref *refs = b->script->refs;
    struct weft_line_ref from = refs[begin->first_ref], to = refs[end->first_ref + end->n_refs - 1];
    struct weft_buf buf = { 0 };
    struct script_row row = { .turns = turns, .n_turns = n_turns, .via = b->via, .episode = scene->episode,
                              .scene = scene->heading, .speaker = b->script->role, .prompt_speaker = speaker };
    enum weft_status st = WEFT_OK;
    if (from.text_idx != to.text_idx) {
        flags |= FLAG_RESUMED;      /* asked in the file before: the origin names the answer's lines */
        for (size_t i = begin->first_ref; from.text_idx != to.text_idx; i++) from = refs[i];
    }
    row.text = &b->script->texts[to.text_idx];
    row.first_line = from.line_idx;
    row.last_line = to.line_idx;
    row.flags = flag_text(b->arena, flags);
    if (b->s->system) {
        st = fill(b, b->s->system, speaker, scene, &buf);
        if (!st) row.system = weft_str_dup(b->arena, weft_buf_view(&buf));
        if (!st && !row.system.s) st = weft_fail_nomem(b->err, buf.len, "the system text");
    }
    if (!st) st = script_add_row(b->arena, b->rows, &row, b->err);
    if (!st) {
        b->f->rows++;
        b->f->answers += n_turns / 2;
        count_flags(b, flags);
    }
    weft_buf_clear(&buf);
    return st;
}

/* The prompt text with its prefix; the text itself where there is none. */
static enum weft_status prompt_text(struct builder *b, const struct weft_script_turn *t,
                                    const struct weft_scene *scene, struct weft_str *out)
{
    struct weft_buf buf = { 0 };
    *out = t->text;
    if (!b->s->prefix) return WEFT_OK;
    enum weft_status st = fill(b, b->s->prefix, t->speaker, scene, &buf);
    weft_buf_str(&buf, t->text);
    if (!st) st = weft_buf_check(&buf, "a prompt", b->err);
    if (!st) *out = weft_str_dup(b->arena, weft_buf_view(&buf));
    if (!st && !out->s) st = weft_fail_nomem(b->err, buf.len, "a prompt");
    weft_buf_clear(&buf);
    return st;
}

static struct weft_turn *new_turns(struct builder *b, size_t n)
{
    struct weft_turn *turns = WEFT_NEWS(b->arena, struct weft_turn, n);
    for (size_t i = 0; turns && i < n; i++) turns[i].role = i & 1 ? WEFT_ROLE_ASSISTANT : WEFT_ROLE_USER;
    if (!turns) weft_fail_nomem(b->err, n * sizeof *turns, "the turns");
    return turns;
}

/* ---- pairs ---- */

/* Why the turn cannot answer; SCRIPT_UNUSED: it can.  asked: the prompt, s == NULL: there is none. */
static enum weft_status why_not(struct builder *b, const struct weft_script_turn *t,
                                const struct weft_script_turn *ask, struct weft_str asked,
                                enum script_fate *reason)
{
    *reason = SCRIPT_UNUSED;
    if (is_doubtful(b, t) || (ask && is_doubtful(b, ask))) *reason = SCRIPT_DOUBTFUL;
    else if ((t->flags & WEFT_TURN_CHORUS) && !b->s->chorus) *reason = SCRIPT_CHORUS;
    else if (!asked.s) *reason = SCRIPT_NO_PROMPT;
    else if (ask && is_role(b, ask)) *reason = SCRIPT_OWN_PROMPT;
    else if (weft_utf8_chars(asked) < (uint64_t)b->s->min_prompt_chars ||
             weft_utf8_chars(t->text) < (uint64_t)b->s->min_answer_chars) *reason = SCRIPT_SHORT;
    else if (b->s->keep_per_prompt) {
        const struct weft_tally_item *seen = weft_tally_add(&b->prompts, asked, 0);
        if (!seen) return weft_fail_nomem(b->err, asked.len, "the prompts");
        if (seen->count > (uint64_t)b->s->keep_per_prompt) *reason = SCRIPT_KEPT;
    }
    return WEFT_OK;
}

/* Turn number i of the scene, which is the role's. */
static enum weft_status pair(struct builder *b, const struct weft_scene *scene, size_t i)
{
    const struct weft_script_turn *t = b->script->turns + scene->first_turn + i, *ask = i ? t - 1 : NULL;
    struct weft_str asked = ask                      ? ask->text
                            : b->s->narration_prompt ? scene->narration
                                                     : (struct weft_str){ NULL, 0 };
    enum script_fate reason;
    enum weft_status st = why_not(b, t, ask, asked, &reason);
    if (st) return st;
    if (reason != SCRIPT_UNUSED) {
        refuse(b, t, reason);
        return WEFT_OK;
    }
    struct weft_turn *turns = new_turns(b, 2);
    if (!turns) return WEFT_ENOMEM;
    turns[0].text = asked;
    turns[1].text = t->text;
    use_refs(b, t->first_ref, t->n_refs);
    if (!ask) {
        use_refs(b, scene->first_ref, scene->n_refs);
        return add_row(b, scene, turns, 2, (struct weft_str){ NULL, 0 }, t->flags | FLAG_NARRATION, t, t);
    }
    use_refs(b, ask->first_ref, ask->n_refs);
    st = prompt_text(b, ask, scene, &turns[0].text);
    if (!st) st = count_speaker(b, ask->speaker);
    if (st) return st;
    return add_row(b, scene, turns, 2, ask->speaker, ask->flags | t->flags, ask, t);
}

static enum weft_status scene_pairs(struct builder *b, const struct weft_scene *scene)
{
    const struct weft_script_turn *turn = b->script->turns + scene->first_turn;
    for (size_t i = 0; i < scene->n_turns; i++) {
        if (!is_role(b, &turn[i])) {
            if (is_doubtful(b, &turn[i])) refuse(b, &turn[i], SCRIPT_DOUBTFUL);
            continue;
        }
        b->f->role_turns++;
        enum weft_status st = pair(b, scene, i);
        if (st) return st;
    }
    return WEFT_OK;
}

/* ---- one row a scene ---- */

struct session {
    struct builder *b;
    struct weft_buf ask, answer;        /* of the exchange being read */
    struct weft_turn *turns;
    size_t n, cap;
    struct weft_tally who;
    unsigned flags;
};

/* Moves a finished exchange into the turns. */
static enum weft_status close_exchange(struct session *x)
{
    struct builder *b = x->b;
    for (int k = 0; k < 2; k++) {
        struct weft_buf *from = k ? &x->answer : &x->ask;
        enum weft_status st = weft_buf_check(from, "a scene", b->err);
        if (st) return st;
        if (!WEFT_GROW(b->arena, x->turns, x->n, x->cap))
            return weft_fail_nomem(b->err, sizeof *x->turns, "the turns");
        struct weft_str text = weft_str_dup(b->arena, weft_buf_view(from));
        if (!text.s) return weft_fail_nomem(b->err, from->len, "the turns");
        x->turns[x->n++] = (struct weft_turn){ k ? WEFT_ROLE_ASSISTANT : WEFT_ROLE_USER, text };
        weft_buf_reset(from);
    }
    return WEFT_OK;
}

static enum weft_status session_turn(struct session *x, const struct weft_scene *scene,
                                     const struct weft_script_turn *t)
{
    struct builder *b = x->b;
    enum weft_status st = WEFT_OK;
    x->flags |= t->flags;
    use_refs(b, t->first_ref, t->n_refs);
    if (is_role(b, t)) {        /* a chorus, then the role alone: one answer */
        if (x->answer.len) weft_buf_str(&x->answer, script_joint(b->s, weft_buf_view(&x->answer), t->text));
        weft_buf_str(&x->answer, t->text);
        return WEFT_OK;
    }
    if (x->answer.len) st = close_exchange(x);
    struct weft_str said;
    if (!st) st = prompt_text(b, t, scene, &said);
    if (st) return st;
    if (x->ask.len) weft_buf_char(&x->ask, '\n');
    weft_buf_str(&x->ask, said);
    const struct weft_tally_item *who = weft_tally_add(&x->who, t->speaker, 0);
    if (!who) return weft_fail_nomem(b->err, 64, "the speakers");
    return who->count == 1 ? count_speaker(b, t->speaker) : WEFT_OK;
}

/* Everybody who asks, "甲、乙". */
static enum weft_status join_speakers(struct session *x, struct weft_str *out)
{
    struct weft_buf list = { 0 };
    enum weft_status st;
    *out = (struct weft_str){ NULL, 0 };
    if (!x->who.n) return WEFT_OK;
    for (size_t i = 0; i < x->who.n; i++) {
        if (i) weft_buf_cstr(&list, "、");
        weft_buf_str(&list, x->who.items[i].text);
    }
    st = weft_buf_check(&list, "the speakers", x->b->err);
    if (!st) *out = weft_str_dup(x->b->arena, weft_buf_view(&list));
    if (!st && !out->s) st = weft_fail_nomem(x->b->err, list.len, "the speakers");
    weft_buf_clear(&list);
    return st;
}

/* Turns [first, end) of the scene, all of them usable, as one row; those behind the role's last answer stay out. */
static enum weft_status session(struct builder *b, const struct weft_scene *scene, size_t first, size_t end)
{
    const struct weft_script_turn *turn = b->script->turns + scene->first_turn;
    struct session x = { .b = b, .who = { .arena = b->arena } };
    struct weft_str speaker;
    enum weft_status st = WEFT_OK;
    bool narrated = first == 0 && end && is_role(b, turn) && b->s->narration_prompt && scene->narration.s;

    if (narrated) {
        weft_buf_str(&x.ask, scene->narration);
        x.flags |= FLAG_NARRATION;
    }
    /* A turn of the role that nobody asks stays out. */
    for (; !narrated && first < end && is_role(b, &turn[first]); first++)
        refuse(b, &turn[first],
               !first                             ? SCRIPT_NO_PROMPT
               : is_doubtful(b, &turn[first - 1]) ? SCRIPT_DOUBTFUL
                                                  : SCRIPT_OWN_PROMPT);
    while (end > first && !is_role(b, &turn[end - 1])) end--;
    if (first == end) goto done;
    if (narrated) use_refs(b, scene->first_ref, scene->n_refs);
    for (size_t i = first; i < end && !st; i++) st = session_turn(&x, scene, &turn[i]);
    if (!st) st = close_exchange(&x);
    if (!st) st = join_speakers(&x, &speaker);
    if (!st) st = add_row(b, scene, x.turns, x.n, speaker, x.flags, &turn[first], &turn[end - 1]);
done:
    weft_buf_clear(&x.ask);
    weft_buf_clear(&x.answer);
    return st;
}

static enum weft_status scene_sessions(struct builder *b, const struct weft_scene *scene)
{
    const struct weft_script_turn *turn = b->script->turns + scene->first_turn;
    size_t first = 0;
    for (size_t i = 0; i <= scene->n_turns; i++) {
        bool end = i == scene->n_turns, role = !end && is_role(b, &turn[i]);
        bool doubtful = !end && is_doubtful(b, &turn[i]);
        bool chorus = role && (turn[i].flags & WEFT_TURN_CHORUS) && !b->s->chorus;
        b->f->role_turns += role;
        if (!end && !doubtful && !chorus) continue;
        if (!end) refuse(b, &turn[i], doubtful ? SCRIPT_DOUBTFUL : SCRIPT_CHORUS);
        enum weft_status st = session(b, scene, first, i);
        if (st) return st;
        first = i + 1;
    }
    return WEFT_OK;
}

/* ---- the whole ---- */

/* "1-20,33": is n among them?  A list that cannot be read is an error with its place. */
static enum weft_status in_ranges(const char *name, const char *list, int64_t n, bool *in, struct weft_err *err)
{
    *in = false;
    for (const char *p = list; *p;) {
        char *end;
        long long first = strtoll(p, &end, 10), last;
        if (end == p || first < 0) goto bad;
        last = first;
        if (*end == '-') {
            p = end + 1;
            last = strtoll(p, &end, 10);
            if (end == p) last = INT64_MAX;
        }
        if (last < first || (*end && *end != ',')) goto bad;
        if (n >= first && n <= last) *in = true;
        p = *end ? end + 1 : end;
    }
    return WEFT_OK;
bad:
    return weft_fail(err, WEFT_EARG, "%s: \"%s\" is no list of numbers; write 1-20,33", name, list);
}

/* The names that mean the role, with their lines: what an alias brings. */
static bool role_names(struct weft_arena *a, const struct weft_script *script, struct weft_script_funnel *f)
{
    f->names = WEFT_NEWS(a, struct weft_roster_name, script->n_roster + 1);
    for (size_t i = 0; f->names && i < script->n_roster; i++)
        if (weft_str_eq(script->roster[i].speaker, script->role)) f->names[f->n_names++] = script->roster[i];
    return f->names != NULL;
}

static bool rows_by_episode(struct weft_arena *a, const struct weft_rows *rows, size_t first,
                            struct weft_script_funnel *f)
{
    struct weft_tally t = { .arena = a };
    for (size_t i = first; i < rows->n; i++)
        if (rows->items[i].origin.episode.len && !weft_tally_add(&t, rows->items[i].origin.episode, i)) return false;
    f->episodes = WEFT_NEWS(a, struct weft_roster_name, t.n + 1);
    for (size_t i = 0; f->episodes && i < t.n; i++)
        f->episodes[f->n_episodes++] = (struct weft_roster_name){ .name = t.items[i].text, .count = t.items[i].count };
    return f->episodes != NULL;
}

enum weft_status script_default_rows(struct weft_arena *a, const struct weft_text *texts, size_t n_texts,
                                     const struct weft_script_settings *s, struct weft_rows *rows,
                                     struct weft_report *report, struct weft_script_funnel *funnel,
                                     struct weft_err *err)
{
    struct weft_script script;
    struct builder b = { .arena = a, .script = &script, .s = s, .rows = rows, .f = funnel, .err = err,
                         .via = WEFT_STR("script/default@1"), .prompts = { .arena = a },
      .speakers = { .arena = a } };
    size_t first_row = rows->n;
    enum weft_status st = weft_script_parse(a, texts, n_texts, s, &script, err);
    if (st) return st;
    if (!script_fates_init(a, texts, n_texts, &b.fates)) return weft_fail_nomem(err, 0, "the line table");
    for (size_t i = 0; i < script.n_scenes; i++) {
        const struct weft_scene *scene = &script.scenes[i];
        bool in = true;
        if (s->episodes) st = in_ranges("episodes", s->episodes, scene->episode_number, &in, err);
        if (!st && in && s->scenes) st = in_ranges("scenes", s->scenes, scene->number, &in, err);
        if (st) return st;
        if (!in) {
            for (size_t k = scene->first_turn; k < scene->first_turn + scene->n_turns; k++) {
                funnel->role_turns += is_role(&b, &script.turns[k]);
                refuse(&b, &script.turns[k], SCRIPT_OTHER_EPISODE);
            }
            continue;
        }
        if (!scene->n_turns) continue;
        st = s->turns == WEFT_SCRIPT_MULTI ? scene_sessions(&b, scene) : scene_pairs(&b, scene);
        if (st) return st;
    }
    if (!script_speakers(a, &b.speakers, funnel) || !role_names(a, &script, funnel) ||
        !rows_by_episode(a, rows, first_row, funnel))
        return weft_fail_nomem(err, 0, "the speakers");
    return script_account(a, &b.fates, script.classes, report, funnel, err);
}

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

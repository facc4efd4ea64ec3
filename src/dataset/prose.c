/* Two passes.  The first looks at the cues only and learns who there is; the second gives every quote its kind and its
 * speaker.  Then, scene by scene, what is still open is filled in from the turn-taking, and candidates are listed.
 * A chapter needs nothing of the others but the names: threads read pieces of some chapters, each for itself, and the
 * names they learn and the speeches they find are put together in the order of the text.
 *
 * Why rules and not a parser of Chinese: a cue is a formula (subject, manner, verb, colon), and where it is none, a
 * wrong guess costs more than a question to the user. */
#include "dataset/prose.h"

#include "base/json.h"
#include "base/pool.h"
#include "dataset/chapter.h"
#include "dataset/grow.h"
#include "dataset/marks.h"
#include "dataset/normal.h"
#include "dataset/origin.h"
#include "dataset/prose_names.h"
#include "dataset/prose_options.h"
#include "dataset/prose_quote.h"
#include "dataset/prose_subject.h"
#include "dataset/prose_words.h"

#include <stdlib.h>

static const struct weft_option option_rows[] = { WEFT_PROSE_OPTION_ROWS(struct weft_prose_settings, ) };

struct weft_option_table weft_prose_options(void)
{
    return (struct weft_option_table){ option_rows, WEFT_COUNT(option_rows) };
}

const char *weft_prose_rule_name(enum weft_prose_rule r)
{
    static const char *const names[] = { "unknown", "before", "after",       "between", "earlier",
                                         "pronoun", "action", "alternation", "chosen" };
    return (unsigned)r < WEFT_COUNT(names) ? names[r] : "?";
}

const char *weft_prose_kind_name(enum weft_prose_kind k)
{
    static const char *const names[] = { "speech", "thought", "writing", "words" };
    return (unsigned)k < WEFT_COUNT(names) ? names[k] : "?";
}

/* How sure a rule is, measured on texts with cues by hand (docs/dataset.md). */
static const double SURE_NAME = 0.97, SURE_PERSON = 0.93, SURE_WORD = 0.8, SURE_AFTER = 0.95,
                    SURE_EARLIER = 0.92, SURE_SENTENCE = 0.8, SURE_PARAGRAPH = 0.5, SURE_QUOTE = 0.85,
                    SURE_PRONOUN = 0.75, SURE_MENTION = 0.65, SURE_ACTION = 0.75, SURE_ALTERNATION = 0.65,
                    SURE_NO_VERB = 0.92;

enum {
    CUE_CHARS = 30,    /* a clause behind a quote that is longer is narration */
    BACK_CLAUSES = 12, /* how far back a subject is looked for */
    MARKS = 2,         /* closing and opening mark */
    BEGINNING_BYTES = 64,   /* of a clause are looked at for a name */
    WORDS_CHARS = 12   /* a quote inside a sentence that is longer is read as speech */
};

/* A name that begins a clause, and how far that was looked at. */
struct beginning {
    size_t name, at, end;
};

/* Chapters that one thread reads. */
struct piece {
    size_t text_idx;
    const struct weft_chapter *chapters;
    size_t n_chapters;
    struct prose_spans *spans;          /* [n_chapters] */
    struct prose_names learned;         /* in the first pass */
    struct beginning *beginnings;
    size_t n_beginnings, cap_beginnings;
    struct weft_prose out;              /* its speeches and scenes, and its share of the funnel */
    struct weft_arena arena;
    enum weft_status st;
    struct weft_err err;
};

struct reader {
    struct weft_arena *arena;
    const struct weft_prose_settings *s;
    struct weft_prose *out;             /* of the piece */
    const struct prose_names *names;
    struct prose_names *learned;        /* in the first pass; else NULL */
    size_t cap_speeches, cap_scenes;
    struct weft_err *err;
    /* the text at hand */
    const struct weft_text *t;
    size_t text_idx;
    struct weft_str text;
    const struct weft_chapter *chapter;
    /* the quotes before the one at hand, in its chapter */
    size_t last_close;    /* behind the last one that is not words; the chapter's body when there is none */
    size_t last_speech;   /* its speech; SIZE_MAX: none */
    size_t after_cue_end; /* the cue behind it ends here; 0: it has none */
    size_t scene_end;     /* the end of the last quote of any kind but words */
};

/* ---- positions ---- */

static size_t line_of(const struct reader *r, size_t at) { return (size_t)weft_text_line_of(r->t, at) - 1; }
static size_t line_end(const struct reader *r, size_t line)
{
    return r->t->lines[line].at + weft_text_line(r->t, line).len;
}
static struct weft_str cut(const struct reader *r, size_t from, size_t to)
{
    return weft_str_sub(r->text, from, to);
}

/* The last character of s that is not white space; 0: none. */
static uint32_t last_char(struct weft_str s)
{
    size_t begin;
    s = weft_trim(s);
    return s.len ? mark_before(s, s.len, &begin) : 0;
}

/* ---- the speaker before a quote ---- */

struct found {
    struct prose_subject subject;
    double confidence;
    enum weft_prose_rule rule;
    size_t at;      /* where the subject stands, for pronouns; SIZE_MAX: nowhere in the text */
    size_t same_as; /* the speaker of this speech; SIZE_MAX: no */
};

static bool is_somebody_new(const struct prose_subject *s, struct weft_str not_this)
{
    return (s->kind == PROSE_NAME || s->kind == PROSE_PERSON)
           && !(not_this.s && weft_str_eq(s->name, not_this));
}

/* Walks back clause by clause from `to`, not beyond `from`.  first: the clause that ends at `to` is the head of a cue.
 * names_only: for a pronoun; `not_this` is who is spoken to.  False: nobody. */
static bool walk_back(const struct reader *r, size_t from, size_t to, bool first, bool names_only,
                      struct weft_str not_this, struct found *out)
{
    size_t end = to, sentences = 0, clauses = 0;
    for (size_t at = to; clauses < BACK_CLAUSES;) {
        size_t begin = at;
        uint32_t cp = at > from                              ? mark_before(r->text, at, &begin)
                      : r->t->lines[line_of(r, at)].at == at ? '\n'
                                                             : 0;
        bool boundary = at <= from || mark_is_end(cp) || (mark_is_pause(cp) && cp != 0x3001)
                        || mark_is_colon(cp) || cp == '\n';
        if (boundary) {
            struct weft_str clause = cut(r, at, end);
            struct prose_subject s;
            if (weft_trim(clause).len) {
                /* A name met for the first time is believed where a sentence begins with it: 阿沅说：“…” */
                bool head = first && clauses == 0, opens = mark_is_end(cp) || cp == '\n';
                prose_subject_of(r->names, clause, head, opens ? PROSE_WORDS_TIGHT : PROSE_WORDS_NONE, &s);
                bool good = names_only ? is_somebody_new(&s, not_this) : s.kind != PROSE_NOBODY;
                if (good) {
                    *out = (struct found){
                        .subject = s, .rule = WEFT_PROSE_EARLIER, .at = at, .same_as = SIZE_MAX
                    };
                    if (first && clauses == 0) {
                        out->rule = WEFT_PROSE_BEFORE;
                        out->confidence = s.kind == PROSE_NAME || s.kind == PROSE_PRONOUN ? SURE_NAME
                                          : s.kind == PROSE_WORD                          ? SURE_WORD
                                                                                          : SURE_PERSON;
                    } else
                        out->confidence = sentences ? SURE_SENTENCE - 0.06 * (double)(sentences - 1)
                                                    : SURE_EARLIER - 0.01 * (double)clauses;
                    return true;
                }
                clauses++;
            } else if (first && !clauses) clauses++; /* the verb stands alone: “…，问：” */
            if (at <= from) return false;
            if (mark_is_end(cp) && weft_trim(clause).len) sentences++;
            end = begin;
        }
        at = begin;
    }
    return false;
}

/* The beginning of the narration that ends at `to`: its paragraph, or the quote before it in the paragraph. */
static size_t narration_begin(const struct reader *r, size_t to, bool *after_quote)
{
    size_t begin = r->t->lines[line_of(r, to ? to - 1 : 0)].at;
    *after_quote = false;
    if (r->last_close > begin) {
        begin = r->last_close;
        *after_quote = r->last_speech != SIZE_MAX;
    }
    return begin;
}

/* The paragraph before the line, if it ends in narration: [*from, *to). */
static bool paragraph_before(const struct reader *r, size_t line, size_t *from, size_t *to)
{
    while (line-- > 0 && r->t->lines[line].at >= r->chapter->body) {
        if (!weft_trim(weft_text_line(r->t, line)).len) continue;
        *from = r->t->lines[line].at;
        *to = line_end(r, line);
        if (r->last_close > *from) *from = r->last_close;
        return *from < *to && weft_trim(cut(r, *from, *to)).len;
    }
    return false;
}

/* Who speaks the quote whose cue has its verb at `verb`. */
static void speaker_before(const struct reader *r, size_t verb, struct weft_str object, struct found *out)
{
    bool after_quote;
    size_t from = narration_begin(r, verb, &after_quote),
           para = r->t->lines[line_of(r, verb ? verb - 1 : 0)].at;
    *out = (struct found){ .at = SIZE_MAX, .same_as = SIZE_MAX };
    if (from < r->chapter->body) from = r->chapter->body;
    if (walk_back(r, from, verb, true, false, (struct weft_str){ NULL, 0 }, out)) return;
    if (after_quote) { /* 甲说：“…”又对乙说：“…” */
        *out = (struct found){
            .rule = WEFT_PROSE_EARLIER, .confidence = SURE_QUOTE, .at = SIZE_MAX, .same_as = r->last_speech
        };
        return;
    }
    size_t to;
    if (paragraph_before(r, line_of(r, para), &from, &to)
        && walk_back(r, from, to, false, true, object, out)) {
        out->confidence = SURE_PARAGRAPH;
        return;
    }
    *out = (struct found){ .at = SIZE_MAX, .same_as = SIZE_MAX };
}

/* The last name of the roster in [from, to), wherever in its clause: 惊动了国王，他…  */
static bool last_mention(const struct reader *r, size_t from, size_t to, struct weft_str not_this,
                         struct found *out)
{
    bool any = false;
    for (size_t at = from; at < to;) {
        uint32_t cp;
        size_t i = prose_names_begins(r->names, cut(r, at, to));
        if (i == SIZE_MAX || (not_this.s && weft_str_eq(prose_names_group(r->names, i), not_this))) {
            at += weft_utf8_decode(r->text.s + at, to - at, &cp, NULL);
            continue;
        }
        *out = (struct found){ .subject = { .kind = PROSE_NAME,
                                            .name = r->names->items[i].text,
                                            .written = r->names->items[i].text,
                                            .name_idx = i },
                               .confidence = SURE_MENTION,
                               .at = at,
                               .same_as = SIZE_MAX };
        any = true;
        at += r->names->items[i].text.len;
    }
    return any;
}

/* Whom a pronoun at `at` means. */
static bool antecedent(const struct reader *r, size_t at, struct weft_str not_this, struct found *out)
{
    size_t para = r->t->lines[line_of(r, at)].at, from = para, to;
    struct found f;
    if (r->last_close > from && r->last_close <= at) from = r->last_close;
    if (from < r->chapter->body) from = r->chapter->body;
    if (walk_back(r, from, at, false, true, not_this, &f)) {
        *out = f;
        out->confidence = SURE_PRONOUN;
        return true;
    }
    if (last_mention(r, from, at, not_this, out)) return true;
    if (from > para) { /* behind a quote: its speaker goes on */
        if (r->last_speech == SIZE_MAX) return false;
        *out = (struct found){ .same_as = r->last_speech, .at = SIZE_MAX, .confidence = SURE_PRONOUN - 0.05 };
        return true;
    }
    if (paragraph_before(r, line_of(r, at), &from, &to)
        && walk_back(r, from, to, false, true, not_this, &f)) {
        *out = f;
        out->confidence = SURE_PRONOUN - 0.15;
        return true;
    }
    return false;
}

/* ---- a title for a name met before ---- */

/* 菩萨 → 灵吉菩萨, when that is the last name with this title before `at`. */
static struct weft_str full_title(const struct reader *r, struct weft_str title, size_t at)
{
    enum { BACK_BYTES = 3000 };
    size_t from = at > BACK_BYTES ? at - BACK_BYTES : 0, k = at;
    if (from < r->chapter->begin) from = r->chapter->begin;
    while (k > from + title.len) {
        size_t hit = SIZE_MAX;
        for (size_t i = k - title.len;; i--) {
            if (memcmp(r->text.s + i, title.s, title.len) == 0) {
                hit = i;
                break;
            }
            if (i == from) break;
        }
        if (hit == SIZE_MAX) break;
        size_t begin = hit;
        for (int n = 0; n < 4 && begin > from; n++) {
            mark_before(r->text, begin, &begin);
            size_t i = prose_names_find(r->names, cut(r, begin, hit + title.len));
            if (i != SIZE_MAX && r->names->items[i].known) return r->names->items[i].text;
        }
        k = hit;
    }
    return title;
}

/* ---- speeches ---- */

static enum weft_status no_memory(const struct reader *r)
{
    return weft_fail_nomem(r->err, 64, "the speeches");
}

static enum weft_status set_speaker(struct reader *r, struct weft_prose_speech *sp, struct found f,
                                    size_t cue_at)
{
    const struct weft_prose_speech *before = f.same_as == SIZE_MAX ? NULL : &r->out->speeches[f.same_as];
    if (f.subject.kind == PROSE_PRONOUN && r->s->no_guess) return WEFT_OK;
    if (f.subject.kind == PROSE_PRONOUN) {
        struct found who;
        sp->written = f.subject.written;
        if (!antecedent(r, f.at == SIZE_MAX ? cue_at : f.at, sp->addressee, &who)) return WEFT_OK;
        double shaken = f.rule == WEFT_PROSE_BEFORE || f.rule == WEFT_PROSE_AFTER ? 0 : 0.05;
        f = who;
        f.rule = WEFT_PROSE_PRONOUN;
        f.confidence -= shaken;
        before = f.same_as == SIZE_MAX ? NULL : &r->out->speeches[f.same_as];
    }
    if (before) {
        if (!before->speaker.s) return WEFT_OK;
        sp->speaker = before->speaker;
        if (!sp->written.s) sp->written = before->written;
        sp->flags |= before->flags & (WEFT_PROSE_GROUP | WEFT_PROSE_NAMELESS);
        sp->confidence = f.confidence < before->confidence ? f.confidence : before->confidence;
        sp->rule = f.rule;
        return WEFT_OK;
    }
    if (f.subject.kind == PROSE_NOBODY || f.subject.kind == PROSE_SOMEBODY) {
        if (f.subject.kind == PROSE_SOMEBODY) sp->written = f.subject.written;
        return WEFT_OK;
    }
    bool several;
    bool female;
    if (prose_pronoun(f.subject.name, &several, &female)) { /* 他们: who they are stands elsewhere */
        sp->written = f.subject.written;
        sp->flags |= WEFT_PROSE_GROUP;
        return WEFT_OK;
    }
    struct weft_str name = f.subject.name;
    if (prose_is_title(name)) {
        struct weft_str full = full_title(r, name, cue_at);
        if (!weft_str_eq(full, name)) f.confidence *= 0.97;
        name = full;
    }
    size_t i = prose_names_find(r->names, name);
    sp->speaker = i == SIZE_MAX ? name : prose_names_group(r->names, i);
    if (!sp->written.s) sp->written = f.subject.written;
    if (f.subject.kind == PROSE_GROUP) sp->flags |= WEFT_PROSE_GROUP;
    if (i == SIZE_MAX || !r->names->items[i].known) sp->flags |= WEFT_PROSE_NAMELESS;
    sp->confidence = f.confidence;
    sp->rule = f.rule;
    return WEFT_OK;
}

static struct weft_str addressee_of(const struct reader *r, struct weft_str object)
{
    size_t i = object.s ? prose_names_find(r->names, object) : SIZE_MAX;
    return i == SIZE_MAX ? object : prose_names_group(r->names, i);
}

/* Ends with what ends a sentence or leads on to the next part of it. */
static bool sounds_whole(struct weft_str s)
{
    uint32_t cp = last_char(s);
    return mark_is_end(cp) || cp == 0xFF0C || cp == ',' || cp == 0x2014 || cp == '~' || cp == 0xFF5E
           || cp == '.';
}

/* The clause behind a quote, when it is a cue for it: “…”甲问道。  *end: behind the clause. */
static bool cue_after(const struct reader *r, const struct prose_span *span, const struct prose_span *next,
                      struct prose_cue *cue, size_t *end)
{
    size_t at = span->close, stop = line_end(r, line_of(r, span->close ? span->close - 1 : 0)), chars = 0;
    bool next_here = next && next->open < stop;
    uint32_t cp = 0;
    if (next_here) stop = next->open;
    while (at < stop && chars <= CUE_CHARS) {
        size_t n = weft_utf8_decode(r->text.s + at, stop - at, &cp, NULL);
        if (mark_is_end(cp) || (mark_is_pause(cp) && cp != 0x3001) || mark_is_colon(cp) || cp == 0x2014)
            break;
        at += n;
        chars++;
        cp = 0;
    }
    if (!chars || chars > CUE_CHARS) return false;
    bool leads_on = last_char(cut(r, span->begin, span->end)) == 0xFF0C
                    || last_char(cut(r, span->begin, span->end)) == ',';
    /* a cue for the next quote: behind it a colon, or nothing but the quote */
    if (next_here && !leads_on && (mark_is_colon(cp) || at == stop)) return false;
    if (!prose_cue_find(cut(r, span->close, at), true, cue)) return false;
    if (cue->kind == PROSE_CUE_WRITING) return false;
    if (!weft_trim(weft_str_sub(cut(r, span->close, at), 0, cue->verb)).len) return false;
    *end = at;
    return true;
}

struct reading {
    enum weft_prose_kind kind;
    bool has_cue, after;
    struct prose_cue cue;
    size_t verb;    /* in the text */
    size_t cue_end; /* of a cue behind the quote */
    bool no_verb;   /* a colon alone */
    bool bare;      /* speech by its form only */
    bool joins;     /* goes on with the speech before */
    bool action;    /* a sentence of narration stands before it in its paragraph */
};

static enum weft_prose_kind kind_of(enum prose_cue_kind k)
{
    return k == PROSE_CUE_THOUGHT   ? WEFT_PROSE_THOUGHT
           : k == PROSE_CUE_WRITING ? WEFT_PROSE_WRITING
                                    : WEFT_PROSE_SPEECH;
}

static void read_span(const struct reader *r, const struct prose_span *span, const struct prose_span *next,
                      struct reading *out)
{
    size_t para = r->t->lines[span->line].at, from = para;
    struct weft_str left, text = weft_trim(cut(r, span->begin, span->end));
    uint32_t cp, behind = mark_at(r->text, span->close);
    bool after_quote = false;
    *out = (struct reading){ .kind = WEFT_PROSE_WORDS };
    if (r->last_close > from) {
        from = r->last_close;
        after_quote = r->last_speech != SIZE_MAX;
    }
    left = weft_trim(cut(r, from, span->open));
    cp = last_char(left);
    size_t chars = weft_utf8_chars(text);
    if (!chars) return;
    bool whole = sounds_whole(text);

    /* “…，”甲说，“…”: the cue behind the first part is the cue of both */
    if (after_quote && r->after_cue_end && r->after_cue_end <= span->open) {
        struct weft_str rest = weft_trim(cut(r, r->after_cue_end, span->open));
        if (weft_utf8_chars(rest) <= 1) {
            *out = (struct reading){ .kind = WEFT_PROSE_SPEECH, .joins = true };
            return;
        }
    }
    if (mark_is_colon(cp) && left.len) {
        struct weft_str head = left;
        mark_before(left, left.len, &head.len);
        out->has_cue = prose_cue_find(head, true, &out->cue);
        if (out->has_cue) {
            out->kind = kind_of(out->cue.kind);
            out->verb = (size_t)(head.s - r->text.s) + out->cue.verb;
            return;
        }
        if (!whole && chars <= WORDS_CHARS) return; /* 匾上是：“清风观” */
        out->kind = WEFT_PROSE_SPEECH;
        out->has_cue = out->no_verb = true;
        out->verb = (size_t)(head.s - r->text.s) + head.len;
        return;
    }
    bool comma = cp == 0xFF0C || cp == ',';
    struct weft_str head = left;
    if (comma) mark_before(left, left.len, &head.len);
    if (left.len && !mark_is_end(cp) && prose_cue_find(head, comma, &out->cue)
        && out->cue.kind != PROSE_CUE_SOUND) {
        /* 说“取经”二字: a word that is spoken of */
        bool inside = behind && !mark_is_pause(behind) && !mark_is_end(behind) && !weft_is_space(behind);
        if (whole || (!comma && !inside)) {
            out->has_cue = true;
            out->kind = kind_of(out->cue.kind);
            out->verb = (size_t)(head.s - r->text.s) + out->cue.verb;
            return;
        }
        if (!whole) return;
    }
    /* no cue before it */
    bool opens = !left.len || mark_is_end(cp) || cp == 0x2014;
    if (!opens && !comma) {
        /* in the middle of a sentence */
        if (chars <= WORDS_CHARS || !whole) return;
    }
    if (!whole && !(opens && (weft_is_space(behind) || !behind) && !left.len)) {
        if (!cue_after(r, span, next, &out->cue, &out->cue_end)) return;
    }
    out->kind = WEFT_PROSE_SPEECH;
    out->after = cue_after(r, span, next, &out->cue, &out->cue_end);
    if (out->after) {
        out->kind = kind_of(out->cue.kind);
        out->verb = span->close + out->cue.verb;
        return;
    }
    out->bare = true;
    out->action = left.len && !after_quote;
}

static enum weft_status new_scene(struct reader *r)
{
    if (!WEFT_GROW(r->arena, r->out->scenes, r->out->n_scenes, r->cap_scenes)) return no_memory(r);
    r->out->scenes[r->out->n_scenes++] = (struct weft_prose_scene){ .text_idx = r->text_idx,
                                                                    .chapter = r->chapter->title,
                                                                    .volume = r->chapter->volume,
                                                                    .first_speech = r->out->n_speeches };
    return WEFT_OK;
}

static enum weft_status add_part(struct reader *r, struct weft_prose_speech *sp, size_t begin, size_t end)
{
    if (!(sp->n_parts & (sp->n_parts - 1))) {           /* 0, 1, 2, 4 ...: full */
        struct weft_prose_part *parts = WEFT_NEWS(r->arena, struct weft_prose_part, sp->n_parts ? 2 * sp->n_parts : 1);
        if (!parts) return no_memory(r);
        if (sp->n_parts) memcpy(parts, sp->parts, sp->n_parts * sizeof *parts);
        sp->parts = parts;
    }
    sp->parts[sp->n_parts++] = (struct weft_prose_part){ begin, end };
    return WEFT_OK;
}

/* A speech for the span, without its speaker. */
static enum weft_status add_speech(struct reader *r, const struct prose_span *span, enum weft_prose_kind kind)
{
    enum weft_status st = WEFT_OK;
    bool new = !r->out->n_scenes || r->scene_end == r->chapter->body;
    if (!new && r->s->gap_chars)
        new = weft_utf8_chars(cut(r, r->scene_end, span->open)) > (size_t)r->s->gap_chars;
    if (new) st = new_scene(r);
    if (st) return st;
    if (!WEFT_GROW(r->arena, r->out->speeches, r->out->n_speeches, r->cap_speeches)) return no_memory(r);
    struct weft_prose_speech *sp = &r->out->speeches[r->out->n_speeches++];
    *sp = (struct weft_prose_speech){ .text_idx = r->text_idx, .kind = kind, .scene = r->out->n_scenes - 1 };
    if (span->repaired) sp->flags |= WEFT_PROSE_REPAIRED;
    r->out->scenes[sp->scene].n_speeches++;
    return add_part(r, sp, span->begin, span->end);
}

/* Pass 1: a subject beside a cue is counted. */
static enum weft_status learn(struct reader *r, const struct reading *rd, const struct prose_span *span)
{
    struct prose_subject s;
    if (rd->no_verb || rd->joins || rd->bare
        || (rd->kind != WEFT_PROSE_SPEECH && rd->kind != WEFT_PROSE_THOUGHT))
        return WEFT_OK;
    size_t from = rd->after ? span->close : r->t->lines[span->line].at, at = rd->verb;
    if (!rd->after && r->last_close > from) from = r->last_close;
    while (at > from) {
        size_t begin;
        uint32_t cp = mark_before(r->text, at, &begin);
        if (mark_is_end(cp) || (mark_is_pause(cp) && cp != 0x3001) || mark_is_colon(cp)) break;
        at = begin;
    }
    prose_subject_of(r->names, cut(r, at, rd->verb), true, PROSE_WORDS_ALL, &s);
    if (s.kind != PROSE_PERSON && s.kind != PROSE_WORD && s.kind != PROSE_NAME) return WEFT_OK;
    bool near = s.kind != PROSE_WORD || s.tight;
    size_t i = prose_names_add(r->learned, s.name, near);
    if (i == SIZE_MAX) return no_memory(r);
    r->learned->items[i].far += !near;
    return WEFT_OK;
}

/* Between the passes: the clauses that begin with a word that stood beside a cue.  A name begins many. */
static enum weft_status find_beginnings(struct piece *p, const struct prose_names *names, const struct weft_text *t)
{
    const size_t end = p->chapters[p->n_chapters - 1].end;
    bool at_begin = true;
    for (size_t at = p->chapters[0].begin; at < end;) {
        uint32_t cp;
        if (at_begin) {
            struct weft_str word = weft_str_sub(t->text, at, at + BEGINNING_BYTES);
            bool person;
            prose_skip_lead(&word);
            size_t n = prose_names_may_begin(names, word) ? prose_noun(word, false, &person) : 0;
            size_t i = n ? prose_names_find(names, weft_str_sub(word, 0, n)) : SIZE_MAX;
            if (i != SIZE_MAX) {
                if (!WEFT_GROW(&p->arena, p->beginnings, p->n_beginnings, p->cap_beginnings))
                    return weft_fail_nomem(&p->err, sizeof *p->beginnings, "the names");
                p->beginnings[p->n_beginnings++] = (struct beginning){ i, (size_t)(word.s - t->text.s),
                                                                          (size_t)(word.s - t->text.s) + word.len };
            }
        }
        at += weft_utf8_decode(t->text.s + at, end - at, &cp, NULL);
        at_begin = mark_is_end(cp) || (mark_is_pause(cp) && cp != 0x3001) || mark_is_quote_closer(cp)
                   || (at_begin && weft_is_space(cp)) || cp == '\n';
    }
    return WEFT_OK;
}

static enum weft_status attribute(struct reader *r, const struct prose_span *span, const struct reading *rd,
                                  struct weft_prose_speech *sp)
{
    struct found f = { .at = SIZE_MAX, .same_as = SIZE_MAX };
    sp->addressee = addressee_of(r, rd->has_cue || rd->after ? rd->cue.object : (struct weft_str){ NULL, 0 });
    if (rd->has_cue) {
        speaker_before(r, rd->verb, rd->cue.object, &f);
        if (rd->no_verb) f.confidence *= SURE_NO_VERB;
    } else if (rd->after) {
        prose_subject_of(r->names, cut(r, span->close, rd->verb), true, PROSE_WORDS_TIGHT, &f.subject);
        f.rule = WEFT_PROSE_AFTER;
        f.at = span->close;
        f.confidence = f.subject.kind == PROSE_WORD ? SURE_WORD : SURE_AFTER;
    } else if (rd->action && !r->s->no_guess) {
        bool after_quote;
        size_t from = narration_begin(r, span->open, &after_quote);
        if (!walk_back(r, from, span->open, false, false, (struct weft_str){ NULL, 0 }, &f)) return WEFT_OK;
        f.rule = WEFT_PROSE_ACTION;
        f.confidence = SURE_ACTION;
    } else return WEFT_OK;
    return set_speaker(r, sp, f, rd->verb ? rd->verb : span->open);
}

/* The second pass over one quote. */
static enum weft_status read_quote(struct reader *r, const struct prose_span *span, const struct reading *rd)
{
    struct weft_prose_funnel *f = &r->out->funnel;
    enum weft_status st;
    f->quotes++;
    if (span->continues && r->last_speech != SIZE_MAX) {
        struct weft_prose_speech *sp = &r->out->speeches[r->last_speech];
        f->continued++;
        sp->flags |= WEFT_PROSE_PARTS;
        st = add_part(r, sp, span->begin, span->end);
    } else if (rd->joins && r->last_speech != SIZE_MAX) {
        struct weft_prose_speech *sp = &r->out->speeches[r->last_speech];
        f->continued++;
        sp->flags |= WEFT_PROSE_PARTS;
        if (sp->rule == WEFT_PROSE_AFTER) sp->rule = WEFT_PROSE_BETWEEN;
        st = add_part(r, sp, span->begin, span->end);
    } else {
        f->kinds[rd->kind]++;
        if (rd->kind == WEFT_PROSE_WORDS) return WEFT_OK;
        st = add_speech(r, span, rd->kind);
        if (!st && rd->kind != WEFT_PROSE_WRITING)
            st = attribute(r, span, rd, &r->out->speeches[r->out->n_speeches - 1]);
        r->last_speech = r->out->n_speeches - 1;
        r->after_cue_end = rd->after ? rd->cue_end : 0;
    }
    r->last_close = r->scene_end = span->close;
    return st;
}

static enum weft_status read_chapter(struct reader *r, const struct prose_span *spans, size_t n)
{
    enum weft_status st = WEFT_OK;
    r->last_close = r->scene_end = r->chapter->body;
    r->last_speech = SIZE_MAX;
    r->after_cue_end = 0;
    for (size_t i = 0; i < n && !st; i++) {
        struct reading rd;
        read_span(r, &spans[i], i + 1 < n ? &spans[i + 1] : NULL, &rd);
        if (!r->learned) {
            st = read_quote(r, &spans[i], &rd);
            continue;
        }
        st = learn(r, &rd, &spans[i]);
        if (rd.kind == WEFT_PROSE_WORDS) continue;
        r->last_close = spans[i].close;
        if (!rd.joins) r->after_cue_end = rd.after ? rd.cue_end : 0;
        r->last_speech = 0;
    }
    return st;
}

/* ---- texts, lines ---- */

/* The parts in one: those of one paragraph put together, those of different paragraphs by a line end. */
static enum weft_status finish_speech(struct reader *r, struct weft_prose_speech *sp)
{
    const struct weft_text *t = &r->out->texts[sp->text_idx];
    struct weft_buf b = { 0 };
    enum weft_status st = WEFT_OK;
    bool copied = false;
    sp->line = weft_text_line_of(t, sp->parts[0].begin);
    size_t end = sp->parts[sp->n_parts - 1].end;
    sp->last_line = weft_text_line_of(t, end > sp->parts[sp->n_parts - 1].begin ? end - 1 : end);
    for (size_t i = 0; i < sp->n_parts && !st; i++) {
        struct weft_str rest = weft_str_sub(t->text, sp->parts[i].begin, sp->parts[i].end);
        if (i && weft_text_line_of(t, sp->parts[i].begin) != weft_text_line_of(t, sp->parts[i - 1].begin))
            weft_buf_char(&b, '\n');
        copied |= i > 0;
        while (rest.len) { /* line by line: indentation is no speech */
            size_t lf = weft_str_find(rest, WEFT_STR("\n"), 0);
            struct weft_str line = weft_trim(weft_str_sub(rest, 0, lf));
            if (b.len && b.s[b.len - 1] != '\n' && rest.s > t->text.s + sp->parts[i].begin && line.len)
                weft_buf_char(&b, '\n');
            weft_buf_str(&b, line);
            copied |= lf != SIZE_MAX;
            rest = lf == SIZE_MAX ? (struct weft_str){ NULL, 0 } : weft_str_skip(rest, lf + 1);
        }
    }
    st = weft_buf_check(&b, "a speech", r->err);
    if (!st && !copied) sp->text = weft_trim(weft_str_sub(t->text, sp->parts[0].begin, sp->parts[0].end));
    else if (!st) {
        sp->text = weft_str_dup(r->arena, weft_buf_view(&b));
        if (!sp->text.s) st = no_memory(r);
    }
    weft_buf_clear(&b);
    return st;
}

/* ---- turn-taking ---- */

/* At most `most` visible characters between two speeches, and a new paragraph. */
static bool adjacent(const struct weft_prose *p, const struct weft_prose_speech *a,
                     const struct weft_prose_speech *b, size_t most)
{
    const struct weft_text *t = &p->texts[a->text_idx];
    struct weft_str between = weft_str_sub(t->text, a->parts[a->n_parts - 1].end, b->parts[0].begin);
    size_t visible = 0;
    for (size_t i = 0; i < between.len && visible <= most;) {
        uint32_t cp;
        i += weft_utf8_decode(between.s + i, between.len - i, &cp, NULL);
        if (!weft_is_space(cp)) visible++;
    }
    return visible <= most && weft_str_find(between, WEFT_STR("\n"), 0) != SIZE_MAX;
}

static bool is_single(const struct weft_prose_speech *s)
{
    return s->speaker.s && !(s->flags & WEFT_PROSE_GROUP);
}

/* A run of bare quotes, each a paragraph of its own: the two who speak before it take turns. */
static void alternate(struct weft_prose *p, const struct weft_prose_scene *scene)
{
    struct weft_prose_speech *s = p->speeches + scene->first_speech;
    for (size_t i = 1; i < scene->n_speeches; i++) {
        struct weft_str other = { NULL, 0 };
        if (s[i].speaker.s || s[i].kind != WEFT_PROSE_SPEECH || s[i].written.s || !is_single(&s[i - 1])
            || s[i - 1].kind != WEFT_PROSE_SPEECH || !adjacent(p, &s[i - 1], &s[i], MARKS))
            continue;
        /* whoever spoke before the last one, in speeches that follow one another, or is spoken to by it */
        if (i >= 2 && is_single(&s[i - 2]) && !weft_str_eq(s[i - 2].speaker, s[i - 1].speaker)
            && (adjacent(p, &s[i - 2], &s[i - 1], CUE_CHARS + MARKS)
                || s[i - 1].rule == WEFT_PROSE_ALTERNATION))
            other = s[i - 2].speaker;
        else if (s[i - 1].addressee.s && !weft_str_eq(s[i - 1].addressee, s[i - 1].speaker))
            other = s[i - 1].addressee;
        if (!other.s) continue;
        double before = s[i - 1].confidence < 0.9 ? s[i - 1].confidence / 0.9 : 1;
        s[i].speaker = other;
        s[i].rule = WEFT_PROSE_ALTERNATION;
        s[i].confidence = (s[i - 1].rule == WEFT_PROSE_ALTERNATION ? 0.97 : 1) * SURE_ALTERNATION * before;
        if (s[i - 1].rule == WEFT_PROSE_ALTERNATION) s[i].confidence = s[i - 1].confidence * 0.97;
    }
}

/* ---- candidates ---- */

struct ballot {
    struct weft_prose_candidate items[32];
    size_t n;
};

static void vote(struct ballot *b, struct weft_str name, double score)
{
    if (!name.s) return;
    for (size_t i = 0; i < b->n; i++)
        if (weft_str_eq(b->items[i].name, name)) {
            b->items[i].score += score;
            return;
        }
    if (b->n < WEFT_COUNT(b->items)) b->items[b->n++] = (struct weft_prose_candidate){ name, score };
}

static int by_score(const void *x, const void *y)
{
    const struct weft_prose_candidate *a = x, *b = y;
    if (a->score != b->score) return a->score < b->score ? 1 : -1;
    return weft_str_cmp(a->name, b->name);
}

/* Paragraphs around a speech, and the names in them. */
static enum weft_status candidates(struct reader *r, size_t idx)
{
    enum { PARAGRAPHS = 3, BEFORE_BYTES = 12000, BEHIND_BYTES = 3000 };
    struct weft_prose_speech *sp = &r->out->speeches[idx];
    const struct weft_prose_scene *scene = &r->out->scenes[sp->scene];
    const struct weft_text *t = &r->out->texts[sp->text_idx];
    size_t first = (size_t)sp->line - 1, last = (size_t)sp->last_line - 1, seen = 0;
    struct ballot b = { .n = 0 };
    while (first > 0 && seen < PARAGRAPHS) {
        struct weft_heading h;
        if (weft_heading_read(weft_text_line(t, first - 1), &h)) break;
        first--;
        seen += weft_trim(weft_text_line(t, first)).len > 0;
    }
    sp->context_begin = t->lines[first].at;
    sp->context_end = t->lines[last + 1].at;
    /* a book in one line: no more than a page around the speech */
    size_t end = sp->parts[sp->n_parts - 1].end;
    if (sp->parts[0].begin - sp->context_begin > BEFORE_BYTES) {
        sp->context_begin = sp->parts[0].begin - BEFORE_BYTES;
        while (((unsigned char)t->text.s[sp->context_begin] & 0xC0) == 0x80) sp->context_begin++;
    }
    if (sp->context_end - end > BEHIND_BYTES) {
        sp->context_end = end + BEHIND_BYTES;
        while (((unsigned char)t->text.s[sp->context_end] & 0xC0) == 0x80) sp->context_end--;
    }

    vote(&b, sp->speaker, 2 * sp->confidence);
    for (size_t d = 1; d <= 4; d++) {
        if (idx >= scene->first_speech + d)
            vote(&b, r->out->speeches[idx - d].speaker, d == 2 ? 0.8 : 0.4 / (double)d);
        if (idx + d < scene->first_speech + scene->n_speeches)
            vote(&b, r->out->speeches[idx + d].speaker, 0.3 / (double)d);
        if (d == 1 && idx > scene->first_speech) vote(&b, r->out->speeches[idx - 1].addressee, 0.5);
    }
    double length = (double)(sp->parts[0].begin - sp->context_begin) + 1;
    for (size_t at = sp->context_begin; at < sp->context_end;) {
        uint32_t cp;
        size_t i = prose_names_begins(r->names, weft_str_sub(t->text, at, sp->context_end));
        if (i != SIZE_MAX) {
            double near = at < sp->parts[0].begin ? (double)(at - sp->context_begin) / length : 0.5;
            vote(&b, prose_names_group(r->names, i), 0.1 + 0.3 * near);
            at += r->names->items[i].text.len;
        } else at += weft_utf8_decode(t->text.s + at, t->text.len - at, &cp, NULL);
    }
    qsort(b.items, b.n, sizeof b.items[0], by_score);
    if (sp->speaker.s)
        for (size_t i = 1; i < b.n; i++)
            if (weft_str_eq(b.items[i].name, sp->speaker)) { /* the answer of the rules stands first */
                struct weft_prose_candidate own = b.items[i];
                memmove(b.items + 1, b.items, i * sizeof own);
                b.items[0] = own;
            }
    sp->n_candidates = weft_min_size(b.n, WEFT_PROSE_CANDIDATES);
    sp->candidates = WEFT_NEWS(r->arena, struct weft_prose_candidate, sp->n_candidates + 1);
    if (!sp->candidates) return no_memory(r);
    double sum = 0.3; /* somebody else */
    for (size_t i = 0; i < sp->n_candidates; i++) sum += b.items[i].score;
    for (size_t i = 0; i < sp->n_candidates; i++)
        sp->candidates[i] = (struct weft_prose_candidate){ b.items[i].name, b.items[i].score / sum };
    return WEFT_OK;
}

/* ---- all ---- */

static int by_speeches(const void *x, const void *y)
{
    const struct weft_prose_name *a = x, *b = y;
    if (a->count != b->count) return a->count < b->count ? 1 : -1;
    return weft_str_cmp(a->name, b->name);
}

static enum weft_status roster(struct weft_arena *a, struct prose_names *names, struct weft_prose *p,
                               struct weft_err *err)
{
    for (size_t i = 0; i < p->n_speeches; i++) {
        const struct weft_prose_speech *sp = &p->speeches[i];
        if (sp->kind != WEFT_PROSE_SPEECH || !sp->speaker.s) continue;
        size_t k = prose_names_add(names, sp->speaker, 0);
        if (k == SIZE_MAX) return weft_fail_nomem(err, 64, "the names");
        names->items[k].speeches++;
    }
    p->roster = WEFT_NEWS(a, struct weft_prose_name, names->n + 1);
    if (!p->roster) return weft_fail_nomem(err, names->n * sizeof *p->roster, "the names");
    for (size_t i = 0; i < names->n; i++)
        if (names->items[i].speeches || names->items[i].known)
            p->roster[p->n_roster++] = (struct weft_prose_name){ names->items[i].text, prose_names_group(names, i),
                                                                 names->items[i].speeches };
    qsort(p->roster, p->n_roster, sizeof *p->roster, by_speeches);
    return WEFT_OK;
}

/* ---- pieces ---- */

/* Below this a thread is not worth its start; chapters are put together until they have so many bytes. */
enum { LONG_TEXT = 1 << 20, PIECE_BYTES = 64 << 10 };

struct book {
    struct weft_arena *arena;
    const struct weft_prose_settings *s;
    const struct weft_progress *progress;
    struct prose_names names;
    struct weft_prose out;
    struct piece *pieces;
    size_t n_pieces, cap_pieces;
    struct weft_err *err;
};

static enum weft_status cut_book(struct book *b)
{
    for (size_t i = 0; i < b->out.n_texts; i++) {
        struct weft_chapter *chapters;
        size_t n, k = 0;
        enum weft_status st = weft_chapters_find(b->arena, &b->out.texts[i], &chapters, &n, b->err);
        struct prose_spans *spans = st ? NULL : WEFT_NEWS(b->arena, struct prose_spans, n + 1);
        if (!st && !spans) st = weft_fail_nomem(b->err, n * sizeof *spans, "the quotes");
        while (!st && k < n) {
            size_t first = k;
            for (size_t bytes = 0; k < n && bytes < PIECE_BYTES; k++) bytes += chapters[k].end - chapters[k].begin;
            if (!WEFT_GROW(b->arena, b->pieces, b->n_pieces, b->cap_pieces))
                return weft_fail_nomem(b->err, sizeof *b->pieces, "the chapters");
            struct piece *p = &b->pieces[b->n_pieces++];
            p->text_idx = i;
            p->chapters = chapters + first;
            p->n_chapters = k - first;
            p->spans = spans + first;
            p->err.lang = b->err ? b->err->lang : WEFT_LANG_EN;
        }
        if (st) return st;
    }
    return WEFT_OK;
}

static struct reader reader_of(struct book *b, struct piece *p)
{
    const struct weft_text *t = &b->out.texts[p->text_idx];
    p->out.texts = b->out.texts;
    p->out.n_texts = b->out.n_texts;
    return (struct reader){ .arena = &p->arena, .s = b->s, .out = &p->out, .names = &b->names, .err = &p->err,
                            .t = t, .text_idx = p->text_idx, .text = t->text };
}

static void learn_piece(void *ctx, size_t i, int thread)
{
    struct book *b = ctx;
    struct piece *p = &b->pieces[i];
    struct reader r = reader_of(b, p);
    (void)thread;
    r.learned = &p->learned;
    p->st = prose_names_init(&p->learned, &p->arena, &(struct weft_prose_settings){ 0 }, &p->err);
    for (size_t k = 0; k < p->n_chapters && !p->st && !weft_progress_cancelled(b->progress); k++) {
        r.chapter = &p->chapters[k];
        p->st = prose_quotes(&p->arena, r.t, r.chapter, &p->spans[k], &p->err);
        if (!p->st) p->st = read_chapter(&r, p->spans[k].items, p->spans[k].n);
    }
}

static void begin_piece(void *ctx, size_t i, int thread)
{
    struct book *b = ctx;
    struct piece *p = &b->pieces[i];
    (void)thread;
    p->st = find_beginnings(p, &b->names, &b->out.texts[p->text_idx]);
}

/* Everything that is known of a speech without the other pieces. */
static enum weft_status finish_piece(struct reader *r)
{
    struct weft_prose *p = r->out;
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; i < p->n_speeches && !st; i++) st = finish_speech(r, &p->speeches[i]);
    for (size_t i = 0; i < p->n_scenes && !st && !r->s->no_guess; i++) alternate(p, &p->scenes[i]);
    for (size_t i = 0; i < p->n_speeches && !st; i++)
        if (p->speeches[i].confidence < 0.9 && p->speeches[i].kind <= WEFT_PROSE_THOUGHT) st = candidates(r, i);
    for (size_t i = 0; i < p->n_speeches && !st; i++) {
        struct weft_prose_speech *sp = &p->speeches[i];
        if (sp->confidence < r->s->min_confidence || !sp->speaker.s) {
            sp->speaker = (struct weft_str){ NULL, 0 };
            sp->confidence = 0;
            sp->rule = WEFT_PROSE_UNKNOWN;
        }
        if (sp->kind == WEFT_PROSE_SPEECH) p->funnel.by_rule[sp->rule]++;
    }
    return st;
}

static void read_piece(void *ctx, size_t i, int thread)
{
    struct book *b = ctx;
    struct piece *p = &b->pieces[i];
    struct reader r = reader_of(b, p);
    (void)thread;
    for (size_t k = 0; k < p->n_chapters && !p->st && !weft_progress_cancelled(b->progress); k++) {
        r.chapter = &p->chapters[k];
        p->out.funnel.repaired += p->spans[k].repaired;
        p->out.funnel.stray += p->spans[k].stray;
        p->st = read_chapter(&r, p->spans[k].items, p->spans[k].n);
    }
    if (!p->st) p->st = finish_piece(&r);
}

/* One step of all pieces; the first error in the order of the text. */
static enum weft_status all_pieces(struct book *b, struct weft_pool *pool, const char *stage, uint64_t done,
                                   weft_pool_fn *step)
{
    weft_progress_update(b->progress, stage, done, 3, "steps", "");
    weft_pool_run(pool, b->n_pieces, step, b);
    for (size_t i = 0; i < b->n_pieces; i++)
        if (b->pieces[i].st)
            return weft_fail_rule(b->err, b->pieces[i].st, b->pieces[i].err.rule, "%s", b->pieces[i].err.msg);
    return weft_progress_cancelled(b->progress) ? weft_fail(b->err, WEFT_ECANCEL, "stopped") : WEFT_OK;
}

static enum weft_status take_names(struct book *b)
{
    for (size_t i = 0; i < b->n_pieces; i++) {
        const struct prose_names *from = &b->pieces[i].learned;
        for (size_t k = 0; k < from->n; k++) {
            size_t at = prose_names_add(&b->names, from->items[k].text, from->items[k].count);
            if (at == SIZE_MAX) return weft_fail_nomem(b->err, 64, "the names");
            b->names.items[at].far += from->items[k].far;
        }
    }
    return WEFT_OK;
}

static enum weft_status take_beginnings(struct book *b)
{
    for (size_t i = 0; i < b->n_pieces; i++)
        for (size_t k = 0; k < b->pieces[i].n_beginnings; k++) {
            const struct beginning *x = &b->pieces[i].beginnings[k];
            struct weft_str text = b->out.texts[b->pieces[i].text_idx].text;
            prose_names_begin(&b->names, x->name, weft_str_sub(text, x->at, x->end));
        }
    if (!prose_names_lengthen(&b->names)) return weft_fail_nomem(b->err, 64, "the names");
    prose_names_settle(&b->names);
    return WEFT_OK;
}

static void add_funnel(struct weft_prose_funnel *to, const struct weft_prose_funnel *from)
{
    to->quotes += from->quotes;
    for (int k = 0; k < WEFT_PROSE_KINDS; k++) to->kinds[k] += from->kinds[k];
    to->continued += from->continued;
    for (int k = 0; k < WEFT_PROSE_RULES; k++) to->by_rule[k] += from->by_rule[k];
    to->repaired += from->repaired;
    to->stray += from->stray;
}

/* The speeches and scenes of all pieces, one behind the other. */
static enum weft_status join_pieces(struct book *b)
{
    struct weft_prose *out = &b->out;
    size_t n_speeches = 0, n_scenes = 0;
    for (size_t i = 0; i < b->n_pieces; i++) {
        n_speeches += b->pieces[i].out.n_speeches;
        n_scenes += b->pieces[i].out.n_scenes;
    }
    out->speeches = weft_arena_alloc(b->arena, n_speeches * sizeof *out->speeches);
    out->scenes = weft_arena_alloc(b->arena, n_scenes * sizeof *out->scenes);
    if (!out->speeches || !out->scenes) return weft_fail_nomem(b->err, n_speeches * sizeof *out->speeches, "the speeches");
    for (size_t i = 0; i < b->n_pieces; i++) {
        const struct weft_prose *from = &b->pieces[i].out;
        for (size_t k = 0; k < from->n_speeches; k++) {
            struct weft_prose_speech *sp = &out->speeches[out->n_speeches + k];
            *sp = from->speeches[k];
            sp->scene += out->n_scenes;
        }
        for (size_t k = 0; k < from->n_scenes; k++) {
            struct weft_prose_scene *scene = &out->scenes[out->n_scenes + k];
            *scene = from->scenes[k];
            scene->first_speech += out->n_speeches;
        }
        out->n_speeches += from->n_speeches;
        out->n_scenes += from->n_scenes;
        add_funnel(&out->funnel, &from->funnel);
    }
    return WEFT_OK;
}

enum weft_status weft_prose_parse(struct weft_arena *a, const struct weft_text *texts, size_t n_texts,
                                  const struct weft_prose_settings *s, const struct weft_progress *progress,
                                  struct weft_prose *out, struct weft_err *err)
{
    struct book b = { .arena = a, .s = s, .progress = progress, .out = { .texts = texts, .n_texts = n_texts },
                      .err = err };
    struct weft_pool *pool = NULL;
    size_t bytes = 0;
    for (size_t i = 0; i < n_texts; i++) bytes += texts[i].text.len;
    enum weft_status st = prose_names_init(&b.names, a, s, err);
    if (!st) st = cut_book(&b);
    /* Where no thread can be had this one does it all. */
    if (!st && (bytes >= LONG_TEXT || s->threads > 0) && weft_pool_new(&pool, (int)s->threads, NULL)) pool = NULL;
    if (!st) st = all_pieces(&b, pool, "learning the names", 0, learn_piece);
    if (!st) st = take_names(&b);
    if (!st) st = all_pieces(&b, pool, "learning the names", 1, begin_piece);
    if (!st) st = take_beginnings(&b);
    if (!st) st = all_pieces(&b, pool, "reading the speeches", 2, read_piece);
    if (!st) st = join_pieces(&b);
    if (!st) st = roster(a, &b.names, &b.out, err);
    for (size_t i = 0; i < b.n_pieces; i++) {
        if (!st && !weft_arena_adopt(a, &b.pieces[i].arena)) st = weft_fail_nomem(err, 0, "the speeches");
        weft_arena_clear(&b.pieces[i].arena);
    }
    weft_pool_free(pool);
    if (!st) *out = b.out;
    return st;
}

void weft_prose_assign(struct weft_prose *p, size_t i, size_t candidate, double confidence)
{
    struct weft_prose_speech *sp = &p->speeches[i];
    bool counts = sp->kind == WEFT_PROSE_SPEECH;
    if (counts) p->funnel.by_rule[sp->rule]--;
    if (candidate < sp->n_candidates) {
        sp->speaker = sp->candidates[candidate].name;
        sp->confidence = confidence;
        sp->rule = WEFT_PROSE_CHOSEN;
    } else {
        sp->speaker = (struct weft_str){ NULL, 0 };
        sp->confidence = 0;
        sp->rule = WEFT_PROSE_UNKNOWN;
    }
    sp->flags &= ~(unsigned)(WEFT_PROSE_GROUP | WEFT_PROSE_NAMELESS);
    if (counts) p->funnel.by_rule[sp->rule]++;
}

void weft_prose_speech_json(struct weft_json_out *o, const struct weft_prose *p, size_t i)
{
    static const struct {
        unsigned flag;
        const char *name;
    } flags[] = { { WEFT_PROSE_REPAIRED, "repaired" },
                  { WEFT_PROSE_PARTS, "parts" },
                  { WEFT_PROSE_GROUP, "group" },
                  { WEFT_PROSE_NAMELESS, "nameless" } };
    const struct weft_prose_speech *sp = &p->speeches[i];
    const struct weft_prose_scene *scene = &p->scenes[sp->scene];
    struct weft_origin origin = { 0 };
    weft_origin_of_span(&p->texts[sp->text_idx], sp->parts[0].begin, sp->parts[sp->n_parts - 1].end, &origin);
    weft_json_out_object(o);
    weft_json_out_key(o, "speech");
    weft_json_out_uint(o, i + 1);
    weft_json_out_key(o, "file");
    weft_json_out_str(o, origin.file);
    weft_json_out_key(o, "line");
    weft_json_out_uint(o, sp->line);
    weft_json_out_key(o, "last_line");
    weft_json_out_uint(o, sp->last_line);
    weft_json_out_key(o, "bytes");
    weft_json_out_array(o);
    weft_json_out_uint(o, origin.byte_begin);
    weft_json_out_uint(o, origin.byte_end);
    weft_json_out_array_end(o);
    weft_json_out_key(o, "kind");
    weft_json_out_cstr(o, weft_prose_kind_name(sp->kind));
    weft_json_out_key(o, "text");
    weft_json_out_str(o, sp->text);
    weft_json_out_key(o, "speaker");
    if (sp->speaker.s) weft_json_out_str(o, sp->speaker);
    else weft_json_out_null(o);
    weft_json_out_key(o, "written");
    if (sp->written.s) weft_json_out_str(o, sp->written);
    else weft_json_out_null(o);
    weft_json_out_key(o, "confidence");
    weft_json_out_double(o, (double)(int)(sp->confidence * 1000 + 0.5) / 1000);
    weft_json_out_key(o, "rule");
    weft_json_out_cstr(o, weft_prose_rule_name(sp->rule));
    weft_json_out_key(o, "flags");
    weft_json_out_array(o);
    for (size_t k = 0; k < WEFT_COUNT(flags); k++)
        if (sp->flags & flags[k].flag) weft_json_out_cstr(o, flags[k].name);
    weft_json_out_array_end(o);
    weft_json_out_key(o, "scene");
    weft_json_out_uint(o, sp->scene + 1);
    if (scene->chapter.s) {
        weft_json_out_key(o, "chapter");
        weft_json_out_str(o, scene->chapter);
    }
    if (sp->n_candidates) {
        weft_json_out_key(o, "candidates");
        weft_json_out_array(o);
        for (size_t k = 0; k < sp->n_candidates; k++) weft_json_out_str(o, sp->candidates[k].name);
        weft_json_out_array_end(o);
        weft_json_out_key(o, "context");
        weft_json_out_str(o, weft_str_sub(p->texts[sp->text_idx].text, sp->context_begin, sp->context_end));
    }
    weft_json_out_object_end(o);
}

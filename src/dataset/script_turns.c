/* Turns are merged as they come.  Text that one part of one line makes up stays where it stands; what is put together
 * from several grows in a buffer and moves to the arena when another turn begins, so that a speech of a million lines
 * costs no more than its length. */
#include "dataset/script_turns.h"

#include "dataset/normal.h"
#include "dataset/script_rows.h"

enum { ASIDE_MAX_DEPTH = 8 };

/* How speakers of different standing call themselves. */
#define WORD(s) { s, sizeof s - 1 }
static const struct weft_str self_words[] = {
    WORD("朕"), WORD("寡人"), WORD("哀家"), WORD("本宫"), WORD("臣妾"), WORD("嫔妾"), WORD("妾身"),
    WORD("奴婢"), WORD("奴才"), WORD("微臣"), WORD("老臣"), WORD("儿臣"), WORD("草民"), WORD("民女"),
    WORD("末将"), WORD("属下"), WORD("卑职"), WORD("下官"), WORD("老身"), WORD("老夫"), WORD("贫僧"),
    WORD("贫道"), WORD("小人"), WORD("小的"),
};

/* Bit sets of words by each byte of their first character (its lower six bits), so that one look passes nearly every
 * place. */
void script_self_index_make(struct script_self_index *x)
{
    memset(x, 0, sizeof *x);
    for (size_t i = 0; i < WEFT_COUNT(self_words); i++)
        for (size_t b = 0; b < 3; b++)
            x->by_byte[b][(unsigned char)self_words[i].s[b] & 63] |= UINT32_C(1) << i;
}

static uint32_t self_set(const struct script_self_index *x, struct weft_str text)
{
    const unsigned char *u = (const unsigned char *)text.s;
    uint32_t set = 0;
    for (size_t i = 0; i + 2 < text.len;) {
        if ((u[i] & 0xF0) != 0xE0) {    /* no character of three bytes */
            i++;
            continue;
        }
        uint32_t words = x->by_byte[0][u[i] & 63] & x->by_byte[1][u[i + 1] & 63] & x->by_byte[2][u[i + 2] & 63];
        for (; words; words &= words - 1) {
            int k = __builtin_ctz(words);
            if (weft_str_starts(weft_str_skip(text, i), self_words[k])) set |= UINT32_C(1) << k;
        }
        i += 3;
    }
    return set;
}

/* ---- text of several parts ---- */

static void gather(struct script_gathered *g, struct weft_str s)
{
    if (!s.len) return;
    if (!g->text.len) {
        g->text = s;
        return;
    }
    if (!g->buf.len) weft_buf_str(&g->buf, g->text);
    weft_buf_str(&g->buf, s);
    g->text = weft_buf_view(&g->buf);
}

static void forget(struct script_gathered *g)
{
    g->text = (struct weft_str){ NULL, 0 };
    if (g->buf.len) weft_buf_reset(&g->buf);
}

/* The text, to stay; false: no memory. */
static bool keep(struct weft_arena *a, struct script_gathered *g, struct weft_str *out)
{
    if (g->buf.failed) return false;
    *out = g->buf.len ? weft_str_dup(a, g->text) : g->text;
    forget(g);
    return out->s || !out->len;
}

/* ---- turns ---- */

static struct weft_script_turn *last_turn(const struct script_reader *r) { return &r->turns[r->at.turns - 1]; }
static struct weft_scene *last_scene(const struct script_reader *r) { return &r->scenes[r->at.scenes - 1]; }

static void add_ref(struct script_reader *r, size_t *first, size_t *n)
{
    struct weft_line_ref ref = { r->text_idx, r->line_idx };
    const struct weft_line_ref *last = *n ? &r->refs[*first + *n - 1] : NULL;
    if (last && last->line_idx == ref.line_idx && last->text_idx == ref.text_idx) return;
    if (!last) *first = r->at.refs;
    r->refs[r->at.refs++] = ref;
    ++*n;
}

static bool close_turn(struct script_reader *r)
{
    if (!r->open) return true;
    struct weft_script_turn *turn = last_turn(r);
    r->open = false;
    return keep(r->arena, &r->text, &turn->text) && keep(r->arena, &r->directions, &turn->directions);
}

static bool close_narration(struct script_reader *r)
{
    return !r->narration.text.len || keep(r->arena, &r->narration, &last_scene(r)->narration);
}

struct weft_str script_joint(const struct weft_script_settings *s, struct weft_str before,
                             struct weft_str after)
{
    uint32_t first, last;
    if (s->join) return weft_str_c(s->join);
    size_t at = before.len - 1;
    while (at && ((unsigned char)before.s[at] & 0xC0) == 0x80) at--;
    weft_utf8_decode(before.s + at, before.len - at, &last, NULL);
    weft_utf8_decode(after.s, after.len, &first, NULL);
    return weft_is_wide(first) || weft_is_wide(last) ? WEFT_STR("") : WEFT_STR(" ");
}

/* Is this what the open turn's speaker goes on to say?  Doubtful lines stay by themselves. */
static bool goes_on(const struct script_reader *r, const struct weft_script_who *who, unsigned flags)
{
    if (!r->open) return false;
    const struct weft_script_turn *turn = last_turn(r);
    bool same = turn->who == who || (weft_str_eq(turn->who->label, who->label) && turn->who->chorus == who->chorus);
    return same && !((turn->flags | flags) & WEFT_TURN_REVIEW);
}

/* Another part of the open turn. */
static void go_on(struct script_reader *r, struct weft_str text, unsigned flags)
{
    struct weft_script_turn *turn = last_turn(r);
    const struct weft_line_ref *last = &r->refs[turn->first_ref + turn->n_refs - 1];
    bool other_line = last->line_idx != r->line_idx || last->text_idx != r->text_idx;
    uint32_t self = self_set(r->self_words, text);
    if (!r->self_known) r->self = self_set(r->self_words, r->text.text);
    r->self_known = true;
    if (other_line && !(flags & WEFT_TURN_CONTINUED)) turn->flags |= WEFT_TURN_MERGED;
    if (self && r->self && !(self & r->self)) turn->flags |= WEFT_TURN_SELF;
    r->self |= self;
    gather(&r->text, script_joint(r->s, r->text.text, text));
}

static bool begin_turn(struct script_reader *r, const struct weft_script_who *who)
{
    if (!close_turn(r) || !close_narration(r)) return false;
    r->turns[r->at.turns++] = (struct weft_script_turn){
        .who = who, .first_ref = r->at.refs, .flags = who->chorus ? WEFT_TURN_CHORUS : 0
    };
    last_scene(r)->n_turns++;
    r->open = true;
    r->self_known = false;
    return true;
}

/* A part of what is said: NFC, and trimmed; with the directions that stand in piece_directions. */
static bool add_part(struct script_reader *r, const struct weft_script_who *who, struct weft_str text, unsigned flags)
{
    struct weft_str directions;
    if (goes_on(r, who, flags)) go_on(r, text, flags);
    else if (!begin_turn(r, who)) return false;
    struct weft_script_turn *turn = last_turn(r);
    if (!keep(r->arena, &r->piece_directions, &directions)) return false;
    turn->flags |= flags | (directions.len ? WEFT_TURN_DIRECTED : 0);
    gather(&r->text, text);
    if (directions.len && r->directions.text.len) gather(&r->directions, WEFT_STR("；"));
    gather(&r->directions, directions);
    add_ref(r, &turn->first_ref, &turn->n_refs);
    return true;
}

/* The piece, unless it is empty. */
static bool add_piece(struct script_reader *r, const struct weft_script_who *who, unsigned flags)
{
    struct weft_str text;
    if (!keep(r->arena, &r->piece, &text)) return false;
    text = weft_nfc(r->arena, weft_trim(text));
    if (!text.s) return false;
    text = weft_trim(text);
    return !text.len || add_part(r, who, text, flags);
}

/* ---- one line ---- */

static bool speech_of_known(struct script_reader *r, struct weft_str line, size_t from, size_t to,
                            struct script_speech *speech, struct weft_str *name, bool *found)
{
    *found = false;
    if (!script_line_speech(line, from, to, &r->brackets, speech) || speech->sep != ':') return true;
    *name = script_name_clean(r->arena, speech->name);
    if (!name->s) return false;
    *found = !script_is_stage_word(*name) && script_names_known(r->names, *name);
    return true;
}

static void add_direction(struct script_reader *r, struct weft_str span)
{
    if (r->piece_directions.text.len) gather(&r->piece_directions, WEFT_STR("；"));
    gather(&r->piece_directions, span);
}

static size_t char_len(struct weft_str s, size_t at)
{
    uint32_t cp;
    return weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
}

/* Bytes from i on up to the first bracket that opens: "(", "（" or "【". */
static size_t plain_bytes(struct weft_str line, size_t i, size_t to)
{
    return script_next_open(line, i, to, true) - i;
}

/* The turns of a text: it is cut where an aside of a known name stands; directions and notes are taken out. */
static bool add_text(struct script_reader *r, struct weft_str line, size_t from, size_t to,
                     const struct weft_script_who *who, unsigned flags, int depth)
{
    bool notes = true;          /* a 】 may still come: looked for once, not again for each 【 */
    forget(&r->piece);
    for (size_t i = from; i < to;) {
        uint32_t cp;
        size_t plain = plain_bytes(line, i, to);
        if (plain) {
            gather(&r->piece, weft_str_sub(line, i, i + plain));
            i += plain;
            continue;
        }
        size_t n = weft_utf8_decode(line.s + i, to - i, &cp, NULL), close;
        if (script_is_open(cp) && (close = script_bracket_close(&r->brackets, i, to)) != SIZE_MAX) {
            struct script_speech speech;
            struct weft_str name;
            struct weft_str inner = weft_str_sub(line, i + n, close), trimmed = weft_trim_left(inner);
            size_t inner_from = i + n + (inner.len - trimmed.len);
            bool aside = false;
            if (depth < ASIDE_MAX_DEPTH
                && !speech_of_known(r, line, inner_from, close, &speech, &name, &aside))
                return false;
            if (aside) {
                const struct weft_script_who *other = script_names_resolve(r->names, r->arena, name,
                                                                           r->episode_number);
                unsigned other_flags =
                    (flags & ~(unsigned)(WEFT_TURN_CONTINUED | WEFT_TURN_REPAIRED | WEFT_TURN_REVIEW))
                    | WEFT_TURN_ASIDE;
                /* 快走（乙：好）。 - the mark ends what stands before the aside. */
                struct weft_str rest = weft_str_sub(line, close + char_len(line, close), to);
                bool ending = script_is_ending(rest);
                if (ending) gather(&r->piece, weft_trim(rest));
                if (ending) to = close + char_len(line, close);
                if (!other || !add_piece(r, who, flags)
                    || !add_text(r, line, speech.text_from, close, other, other_flags, depth + 1))
                    return false;
                forget(&r->piece);
            } else add_direction(r, weft_trim(inner));
            i = close + char_len(line, close);
            continue;
        }
        if (cp == 0x3010 && notes) {    /* 【 */
            size_t end = weft_str_find(weft_str_sub(line, 0, to), WEFT_STR("】"), i);
            notes = end != SIZE_MAX;
            if (notes) {
                add_direction(r, weft_str_sub(line, i, end + 3));
                i = end + 3;
                continue;
            }
        }
        gather(&r->piece, weft_str_sub(line, i, i + n));
        i += n;
    }
    return add_piece(r, who, flags);
}

static bool open_scene(struct script_reader *r, struct weft_str heading, int64_t number)
{
    if (!close_turn(r) || !close_narration(r)) return false;
    r->scenes[r->at.scenes++] = (struct weft_scene){ .episode = r->episode,
                                                     .episode_number = r->episode_number,
                                                     .heading = heading,
                                                     .number = number,
                                                     .first_turn = r->at.turns };
    r->scene_number = number;
    r->speaker = NULL;
    r->pending = false;
    return true;
}

static bool add_narration(struct script_reader *r, struct weft_str text)
{
    struct weft_scene *scene = last_scene(r);
    if (scene->n_turns || !text.len) return true;
    text = weft_nfc(r->arena, text);
    if (!text.s) return false;
    if (r->narration.text.len) gather(&r->narration, WEFT_STR("\n"));
    gather(&r->narration, text);
    add_ref(r, &scene->first_ref, &scene->n_refs);
    return true;
}

/* A line with something in it, in an open scene.  *class is what it turned out to be. */
static bool read_content(struct script_reader *r, const struct script_line *l, enum weft_line_class *class)
{
    static const struct weft_script_who nameless = { .label = { "？", 3 } };
    const struct weft_script_who *who;
    struct script_speech speech;
    struct weft_str name;
    const struct script_room before = r->at;
    bool found = false, ok = true;

    if (l->kind == SCRIPT_BRACKETS) {
        struct weft_str inner = weft_str_sub(l->text, l->inner_from, l->inner_to);
        size_t from = l->inner_from + (inner.len - weft_trim_left(inner).len);
        if (!speech_of_known(r, l->text, from, l->inner_to, &speech, &name, &found)) return false;
        if (!found) {
            *class = WEFT_LINE_NARRATION;
            return add_narration(r, weft_trim(inner));
        }
        who = script_names_resolve(r->names, r->arena, name, r->episode_number);
        ok = who && add_text(r, l->text, speech.text_from, l->inner_to, who, WEFT_TURN_ASIDE, 0);
    } else if (l->kind == SCRIPT_STAGE) {
        *class = WEFT_LINE_NARRATION;
        return true;
    } else if (l->kind == SCRIPT_NOTE) {
        *class = WEFT_LINE_NOTE;
        return true;
    } else if (l->nameless) {
        r->speaker = &nameless;
        ok = add_text(r, l->text, l->inner_from, l->text.len, r->speaker, WEFT_TURN_REVIEW, 0);
    } else {
        unsigned flags = 0;
        size_t from = 0;
        bool speaks = script_line_speech(l->text, 0, l->text.len, &r->brackets, &speech);
        if (speaks) {
            name = script_name_clean(r->arena, speech.name);
            if (!name.s) return false;
            if (speech.sep == ':' && script_is_stage_word(name) && !weft_str_eq(name, r->names->role)) {
                *class = WEFT_LINE_NARRATION;
                return true;
            }
            speaks = speech.sep == ':' || script_names_known(r->names, name);
        }
        if (speaks) {
            r->speaker = script_names_resolve(r->names, r->arena, name, r->episode_number);
            if (!r->speaker) return false;
            flags = speech.sep == ';' ? WEFT_TURN_REPAIRED : speech.sep == ',' ? WEFT_TURN_REVIEW : 0;
            if (speech.directed) flags |= WEFT_TURN_DIRECTED;
            from = speech.text_from;
        } else if (r->speaker) flags = WEFT_TURN_CONTINUED;
        else {
            *class = WEFT_LINE_ORPHAN;
            return true;
        }
        ok = add_text(r, l->text, from, l->text.len, r->speaker, flags, 0);
    }
    *class = r->at.turns > before.turns || r->at.refs > before.refs ? WEFT_LINE_TURN : WEFT_LINE_ACTION;
    forget(&r->piece_directions);
    return ok;
}

/* A line of which the note says all, in an open scene. */
static bool read_noted(struct script_reader *r, const struct weft_text *t, const struct script_note *note, size_t name,
                       enum weft_line_class *class)
{
    const size_t from = note->from & SCRIPT_FROM;
    const struct script_room before = r->at;
    bool ok;
    *class = WEFT_LINE_NARRATION;
    if (r->names->items[name].stage) return true;
    r->speaker = script_names_who(r->names, r->arena, name, r->episode_number);
    if (!r->speaker) return false;
    unsigned flags = note->from & SCRIPT_DIRECTED ? WEFT_TURN_DIRECTED : 0;
    if (note->len) {
        struct weft_str text = { t->text.s + t->lines[r->line_idx].at + from, note->len };
        ok = add_part(r, r->speaker, text, flags);
    } else {
        struct weft_str s = weft_trim(weft_text_line(t, r->line_idx));
        ok = script_brackets_find(r->arena, &r->brackets, s) && add_text(r, s, from, s.len, r->speaker, flags, 0);
    }
    *class = r->at.turns > before.turns || r->at.refs > before.refs ? WEFT_LINE_TURN : WEFT_LINE_ACTION;
    forget(&r->piece_directions);
    return ok;
}

bool script_reader_line(struct script_reader *r, struct weft_line_ref at, const struct weft_text *t,
                        const struct script_note *note, size_t name, enum weft_line_class *class)
{
    struct script_line l;
    *class = WEFT_LINE_BLANK;
    if (note->from == SCRIPT_BLANK_LINE) return true;
    r->text_idx = at.text_idx;
    r->line_idx = at.line_idx;
    if (note->name) {
        if (r->pending && !open_scene(r, (struct weft_str){ NULL, 0 }, -1)) return false;
        return read_noted(r, t, note, name, class);
    }
    struct weft_str s = weft_trim(weft_text_line(t, at.line_idx));
    if (!script_brackets_find(r->arena, &r->brackets, s)) return false;
    script_line_classify(s, &r->brackets, &l);
    switch (l.kind) {
    case SCRIPT_BLANK: *class = WEFT_LINE_BLANK; return true;
    case SCRIPT_EPISODE:
        *class = WEFT_LINE_EPISODE;
        r->episode = s;
        r->episode_number = l.number;
        r->pending = true;
        return true;
    case SCRIPT_SCENE:
        *class = WEFT_LINE_SCENE;
        if (l.resumed && r->at.scenes > r->begin.scenes && r->scene_number == l.number) {
            r->pending = false;
            return true;
        }
        return open_scene(r, s, l.number);
    default:
        if (r->pending && !open_scene(r, (struct weft_str){ NULL, 0 }, -1)) return false;
        return read_content(r, &l, class);
    }
}

/* ---- a piece ---- */

void script_reader_begin(struct script_reader *r, struct script_room room, struct weft_str episode,
                         int64_t episode_number)
{
    r->begin = r->at = room;
    r->episode = episode;
    r->episode_number = episode_number;
    r->scene_number = -1;
    r->pending = r->open = false;
    r->speaker = NULL;
}

void script_reader_text(struct script_reader *r)
{
    r->episode = (struct weft_str){ NULL, 0 };
    r->episode_number = 0;
    r->pending = true;
}

bool script_reader_end(struct script_reader *r) { return close_turn(r) && close_narration(r); }

void script_reader_clear(struct script_reader *r)
{
    weft_buf_clear(&r->text.buf);
    weft_buf_clear(&r->directions.buf);
    weft_buf_clear(&r->narration.buf);
    weft_buf_clear(&r->piece.buf);
    weft_buf_clear(&r->piece_directions.buf);
}

/* The default mode's parse: a pass that counts names, and a pass that builds scenes and turns.
 *
 * Turns are merged as they come: the text of the turn being spoken grows in a buffer and moves to the arena when
 * another turn begins, so that a speech of a million lines costs no more than its length. */
#include "dataset/screenplay.h"

#include "dataset/grow.h"
#include "dataset/normal.h"
#include "dataset/script_line.h"
#include "dataset/script_names.h"
#include "dataset/script_options.h"
#include "dataset/script_rows.h"

#include <stdlib.h>

enum { ASIDE_MAX_DEPTH = 8 };

/* How speakers of different standing call themselves. */
#define WORD(s) { s, sizeof s - 1 }
static const struct weft_str self_words[] = {
    WORD("朕"), WORD("寡人"), WORD("哀家"), WORD("本宫"), WORD("臣妾"), WORD("嫔妾"), WORD("妾身"),
    WORD("奴婢"), WORD("奴才"), WORD("微臣"), WORD("老臣"), WORD("儿臣"), WORD("草民"), WORD("民女"),
    WORD("末将"), WORD("属下"), WORD("卑职"), WORD("下官"), WORD("老身"), WORD("老夫"), WORD("贫僧"),
    WORD("贫道"), WORD("小人"), WORD("小的"),
};

/* The words by each byte of their first character, so that one look passes nearly every place. */
struct self_index {
    uint32_t by_byte[3][64];    /* bit sets of words; the byte's lower six bits */
};

static void self_index_make(struct self_index *x)
{
    memset(x, 0, sizeof *x);
    for (size_t i = 0; i < WEFT_COUNT(self_words); i++)
        for (size_t b = 0; b < 3; b++)
            x->by_byte[b][(unsigned char)self_words[i].s[b] & 63] |= UINT32_C(1) << i;
}

static uint32_t self_set(const struct self_index *x, struct weft_str text)
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

struct parser {
    struct weft_arena *arena;
    const struct weft_script_settings *s;
    struct weft_script *out;
    struct script_names names;
    struct self_index self_words;
    struct script_brackets brackets;
    size_t cap_scenes, cap_turns, cap_refs;

    size_t text_idx, line_idx;          /* the line being read */
    struct weft_str episode;
    int64_t episode_number, scene_number;
    bool pending; /* a file or an episode has begun: the next line opens a scene unless resumed */
    bool has_speaker;
    struct script_who speaker;          /* of the last line with a name */

    bool open;                          /* the last turn may still grow */
    struct weft_buf text, directions;   /* of the open turn */
    uint32_t self;
    struct weft_buf narration;          /* before the first turn of the scene */
    struct weft_buf piece;              /* the part of a line being read */
    struct weft_buf piece_directions;
};

/* ---- turns ---- */

static bool add_ref(struct parser *p, size_t *first, size_t *n)
{
    struct weft_script *out = p->out;
    struct weft_line_ref ref = { p->text_idx, p->line_idx };
    if (*n && out->refs[*first + *n - 1].text_idx == ref.text_idx
        && out->refs[*first + *n - 1].line_idx == ref.line_idx)
        return true;
    if (!WEFT_GROW(p->arena, out->refs, out->n_refs, p->cap_refs)) return false;
    if (!*n) *first = out->n_refs;
    out->refs[out->n_refs++] = ref;
    ++*n;
    return true;
}

static bool close_turn(struct parser *p)
{
    if (!p->open) return true;
    struct weft_script_turn *turn = &p->out->turns[p->out->n_turns - 1];
    p->open = false;
    if (p->text.failed || p->directions.failed) return false;
    turn->text = weft_str_dup(p->arena, weft_buf_view(&p->text));
    if (p->directions.len) {
        turn->directions = weft_str_dup(p->arena, weft_buf_view(&p->directions));
        if (!turn->directions.s) return false;
    }
    weft_buf_reset(&p->text);
    weft_buf_reset(&p->directions);
    return turn->text.s != NULL;
}

static bool close_narration(struct parser *p)
{
    if (!p->narration.len) return !p->narration.failed;
    struct weft_scene *scene = &p->out->scenes[p->out->n_scenes - 1];
    scene->narration = weft_str_dup(p->arena, weft_buf_view(&p->narration));
    weft_buf_reset(&p->narration);
    return scene->narration.s != NULL;
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

static void add_directions(struct parser *p)
{
    if (!p->piece_directions.len) return;
    if (p->directions.len) weft_buf_cstr(&p->directions, "；");
    weft_buf_str(&p->directions, weft_buf_view(&p->piece_directions));
    weft_buf_reset(&p->piece_directions);
}

/* Is this what the open turn's speaker goes on to say?  Doubtful lines stay by themselves. */
static bool goes_on(const struct parser *p, const struct script_who *who, unsigned flags)
{
    if (!p->open) return false;
    const struct weft_script_turn *turn = &p->out->turns[p->out->n_turns - 1];
    return weft_str_eq(turn->speaker, who->label) && !!(turn->flags & WEFT_TURN_CHORUS) == who->chorus &&
           !((turn->flags | flags) & WEFT_TURN_REVIEW);
}

static bool add_piece(struct parser *p, const struct script_who *who, unsigned flags)
{
    struct weft_script *out = p->out;
    struct weft_scene *scene = &out->scenes[out->n_scenes - 1];
    if (p->piece.failed || p->piece_directions.failed) return false;
    struct weft_str text = weft_nfc(p->arena, weft_trim(weft_buf_view(&p->piece)));
    if (!text.s) return false;
    text = weft_trim(text);
    if (!text.len) return true;
    uint32_t self = self_set(&p->self_words, text);
    if (goes_on(p, who, flags)) {
        struct weft_script_turn *turn = &out->turns[out->n_turns - 1];
        const struct weft_line_ref *last = &out->refs[turn->first_ref + turn->n_refs - 1];
        bool other_line = last->line_idx != p->line_idx || last->text_idx != p->text_idx;
        if (other_line && !(flags & WEFT_TURN_CONTINUED)) turn->flags |= WEFT_TURN_MERGED;
        if (self && p->self && !(self & p->self)) turn->flags |= WEFT_TURN_SELF;
        weft_buf_str(&p->text, script_joint(p->s, weft_buf_view(&p->text), text));
    } else {
        if (!close_turn(p) || !close_narration(p)
            || !WEFT_GROW(p->arena, out->turns, out->n_turns, p->cap_turns))
            return false;
        out->turns[out->n_turns++] = (struct weft_script_turn){
            .speaker = who->label, .speakers = who->speakers, .n_speakers = who->n, .first_ref = out->n_refs
        };
        if (who->chorus) out->turns[out->n_turns - 1].flags |= WEFT_TURN_CHORUS;
        scene->n_turns++;
        p->open = true;
        p->self = 0;
    }
    struct weft_script_turn *turn = &out->turns[out->n_turns - 1];
    turn->flags |= flags | (p->piece_directions.len ? WEFT_TURN_DIRECTED : 0);
    p->self |= self;
    weft_buf_str(&p->text, text);
    add_directions(p);
    weft_buf_reset(&p->piece);
    return add_ref(p, &turn->first_ref, &turn->n_refs);
}

/* ---- one line ---- */

static bool speech_of_known(struct parser *p, struct weft_str line, size_t from, size_t to,
                            struct script_speech *speech, struct weft_str *name, bool *found)
{
    *found = false;
    if (!script_line_speech(line, from, to, &p->brackets, speech) || speech->sep != ':') return true;
    *name = script_name_clean(p->arena, speech->name);
    if (!name->s) return false;
    *found = !script_is_stage_word(*name) && script_names_known(&p->names, *name);
    return true;
}

static void add_direction(struct parser *p, struct weft_str span)
{
    if (p->piece_directions.len) weft_buf_cstr(&p->piece_directions, "；");
    weft_buf_str(&p->piece_directions, span);
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
static bool add_text(struct parser *p, struct weft_str line, size_t from, size_t to,
                     const struct script_who *who, unsigned flags, int depth)
{
    bool notes = true;          /* a 】 may still come: looked for once, not again for each 【 */
    weft_buf_reset(&p->piece);
    for (size_t i = from; i < to;) {
        uint32_t cp;
        size_t plain = plain_bytes(line, i, to);
        if (plain) {
            weft_buf_add(&p->piece, line.s + i, plain);
            i += plain;
            continue;
        }
        size_t n = weft_utf8_decode(line.s + i, to - i, &cp, NULL), close;
        if (script_is_open(cp) && (close = script_bracket_close(&p->brackets, i, to)) != SIZE_MAX) {
            struct script_speech speech;
            struct weft_str name;
            struct weft_str inner = weft_str_sub(line, i + n, close), trimmed = weft_trim_left(inner);
            size_t inner_from = i + n + (inner.len - trimmed.len);
            bool aside = false;
            if (depth < ASIDE_MAX_DEPTH
                && !speech_of_known(p, line, inner_from, close, &speech, &name, &aside))
                return false;
            if (aside) {
                struct script_who other;
                unsigned other_flags =
                    (flags & ~(unsigned)(WEFT_TURN_CONTINUED | WEFT_TURN_REPAIRED | WEFT_TURN_REVIEW))
                    | WEFT_TURN_ASIDE;
                /* 快走（乙：好）。 - the mark ends what stands before the aside. */
                struct weft_str rest = weft_str_sub(line, close + char_len(line, close), to);
                bool ending = script_is_ending(rest);
                if (ending) weft_buf_str(&p->piece, weft_trim(rest));
                if (ending) to = close + char_len(line, close);
                if (!add_piece(p, who, flags)
                    || !script_names_resolve(&p->names, name, p->episode_number, &other)
                    || !add_text(p, line, speech.text_from, close, &other, other_flags, depth + 1))
                    return false;
                weft_buf_reset(&p->piece);
            } else add_direction(p, weft_trim(inner));
            i = close + char_len(line, close);
            continue;
        }
        if (cp == 0x3010 && notes) {    /* 【 */
            size_t end = weft_str_find(weft_str_sub(line, 0, to), WEFT_STR("】"), i);
            notes = end != SIZE_MAX;
            if (notes) {
                add_direction(p, weft_str_sub(line, i, end + 3));
                i = end + 3;
                continue;
            }
        }
        weft_buf_add(&p->piece, line.s + i, n);
        i += n;
    }
    return add_piece(p, who, flags);
}

static bool open_scene(struct parser *p, struct weft_str heading, int64_t number)
{
    struct weft_script *out = p->out;
    if (!close_turn(p) || !close_narration(p)
        || !WEFT_GROW(p->arena, out->scenes, out->n_scenes, p->cap_scenes))
        return false;
    out->scenes[out->n_scenes++] = (struct weft_scene){ .episode = p->episode,
                                                        .episode_number = p->episode_number,
                                                        .heading = heading,
                                                        .number = number,
                                                        .first_turn = out->n_turns };
    p->scene_number = number;
    p->has_speaker = false;
    p->pending = false;
    return true;
}

static bool add_narration(struct parser *p, struct weft_str text)
{
    struct weft_scene *scene = &p->out->scenes[p->out->n_scenes - 1];
    if (scene->n_turns || !text.len) return true;
    text = weft_nfc(p->arena, text);
    if (!text.s) return false;
    if (p->narration.len) weft_buf_char(&p->narration, '\n');
    weft_buf_str(&p->narration, text);
    return add_ref(p, &scene->first_ref, &scene->n_refs);
}

/* A line with something in it, in an open scene.  *class is what it turned out to be. */
static bool read_content(struct parser *p, const struct script_line *l, enum weft_line_class *class)
{
    struct script_speech speech;
    struct script_who who;
    struct weft_str name;
    size_t turns_before = p->out->n_turns, refs_before = p->out->n_refs;
    bool found = false, ok = true;

    if (l->kind == SCRIPT_BRACKETS) {
        struct weft_str inner = weft_str_sub(l->text, l->inner_from, l->inner_to);
        size_t from = l->inner_from + (inner.len - weft_trim_left(inner).len);
        if (!speech_of_known(p, l->text, from, l->inner_to, &speech, &name, &found)) return false;
        if (!found) {
            *class = WEFT_LINE_NARRATION;
            return add_narration(p, weft_trim(inner));
        }
        ok = script_names_resolve(&p->names, name, p->episode_number, &who) &&
             add_text(p, l->text, speech.text_from, l->inner_to, &who, WEFT_TURN_ASIDE, 0);
    } else if (l->kind == SCRIPT_STAGE) {
        *class = WEFT_LINE_NARRATION;
        return true;
    } else if (l->kind == SCRIPT_NOTE) {
        *class = WEFT_LINE_NOTE;
        return true;
    } else if (l->nameless) {
        p->speaker = (struct script_who){ .label = WEFT_STR("？") };
        p->has_speaker = true;
        who = p->speaker;
        ok = add_text(p, l->text, l->inner_from, l->text.len, &who, WEFT_TURN_REVIEW, 0);
    } else {
        unsigned flags = 0;
        size_t from = 0;
        bool speaks = script_line_speech(l->text, 0, l->text.len, &p->brackets, &speech);
        if (speaks) {
            name = script_name_clean(p->arena, speech.name);
            if (!name.s) return false;
            if (speech.sep == ':' && script_is_stage_word(name) && !weft_str_eq(name, p->names.role)) {
                *class = WEFT_LINE_NARRATION;
                return true;
            }
            speaks = speech.sep == ':' || script_names_known(&p->names, name);
        }
        if (speaks) {
            if (!script_names_resolve(&p->names, name, p->episode_number, &p->speaker)) return false;
            p->has_speaker = true;
            flags = speech.sep == ';' ? WEFT_TURN_REPAIRED : speech.sep == ',' ? WEFT_TURN_REVIEW : 0;
            if (speech.directed) flags |= WEFT_TURN_DIRECTED;
            from = speech.text_from;
        } else if (p->has_speaker) flags = WEFT_TURN_CONTINUED;
        else {
            *class = WEFT_LINE_ORPHAN;
            return true;
        }
        who = p->speaker;
        ok = add_text(p, l->text, from, l->text.len, &who, flags, 0);
    }
    *class = p->out->n_turns > turns_before || p->out->n_refs > refs_before ? WEFT_LINE_TURN : WEFT_LINE_ACTION;
    weft_buf_reset(&p->piece_directions);
    return ok;
}

static bool read_line(struct parser *p, struct weft_str raw, enum weft_line_class *class)
{
    struct script_line l;
    struct weft_str s = weft_trim(raw);
    if (!script_brackets_find(p->arena, &p->brackets, s)) return false;
    script_line_classify(s, &p->brackets, &l);
    switch (l.kind) {
    case SCRIPT_BLANK: *class = WEFT_LINE_BLANK; return true;
    case SCRIPT_EPISODE:
        *class = WEFT_LINE_EPISODE;
        p->episode = s;
        p->episode_number = l.number;
        p->pending = true;
        return true;
    case SCRIPT_SCENE:
        *class = WEFT_LINE_SCENE;
        if (l.resumed && p->out->n_scenes && p->scene_number == l.number) {
            p->pending = false;
            return true;
        }
        return open_scene(p, s, l.number);
    default:
        if (p->pending && !open_scene(p, (struct weft_str){ NULL, 0 }, -1)) return false;
        return read_content(p, &l, class);
    }
}

/* ---- the whole ---- */

static bool count_names(struct parser *p)
{
    for (size_t f = 0; f < p->out->n_texts; f++) {
        const struct weft_text *t = &p->out->texts[f];
        for (size_t i = 0; i < t->n_lines; i++) {
            struct script_line l;
            struct script_speech speech;
            struct weft_str s = weft_trim(weft_text_line(t, i));
            if (!script_brackets_find(p->arena, &p->brackets, s)) return false;
            script_line_classify(s, &p->brackets, &l);
            if (l.kind != SCRIPT_OTHER || !script_line_speech(s, 0, s.len, &p->brackets, &speech)
                || speech.sep != ':')
                continue;
            struct weft_str name = script_name_clean(p->arena, speech.name);
            if (!name.s || !script_names_count(&p->names, name)) return false;
        }
    }
    return script_names_chains(&p->names);
}

static int by_count(const void *a, const void *b)
{
    const struct weft_roster_name *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return weft_str_cmp(x->name, y->name);
}

static bool make_roster(struct parser *p)
{
    struct weft_script *out = p->out;
    out->roster = WEFT_NEWS(p->arena, struct weft_roster_name, p->names.n + 1);
    if (!out->roster) return false;
    for (size_t i = 0; i < p->names.n; i++) {
        const struct script_name *name = &p->names.items[i];
        struct script_who who;
        if (!name->count) continue;
        if (!script_names_resolve(&p->names, name->text, 0, &who)) return false;
        out->roster[out->n_roster++] = (struct weft_roster_name){ name->text, who.label, name->count };
    }
    qsort(out->roster, out->n_roster, sizeof *out->roster, by_count);
    return true;
}

enum weft_status weft_script_parse(struct weft_arena *a, const struct weft_text *texts, size_t n_texts,
                                   const struct weft_script_settings *s, struct weft_script *out,
                                   struct weft_err *err)
{
    struct parser p = { .arena = a, .s = s, .out = out, .scene_number = -1 };
    enum weft_status st;
    bool ok;

    *out = (struct weft_script){ .texts = texts, .n_texts = n_texts };
    self_index_make(&p.self_words);
    st = script_names_init(&p.names, a, s, err);
    if (st) return st;
    if (p.names.role.len) out->role = p.names.role;
    out->classes = WEFT_NEWS(a, unsigned char *, n_texts + 1);
    ok = out->classes && count_names(&p);
    for (size_t f = 0; ok && f < n_texts; f++) {
        const struct weft_text *t = &texts[f];
        out->classes[f] = WEFT_NEWS(a, unsigned char, t->n_lines + 1);
        ok = out->classes[f] != NULL;
        p.text_idx = f;
        p.episode = (struct weft_str){ NULL, 0 };
        p.episode_number = 0;
        p.pending = true;
        for (size_t i = 0; ok && i < t->n_lines; i++) {
            enum weft_line_class class = WEFT_LINE_BLANK;
            p.line_idx = i;
            ok = read_line(&p, weft_text_line(t, i), &class);
            out->classes[f][i] = (unsigned char)class;
        }
    }
    ok = ok && close_turn(&p) && close_narration(&p) && make_roster(&p);
    if (!ok) st = weft_fail_nomem(err, 0, "the screenplay");
    weft_buf_clear(&p.text);
    weft_buf_clear(&p.directions);
    weft_buf_clear(&p.narration);
    weft_buf_clear(&p.piece);
    weft_buf_clear(&p.piece_directions);
    return st;
}

static const struct weft_option script_rows[] = { WEFT_SCRIPT_OPTION_ROWS(struct weft_script_settings, ) };

struct weft_option_table weft_script_options(void)
{
    return (struct weft_option_table){ script_rows, WEFT_COUNT(script_rows) };
}

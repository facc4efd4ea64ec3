/* The default mode's parse: a pass that counts names, and a pass that builds scenes and turns, both by all threads.
 *
 * The first reads slices of lines, each for itself, and remembers of most lines what the second needs of them.  The
 * second reads pieces that begin where a scene does: nothing of what stands before it matters there but the episode,
 * which is handed from slice to slice.  A script without scenes is one piece.  Scenes, turns and lines of turns go to
 * arrays of the whole script, where each piece has room for the most it can have. */
#include "dataset/screenplay.h"

#include "dataset/normal.h"
#include "dataset/script_options.h"
#include "dataset/script_slice.h"
#include "dataset/script_turns.h"
#include "dataset/tally.h"

#include <stdlib.h>

struct episode {
    struct weft_str heading;            /* s == NULL: none */
    int64_t number;
};

struct slice {
    struct script_slice at;
    struct script_note *notes;          /* [end - first] */
    struct weft_tally names;            /* of lines with a colon ... */
    size_t *ids;                        /* ... and the index of each in the names of the script */
    struct script_room room;            /* for all of it */
    struct episode last;                /* episode met in it */
    bool failed;                        /* no memory */
    /* the first heading of a scene, where a piece may begin */
    bool has_cut;
    size_t cut;                         /* line */
    struct script_room before_cut;
    struct episode at_cut;              /* heading.s == NULL: that of the slice before */
};

struct piece {
    size_t slice, line;                 /* where it begins */
    struct episode episode;
    struct script_room begin, end;
    bool failed;
};

struct parser {
    struct weft_arena *arena;
    struct weft_script *out;
    struct script_names names;
    struct script_self_index self_words;
    struct slice *slices;
    size_t n_slices;
    struct piece *pieces;
    size_t n_pieces;
    struct weft_arena *arenas;          /* a thread each; they become part of `arena` */
    struct script_reader *readers;      /* the same */
};

/* ---- the first pass ---- */

static void meet_scene(struct slice *s, size_t line, bool resumed)
{
    if (!resumed && !s->has_cut) {
        s->has_cut = true;
        s->cut = line;
        s->before_cut = s->room;
        s->at_cut = s->last;
    }
    s->room.scenes++;
}

static bool note_line(struct weft_arena *a, struct script_brackets *brackets, struct slice *s, size_t i,
                      struct weft_str raw, struct script_note *note)
{
    struct weft_str line = weft_trim(raw);
    struct script_speech speech;
    struct script_line l = { .kind = SCRIPT_OTHER };
    bool plain = script_line_plain(line, &speech), bracketed = false;
    *note = (struct script_note){ 0 };
    if (!line.len) {
        note->from = SCRIPT_BLANK_LINE;
        return true;
    }
    if (plain) bracketed = script_next_open(line, speech.text_from, line.len, true) < line.len;
    brackets->n = 0;
    if ((!plain || bracketed) && !script_brackets_find(a, brackets, line)) return false;
    if (!plain) script_line_classify(line, brackets, &l);
    if (l.kind == SCRIPT_SCENE) meet_scene(s, i, l.resumed);
    if (l.kind == SCRIPT_EPISODE) {
        s->last = (struct episode){ line, l.number };
        s->room.scenes++;
    }
    /* Each aside may be a turn, and what follows it another. */
    s->room.turns += 1 + 2 * brackets->n;
    s->room.refs += 1 + 2 * brackets->n;
    if (!plain) {
        if (l.kind != SCRIPT_OTHER || !script_line_speech(line, 0, line.len, brackets, &speech) || speech.sep != ':')
            return true;
        speech.name = script_name_clean(a, speech.name);
        if (!speech.name.s) return false;
        bracketed = script_next_open(line, speech.text_from, line.len, true) < line.len;
    }
    const struct weft_tally_item *name = weft_tally_add(&s->names, speech.name, 0);
    if (!name) return false;
    if (line.len > SCRIPT_FROM || raw.len > SCRIPT_FROM) return true;
    struct weft_str text = weft_str_skip(line, speech.text_from);
    note->name = (uint32_t)(name - s->names.items) + 1;
    note->from = (uint32_t)speech.text_from | (speech.directed ? SCRIPT_DIRECTED : 0);
    if (!bracketed && text.len && weft_nfc_keeps(text)) {
        note->from += (uint32_t)(line.s - raw.s);
        note->len = (uint32_t)text.len;
    }
    return true;
}

static void note_slice(void *ctx, size_t k, int thread)
{
    struct parser *p = ctx;
    struct slice *s = &p->slices[k];
    const struct weft_text *t = &p->out->texts[s->at.text_idx];
    struct weft_arena *a = &p->arenas[thread];
    s->names.arena = a;
    s->room.scenes = s->at.begins;
    for (size_t i = s->at.first; i < s->at.end && !s->failed; i++)
        s->failed = !note_line(a, &p->readers[thread].brackets, s, i, weft_text_line(t, i),
                               &s->notes[i - s->at.first]);
}

static bool count_names(struct parser *p)
{
    for (size_t k = 0; k < p->n_slices; k++) {
        struct slice *s = &p->slices[k];
        if (s->failed) return false;
        s->ids = weft_arena_alloc(p->arena, s->names.n * sizeof *s->ids);
        if (!s->ids) return false;
        for (size_t i = 0; i < s->names.n; i++) {
            s->ids[i] = script_names_count(&p->names, s->names.items[i].text, s->names.items[i].count);
            if (s->ids[i] == SIZE_MAX) return false;
        }
    }
    return script_names_settle(&p->names);
}

/* ---- pieces ---- */

static struct script_room room_sum(struct script_room a, struct script_room b)
{
    return (struct script_room){ a.scenes + b.scenes, a.turns + b.turns, a.refs + b.refs };
}

/* Cuts the script, and makes room for all of it. */
static bool cut_pieces(struct parser *p)
{
    struct weft_script *out = p->out;
    struct script_room room = { 0 };
    struct episode episode = { 0 };
    p->pieces = WEFT_NEWS(p->arena, struct piece, p->n_slices + 1);
    if (!p->pieces) return false;
    p->n_pieces = 1;                    /* the first begins with the script */
    for (size_t k = 0; k < p->n_slices; k++) {
        const struct slice *s = &p->slices[k];
        if (s->at.begins) episode = (struct episode){ 0 };
        if (s->has_cut)
            p->pieces[p->n_pieces++] = (struct piece){ .slice = k,
                                                       .line = s->cut,
                                                       .episode = s->at_cut.heading.s ? s->at_cut : episode,
                                                       .begin = room_sum(room, s->before_cut) };
        if (s->last.heading.s) episode = s->last;
        room = room_sum(room, s->room);
    }
    size_t scenes, turns, refs;
    if (!weft_size_mul(room.scenes, sizeof *out->scenes, &scenes)
        || !weft_size_mul(room.turns, sizeof *out->turns, &turns)
        || !weft_size_mul(room.refs, sizeof *out->refs, &refs))
        return false;
    out->scenes = weft_arena_alloc(p->arena, scenes);
    out->turns = weft_arena_alloc(p->arena, turns);
    out->refs = weft_arena_alloc(p->arena, refs);
    out->n_turns = room.turns;
    return out->scenes && out->turns && out->refs;
}

/* ---- the second pass ---- */

/* Lines [first, end) of the slice. */
static bool read_lines(const struct parser *p, struct script_reader *r, const struct slice *s, size_t first, size_t end)
{
    const struct weft_text *t = &p->out->texts[s->at.text_idx];
    unsigned char *classes = p->out->classes[s->at.text_idx];
    enum { AHEAD = 12 };
    if (first == 0 && first < end) script_reader_text(r);
    for (size_t i = first; i < end; i++) {
        const struct script_note *note = &s->notes[i - s->at.first];
        enum weft_line_class class;
        /* what has to be read again left the cache long ago */
        if (i + AHEAD < end && !note[AHEAD].len) {
            __builtin_prefetch(t->text.s + t->lines[i + AHEAD].at);
            __builtin_prefetch(t->text.s + t->lines[i + AHEAD + 1].at - 1);
        }
        if (!script_reader_line(r, (struct weft_line_ref){ s->at.text_idx, i }, t, note,
                                note->name ? s->ids[note->name - 1] : SIZE_MAX, &class))
            return false;
        classes[i] = (unsigned char)class;
    }
    return true;
}

static void read_piece(void *ctx, size_t i, int thread)
{
    struct parser *p = ctx;
    struct piece *piece = &p->pieces[i];
    const struct piece *next = i + 1 < p->n_pieces ? piece + 1 : NULL;
    struct script_reader *r = &p->readers[thread];
    bool ok = true;
    script_reader_begin(r, piece->begin, piece->episode.heading, piece->episode.number);
    for (size_t k = piece->slice; ok && k < p->n_slices && (!next || k <= next->slice); k++) {
        const struct slice *s = &p->slices[k];
        ok = read_lines(p, r, s, k == piece->slice ? weft_max_size(piece->line, s->at.first) : s->at.first,
                        next && k == next->slice ? next->line : s->at.end);
    }
    piece->failed = !ok || !script_reader_end(r);
    piece->end = r->at;
}

/* The scenes of all pieces one behind the other. */
static bool join_scenes(struct parser *p)
{
    struct weft_script *out = p->out;
    for (size_t i = 0; i < p->n_pieces; i++) {
        const struct piece *piece = &p->pieces[i];
        size_t n = piece->end.scenes - piece->begin.scenes;
        if (piece->failed) return false;
        memmove(out->scenes + out->n_scenes, out->scenes + piece->begin.scenes, n * sizeof *out->scenes);
        out->n_scenes += n;
    }
    return true;
}

/* ---- the whole ---- */

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
        if (!name->count) continue;
        const struct weft_script_who *who = script_names_who(&p->names, p->arena, i, 0);
        if (!who) return false;
        out->roster[out->n_roster++] = (struct weft_roster_name){ name->text, who->label, name->count };
    }
    qsort(out->roster, out->n_roster, sizeof *out->roster, by_count);
    return true;
}

static bool make_slices(struct parser *p)
{
    struct weft_script *out = p->out;
    size_t lines = 0;
    for (size_t f = 0; f < out->n_texts; f++) lines += out->texts[f].n_lines;
    p->n_slices = script_slices_count(out->texts, out->n_texts);
    p->slices = WEFT_NEWS(p->arena, struct slice, p->n_slices + 1);
    out->classes = script_classes_new(p->arena, out->texts, out->n_texts);
    struct script_note *notes = weft_arena_alloc(p->arena, lines * sizeof *notes);
    if (!p->slices || !out->classes || !notes) return false;
    script_slices_write(out->texts, out->n_texts, p->slices, sizeof *p->slices);
    for (size_t k = 0; k < p->n_slices; k++) {
        p->slices[k].notes = notes;
        notes += p->slices[k].at.end - p->slices[k].at.first;
    }
    return true;
}

static bool make_readers(struct parser *p, const struct weft_script_settings *s, size_t n_threads)
{
    p->arenas = WEFT_NEWS(p->arena, struct weft_arena, n_threads);
    p->readers = WEFT_NEWS(p->arena, struct script_reader, n_threads);
    if (!p->arenas || !p->readers) return false;
    for (size_t i = 0; i < n_threads; i++) {
        p->arenas[i].max_bytes = p->arena->max_bytes;
        p->readers[i] = (struct script_reader){ .arena = &p->arenas[i], .s = s, .names = &p->names,
                                                .self_words = &p->self_words };
    }
    return true;
}

static bool parse(struct parser *p, struct weft_pool *pool, const struct weft_script_settings *s)
{
    struct weft_script *out = p->out;
    size_t n_threads = (size_t)weft_pool_threads(pool);
    if (!make_slices(p) || !make_readers(p, s, n_threads)) return false;
    weft_pool_run(pool, p->n_slices, note_slice, p);
    bool ok = count_names(p) && cut_pieces(p);
    for (size_t i = 0; ok && i < n_threads; i++) {
        p->readers[i].scenes = out->scenes;
        p->readers[i].turns = out->turns;
        p->readers[i].refs = out->refs;
    }
    if (ok) weft_pool_run(pool, p->n_pieces, read_piece, p);
    ok = ok && join_scenes(p) && make_roster(p);
    for (size_t i = 0; i < n_threads; i++) {
        script_reader_clear(&p->readers[i]);
        if (ok) ok = weft_arena_adopt(p->arena, &p->arenas[i]);
        weft_arena_clear(&p->arenas[i]);
    }
    return ok;
}

enum weft_status weft_script_parse(struct weft_arena *a, const struct weft_text *texts, size_t n_texts,
                                   const struct weft_script_settings *s, struct weft_script *out,
                                   struct weft_err *err)
{
    struct parser p = { .arena = a, .out = out };
    *out = (struct weft_script){ .texts = texts, .n_texts = n_texts };
    script_self_index_make(&p.self_words);
    enum weft_status st = script_names_init(&p.names, a, s, err);
    if (st) return st;
    if (p.names.role.len) out->role = p.names.role;
    struct weft_pool *pool = script_pool(texts, n_texts, s);
    if (!parse(&p, pool, s)) st = weft_fail_nomem(err, 0, "the screenplay");
    weft_pool_free(pool);
    return st;
}

static const struct weft_option script_rows[] = { WEFT_SCRIPT_OPTION_ROWS(struct weft_script_settings, ) };

struct weft_option_table weft_script_options(void)
{
    return (struct weft_option_table){ script_rows, WEFT_COUNT(script_rows) };
}

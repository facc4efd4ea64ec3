/* Mode default: rows from the parsed script.
 *
 * Pairs are made by all threads, some scenes at a time: first each turn of the role is judged, then the number of the
 * first row of each group of scenes is known, and the rows go to one array.  Conversations (turns multi) and
 * keep_per_prompt, which has to remember all prompts before, are the work of one thread. */
#include "base/pool.h"
#include "dataset/grow.h"
#include "dataset/normal.h"
#include "dataset/script_rows.h"
#include "dataset/words.h"

#include <stdlib.h>

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

/* One group of scenes. */
struct builder {
    struct weft_arena *arena;           /* of what its rows need */
    const struct weft_script *script;
    const struct weft_script_settings *s;
    struct script_fates *fates;
    struct weft_tally *prompts;         /* for keep_per_prompt */
    struct weft_tally speakers;         /* who prompts */
    struct weft_script_funnel f;
    struct weft_err *err;
};

static bool is_doubtful(const struct builder *b, const struct weft_script_turn *t)
{
    return (t->flags & WEFT_TURN_REVIEW) && !b->s->review;
}

static void use_refs(struct builder *b, size_t first, size_t n)
{
    for (size_t i = first; i < first + n; i++) script_fate_used(b->fates, b->script->refs[i]);
}

static void refuse(struct builder *b, const struct weft_script_turn *t, enum script_fate reason)
{
    for (size_t i = t->first_ref; i < t->first_ref + t->n_refs; i++)
        script_fate_reason(b->fates, b->script->refs[i], reason);
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

static void count_flags(struct builder *b, unsigned flags)
{
    b->f.merged += !!(flags & WEFT_TURN_MERGED);
    b->f.chorus += !!(flags & WEFT_TURN_CHORUS);
    b->f.repaired += !!(flags & WEFT_TURN_REPAIRED);
    b->f.review += !!(flags & WEFT_TURN_REVIEW);
    b->f.self += !!(flags & WEFT_TURN_SELF);
}

/* A row, from the first line of `begin` to the last line of `end`, the turn that answers (last). */
static enum weft_status make_row(struct builder *b, const struct weft_scene *scene, struct weft_turn *turns,
                                 size_t n_turns, struct weft_str speaker, unsigned flags,
                                 const struct weft_script_turn *begin, const struct weft_script_turn *end,
                                 struct script_row *row)
{
    const struct weft_line_ref *refs = b->script->refs;
    struct weft_line_ref from = refs[begin->first_ref], to = refs[end->first_ref + end->n_refs - 1];
    struct weft_buf buf = { 0 };
    enum weft_status st = WEFT_OK;
    *row = (struct script_row){ .turns = turns, .n_turns = n_turns, .via = WEFT_STR("script/default@1"),
                                .episode = scene->episode, .scene = scene->heading, .speaker = b->script->role,
                                .prompt_speaker = speaker };
    if (from.text_idx != to.text_idx) {
        flags |= FLAG_RESUMED;      /* asked in the file before: the origin names the answer's lines */
        for (size_t i = begin->first_ref; from.text_idx != to.text_idx; i++) from = refs[i];
    }
    row->text = &b->script->texts[to.text_idx];
    row->first_line = from.line_idx;
    row->last_line = to.line_idx;
    row->flags = flag_text(b->arena, flags);
    if (b->s->system) {
        st = fill(b, b->s->system, speaker, scene, &buf);
        if (!st) row->system = weft_str_dup(b->arena, weft_buf_view(&buf));
        if (!st && !row->system.s) st = weft_fail_nomem(b->err, buf.len, "the system text");
    }
    b->f.rows++;
    b->f.answers += n_turns / 2;
    count_flags(b, flags);
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
    enum weft_status st = fill(b, b->s->prefix, t->who->label, scene, &buf);
    weft_buf_str(&buf, t->text);
    if (!st) st = weft_buf_check(&buf, "a prompt", b->err);
    if (!st) *out = weft_str_dup(b->arena, weft_buf_view(&buf));
    if (!st && !out->s) st = weft_fail_nomem(b->err, buf.len, "a prompt");
    weft_buf_clear(&buf);
    return st;
}

/* ---- pairs ---- */

/* Most settings take texts of any length, and then none is read for it. */
static bool is_short(struct weft_str text, int64_t least)
{
    return least > 0 && weft_utf8_chars(text) < (uint64_t)least;
}

/* Why the turn cannot answer; SCRIPT_UNUSED: it can.  asked: the prompt, s == NULL: there is none. */
static enum weft_status why_not(struct builder *b, const struct weft_script_turn *t,
                                const struct weft_script_turn *ask, struct weft_str asked,
                                enum script_fate *reason)
{
    *reason = SCRIPT_UNUSED;
    if (is_doubtful(b, t) || (ask && is_doubtful(b, ask))) *reason = SCRIPT_DOUBTFUL;
    else if ((t->flags & WEFT_TURN_CHORUS) && !b->s->chorus) *reason = SCRIPT_CHORUS;
    else if (!asked.s) *reason = SCRIPT_NO_PROMPT;
    else if (ask && ask->who->role) *reason = SCRIPT_OWN_PROMPT;
    else if (is_short(asked, b->s->min_prompt_chars) || is_short(t->text, b->s->min_answer_chars))
        *reason = SCRIPT_SHORT;
    else if (b->s->keep_per_prompt) {
        const struct weft_tally_item *seen = weft_tally_add(b->prompts, asked, 0);
        if (!seen) return weft_fail_nomem(b->err, asked.len, "the prompts");
        if (seen->count > (uint64_t)b->s->keep_per_prompt) *reason = SCRIPT_KEPT;
    }
    return WEFT_OK;
}

/* What the turn before t answers, or the narration where t opens its scene; `ask` NULL then. */
static struct weft_str asked_before(const struct builder *b, const struct weft_scene *scene,
                                    const struct weft_script_turn *t, const struct weft_script_turn **ask)
{
    *ask = t > b->script->turns + scene->first_turn ? t - 1 : NULL;
    if (*ask) return (*ask)->text;
    return b->s->narration_prompt ? scene->narration : (struct weft_str){ NULL, 0 };
}

/* A turn of the role: does it answer? */
static enum weft_status judge(struct builder *b, const struct weft_scene *scene, const struct weft_script_turn *t,
                              bool *answers)
{
    const struct weft_script_turn *ask;
    struct weft_str asked = asked_before(b, scene, t, &ask);
    enum script_fate reason;
    enum weft_status st = why_not(b, t, ask, asked, &reason);
    *answers = !st && reason == SCRIPT_UNUSED;
    if (st) return st;
    if (!*answers) {
        refuse(b, t, reason);
        return WEFT_OK;
    }
    use_refs(b, t->first_ref, t->n_refs);
    if (!ask) {
        use_refs(b, scene->first_ref, scene->n_refs);
        return WEFT_OK;
    }
    use_refs(b, ask->first_ref, ask->n_refs);
    return count_speaker(b, ask->who->label);
}

/* The row of a turn that answers. */
static enum weft_status pair(struct builder *b, const struct weft_scene *scene, const struct weft_script_turn *t,
                             struct weft_turn turns[2], struct script_row *row)
{
    const struct weft_script_turn *ask;
    struct weft_str asked = asked_before(b, scene, t, &ask);
    enum weft_status st = ask ? prompt_text(b, ask, scene, &asked) : WEFT_OK;
    if (st) return st;
    turns[0] = (struct weft_turn){ WEFT_ROLE_USER, asked };
    turns[1] = (struct weft_turn){ WEFT_ROLE_ASSISTANT, t->text };
    if (!ask) return make_row(b, scene, turns, 2, (struct weft_str){ NULL, 0 }, t->flags | FLAG_NARRATION, t, t, row);
    return make_row(b, scene, turns, 2, ask->who->label, ask->flags | t->flags, ask, t, row);
}

/* ---- pairs by several threads ---- */

enum { GROUP_SCENES = 64 };

struct group {
    struct builder b;
    struct weft_arena arena;
    struct weft_err err;
    enum weft_status st;
    size_t n_rows, first_row;
};

struct pairs {
    const struct weft_script *script;
    const struct weft_script_settings *s;
    struct script_fates *fates;
    struct group *groups;
    size_t n_groups;
    unsigned char *answers;             /* [n_turns] 1: it does */
    struct script_block block;
};

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

/* Is the scene wanted?  One that is not gives its turns of the role a reason. */
static enum weft_status is_chosen(struct builder *b, const struct weft_scene *scene, bool *in)
{
    enum weft_status st = WEFT_OK;
    *in = true;
    if (b->s->episodes) st = in_ranges("episodes", b->s->episodes, scene->episode_number, in, b->err);
    if (!st && *in && b->s->scenes) st = in_ranges("scenes", b->s->scenes, scene->number, in, b->err);
    if (st || *in) return st;
    for (size_t k = scene->first_turn; k < scene->first_turn + scene->n_turns; k++) {
        b->f.role_turns += b->script->turns[k].who->role;
        refuse(b, &b->script->turns[k], SCRIPT_OTHER_EPISODE);
    }
    return WEFT_OK;
}

static void judge_group(void *ctx, size_t i, int thread)
{
    struct pairs *x = ctx;
    struct group *g = &x->groups[i];
    struct builder *b = &g->b;
    size_t end = weft_min_size((i + 1) * GROUP_SCENES, x->script->n_scenes);
    (void)thread;
    for (size_t k = i * GROUP_SCENES; k < end && !g->st; k++) {
        const struct weft_scene *scene = &x->script->scenes[k];
        const struct weft_script_turn *turn = x->script->turns + scene->first_turn;
        bool in;
        memset(x->answers + scene->first_turn, 0, scene->n_turns);
        g->st = is_chosen(b, scene, &in);
        for (size_t t = 0; in && t < scene->n_turns && !g->st; t++) {
            bool answers;
            if (!turn[t].who->role) {
                if (is_doubtful(b, &turn[t])) refuse(b, &turn[t], SCRIPT_DOUBTFUL);
                continue;
            }
            b->f.role_turns++;
            g->st = judge(b, scene, &turn[t], &answers);
            x->answers[scene->first_turn + t] = answers;
            g->n_rows += answers;
        }
    }
}

static void fill_group(void *ctx, size_t i, int thread)
{
    struct pairs *x = ctx;
    struct group *g = &x->groups[i];
    size_t at = g->first_row, end = weft_min_size((i + 1) * GROUP_SCENES, x->script->n_scenes);
    (void)thread;
    for (size_t k = i * GROUP_SCENES; k < end && at < g->first_row + g->n_rows; k++) {
        const struct weft_scene *scene = &x->script->scenes[k];
        for (size_t t = scene->first_turn; t < scene->first_turn + scene->n_turns && !g->st; t++) {
            struct script_row row;
            if (!x->answers[t]) continue;
            g->st = pair(&g->b, scene, &x->script->turns[t], x->block.turns + 2 * at, &row);
            if (!g->st) script_fill_row(&x->block.rows[at], script_block_id(&x->block, at), &row);
            at++;
        }
    }
}

/* What a group found, added to what is known. */
static enum weft_status take_group(struct builder *all, struct group *g)
{
    const struct weft_script_funnel *f = &g->b.f;
    if (g->st) return weft_fail_rule(all->err, g->st, g->err.rule, "%s", g->err.msg);
    if (!script_add_speakers(&all->speakers, &g->b.speakers) || !weft_arena_adopt(all->arena, &g->arena))
        return weft_fail_nomem(all->err, g->arena.held_bytes, "the rows");
    all->f.rows += f->rows;
    all->f.answers += f->answers;
    all->f.role_turns += f->role_turns;
    all->f.repaired += f->repaired;
    all->f.merged += f->merged;
    all->f.review += f->review;
    all->f.chorus += f->chorus;
    all->f.self += f->self;
    return WEFT_OK;
}

static enum weft_status all_pairs(struct builder *all, struct weft_pool *pool, struct weft_rows *rows)
{
    struct weft_arena *a = all->arena;
    const struct weft_script *script = all->script;
    struct pairs x = { .script = script, .s = all->s, .fates = all->fates,
                       .n_groups = weft_ceil_div(script->n_scenes, GROUP_SCENES) };
    size_t n_rows = 0;
    enum weft_status st = WEFT_OK;
    x.groups = WEFT_NEWS(a, struct group, x.n_groups + 1);
    x.answers = weft_arena_alloc(a, script->n_turns);
    if (!x.groups || !x.answers) return weft_fail_nomem(all->err, script->n_turns, "the rows");
    for (size_t i = 0; i < x.n_groups; i++) {
        struct group *g = &x.groups[i];
        g->arena.max_bytes = a->max_bytes;
        g->err.lang = all->err ? all->err->lang : WEFT_LANG_EN;
        g->b.script = script;
        g->b.s = all->s;
        g->b.fates = all->fates;
        g->b.prompts = all->prompts;
        g->b.arena = g->b.speakers.arena = &g->arena;
        g->b.err = &g->err;
    }
    weft_pool_run(all->s->keep_per_prompt ? NULL : pool, x.n_groups, judge_group, &x);
    for (size_t i = 0; i < x.n_groups; i++) {
        x.groups[i].first_row = n_rows;
        n_rows += x.groups[i].n_rows;
        if (x.groups[i].st && !st) st = x.groups[i].st;
    }
    if (!st && !script_block_make(&x.block, a, rows, n_rows)) st = weft_fail_nomem(all->err, n_rows, "the rows");
    else if (!st) weft_pool_run(pool, x.n_groups, fill_group, &x);
    for (size_t i = 0; i < x.n_groups; i++) {
        if (!st || x.groups[i].st) st = take_group(all, &x.groups[i]);
        weft_arena_clear(&x.groups[i].arena);
    }
    if (!st) rows->n += n_rows;
    return st;
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
    if (t->who->role) {        /* a chorus, then the role alone: one answer */
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
    const struct weft_tally_item *who = weft_tally_add(&x->who, t->who->label, 0);
    if (!who) return weft_fail_nomem(b->err, 64, "the speakers");
    return who->count == 1 ? count_speaker(b, t->who->label) : WEFT_OK;
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
static enum weft_status session(struct builder *b, const struct weft_scene *scene, size_t first, size_t end,
                                struct weft_rows *rows)
{
    const struct weft_script_turn *turn = b->script->turns + scene->first_turn;
    struct session x = { .b = b, .who = { .arena = b->arena } };
    struct weft_str speaker;
    struct script_row row;
    enum weft_status st = WEFT_OK;
    bool narrated = first == 0 && end && turn->who->role && b->s->narration_prompt && scene->narration.s;

    if (narrated) {
        weft_buf_str(&x.ask, scene->narration);
        x.flags |= FLAG_NARRATION;
    }
    /* A turn of the role that nobody asks stays out. */
    for (; !narrated && first < end && turn[first].who->role; first++)
        refuse(b, &turn[first],
               !first                             ? SCRIPT_NO_PROMPT
               : is_doubtful(b, &turn[first - 1]) ? SCRIPT_DOUBTFUL
                                                  : SCRIPT_OWN_PROMPT);
    while (end > first && !turn[end - 1].who->role) end--;
    if (first == end) goto done;
    if (narrated) use_refs(b, scene->first_ref, scene->n_refs);
    for (size_t i = first; i < end && !st; i++) st = session_turn(&x, scene, &turn[i]);
    if (!st) st = close_exchange(&x);
    if (!st) st = join_speakers(&x, &speaker);
    if (!st) st = make_row(b, scene, x.turns, x.n, speaker, x.flags, &turn[first], &turn[end - 1], &row);
    if (!st) st = script_add_row(b->arena, rows, &row, b->err);
done:
    weft_buf_clear(&x.ask);
    weft_buf_clear(&x.answer);
    return st;
}

static enum weft_status scene_sessions(struct builder *b, const struct weft_scene *scene, struct weft_rows *rows)
{
    const struct weft_script_turn *turn = b->script->turns + scene->first_turn;
    size_t first = 0;
    for (size_t i = 0; i <= scene->n_turns; i++) {
        bool end = i == scene->n_turns, role = !end && turn[i].who->role;
        bool doubtful = !end && is_doubtful(b, &turn[i]);
        bool chorus = role && (turn[i].flags & WEFT_TURN_CHORUS) && !b->s->chorus;
        b->f.role_turns += role;
        if (!end && !doubtful && !chorus) continue;
        if (!end) refuse(b, &turn[i], doubtful ? SCRIPT_DOUBTFUL : SCRIPT_CHORUS);
        enum weft_status st = session(b, scene, first, i, rows);
        if (st) return st;
        first = i + 1;
    }
    return WEFT_OK;
}

static enum weft_status all_sessions(struct builder *b, struct weft_rows *rows)
{
    for (size_t i = 0; i < b->script->n_scenes; i++) {
        const struct weft_scene *scene = &b->script->scenes[i];
        bool in;
        enum weft_status st = is_chosen(b, scene, &in);
        if (!st && in && scene->n_turns) st = scene_sessions(b, scene, rows);
        if (st) return st;
    }
    return WEFT_OK;
}

/* ---- the whole ---- */

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
    struct weft_tally_item *item = NULL;
    for (size_t i = first; i < rows->n; i++) {
        struct weft_str episode = rows->items[i].origin.episode;
        if (!episode.len) continue;
        if (item && item->text.s == episode.s) item->count++;       /* still the one of the row before */
        else if (!(item = weft_tally_add(&t, episode, i))) return false;
    }
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
    struct script_fates fates;
    struct weft_tally prompts = { .arena = a };
    struct builder b = { .arena = a, .script = &script, .s = s, .fates = &fates, .prompts = &prompts, .err = err,
                         .speakers.arena = a };
    struct weft_pool *pool = NULL;
    size_t first_row = rows->n;
    enum weft_status st = weft_script_parse(a, texts, n_texts, s, &script, err);
    if (st) return st;
    if (!script_fates_init(a, texts, n_texts, &fates)) return weft_fail_nomem(err, 0, "the line table");
    if (s->turns == WEFT_SCRIPT_MULTI) st = all_sessions(&b, rows);
    else {
        pool = script_pool(texts, n_texts, s);
        st = all_pairs(&b, pool, rows);
    }
    weft_pool_free(pool);
    if (st) return st;
    *funnel = b.f;
    if (!script_speakers(a, &b.speakers, funnel) || !role_names(a, &script, funnel) ||
        !rows_by_episode(a, rows, first_row, funnel))
        return weft_fail_nomem(err, 0, "the speakers");
    return script_account(a, &fates, script.classes, report, funnel, err);
}

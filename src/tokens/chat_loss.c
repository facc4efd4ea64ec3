/* From tags to loss: each run of bytes of one assistant message is an answer; its loss begins behind the
 * generation prompt before it and ends behind the end-of-turn marker after it. */
#include "tokens/chat_parts.h"

struct reach { /* bytes of one message, no other's between them */
    size_t begin, end;
    size_t message;
};

struct interval {
    size_t begin, end;
};

static size_t last_of(struct weft_str s, struct weft_str needle)
{
    size_t at = SIZE_MAX;
    for (size_t from = 0, hit; (hit = weft_str_find(s, needle, from)) != SIZE_MAX; from = hit + 1) at = hit;
    return at;
}

/* Where the generation prompt ends in the text before an answer; SIZE_MAX: it is not there.  Prompts that
 * already open or close a thought are not in front of answers without one: then the part up to an earlier
 * tag or line counts, if it is most of the prompt. */
static size_t after_prompt(struct weft_str gap, struct weft_str prompt)
{
    for (size_t n = prompt.len; n && n >= prompt.len / 2; n--) {
        if (n < prompt.len && prompt.s[n - 1] != '>' && prompt.s[n - 1] != '\n') continue;
        size_t at = last_of(gap, weft_str_sub(prompt, 0, n));
        if (at != SIZE_MAX) return at + n;
    }
    return SIZE_MAX;
}

/* Loss of the answer whose bytes are [x.begin, x.end), between the messages that end at `before` and begin
 * at `next`. */
static struct interval answer_loss(struct weft_str text, const struct weft_chat_shape *sh, struct reach x,
                                   size_t before, size_t next, bool trailing)
{
    struct interval loss = { x.begin, x.end };
    struct weft_str gap = weft_str_sub(text, before, x.begin), tail = weft_str_sub(text, x.end, next);
    size_t at = sh->prompt.len                                   ? after_prompt(gap, sh->prompt)
                : sh->lead.len && weft_str_starts(gap, sh->lead) ? sh->lead.len
                                                                 : SIZE_MAX;
    if (at != SIZE_MAX) loss.begin = before + at;
    size_t end = sh->trailer.len ? weft_str_find(tail, sh->trailer, 0) : SIZE_MAX;
    if (end != SIZE_MAX) loss.end = x.end + end + (trailing ? sh->trailer.len : sh->marker.len);
    else if (sh->marker.len && (end = weft_str_find(tail, sh->marker, 0)) != SIZE_MAX)
        loss.end = x.end + end + sh->marker.len;
    return loss;
}

/* Spans of the output: cut wherever the tag or the loss changes. */
static enum weft_status make_spans(struct weft_arena *a, const struct weft_jinja_text *x, bool generation,
                                   const struct interval *loss, size_t n_loss, struct weft_chat_text *out,
                                   struct weft_err *err)
{
    size_t cap = x->n_spans + 2 * n_loss + 1, n = 0, l = 0;
    struct weft_chat_span *spans = WEFT_NEWS(a, struct weft_chat_span, cap);
    if (!spans) return weft_fail_nomem(err, cap * sizeof *spans, "a rendered template");
    for (size_t i = 0, at = 0; i < x->n_spans; i++) {
        while (at < x->spans[i].end) {
            size_t end = x->spans[i].end;
            bool carries = generation && x->spans[i].generation;
            if (!generation) {
                while (l < n_loss && loss[l].end <= at) l++;
                carries = l < n_loss && loss[l].begin <= at;
                if (l < n_loss) end = weft_min_size(end, carries ? loss[l].end : loss[l].begin);
            }
            bool from_template = x->spans[i].tag == 0;
            if (n && spans[n - 1].from_template == from_template && spans[n - 1].loss == carries)
                spans[n - 1].end = end;
            else spans[n++] = (struct weft_chat_span){ at, end, from_template, carries };
            at = end;
        }
    }
    *out = (struct weft_chat_text){ x->text, spans, n, x->pieces, x->n_pieces };
    return WEFT_OK;
}

/* An answer of which not one byte is in the text (it is empty) still has its prompt and end marker,
 * somewhere between the messages before it and the next. */
static bool empty_answer(struct weft_str text, const struct weft_chat_shape *sh, const struct reach *runs,
                         size_t n_runs, size_t k, struct reach *out)
{
    size_t before = 0, next = text.len;
    for (size_t i = 0; i < n_runs; i++)
        if (runs[i].message < k) before = weft_max_size(before, runs[i].end);
    for (size_t i = n_runs; i-- > 0;)
        if (runs[i].begin >= before && runs[i].message > k) next = runs[i].begin;
    struct weft_str gap = weft_str_sub(text, before, next);
    size_t at = sh->prompt.len ? weft_str_find(gap, sh->prompt, 0) : SIZE_MAX;
    if (at == SIZE_MAX || !sh->trailer.len) return false;
    at += sh->prompt.len;
    if (weft_str_find(gap, sh->trailer, at) == SIZE_MAX) return false;
    *out = (struct reach){ before + at, before + at, k };
    return true;
}

static void insert_interval(struct interval *v, size_t *n, struct interval x)
{
    size_t at = *n;
    for (; at && v[at - 1].begin > x.begin; at--) v[at] = v[at - 1];
    if (at && v[at - 1].end > x.begin) x.begin = v[at - 1].end;
    if (at < *n && v[at + 1].begin < x.end) x.end = v[at + 1].begin;
    v[at] = x;
    ++*n;
}

/* In a template with generation blocks: a block that prints a muted message carries no loss. */
static void mute(struct weft_chat_text *out, const struct weft_jinja_text *x, const bool *muted, size_t n)
{
    for (size_t i = 0, next; i < out->n_spans; i = next) {
        bool quiet = false;
        for (next = i; next < out->n_spans && out->spans[next].loss; next++) continue;
        if (next == i) {
            next++;
            continue;
        }
        for (size_t k = 0, at = 0; k < x->n_spans; at = x->spans[k++].end) {
            int64_t message = (int64_t)x->spans[k].tag - WEFT_TAG_MESSAGE;
            quiet |= at < out->spans[next - 1].end && x->spans[k].end > out->spans[i].begin && message >= 0
                     && (size_t)message < n && muted[message];
        }
        for (size_t k = i; quiet && k < next; k++) out->spans[k].loss = false;
    }
}

/* `answers[k]`: message k is the assistant's and is to be learnt; `muted[k]`: the assistant's, but not to be learnt. */
enum weft_status weft_chat_find_loss(struct weft_arena *a, const struct weft_chat_template *t,
                                     const struct weft_chat_settings *s, const struct weft_jinja_text *x,
                                     const bool *answers, const bool *muted, size_t n, struct weft_chat_text *out,
                                     struct weft_err *err)
{
    struct weft_chat_shape shape = { 0 };
    size_t n_loss = 0, n_runs = 0;
    bool any = false;
    if (t->can.generation) {
        enum weft_status st = make_spans(a, x, true, NULL, 0, out, err);
        if (!st && muted) mute(out, x, muted, n);
        return st;
    }
    struct reach *runs = WEFT_NEWS(a, struct reach, x->n_spans), found;
    struct interval *loss = WEFT_NEWS(a, struct interval, n + 1);
    bool *seen = WEFT_NEWS(a, bool, n);
    if (!runs || !loss || !seen)
        return weft_fail_nomem(err, x->n_spans * sizeof *runs, "a rendered template");
    for (size_t k = 0; k < n; k++) any |= answers[k];
    if (any && s->shape) shape = *s->shape;
    else if (any) weft_chat_learn_shape(a, t, s, &shape);
    for (size_t i = 0, at = 0; any && i < x->n_spans; at = x->spans[i++].end) {
        if (x->spans[i].tag < WEFT_TAG_MESSAGE) continue;
        size_t k = (size_t)(x->spans[i].tag - WEFT_TAG_MESSAGE);
        if (!n_runs || runs[n_runs - 1].message != k) runs[n_runs++] = (struct reach){ at, at, k };
        runs[n_runs - 1].end = x->spans[i].end;
    }
    for (size_t i = 0; i < n_runs; i++) {
        size_t k = runs[i].message, before = i ? runs[i - 1].end : 0,
               next = i + 1 < n_runs ? runs[i + 1].begin : x->text.len;
        if (k >= n || seen[k]) continue; /* printed again: the first time counts */
        seen[k] = true;
        if (answers[k])
            insert_interval(loss, &n_loss,
                            answer_loss(x->text, &shape, runs[i], before, next, s->train_trailing));
    }
    for (size_t k = 0; k < n; k++)
        if (answers[k] && !seen[k] && empty_answer(x->text, &shape, runs, n_runs, k, &found))
            insert_interval(loss, &n_loss,
                            answer_loss(x->text, &shape, found, found.begin, x->text.len, s->train_trailing));
    return make_spans(a, x, false, loss, n_loss, out, err);
}

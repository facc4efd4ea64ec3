#include "dataset/retrieve.h"

#include "dataset/grow.h"
#include "dataset/tally.h"

#include <math.h>

struct posting {
    uint32_t text, count, next; /* next: index + 1 of the term's posting before; 0: none */
};

struct weft_retriever {
    struct weft_tally terms;    /* count: in how many texts */
    uint32_t *last;             /* [terms.n] index + 1 of the newest posting */
    size_t cap_last;
    struct posting *postings;
    size_t n_postings, cap_postings;
    uint32_t *lengths;          /* [n] terms of each text */
    size_t n;
    double mean;
};

static bool is_word(uint32_t cp)
{
    return (cp >= '0' && cp <= '9') || ((cp | 32) >= 'a' && (cp | 32) <= 'z') || (cp >= 0xC0 && cp < 0x2000);
}
static bool is_wide(uint32_t cp) { return cp >= 0x2E80 && !(cp >= 0x3000 && cp < 0x3040) && cp < 0xFF00; }

/* The next term at or behind *at; false at the end.  Words are lowered into `word` [64]. */
static bool next_term(struct weft_str s, size_t *at, char word[64], struct weft_str *term)
{
    while (*at < s.len) {
        uint32_t cp, after;
        size_t n = weft_utf8_decode(s.s + *at, s.len - *at, &cp, NULL);
        if (is_wide(cp)) {
            size_t begin = *at, next = begin + n;
            *at = next;
            if (next < s.len) {
                size_t m = weft_utf8_decode(s.s + next, s.len - next, &after, NULL);
                if (is_wide(after)) {
                    *term = weft_str_sub(s, begin, next + m);
                    return true;
                }
            }
        } else if (is_word(cp)) {
            size_t len = 0;
            while (*at < s.len) {
                n = weft_utf8_decode(s.s + *at, s.len - *at, &cp, NULL);
                if (!is_word(cp)) break;
                for (size_t i = 0; i < n && len < 64; i++) {
                    char c = s.s[*at + i];
                    word[len++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
                }
                *at += n;
            }
            *term = (struct weft_str){ word, len };
            return true;
        } else *at += n;
    }
    return false;
}

static bool add_term(struct weft_arena *a, struct weft_retriever *r, struct weft_str term, size_t text)
{
    size_t before = r->terms.n;
    struct weft_tally_item *item = weft_tally_add(&r->terms, term, r->terms.n);
    if (!item) return false;
    if (r->terms.n > before) {
        item->text = weft_str_dup(a, term);
        if (!item->text.s || !WEFT_GROW(a, r->last, before, r->cap_last)) return false;
        r->last[before] = 0;
    }
    uint32_t *last = &r->last[item->first];
    r->lengths[text]++;
    if (*last && r->postings[*last - 1].text == text) {
        item->count--;
        r->postings[*last - 1].count++;
        return true;
    }
    if (!WEFT_GROW(a, r->postings, r->n_postings, r->cap_postings) || r->n_postings >= UINT32_MAX - 1) return false;
    r->postings[r->n_postings] = (struct posting){ (uint32_t)text, 1, *last };
    *last = (uint32_t)++r->n_postings;
    return true;
}

enum weft_status weft_retriever_new(struct weft_arena *a, const struct weft_str *texts, size_t n,
                                    struct weft_retriever **out, struct weft_err *err)
{
    struct weft_retriever *r = WEFT_NEW(a, struct weft_retriever);
    uint64_t total = 0;
    char word[64];
    struct weft_str term;
    if (!r || !(r->lengths = WEFT_NEWS(a, uint32_t, n))) return weft_fail_nomem(err, n * 4, "the index of texts");
    r->terms.arena = a;
    r->n = n;
    for (size_t i = 0; i < n; i++) {
        for (size_t at = 0; next_term(texts[i], &at, word, &term);)
            if (!add_term(a, r, term, i)) return weft_fail_nomem(err, texts[i].len, "the index of texts");
        total += r->lengths[i];
    }
    r->mean = n ? (double)total / (double)n : 0;
    *out = r;
    return WEFT_OK;
}

static bool better(const double *scores, size_t x, size_t y) { return scores[x] > scores[y] || (scores[x] == scores[y] && x < y); }

enum weft_status weft_retrieve(struct weft_arena *scratch, const struct weft_retriever *r, struct weft_str query,
                               size_t k, size_t *out, size_t *n, struct weft_err *err)
{
    static const double k1 = 1.2, b = 0.75;
    struct weft_arena_mark mark = weft_arena_mark(scratch);
    struct weft_tally asked = { .arena = scratch };
    double *scores = WEFT_NEWS(scratch, double, r->n);
    char word[64];
    struct weft_str term;
    enum weft_status st = scores ? WEFT_OK : weft_fail_nomem(err, r->n * sizeof *scores, "the index of texts");
    *n = 0;
    for (size_t at = 0; !st && next_term(query, &at, word, &term);) {
        struct weft_str key = weft_str_dup(scratch, term);
        if (!key.s || !weft_tally_add(&asked, key, 0)) st = weft_fail_nomem(err, term.len, "the index of texts");
    }
    for (size_t q = 0; !st && q < asked.n; q++) {
        size_t t = weft_tally_find(&r->terms, asked.items[q].text);
        if (t == SIZE_MAX) continue;
        double df = (double)r->terms.items[t].count, idf = log(1 + ((double)r->n - df + 0.5) / (df + 0.5));
        for (uint32_t p = r->last[t]; p; p = r->postings[p - 1].next) {
            const struct posting *x = &r->postings[p - 1];
            double tf = x->count, norm = k1 * (1 - b + b * r->lengths[x->text] / r->mean);
            scores[x->text] += idf * tf * (k1 + 1) / (tf + norm);
        }
    }
    for (size_t i = 0; !st && i < r->n; i++) {
        if (scores[i] <= 0) continue;
        size_t at = *n < k ? (*n)++ : k;
        if (at == k) {
            if (!k || !better(scores, i, out[k - 1])) continue;
            at = k - 1;
        }
        for (; at > 0 && better(scores, i, out[at - 1]); at--) out[at] = out[at - 1];
        out[at] = i;
    }
    weft_arena_release(scratch, mark);
    return st;
}

/* tokens/added.c - leftmost-longest Aho-Corasick
 *
 * A state whose own path holds a complete pattern does not fail over to a later beginning: leftmost wins,
 * so the search ends there.  A state without one inherits the pattern that its failure state completes,
 * because a longer one that began earlier may still break off.  Children are lists: beyond the root a
 * state has one child almost always.
 */
#include "tokens/added.h"

#include <stdlib.h>

static int32_t child_of(const struct weft_finder *f, int32_t node, unsigned char byte)
{
    if (node == 0) return f->first[byte];
    int32_t c = f->nodes[node].first_child;
    while (c >= 0 && f->nodes[c].byte != byte) c = f->nodes[c].sibling;
    return c;
}

static void insert(struct weft_finder *f, struct weft_str pattern, int32_t token)
{
    int32_t node = 0;
    for (size_t i = 0; i < pattern.len; i++) {
        unsigned char byte = (unsigned char)pattern.s[i];
        int32_t child = child_of(f, node, byte);
        if (child < 0) {
            child = (int32_t)f->n_nodes++;
            f->nodes[child] =
                (struct weft_finder_node){ -1, f->nodes[node].first_child, 0, -1, (uint32_t)i + 1, byte };
            f->nodes[node].first_child = child;
            if (node == 0) f->first[byte] = child;
        }
        node = child;
    }
    if (f->nodes[node].token < 0) f->nodes[node].token = token; /* equal patterns: the first keeps it */
}

/* Breadth first, so that the failure of a parent is known before its children's. */
static bool link_failures(struct weft_finder *f)
{
    int32_t *queue = malloc(f->n_nodes * sizeof *queue);
    bool *complete = calloc(f->n_nodes, sizeof *complete); /* own path holds a pattern */
    size_t head = 0, tail = 0;
    if (queue && complete) queue[tail++] = 0;
    while (head < tail) {
        int32_t node = queue[head++];
        for (int32_t c = f->nodes[node].first_child; c >= 0; c = f->nodes[c].sibling) {
            struct weft_finder_node *n = &f->nodes[c];
            queue[tail++] = c;
            complete[c] = complete[node] || n->token >= 0;
            if (complete[c]) {
                n->fail = -1;
                continue;
            }
            int32_t to = node == 0 ? 0 : f->nodes[node].fail, next = -1;
            while (node != 0 && (next = child_of(f, to, n->byte)) < 0 && to != 0) {
                to = f->nodes[to].fail;
                if (to < 0) break;
            }
            n->fail = next >= 0 ? next : to < 0 ? -1 : 0;
            if (n->fail >= 0) n->token = f->nodes[n->fail].token;
        }
    }
    bool ok = queue && complete;
    free(queue);
    free(complete);
    return ok;
}

enum weft_status weft_finder_build(struct weft_finder *f, const struct weft_added_token *tokens, size_t n,
                                   bool normalized, struct weft_err *err)
{
    size_t max_nodes = 1, used = 0;
    *f = (struct weft_finder){ .tokens = tokens, .only_first = -1 };
    for (size_t i = 0; i < n; i++)
        if (tokens[i].normalized == normalized && tokens[i].pattern.len)
            max_nodes += tokens[i].pattern.len, used++;
    if (!used) return WEFT_OK;
    if (max_nodes > INT32_MAX)
        return weft_fail(err, WEFT_ELIMIT, "the added tokens have more than %d bytes", INT32_MAX);
    f->nodes = malloc(max_nodes * sizeof *f->nodes);
    if (!f->nodes) return weft_fail_nomem(err, max_nodes * sizeof *f->nodes, "added tokens");
    for (size_t b = 0; b < 256; b++) f->first[b] = -1;
    f->nodes[0] = (struct weft_finder_node){ -1, -1, 0, -1, 0, 0 };
    f->n_nodes = 1;
    for (size_t i = 0; i < n; i++)
        if (tokens[i].normalized == normalized && tokens[i].pattern.len)
            insert(f, tokens[i].pattern, (int32_t)i);
    if (!link_failures(f)) {
        weft_finder_clear(f);
        return weft_fail_nomem(err, max_nodes * sizeof *f->nodes, "added tokens");
    }
    int32_t first = f->nodes[0].first_child;
    if (f->nodes[first].sibling < 0) f->only_first = f->nodes[first].byte;
    return WEFT_OK;
}

void weft_finder_clear(struct weft_finder *f)
{
    free(f->nodes);
    *f = (struct weft_finder){ .only_first = -1 };
}

/* The next pattern, whatever its flags say. */
static bool next_pattern(const struct weft_finder *f, struct weft_str text, size_t from,
                         struct weft_found *out)
{
    int32_t node = 0;
    bool found = false;
    for (size_t i = from; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.s[i];
        if (node == 0) { /* most of the text: no pattern begins here */
            if (f->only_first >= 0) {
                const char *hit = memchr(text.s + i, f->only_first, text.len - i);
                if (!hit) return false;
                i = (size_t)(hit - text.s);
            } else {
                while (f->first[byte] < 0) {
                    if (++i == text.len) return false;
                    byte = (unsigned char)text.s[i];
                }
            }
            byte = (unsigned char)text.s[i];
        }
        int32_t child;
        while ((child = child_of(f, node, byte)) < 0 && node != 0) {
            node = f->nodes[node].fail;
            if (node < 0) return found;
        }
        node = child < 0 ? 0 : child;
        /* After a pattern was inherited, a fall back to the root means that nothing longer will come. */
        if (node == 0 && found) return true;
        int32_t token = f->nodes[node].token;
        if (token >= 0) {
            size_t begin = i + 1 - f->tokens[token].pattern.len;
            if (!found || begin <= out->begin) *out = (struct weft_found){ token, begin, i + 1 };
            found = true;
        } else if (found && i + 1 - f->nodes[node].depth > out->begin) {
            return true; /* what goes on began behind the one found */
        }
    }
    return found;
}

static bool word_at(const struct weft_unicode *u, struct weft_str text, size_t at)
{
    size_t n;
    return at < text.len
           && (weft_unicode_class(u, weft_unicode_next((const unsigned char *)text.s + at, &n))
               & WEFT_UNI_WORD);
}

/* Start of the character that ends at `at` > 0. */
static size_t char_before(struct weft_str text, size_t at)
{
    do at--;
    while (at && ((unsigned char)text.s[at] & 0xC0) == 0x80);
    return at;
}

static bool space_at(const struct weft_unicode *u, struct weft_str text, size_t at, size_t *n)
{
    return weft_unicode_class(u, weft_unicode_next((const unsigned char *)text.s + at, n)) & WEFT_UNI_SPACE;
}

bool weft_finder_next(const struct weft_finder *f, const struct weft_unicode *u, struct weft_str text,
                      size_t from, bool plain, struct weft_found *out)
{
    if (!f->nodes) return false;
    for (size_t at = from; next_pattern(f, text, at, out); at = out->end) {
        const struct weft_added_token *t = &f->tokens[out->token];
        size_t n;
        if (plain && t->special) continue;
        if (t->single_word
            && ((out->begin && word_at(u, text, char_before(text, out->begin)))
                || word_at(u, text, out->end)))
            continue;
        if (t->lstrip)
            while (out->begin > from && space_at(u, text, char_before(text, out->begin), &n))
                out->begin = char_before(text, out->begin);
        if (t->rstrip)
            while (out->end < text.len && space_at(u, text, out->end, &n)) out->end += n;
        return true;
    }
    return false;
}

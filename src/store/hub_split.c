/* One large file in several ranges at a time.  The file is cut into chunks; each range fetches the next chunk that
 * nobody has, so that a slow connection holds up its own chunk and not a quarter of the file, and the beginning, which
 * the digest needs first, comes first.  The digest follows behind what is there without a gap, a few megabytes at a
 * turn of the loop.
 *
 * The first range goes alone: its reply tells whether the server knows ranges.  When it does not, when it answers twice
 * from another place than asked, or when the entity tag changes on the way (then the pieces may be of two files), the
 * file comes in one stream instead, from its beginning.  A digest that does not fit ends there as well. */
#include "store/hub_job_parts.h"
#include "store/hub_journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_RANGES = 16, DEFAULT_RANGES = 4, HASH_BYTES = 8 << 20, PIECE = 1 << 16 };
static const uint64_t default_chunk = 64 << 20, least_chunk = 64 << 10;

struct range {
    struct weft_hub_split *s;
    size_t chunk;
    bool busy; /* it has a chunk: a call, or a timer until the next one */
    struct weft_http_call *call;
    uint64_t timer;
    uint64_t mark; /* bytes of the file that had come when a try failed last */
    int tries;     /* failed since anything of the file came */
    int misplaced; /* replies from another place than asked */
    bool wrong;    /* this reply is one */
};

struct weft_hub_split {
    struct weft_hub_job *j;
    struct weft_hub_journal parts;
    struct range ranges[MAX_RANGES];
    size_t n_ranges, n_busy, next; /* next: all chunks before are whole or taken */
    uint64_t received, hashed, hash_timer;
    char etag[128];
    bool proven; /* a range was served as asked */
    bool alone;  /* to be fetched in one stream instead */
};

static void go_on(struct weft_hub_split *s);

static int ranges_of(const struct weft_hub_options *o)
{
    int n = o->ranges > 0 ? o->ranges : DEFAULT_RANGES;
    return n < MAX_RANGES ? n : MAX_RANGES;
}

static uint64_t chunk_of(const struct weft_hub_options *o)
{
    uint64_t n = o->range_bytes ? o->range_bytes : default_chunk;
    return n > least_chunk ? n : least_chunk;
}

static const char *digest_of(const struct weft_hub_fetch *f)
{
    return f->sha256 && f->sha256[0] ? f->sha256 : f->sha1 && f->sha1[0] ? f->sha1 : "";
}

bool weft_hub_split_wanted(const struct weft_hub_job *j)
{
    const struct weft_hub_fetch *f = j->f;
    const struct weft_hub_options *o = j->all->options;
    if (j->one_stream || !f->resume || f->size == UINT64_MAX || !f->size || !digest_of(f)[0]) return false;
    return (ranges_of(o) > 1 && f->size > chunk_of(o)) || weft_hub_journal_disk(f->target) > 0;
}

void weft_hub_split_close(struct weft_hub_job *j)
{
    if (!j->split) return;
    weft_hub_journal_close(&j->split->parts);
    free(j->split);
    j->split = NULL;
}

bool weft_hub_split_stop(struct weft_hub_job *j)
{
    struct weft_hub_split *s = j->split;
    if (s->hash_timer) weft_http_timer_cancel(j->all->http, s->hash_timer);
    s->hash_timer = 0;
    for (size_t i = 0; i < s->n_ranges; i++) {
        struct range *r = &s->ranges[i];
        if (!r->timer) continue;
        weft_http_timer_cancel(j->all->http, r->timer);
        r->timer = 0;
        r->busy = false;
        s->n_busy--;
    }
    return s->n_busy == 0;
}

/* ---- the end ---- */

static void start_alone(struct weft_hub_split *s)
{
    struct weft_hub_job *j = s->j;
    weft_hub_journal_discard(&s->parts);
    weft_hub_split_close(j);
    j->one_stream = true;
    j->at = 0;
    weft_hub_job_begin(j);
}

/* All bytes are there and hashed. */
static void check_and_commit(struct weft_hub_split *s)
{
    struct weft_hub_job *j = s->j;
    if (!weft_hub_digests_fit(j)) {
        if (j->spoiled++ == 0) {
            start_alone(s);
            return;
        }
        weft_hub_journal_discard(&s->parts);
        weft_hub_job_end(j, weft_hub_spoiled(j));
        return;
    }
    enum weft_status st = weft_hub_journal_commit(&s->parts, j->f->target, j->all->err);
    if (!st) weft_hub_job_report(j);
    weft_hub_job_end(j, st);
}

/* Some of what is there without a gap and was not hashed yet. */
static void hash_some(void *ctx)
{
    struct weft_hub_split *s = ctx;
    struct weft_hub_job *j = s->j;
    char bytes[PIECE];
    uint64_t end = weft_hub_journal_prefix(&s->parts);
    s->hash_timer = 0;
    if (end - s->hashed > HASH_BYTES) end = s->hashed + HASH_BYTES;
    while (s->hashed < end) {
        size_t want = end - s->hashed < sizeof bytes ? (size_t)(end - s->hashed) : sizeof bytes;
        ssize_t n = pread(s->parts.fd, bytes, want, (off_t)s->hashed);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            if (n == 0) errno = EIO; /* shorter than what was written into it */
            weft_hub_stop(j->all, weft_fail_errno(j->all->err, "read", s->parts.data));
            return;
        }
        weft_hub_digests_add(j, bytes, (size_t)n);
        s->hashed += (uint64_t)n;
    }
    go_on(s);
}

/* What is to be done when something came or ended: hash, or finish. */
static void go_on(struct weft_hub_split *s)
{
    struct weft_hub_job *j = s->j;
    uint64_t prefix = weft_hub_journal_prefix(&s->parts);
    if (j->all->st) {
        if (!s->n_busy) weft_hub_job_end(j, j->all->st);
    } else if (s->alone) {
        if (!s->n_busy) start_alone(s);
    } else if (s->hashed == j->f->size && !s->n_busy) check_and_commit(s);
    else if (!s->hash_timer && (prefix - s->hashed >= HASH_BYTES || (prefix == j->f->size && s->hashed < prefix))) {
        s->hash_timer = weft_http_timer(j->all->http, 1, hash_some, s);
        if (!s->hash_timer) weft_hub_stop(j->all, weft_fail_nomem(j->all->err, 64, "the HTTP client"));
    }
}

/* ---- one range ---- */

static bool ask(struct range *r);

/* The next chunk that is not whole and nobody's; n: there is none. */
static size_t take_chunk(struct weft_hub_split *s)
{
    const struct weft_hub_journal *p = &s->parts;
    while (s->next < p->n && p->chunks[s->next].at == weft_hub_journal_len(p, s->next)) s->next++;
    return s->next < p->n ? s->next++ : p->n;
}

/* False: a call could not be started, everything is being stopped, and `s` may be gone. */
static bool start_more(struct weft_hub_split *s)
{
    for (size_t i = 0; i < s->n_ranges && (s->proven || !s->n_busy) && !s->alone && !s->j->all->st; i++) {
        struct range *r = &s->ranges[i];
        if (r->busy) continue;
        size_t chunk = take_chunk(s);
        if (chunk == s->parts.n) break;
        *r = (struct range){ .s = s, .chunk = chunk, .busy = true, .mark = s->received };
        s->n_busy++;
        if (!ask(r)) return false;
    }
    return true;
}

/* The other ranges end by themselves; then the file is fetched in one stream. */
static void leave_ranges(struct weft_hub_split *s)
{
    s->alone = true;
    weft_hub_split_stop(s->j);
    for (size_t i = 0; i < s->n_ranges; i++)
        if (s->ranges[i].call) weft_http_cancel(s->j->all->http, s->ranges[i].call);
}

static bool on_head(void *ctx, const struct weft_http_reply *reply)
{
    struct range *r = ctx;
    struct weft_hub_split *s = r->s;
    uint64_t from = 0, to = 0, total = s->parts.size, begin = r->chunk * s->parts.chunk_bytes;
    struct weft_str etag = weft_http_header(reply, "etag");
    if (reply->status >= 300) return true;
    if (reply->status != 206) { /* all of it: the range was ignored */
        s->alone = true;
        return false;
    }
    r->wrong = !weft_hub_content_range(weft_http_header(reply, "content-range"), &from, &to, &total)
               || total != s->parts.size || from != begin + s->parts.chunks[r->chunk].at
               || to >= begin + weft_hub_journal_len(&s->parts, r->chunk);
    if (r->wrong) return false;
    if (etag.len && etag.len < sizeof s->etag) {
        if (!s->etag[0]) snprintf(s->etag, sizeof s->etag, "%.*s", (int)etag.len, etag.s);
        else if (!weft_str_is(etag, s->etag)) {
            s->alone = true;
            return false;
        }
    }
    if (!s->proven) {
        s->proven = true;
        return start_more(s);
    }
    return true;
}

static bool on_piece(void *ctx, const struct weft_http_reply *reply, struct weft_str piece)
{
    struct range *r = ctx;
    struct weft_hub_split *s = r->s;
    struct weft_hub_job *j = s->j;
    r->wrong = piece.len > weft_hub_journal_len(&s->parts, r->chunk) - s->parts.chunks[r->chunk].at;
    if (r->wrong || s->alone || j->all->st) return false;
    j->failed = weft_hub_journal_add(&s->parts, r->chunk, piece, j->all->err);
    if (j->failed) return false;
    s->received += piece.len;
    j->at = s->parts.have;
    j->f->fetched += piece.len;
    weft_hub_job_report(j);
    go_on(s);
    return true;
}

static void ask_again(void *ctx) { (void)ask(ctx); }

/* Once more, after a pause. */
static void later(struct range *r, uint64_t wait_ms)
{
    struct weft_hub_transfer *t = r->s->j->all;
    r->timer = weft_http_timer(t->http, wait_ms, ask_again, r);
    if (r->timer) return;
    r->busy = false;
    r->s->n_busy--;
    weft_hub_stop(t, weft_fail_nomem(t->err, 64, "the HTTP client"));
}

static void on_done(void *ctx, const struct weft_http_reply *reply)
{
    struct range *r = ctx;
    struct weft_hub_split *s = r->s;
    struct weft_hub_job *j = s->j;
    struct weft_hub_transfer *t = j->all;
    const struct weft_hub_journal *p = &s->parts;
    bool whole = p->chunks[r->chunk].at == weft_hub_journal_len(p, r->chunk), came = s->received != r->mark;
    uint64_t wait = 0;
    r->call = NULL;
    r->mark = s->received;
    r->tries = came ? 1 : r->tries + 1; /* used only when this try failed */
    if (j->failed || t->st || s->alone || whole) {
        r->busy = false;
        s->n_busy--;
        if (j->failed) weft_hub_stop(t, j->failed);
        else if (!t->st && s->alone) {
            leave_ranges(s);
            go_on(s);
        } else if (!whole || start_more(s)) go_on(s);
        return;
    }
    if (reply->status == 416 || (r->wrong && ++r->misplaced >= 2)) {
        r->busy = false;
        s->n_busy--;
        leave_ranges(s);
        go_on(s);
    } else if (r->wrong || (!reply->fault && reply->status == 206)) {
        /* From elsewhere, or whole and yet too short. */
        r->wrong = false;
        if (r->tries < WEFT_HUB_TRIES) {
            later(r, weft_hub_pause_ms(&t->rng, t->options, r->tries));
            return;
        }
        r->busy = false;
        s->n_busy--;
        weft_hub_stop(t, weft_fail_rule(t->err, WEFT_EREMOTE, "B7",
                                        "%s ends before its announced length; try again later, or another mirror",
                                        j->f->name));
    } else if (weft_hub_try_again(reply, r->tries, WEFT_HUB_TRIES, t->options, &t->rng, &wait)) later(r, wait);
    else {
        r->busy = false;
        s->n_busy--;
        weft_hub_stop(t, weft_hub_refused(reply, j->f->name, j->f->settings, t->err));
    }
}

/* Asks for what its chunk lacks.  False as for start_more. */
static bool ask(struct range *r)
{
    struct weft_hub_split *s = r->s;
    struct weft_hub_transfer *t = s->j->all;
    uint64_t begin = r->chunk * s->parts.chunk_bytes;
    const struct weft_http_header identity = { "Accept-Encoding", "identity" };
    struct weft_http_request request = {
        .url = s->j->f->url,
        .bearer = s->j->f->bearer,
        .headers = &identity,
        .n_headers = 1,
        .from = begin + s->parts.chunks[r->chunk].at,
        .to = begin + weft_hub_journal_len(&s->parts, r->chunk) - 1,
        .follow = WEFT_HTTP_ANYWHERE,
        .max_body_bytes = UINT64_MAX,
        .gap_ms = t->options->gap_ms,
        .whole_ms = WEFT_HTTP_NEVER,
        .ctx = r,
        .head = on_head,
        .piece = on_piece,
        .done = on_done,
    };
    r->timer = 0;
    r->wrong = false;
    enum weft_status st = weft_http_submit(t->http, &request, &r->call, t->err);
    if (!st) return true;
    r->busy = false;
    s->n_busy--;
    weft_hub_stop(t, st);
    return false;
}

enum weft_status weft_hub_split_begin(struct weft_hub_job *j)
{
    const struct weft_hub_options *o = j->all->options;
    struct weft_err *err = j->all->err;
    struct weft_hub_split *s = calloc(1, sizeof *s);
    if (!s) return weft_fail_nomem(err, sizeof *s, "the HTTP client");
    j->split = s;
    s->j = j;
    s->n_ranges = (size_t)ranges_of(o);
    enum weft_status st =
        weft_hub_journal_open(&s->parts, j->f->target, j->f->size, digest_of(j->f), chunk_of(o), err);
    if (!st) st = weft_hub_digests_start(j);
    if (st) return st;
    j->at = s->parts.have;
    weft_hub_job_report(j);
    if (start_more(s)) go_on(s);
    return WEFT_OK;
}

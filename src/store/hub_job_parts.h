/* store/hub_job_parts.h - one file on its way, as hub_fetch.c (in one stream) and hub_split.c (in ranges) share it */
#ifndef WEFT_STORE_HUB_JOB_PARTS_H
#define WEFT_STORE_HUB_JOB_PARTS_H

#include "base/hash.h"
#include "base/rng.h"
#include "store/hub_parts.h"

enum { WEFT_HUB_TRIES = 8 }; /* without progress */

struct weft_hub_transfer;
struct weft_hub_split;

struct weft_hub_job {
    struct weft_hub_transfer *all;
    struct weft_hub_fetch *f;
    int fd, lock_fd;
    char *part;  /* malloc */
    uint64_t at; /* bytes that are there */
    struct weft_sha256 sha256;
    struct weft_sha1 sha1;
    uint64_t sha1_size;          /* the size that was hashed in front of git's digest */
    char etag[128];              /* of the first reply, for If-Range; "" none */
    int tries;                   /* since bytes arrived last */
    int spoiled;                 /* digests that did not fit */
    uint64_t timer;              /* that wakes it; 0: none */
    bool begun, over, from_zero; /* from_zero: what came cannot be used, begin again */
    enum weft_status failed;     /* of a callback */
    int failed_errno;
    bool one_stream;              /* ranges were tried in vain */
    struct weft_hub_split *split; /* while it comes in ranges */
};

struct weft_hub_transfer {
    struct weft_http *http;
    const struct weft_hub_options *options;
    struct weft_hub_job *jobs;
    size_t n, next, running;
    uint64_t reported_ms;
    struct weft_rng rng;
    enum weft_status st; /* the first failure; everything else is being stopped */
    struct weft_err *err;
};

/* Begins, or goes on after a pause: locks, looks what is there, asks for the rest.  ctx is the job. */
void weft_hub_job_begin(void *ctx);
void weft_hub_job_end(struct weft_hub_job *j, enum weft_status st);
void weft_hub_job_report(struct weft_hub_job *reported);
/* Stops all jobs; those without a call in flight are over at once. */
void weft_hub_stop(struct weft_hub_transfer *t, enum weft_status st);

WEFT_MUST_USE enum weft_status weft_hub_digests_start(struct weft_hub_job *j);
void weft_hub_digests_add(struct weft_hub_job *j, const void *p, size_t n);
bool weft_hub_digests_fit(struct weft_hub_job *j); /* finishes them; fills f->got_sha256 */
/* The second wrong content. */
enum weft_status weft_hub_spoiled(const struct weft_hub_job *j);

uint64_t weft_hub_pause_ms(struct weft_rng *rng, const struct weft_hub_options *o, int tries);
/* Worth another try?  *wait_ms: when. */
bool weft_hub_try_again(const struct weft_http_reply *r, int tries, int max_tries, const struct weft_hub_options *o,
                        struct weft_rng *rng, uint64_t *wait_ms);
/* "bytes 10-99/100": from, the last byte, and the total; a total of "*" leaves *total. */
bool weft_hub_content_range(struct weft_str value, uint64_t *from, uint64_t *to, uint64_t *total);

/* ---- hub_split.c ---- */

/* Is the file to come in several ranges? */
bool weft_hub_split_wanted(const struct weft_hub_job *j);
WEFT_MUST_USE enum weft_status weft_hub_split_begin(struct weft_hub_job *j);
/* Drops what waits for a timer; true: no call is in flight, the job may be ended. */
bool weft_hub_split_stop(struct weft_hub_job *j);
void weft_hub_split_close(struct weft_hub_job *j); /* keeps what has come */

#endif

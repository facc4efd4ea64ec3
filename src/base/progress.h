/* base/progress.h - how long work tells its caller how far it is, and learns that it should stop
 *
 * The library never prints.  Whoever starts long work hands in a sink; a NULL sink is silent and never cancels.
 */
#ifndef WEFT_BASE_PROGRESS_H
#define WEFT_BASE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weft_progress {
    /* stage: an English word or two, a key of the language catalogue ("reading", "training"); done and total in
     * `unit` ("bytes", "rows", "tokens", "steps"), total 0 when unknown; note: "" or a short text such as
     * "loss 3.21".  Called at most a few hundred times a second; must return quickly. */
    void (*update)(void *ctx, const char *stage, uint64_t done, uint64_t total, const char *unit,
                   const char *note);
    /* One line worth keeping: a warning or an event, in the user's language, no final newline. */
    void (*message)(void *ctx, const char *text);
    void *ctx;
    volatile const int *cancel; /* set by a signal handler; NULL: never */
};

static inline void weft_progress_update(const struct weft_progress *p, const char *stage, uint64_t done,
                                        uint64_t total, const char *unit, const char *note)
{
    if (p && p->update) p->update(p->ctx, stage, done, total, unit, note ? note : "");
}
static inline void weft_progress_message(const struct weft_progress *p, const char *text)
{
    if (p && p->message) p->message(p->ctx, text);
}
static inline bool weft_progress_cancelled(const struct weft_progress *p)
{
    return p && p->cancel && *p->cancel;
}

#endif

/* base/status.h - how every function of weft says that it failed
 *
 * A function that can fail returns enum weft_status and writes, through its last argument, one sentence the
 * user can act on: the place in *their* input, what was found, what was expected, what to do.  The report
 * nearest the fault wins: weft_fail() does not overwrite a message that is already there.
 *
 * Language: the message is written in err->lang.  English format strings are the keys of the catalogue in
 * base/lang.h; a missing translation falls back to English.
 * Threads: a struct weft_err belongs to one thread.
 */
#ifndef WEFT_BASE_STATUS_H
#define WEFT_BASE_STATUS_H

#include <stddef.h>

#define WEFT_MUST_USE __attribute__((warn_unused_result))
#define WEFT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Verdicts and their exit codes: docs/cli.md. */
enum weft_status {
    WEFT_OK = 0,
    WEFT_EARG,     /* exit 2: the caller or the command line asked for something that makes no sense */
    WEFT_EINPUT,   /* exit 3: a file or text breaks a rule; the rule is in err->rule */
    WEFT_ELIMIT,   /* exit 3: a stated maximum was met; the message names it and its option */
    WEFT_EPARTIAL, /* exit 4: done, but something was left out; counts are in the result */
    WEFT_ESYSTEM,  /* exit 5: open, read, write, rename, thread ... failed; the message has strerror */
    WEFT_ENOMEM,   /* exit 5: an allocation failed; the message has the size */
    WEFT_EDEVICE,  /* exit 5: no such device, or it failed */
    WEFT_EREMOTE,  /* exit 6: the other end of a connection failed */
    WEFT_ECANCEL   /* exit 130 or 143: the user stopped it; what could be saved is saved */
};

enum weft_lang { WEFT_LANG_EN, WEFT_LANG_ZH };

enum { WEFT_ERR_BYTES = 1024 };

struct weft_err {
    enum weft_lang lang; /* set by the caller before the call, or zero */
    enum weft_status status;
    char rule[8];             /* "JS4", "ST7" ... of docs/robustness.md; "" where no rule applies */
    char msg[WEFT_ERR_BYTES]; /* one line, no final newline; "" while nothing failed */
};

/* Writes the message unless one is there already, and returns `st`.  `err` may be NULL. */
enum weft_status weft_fail(struct weft_err *err, enum weft_status st, const char *fmt, ...) WEFT_PRINTF(3, 4);

/* The same, and records the rule of the specification that was broken. */
enum weft_status weft_fail_rule(struct weft_err *err, enum weft_status st, const char *rule, const char *fmt,
                                ...) WEFT_PRINTF(4, 5);

/* "cannot OPERATION PATH: reason" as WEFT_ESYSTEM; reads errno.  The operation is an English verb ("open", "sync"),
 * a key of the catalogue. */
enum weft_status weft_fail_errno(struct weft_err *err, const char *operation, const char *path);

/* "cannot allocate N bytes for WHAT" as WEFT_ENOMEM; `what` is a key of the catalogue or a file name. */
enum weft_status weft_fail_nomem(struct weft_err *err, size_t bytes, const char *what);

/* Forgets an error so that another attempt may write its own; keeps the language. */
void weft_err_clear(struct weft_err *err);

/* 0 for WEFT_OK, 2 ... 6 and 130 as in the table above. */
int weft_exit_code(enum weft_status st);

#endif

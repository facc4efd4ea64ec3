/* The one place that formats an error.  A NULL err is a caller that only wants the status. */
#include "base/status.h"

#include "base/lang.h"
#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void write_message(struct weft_err *err, enum weft_status st, const char *rule, const char *fmt,
                          va_list ap)
{
    if (!err || err->msg[0]) return;
    err->status = st;
    snprintf(err->rule, sizeof err->rule, "%s", rule);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    /* A translation has the same conversions in the same order: tests/base/test_lang.c checks the catalogue. */
    int n = vsnprintf(err->msg, sizeof err->msg, weft_tr(err->lang, fmt), ap);
#pragma GCC diagnostic pop
    /* Cut short: not in the middle of a character. */
    if (n >= (int)sizeof err->msg) err->msg[weft_utf8_check(weft_str_c(err->msg))] = '\0';
}

enum weft_status weft_fail(struct weft_err *err, enum weft_status st, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    write_message(err, st, "", fmt, ap);
    va_end(ap);
    return st;
}

enum weft_status weft_fail_rule(struct weft_err *err, enum weft_status st, const char *rule, const char *fmt,
                                ...)
{
    va_list ap;
    va_start(ap, fmt);
    write_message(err, st, rule, fmt, ap);
    va_end(ap);
    return st;
}

enum weft_status weft_fail_errno(struct weft_err *err, const char *operation, const char *path)
{
    char reason[128];
    /* strerror's buffer is shared between threads; this form of strerror_r is GNU's. */
    const char *text = strerror_r(errno, reason, sizeof reason);
    if (err) operation = weft_tr(err->lang, operation);
    return weft_fail(err, WEFT_ESYSTEM, "cannot %s %s: %s", operation, path, text);
}

enum weft_status weft_fail_nomem(struct weft_err *err, size_t bytes, const char *what)
{
    if (err) what = weft_tr(err->lang, what);
    return weft_fail(err, WEFT_ENOMEM, "cannot allocate %zu bytes for %s", bytes, what);
}

void weft_err_clear(struct weft_err *err)
{
    if (!err) return;
    err->status = WEFT_OK;
    err->rule[0] = '\0';
    err->msg[0] = '\0';
}

int weft_exit_code(enum weft_status st)
{
    static const int code[] = {
        [WEFT_OK] = 0,      [WEFT_EARG] = 2,   [WEFT_EINPUT] = 3,  [WEFT_ELIMIT] = 3,  [WEFT_EPARTIAL] = 4,
        [WEFT_ESYSTEM] = 5, [WEFT_ENOMEM] = 5, [WEFT_EDEVICE] = 5, [WEFT_EREMOTE] = 6, [WEFT_ECANCEL] = 130,
    };
    return code[st];
}

/* tests/check.h - what the tests share: cmocka, and assertions that print what went wrong */
#ifndef WEFT_TESTS_CHECK_H
#define WEFT_TESTS_CHECK_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/lang.h"
#include "base/str.h"

/* What tells one boot, or one process, from another stands in /proc, which a bare chroot lacks. */
static inline void check_needs_proc(void)
{
    if (access("/proc/sys/kernel/random/boot_id", R_OK)) skip();
}

/* What a process holds can be measured where there is /proc, and is its own where no sanitizer has its shadow there. */
static inline bool check_memory_is_measured(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return false;
#else
    return access("/proc/self/smaps", R_OK) == 0;
#endif
}

/* The call succeeded; otherwise its message is printed. */
#define check_ok(st, err) check_ok_at((st), (err), __FILE__, __LINE__)
static inline void check_ok_at(enum weft_status st, const struct weft_err *err, const char *file, int line)
{
    if (st == WEFT_OK) return;
    print_error("status %d, rule \"%s\": %s\n", st, err ? err->rule : "", err ? err->msg : "");
    _fail(file, line);
}

/* The call failed with this status and rule ("" or NULL: any), and its message holds `part` (NULL: anything). */
#define check_fails(st, err, want, rule_want, part)                                                          \
    check_fails_at((st), (err), (want), (rule_want), (part), __FILE__, __LINE__)
static inline void check_fails_at(enum weft_status st, const struct weft_err *err, enum weft_status want,
                                  const char *rule, const char *part, const char *file, int line)
{
    if (st == want && (!rule || !*rule || strcmp(err->rule, rule) == 0) && (!part || strstr(err->msg, part))) return;
    print_error("status %d, rule \"%s\": %s\nexpected status %d, rule \"%s\", \"%s\"\n", st, err->rule, err->msg, want,
                rule ? rule : "", part ? part : "");
    _fail(file, line);
}

/* The same in a series of calls with one err: it is cleared before and after. */
#define check_refuses(call, err, want, rule_want, part)                                                               \
    (weft_err_clear(err), check_fails_at((call), (err), (want), (rule_want), (part), __FILE__, __LINE__),             \
     weft_err_clear(err))

#define check_str(got, want) check_str_at((got), weft_str_c(want), __FILE__, __LINE__)
static inline void check_str_at(struct weft_str got, struct weft_str want, const char *file, int line)
{
    if (weft_str_eq(got, want)) return;
    print_error("got      \"%.*s\"\nexpected \"%.*s\"\n", (int)got.len, got.s ? got.s : "", (int)want.len, want.s);
    _fail(file, line);
}

static inline void check_contains_at(const char *text, const char *part, const char *file, int line)
{
    if (text && strstr(text, part)) return;
    print_error("\"%s\" lacks \"%s\"\n", text ? text : "(null)", part);
    _fail(file, line);
}
#define check_contains(text, part) check_contains_at((text), (part), __FILE__, __LINE__)

/* |got - want| <= tolerance; NaN fails. */
static inline void check_near_at(double got, double want, double tolerance, const char *file, int line)
{
    if (fabs(got - want) <= tolerance) return;
    print_error("got %.9g, expected %.9g +- %.3g\n", got, want, tolerance);
    _fail(file, line);
}
#define check_near(got, want, tolerance) check_near_at((got), (want), (tolerance), __FILE__, __LINE__)

/* "folder/name" in one of 64 static buffers used in turn: good for a few calls, not to be kept. */
static inline const char *check_path(const char *folder, const char *name)
{
    static char paths[64][4096];
    static unsigned next;
    char *p = paths[next++ % 64];
    snprintf(p, sizeof paths[0], "%s/%s", folder, name);
    return p;
}

/* A new empty folder; its name is static storage of this program.  Removed by check_folder_gone. */
static inline const char *check_folder(void)
{
    static char name[64];
    snprintf(name, sizeof name, "/tmp/weft-test-XXXXXX");
    if (!mkdtemp(name)) fail_msg("cannot make a folder");
    return name;
}
static inline void check_folder_gone(const char *name)
{
    struct weft_err err = { 0 };
    check_ok(weft_dir_remove(name, &err), &err);
}

/* A file of the source tree: "tests/data/x.txt". */
static inline const char *check_source(struct weft_arena *a, const char *path)
{
    return weft_path_join(a, WEFT_SOURCE_DIR, path);
}

/* Real inputs that are not part of the repository: the folder in the environment, or the test is skipped. */
static inline const char *check_outside(const char *variable)
{
    const char *folder = getenv(variable);
    if (!folder || !*folder) skip();
    return folder;
}

/* Deterministic bytes for tests of long or random input. */
static inline uint32_t check_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

#endif

/* base/library.h - a shared library that only some verbs need, opened when they do
 *
 * Libraries that take long to load, or have no static archive (libcurl, libmd4c), would slow every start of
 * the program if it were linked with them.  They are opened by name on first use; types and prototypes come from
 * their own headers at build time:
 *
 *     struct curl { void *handle; typeof(curl_easy_init) *easy_init; ... };
 *     const struct weft_symbol symbols[] = { { "curl_easy_init", (void **)&c->easy_init }, ... };
 *     st = weft_library_open(&c->handle, "libcurl.so.4", "libcurl4", symbols, WEFT_COUNT(symbols), err);
 *
 * Threads: open and close are safe from any thread; what the library promises beyond that is its own affair.
 */
#ifndef WEFT_BASE_LIBRARY_H
#define WEFT_BASE_LIBRARY_H

#include "base/status.h"

struct weft_symbol {
    const char *name;
    void **slot; /* filled on success only when all symbols were found */
};

/* Opens `soname` and fills every slot.  WEFT_ESYSTEM: the library, or a symbol of it, is not there; the message names
 * the Debian `package` to install. */
WEFT_MUST_USE enum weft_status weft_library_open(void **handle, const char *soname, const char *package,
                                                 const struct weft_symbol *symbols, size_t n_symbols,
                                                 struct weft_err *err);
/* Accepts NULL.  Pointers taken from the library are void afterwards. */
void weft_library_close(void *handle);

#endif

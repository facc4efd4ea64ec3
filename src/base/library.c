/* base/library.c - dlopen, with an error a user can act on */
#include "base/library.h"

#include <dlfcn.h>

enum weft_status weft_library_open(void **handle, const char *soname, const char *package,
                                   const struct weft_symbol *symbols, size_t n_symbols, struct weft_err *err)
{
    void *lib = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
    *handle = NULL;
    if (!lib)
        return weft_fail(err, WEFT_ESYSTEM, "this needs the library %s, which is not here; install the package %s",
                         soname, package);
    for (size_t i = 0; i < n_symbols; i++)
        if (!dlsym(lib, symbols[i].name)) {
            dlclose(lib);
            return weft_fail(err, WEFT_ESYSTEM,
                             "the library %s has no %s, it may be too old; install the package %s", soname,
                             symbols[i].name, package);
        }
    for (size_t i = 0; i < n_symbols; i++) *symbols[i].slot = dlsym(lib, symbols[i].name);
    *handle = lib;
    return WEFT_OK;
}

void weft_library_close(void *handle)
{
    if (handle) dlclose(handle);
}

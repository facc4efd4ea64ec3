/* base/lang.h - messages in English and Chinese
 *
 * Code writes English.  The English text (for a formatted message: its format string) is the key; the Chinese
 * texts stand in base/zh/<folder>.inc, one file per folder of src/, as lines { "English", "中文" }.  A
 * translation keeps the printf conversions of its key, in the same order; a test checks that.
 * Why not gettext: its catalogue and locale are process-wide state and files to install beside the program.
 */
#ifndef WEFT_BASE_LANG_H
#define WEFT_BASE_LANG_H

#include "base/status.h"

/* The text in `lang`, or `english` itself where the catalogue has none.  Linear search: messages are rare. */
const char *weft_tr(enum weft_lang lang, const char *english) __attribute__((format_arg(2)));

struct weft_message {
    const char *en, *zh;
};

/* The whole catalogue, for tests: returns the table and writes its length. */
const struct weft_message *weft_messages(size_t *n);

#endif

#include "base/lang.h"

#include <inttypes.h>
#include <string.h>

static const struct weft_message messages[] = {
#include "base/zh/adapter.inc"
#include "base/zh/base.inc"
#include "base/zh/cli.inc"
#include "base/zh/dataset.inc"
#include "base/zh/kernels.inc"
#include "base/zh/model.inc"
#include "base/zh/store.inc"
#include "base/zh/text.inc"
#include "base/zh/tokens.inc"
#include "base/zh/train.inc"
};

const struct weft_message *weft_messages(size_t *n)
{
    *n = sizeof messages / sizeof messages[0];
    return messages;
}

const char *weft_tr(enum weft_lang lang, const char *english)
{
    if (lang == WEFT_LANG_EN) return english;
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++)
        if (strcmp(messages[i].en, english) == 0) return messages[i].zh;
    return english;
}

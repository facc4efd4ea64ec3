#include "text/read_txt.h"

#include "base/lang.h"
#include "text/charset.h"
#include "text/magic.h"

static bool sniff(struct weft_str bytes)
{
    (void)bytes;
    return true;
}

static enum weft_status read_txt(struct weft_arena *a, struct weft_str bytes,
                                 const struct weft_text_settings *s, struct weft_text *out,
                                 struct weft_err *err)
{
    const char *magic = weft_magic_name(bytes);
    if (magic)
        return weft_fail_rule(err, WEFT_EINPUT, "TX4", "%s: byte 0: this is %s; expected text", out->name.s,
                              weft_tr(err ? err->lang : WEFT_LANG_EN, magic));
    enum weft_status st = weft_charset_decode(a, bytes, s->charset, out, err);
    if (!st && !weft_text_visible(out->text))
        st = weft_fail_rule(err, WEFT_EINPUT, "TX5",
                            "%s: no text: the file has %zu bytes and no visible character", out->name.s,
                            bytes.len);
    return st;
}

const struct weft_reader weft_reader_txt = {
    .name = "txt",
    .suffixes = ".txt .text",
    .help = "plain text in UTF-8, GB18030 (GBK), Big5 or UTF-16",
    .help_zh = "纯文本：UTF-8、GB18030（GBK）、Big5 或 UTF-16",
    .sniff = sniff,
    .read = read_txt,
};

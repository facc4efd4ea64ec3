/* Any bytes as XML, by the rules of docx and by those of epub.  Elements close as they were opened, text is UTF-8,
 * places rise through the document; what docx accepts, epub accepts. */
#include "text/xml.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

struct seen {
    uint64_t at, len;
    uint64_t hash[WEFT_XML_DEPTH];
    size_t depth, n;
};

static uint64_t hash_of(struct weft_xml_name n)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < n.space.len; i++) h = (h ^ (unsigned char)n.space.s[i]) * UINT64_C(1099511628211);
    h = (h ^ 0xFF) * UINT64_C(1099511628211);
    for (size_t i = 0; i < n.local.len; i++) h = (h ^ (unsigned char)n.local.s[i]) * UINT64_C(1099511628211);
    return h;
}
static void step(struct seen *s, struct weft_xml_place at)
{
    check(at.begin >= s->at && at.end >= at.begin && at.end <= s->len);
    s->at = at.begin;
    s->n++;
}
static enum weft_status on_open(void *ctx, const struct weft_xml_element *e, struct weft_xml_place at,
                               struct weft_err *err)
{
    struct seen *s = ctx;
    step(s, at);
    check(s->depth < WEFT_XML_DEPTH && e->n_attrs <= WEFT_XML_ATTRS && e->name.local.len);
    s->hash[s->depth++] = hash_of(e->name);
    for (size_t i = 0; i < e->n_attrs; i++) {
        struct weft_str value = e->attrs[i].value;
        check(weft_utf8_check(value) == value.len && weft_xml_attr(e, NULL, e->attrs[i].name.local.s).s);
    }
    return WEFT_OK;
}
static enum weft_status on_close(void *ctx, struct weft_xml_name name, struct weft_xml_place at, struct weft_err *err)
{
    struct seen *s = ctx;
    step(s, at);
    check(s->depth && s->hash[--s->depth] == hash_of(name));
    return WEFT_OK;
}
static enum weft_status on_text(void *ctx, struct weft_str text, struct weft_xml_place at, struct weft_err *err)
{
    step(ctx, at);
    check(weft_utf8_check(text) == text.len && !memchr(text.s, 0, text.len));
    return WEFT_OK;
}
static size_t on_entity(void *ctx, struct weft_str name, char out[16])
{
    out[0] = '?';
    return name.len == 4;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_str bytes = { (const char *)data, size };
    enum weft_status st[2];
    for (int epub = 0; epub < 2; epub++) {
        struct weft_err err = { .lang = size & 1 ? WEFT_LANG_ZH : WEFT_LANG_EN };
        struct seen seen = { .len = size };
        struct weft_xml_calls calls = { .ctx = &seen, .open = on_open, .close = on_close, .text = on_text };
        if (epub) {
            calls.entity = on_entity;
            calls.doctype = true;
        }
        st[epub] = weft_xml_parse("fuzz", bytes, &calls, &err);
        check(!st[epub] || ((st[epub] == WEFT_EINPUT || st[epub] == WEFT_ELIMIT) && err.msg[0] && err.rule[0] == 'X'));
        check(st[epub] || (!seen.depth && seen.n));
    }
    check(st[0] || !st[1]);
    return 0;
}

/* The first byte says what the rest is: a whole file, or one part of a book whose other parts are right. */
#include "container.h"
#include "stored_zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_buf file = { 0 };
    struct stored_part parts[] = {
        { "mimetype", WEFT_STR("application/epub+zip") },
        { "META-INF/container.xml", WEFT_STR("<container><rootfile full-path=\"O/b.opf\"/></container>") },
        { "O/b.opf", WEFT_STR("<package><metadata><title>t</title></metadata><manifest><item id=\"a\" href=\"a.xhtml\"/>"
                              "<item id=\"b\" href=\"b.xhtml\"/></manifest><spine><itemref idref=\"a\"/>"
                              "<itemref idref=\"b\"/></spine></package>") },
        { "O/a.xhtml", WEFT_STR("<html><body><h1>one</h1><p>text</p></body></html>") },
        { "O/b.xhtml", WEFT_STR("<html><body><p>two</p></body></html>") },
        { "META-INF/encryption.xml", WEFT_STR("<encryption><CipherReference URI=\"x\"/></encryption>") },
    };
    static const unsigned char part_of[] = { 0, 1, 2, 3, 3, 3, 5, 2 };
    if (!size) return 0;
    struct weft_str rest = { (const char *)data + 1, size - 1 };
    unsigned which = part_of[data[0] % 8];
    if (!which) weft_buf_str(&file, rest);
    else {
        parts[which].bytes = rest;
        stored_zip(&file, parts, WEFT_COUNT(parts));
    }
    read_container(&file, size & 1, "epub");
    return 0;
}

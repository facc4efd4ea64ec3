/* The first byte says what the rest is: a whole file, or one part of a document whose other parts are right. */
#include "container.h"
#include "stored_zip.h"

#define REL "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
#define RELATIONS(items)                                                                                              \
    "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">" items "</Relationships>"
#define W "xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\""

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char head[] = "<w:document " W " xmlns:m=\"http://schemas.openxmlformats.org/officeDocument/2006/math\""
                               " xmlns:mc=\"http://schemas.openxmlformats.org/markup-compatibility/2006\"><w:body>";
    static const char tail[] = "</w:body></w:document>";
    struct weft_buf body = { 0 }, file = { 0 };
    struct stored_part parts[] = {
        { "[Content_Types].xml", WEFT_STR("<Types/>") },
        { "_rels/.rels", WEFT_STR(RELATIONS("<Relationship Type=\"" REL "officeDocument\" Target=\"word/document.xml\"/>")) },
        { "word/document.xml", WEFT_STR("<w:document " W "><w:body><w:p><w:r><w:t>a</w:t></w:r></w:p></w:body></w:document>") },
        { "word/_rels/document.xml.rels", WEFT_STR(RELATIONS("<Relationship Type=\"" REL "footnotes\" Target=\"notes.xml\"/>")) },
        { "word/notes.xml", WEFT_STR("<w:footnotes " W "><w:footnote><w:p><w:r><w:t>b</w:t></w:r></w:p></w:footnote></w:footnotes>") },
    };
    if (!size) return 0;
    struct weft_str rest = { (const char *)data + 1, size - 1 };
    if (data[0] % 8 == 0) weft_buf_str(&file, rest);
    else {
        if (data[0] % 8 <= 4) parts[data[0] % 8].bytes = rest;
        else {                                  /* what stands in a body: the likeliest place for a fault */
            weft_buf_cstr(&body, head);
            weft_buf_str(&body, rest);
            weft_buf_cstr(&body, tail);
            parts[2].bytes = weft_buf_view(&body);
        }
        stored_zip(&file, parts, WEFT_COUNT(parts));
    }
    read_container(&file, size & 1, "docx");
    weft_buf_clear(&body);
    return 0;
}

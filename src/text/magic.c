/* Signatures stand at fixed offsets; two letters alone ("BM", "MZ") are no proof, since a text may begin so: those
 * formats hold NUL bytes and are refused as binary anyway. */
#include "text/magic.h"

#include "text/zip.h"

struct magic {
    size_t at;
    struct weft_str bytes;
    const char *name;
};

#define SIG(at, bytes, name) { at, { bytes, sizeof(bytes) - 1 }, name }

static const struct magic magics[] = {
    SIG(0, "%PDF-", "a PDF document"),
    SIG(0, "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "an old Office document (.doc, .xls) or one with a password"),
    SIG(0, "{\\rtf", "an RTF document"),
    SIG(0, "\x89PNG\r\n\x1A\n", "a PNG image"),
    SIG(0, "\xFF\xD8\xFF", "a JPEG image"),
    SIG(0, "GIF87a", "a GIF image"),
    SIG(0, "GIF89a", "a GIF image"),
    SIG(0, "II*\0", "a TIFF image"),
    SIG(0, "MM\0*", "a TIFF image"),
    SIG(8, "WEBP", "a WebP image"),
    SIG(0, "\x1F\x8B", "gzip data: unpack it first"),
    SIG(0, "BZh91AY&SY", "bzip2 data: unpack it first"),
    SIG(0, "\xFD" "7zXZ\0", "xz data: unpack it first"),
    SIG(0, "\x28\xB5\x2F\xFD", "zstd data: unpack it first"),
    SIG(0, "7z\xBC\xAF\x27\x1C", "a 7z archive: unpack it first"),
    SIG(0, "Rar!\x1A\x07", "a RAR archive: unpack it first"),
    SIG(257, "ustar\0", "a tar archive: unpack it first"), /* POSIX; GNU's has two spaces.  The NUL keeps text apart. */
    SIG(257, "ustar  \0", "a tar archive: unpack it first"),
    SIG(0, "GGUF", "a GGUF model"),
    SIG(0, "SQLite format 3\0", "an SQLite database"),
    SIG(0, "\x7F" "ELF", "a program (ELF)"),
    SIG(0, "PAR1", "a Parquet table"),
    SIG(0, "ARROW1\0\0", "an Arrow table"),
    SIG(0, "ID3\x03", "an MP3 recording"),
    SIG(0, "ID3\x04", "an MP3 recording"),
    SIG(0, "OggS\0", "an Ogg recording"),
    SIG(8, "WAVE", "a WAV recording"),
    SIG(4, "ftyp", "an MP4 video"),
    SIG(0, "\x1A\x45\xDF\xA3", "a Matroska video"),
    SIG(0, "version https://git-lfs", "a Git LFS pointer, not the file itself: run `git lfs pull`"),
};

static bool has_at(struct weft_str bytes, size_t at, struct weft_str sig)
{
    return bytes.len >= at + sig.len && memcmp(bytes.s + at, sig.s, sig.len) == 0;
}

/* Containers that are zip files, and what to do about those that are not read. */
static const char *zip_name(struct weft_str bytes)
{
    switch (weft_zip_kind(bytes)) {
    case WEFT_ZIP_DOCX: return "a Word document (.docx)";
    case WEFT_ZIP_EPUB: return "an EPUB book";
    case WEFT_ZIP_XLSX: return "an Excel workbook (.xlsx): save its sheets as CSV first";
    case WEFT_ZIP_PPTX: return "a PowerPoint presentation (.pptx): save it as PDF or its outline as text first";
    case WEFT_ZIP_ODT: return "an OpenDocument text (.odt): save it as .docx first";
    case WEFT_ZIP_ODS: return "an OpenDocument spreadsheet (.ods): save its sheets as CSV first";
    case WEFT_ZIP_ODP: return "an OpenDocument presentation (.odp): save it as PDF first";
    case WEFT_ZIP_EMPTY: return "an empty zip archive";
    case WEFT_ZIP_CUT: return "a zip archive that is cut short: get the whole file again";
    case WEFT_ZIP_NOT: break;
    case WEFT_ZIP_OTHER: return "a zip archive: unpack it first";
    }
    return NULL;
}

const char *weft_magic_name(struct weft_str bytes)
{
    const char *zip = zip_name(bytes);
    if (zip) return zip;
    for (size_t i = 0; i < WEFT_COUNT(magics); i++)
        if (has_at(bytes, magics[i].at, magics[i].bytes)) {
            /* Those that stand behind the start of the file also need their container's name in front. */
            if (magics[i].at == 8 && !has_at(bytes, 0, WEFT_STR("RIFF"))) continue;
            if (magics[i].at == 4 && (unsigned char)bytes.s[0] != 0) continue;
            return magics[i].name;
        }
    return NULL;
}

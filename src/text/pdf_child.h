/* text/pdf_child.h - poppler's pdftotext as a child that can do nothing but turn its input into text
 *
 * A PDF is a program of a stranger, and its readers are large: the reader runs in a process of its own, locked down
 * before it starts, and the parent takes its output as it would take any file.  pdftotext is started as
 *
 *     pdftotext -enc UTF-8 -eol unix [-tsv] - -
 *
 * and gets
 *   input     the document as standard input: a sealed copy in memory, so it needs neither name nor path
 *   output    two pipes, text and messages, read with limits; every other descriptor is closed
 *   surroundings  an empty environment, the folder "/", a session of its own (Ctrl-C does not reach it); it dies with
 *             its parent's thread
 *   limits    address space, processor time, time by the clock, text; no core file, files of 0 bytes, 64 descriptors
 *   rights    no new privileges (set-uid bits count for nothing), and the two locks below
 *
 * A program that is started needs to open its libraries, and for Chinese text the character maps of poppler-data: open
 * cannot be refused altogether.  Therefore
 *   seccomp   an allow-list: memory, reading, opening for reading only (no create, truncate or write mode), writing to
 *             descriptors 1 to 3 alone, clocks, leaving.  Refused with EPERM is all else: sockets and connections,
 *             new processes and threads, signals, renaming, removing, memory that is writable and executable at once.
 *             execve passes for one address only, that of the program's name in the parent's memory, which after the
 *             start no longer exists: the filter is kept over execve and there is no second one.
 *   Landlock  (Linux 5.13 and later) reading below /usr, /lib, /lib64, /etc/fonts, and the loader's cache; executing
 *             pdftotext and its loader; nothing else of the file system, so no file of the user.
 * Where the kernel lacks one of the locks the other still holds; the result says which did.
 *
 * Threads: any number of children at a time.  The fork is followed by system calls only.
 */
#ifndef WEFT_TEXT_PDF_CHILD_H
#define WEFT_TEXT_PDF_CHILD_H

#include "base/str.h"
#include "text/pdf.h"

enum weft_pdf_end {
    WEFT_PDF_EXITED,    /* by itself; `code` is its exit status */
    WEFT_PDF_CRASHED,   /* `code` is the signal */
    WEFT_PDF_SLOW,      /* killed at the limit of time */
    WEFT_PDF_FLOODED    /* killed at the limit of text */
};

enum { WEFT_PDF_MESSAGE_BYTES = 16 << 10 };

struct weft_pdf_result {
    struct weft_buf text;           /* what it wrote, unchecked, at most text_bytes */
    struct weft_buf messages;       /* the first WEFT_PDF_MESSAGE_BYTES of its standard error, unchecked */
    bool words;                     /* that text is a table of words with their places, `pdftotext -tsv` */
    enum weft_pdf_end end;
    int code;
    struct weft_pdf_limits limits;  /* as they held, defaults filled in */
    bool seccomp, landlock;         /* the locks that were on */
};

/* The first pdftotext there is of the usual places, or NULL. */
const char *weft_pdf_program(void);

/* Runs `program` on the document, for a table of words or for plain text.  WEFT_OK whenever it was started: `r`
 * tells how it ended.  WEFT_ESYSTEM: it could not be started. */
WEFT_MUST_USE enum weft_status weft_pdf_run(const char *program, struct weft_str document,
                                            const struct weft_pdf_limits *limits, bool words,
                                            struct weft_pdf_result *r, struct weft_err *err);
void weft_pdf_result_clear(struct weft_pdf_result *r);      /* accepts a zeroed struct */

#endif

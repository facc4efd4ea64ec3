/* Rules PD1-PD5.  The child that stands in for pdftotext where it is to misbehave is this program itself, which then
 * goes by the name "pdftotext" and takes its part from the document: "%PDF-stub crash". */
#include "check.h"

#include "text/read_pdf.h"
#include "text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

/* ---- the stub ---- */

static void put(const char *text) { (void)!write(1, text, strlen(text)); }

static void verdict(const char *what, bool happened)
{
    put(what);
    put(happened ? ": possible\n" : ": refused\n");
}

/* Tries what a reader of documents has no business with; `path` is a file of the user. */
static void probe(const char *path)
{
    extern char **environ;
    struct rlimit core;
    int open_fds = 0;
    verdict("socket", socket(AF_INET, SOCK_STREAM, 0) >= 0);
    verdict("local socket", socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    verdict("fork", pid > 0);
    verdict("signal to the parent", kill(getppid(), 0) == 0);
    verdict("writing beside a file", open("/tmp/weft-pdf-probe", O_WRONLY | O_CREAT, 0600) >= 0);
    verdict("appending to a file", open(path, O_WRONLY | O_APPEND) >= 0);
    verdict("truncating a file", truncate(path, 0) == 0);
    verdict("removing a file", unlink(path) == 0);
    verdict("raising a limit", setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 4096, 4096 }) == 0);
    verdict("code in writable memory",
            mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    for (int fd = 3; fd < 64; fd++) {           /* fcntl is not allowed */
        struct stat about;
        open_fds += fstat(fd, &about) == 0;
    }
    verdict("descriptors of the parent", open_fds > 0);
    verdict("environment", environ[0] != NULL);
    verdict("core file", getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max > 0);
    verdict("writing to the document", write(0, "x", 1) > 0);
    verdict("reading a library", open("/usr/bin/pdftotext", O_RDONLY) >= 0);
    verdict("reading a file of the user", open(path, O_RDONLY) >= 0);
    execl("/bin/sh", "sh", (char *)NULL);
    verdict("another program", false);
    put("\f");
}

static int stub(void)
{
    static char document[4096];
    size_t n = 0;
    ssize_t got;
    while (n < sizeof document - 1 && (got = read(0, document + n, sizeof document - 1 - n)) > 0) n += (size_t)got;
    const char *part = strchr(document, ' ');
    part = part ? part + 1 : "";
    if (strncmp(part, "probe ", 6) == 0) {
        probe(part + 6);
        return 0;
    }
    put("first page\n\f");
    if (strcmp(part, "pages") == 0) put("second page\n\f");
    if (strcmp(part, "crash") == 0) {
        put("second page\n\fhalf of the thi");
        volatile uintptr_t nowhere = 16;        /* raise is not allowed */
        *(volatile int *)nowhere = 1;
    }
    if (strcmp(part, "hang") == 0) for (;;) pause();
    if (strcmp(part, "close-and-hang") == 0) {
        close(1);
        close(2);
        for (;;) pause();
    }
    if (strcmp(part, "spin") == 0) for (volatile unsigned i = 0;; i++) {}
    if (strcmp(part, "flood") == 0) for (;;) put("the same line again and again\n\f");
    if (strcmp(part, "chatter") == 0) {
        for (int i = 0; i < 10000; i++) (void)!write(2, "Syntax Warning: something is odd\n", 33);
        put("second page\n\f");
    }
    if (strcmp(part, "bytes") == 0) put("good \xE4\xB8\xAD \xFF\xC3(\xED\xA0\x80) end\n\f");
    if (strcmp(part, "nul") == 0) (void)!write(1, "a\0b\r\nc\rd\f", 9);
    if (strcmp(part, "memory") == 0) {
        char *p;
        for (size_t i = 0; (p = malloc(1 << 20)) != NULL && i < 100000; i++) memset(p, 1, 1 << 20);
        (void)!write(2, "Out of memory\n", 14);
        return 1;
    }
    return 0;
}

/* ---- fixtures ---- */

struct fixture {
    struct weft_arena arena;
    struct weft_err err;
    struct weft_text text;
    struct weft_pdf_result result;
    bool words;                 /* what the stub is asked for */
    struct weft_buf pdf;
    size_t at[32];              /* where objects begin */
    int n;
};

#define FIXTURE_CLEAR(f) (weft_pdf_result_clear(&(f)->result), weft_buf_clear(&(f)->pdf))
#include "fixture.h"

/* A writer of small PDFs: objects are numbered from 1 in the order they are added. */
static void pdf_begin(struct fixture *f)
{
    weft_buf_reset(&f->pdf);
    f->n = 0;
    weft_buf_cstr(&f->pdf, "%PDF-1.4\n");
}
static void pdf_object(struct fixture *f, const char *body)
{
    f->at[++f->n] = f->pdf.len;
    weft_buf_printf(&f->pdf, "%d 0 obj\n%s\nendobj\n", f->n, body);
}
static void pdf_stream(struct fixture *f, const char *content)
{
    f->at[++f->n] = f->pdf.len;
    weft_buf_printf(&f->pdf, "%d 0 obj\n<< /Length %zu >>\nstream\n%s\nendstream\nendobj\n", f->n, strlen(content), content);
}
static void pdf_end(struct fixture *f, const char *trailer, bool broken)
{
    size_t xref = f->pdf.len;
    weft_buf_printf(&f->pdf, "xref\n0 %d\n0000000000 65535 f \n", f->n + 1);
    for (int i = 1; i <= f->n; i++) weft_buf_printf(&f->pdf, "%010zu 00000 n \n", f->at[i] + (broken ? 7 : 0));
    weft_buf_printf(&f->pdf, "trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%zu\n%%%%EOF\n", f->n + 1, trailer,
                    broken ? (size_t)3 : xref);
    assert_false(f->pdf.failed);
}

/* Three pages; the middle one is a drawing. */
static void small_pdf(struct fixture *f, const char *trailer, bool broken)
{
    pdf_begin(f);
    pdf_object(f, "<< /Type /Catalog /Pages 2 0 R >>");
    pdf_object(f, "<< /Type /Pages /Kids [3 0 R 5 0 R 7 0 R] /Count 3 >>");
    for (int i = 0; i < 3; i++) {
        char page[256];
        snprintf(page, sizeof page,
                 "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Contents %d 0 R /Resources << /Font << /F1 "
                 "9 0 R >> >> >>", 4 + 2 * i);
        pdf_object(f, page);
        pdf_stream(f, i == 0 ? "BT /F1 12 Tf 50 250 Td (The ferry leaves at dawn.) Tj 0 -40 Td (Nobody waits.) Tj ET"
                   : i == 1 ? "50 50 100 100 re f" : "BT /F1 12 Tf 50 250 Td (The third page.) Tj ET");
    }
    pdf_object(f, "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>");
    pdf_end(f, trailer, broken);
}

/* One page in a Chinese font that the file does not hold; `text` is the operand of Tj. */
static void chinese_pdf(struct fixture *f, const char *encoding, const char *text, const char *tounicode)
{
    char content[512], font[256];
    snprintf(content, sizeof content, "BT /F1 14 Tf 30 250 Td %s Tj ET", text);
    snprintf(font, sizeof font, "<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /%s %s "
             "/DescendantFonts [6 0 R] >>", encoding, tounicode ? "/ToUnicode 8 0 R" : "");
    pdf_begin(f);
    pdf_object(f, "<< /Type /Catalog /Pages 2 0 R >>");
    pdf_object(f, "<< /Type /Pages /Kids [3 0 R] /Count 1 >>");
    pdf_object(f, "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 500 300] /Contents 4 0 R "
                  "/Resources << /Font << /F1 5 0 R >> >> >>");
    pdf_stream(f, content);
    pdf_object(f, font);
    pdf_object(f, "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /DW 1000 /FontDescriptor 7 0 R "
                  "/CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 0 >> >>");
    pdf_object(f, "<< /Type /FontDescriptor /FontName /STSong-Light /Flags 4 /FontBBox [0 -120 1000 880] /ItalicAngle 0 "
                  "/Ascent 880 /Descent -120 /CapHeight 880 /StemV 93 >>");
    if (tounicode) pdf_stream(f, tounicode);
    pdf_end(f, "", false);
}

static void need_pdftotext(void)
{
    if (!weft_pdf_program()) skip();
}

static enum weft_status read_pdf_bytes(struct fixture *f)
{
    f->text = (struct weft_text){ 0 };
    return weft_text_from_memory(&f->arena, "a.pdf", weft_buf_view(&f->pdf), NULL, &f->text, &f->err);
}

/* Runs this program as the child and reads what it gave. */
static enum weft_status act(struct fixture *f, const char *document, struct weft_pdf_limits limits)
{
    char self[PATH_MAX]; /* by the name it was started with: a bare chroot has no /proc */
    assert_non_null(realpath((const char *)getauxval(AT_EXECFN), self));
#ifdef __SANITIZE_ADDRESS__
    skip();             /* its address space does not fit the limit, and its start reads /proc */
#endif
    weft_err_clear(&f->err);
    weft_pdf_result_clear(&f->result);
    f->text = (struct weft_text){ .name = WEFT_STR("a.pdf") };
    check_ok(weft_pdf_run(self, weft_str_c(document), &limits, f->words, &f->result, &f->err), &f->err);
    return weft_pdf_text(&f->arena, &f->result, &f->text, &f->err);
}

/* ---- pdftotext itself ---- */

static void test_pages_and_lines(void **state)
{
    struct fixture *f = *state;
    need_pdftotext();
    small_pdf(f, "", false);
    check_ok(read_pdf_bytes(f), &f->err);
    check_str(weft_str_c(f->text.format), "pdf");
    check_str(weft_text_line(&f->text, 0), "The ferry leaves at dawn.");
    check_str(weft_text_line(&f->text, 1), "Nobody waits.");
    size_t third = 2;
    while (third < f->text.n_lines && !weft_str_is(weft_text_line(&f->text, third), "The third page.")) third++;
    assert_true(third < f->text.n_lines);
    assert_int_equal(weft_text_page_of(&f->text, 1), 1);
    assert_int_equal(weft_text_page_of(&f->text, third), 3);
    struct weft_text_span span = weft_text_span_of(&f->text, 0, third);
    check_str(span.part, "pdftotext -tsv");
    assert_true(span.begin > 0 && span.begin < span.end);
    assert_int_equal(span.page, 1);
    assert_int_equal(f->text.n_notes, 1);
    check_contains(f->text.notes[0].s, "no text on 1 of 3 pages, the first is page 2");
    assert_false(weft_text_partial(&f->text));
}

static void test_content_within_the_first_kilobyte_decides(void **state)
{
    struct fixture *f = *state;
    need_pdftotext();
    small_pdf(f, "", true);             /* offsets count from the header or not at all: here pdftotext rebuilds */
    struct weft_buf later = { 0 };
    weft_buf_printf(&later, "%*s\n", 900, "junk of a mail program");
    weft_buf_str(&later, weft_buf_view(&f->pdf));
    check_ok(weft_text_from_memory(&f->arena, "a.bin", weft_buf_view(&later), NULL, &f->text, &f->err), &f->err);
    check_str(weft_str_c(f->text.format), "pdf");
    weft_buf_clear(&later);
}

static void test_a_broken_table_of_objects_is_rebuilt(void **state)
{
    struct fixture *f = *state;
    need_pdftotext();
    small_pdf(f, "", true);
    check_ok(read_pdf_bytes(f), &f->err);
    check_str(weft_text_line(&f->text, 0), "The ferry leaves at dawn.");
    assert_int_equal(weft_text_page_of(&f->text, 1), 1);
}

static void test_a_scan_is_a_named_error(void **state)
{
    struct fixture *f = *state;
    need_pdftotext();
    pdf_begin(f);
    pdf_object(f, "<< /Type /Catalog /Pages 2 0 R >>");
    pdf_object(f, "<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 2 >>");
    pdf_object(f, "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Contents 5 0 R >>");
    pdf_object(f, "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Contents 5 0 R >>");
    pdf_stream(f, "50 50 100 100 re f");
    pdf_end(f, "", false);
    check_fails(read_pdf_bytes(f), &f->err, WEFT_EINPUT, "PD2", "no text layer on 2 of 2 pages");
}

static void test_a_password_is_a_named_error(void **state)
{
    struct fixture *f = *state;
    need_pdftotext();
    small_pdf(f, "/ID [<00112233445566778899AABBCCDDEEFF> <00112233445566778899AABBCCDDEEFF>] /Encrypt << /Filter "
                 "/Standard /V 1 /R 2 /P -4 "
                 "/O <0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF> "
                 "/U <FEDCBA9876543210FEDCBA9876543210FEDCBA9876543210FEDCBA9876543210> >>", false);
    check_fails(read_pdf_bytes(f), &f->err, WEFT_EINPUT, "PD3", "password");
}

static void test_what_only_begins_as_a_pdf_is_refused(void **state)
{
    struct fixture *f = *state;
    need_pdftotext();
    pdf_begin(f);
    weft_buf_cstr(&f->pdf, "and then nothing of the kind\n");
    check_fails(read_pdf_bytes(f), &f->err, WEFT_EINPUT, "PD4", "begins as a PDF");
    /* Every prefix of a good file is a named error or text; never a crash or an empty text. */
    small_pdf(f, "", false);
    size_t whole = f->pdf.len;
    for (size_t n = 8; n < whole; n += 97) {
        f->pdf.len = n;
        weft_err_clear(&f->err);
        enum weft_status st = read_pdf_bytes(f);
        if (st) assert_true(st == WEFT_EINPUT && f->err.rule[0] == 'P');
        else assert_true(f->text.n_lines > 0);
    }
}

static void test_chinese_by_the_maps_of_poppler_data(void **state)
{
    struct fixture *f = *state;
    need_pdftotext();
    if (access("/usr/share/poppler/cMap/Adobe-GB1/UniGB-UCS2-H", R_OK) != 0) skip();
    chinese_pdf(f, "UniGB-UCS2-H", "<6E21 53E3 7684 706F 8FD8 4EAE 7740 3002>", NULL);
    check_ok(read_pdf_bytes(f), &f->err);
    check_str(weft_text_line(&f->text, 0), "渡口的灯还亮着。");
}

static void test_chinese_by_a_map_in_the_file(void **state)
{
    struct fixture *f = *state;
    need_pdftotext();
    chinese_pdf(f, "Identity-H", "<000100020003>",
                "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Ours def "
                "1 begincodespacerange <0000> <FFFF> endcodespacerange "
                "3 beginbfchar <0001> <963F> <0002> <6C85> <0003> <D842DFB7> endbfchar endcmap end end");
    check_ok(read_pdf_bytes(f), &f->err);
    check_str(weft_text_line(&f->text, 0), "阿沅𠮷");
}

static void test_a_file_of_another_program(void **state)
{
    struct fixture *f = *state;
    need_pdftotext();
    if (access("/usr/share/poppler/cMap/Adobe-GB1/UniGB-UCS2-H", R_OK) != 0) skip();
    struct weft_text_settings as_lines = { .page_lines = true };
    check_ok(weft_text_read(&f->arena, WEFT_SOURCE_DIR "/tests/text/data/ferry.pdf", &as_lines, &f->text, &f->err), &f->err);
    static const char *const lines[] = { "雨下了整整一夜，阿沅推开窗，", "看见河面上漂着一盏没有灭的灯。",
                                         "“你还记得那年冬天吗？”她问。", "船夫摇了摇头，说：“不记得了。”",
                                         "Chapter two: the ferry", "The lamp drifted past the willow,",
                                         "and nobody on the bank said a word." };
    size_t found = 0;
    for (size_t i = 0; i < f->text.n_lines && found < WEFT_COUNT(lines); i++)
        if (weft_str_is(weft_text_line(&f->text, i), lines[found])) {
            assert_int_equal(weft_text_page_of(&f->text, i), found < 4 ? 1 : 2);
            found++;
        }
    assert_int_equal(found, WEFT_COUNT(lines));
}

/* ---- the child misbehaves ---- */

static void test_a_good_child(void **state)
{
    struct fixture *f = *state;
    check_ok(act(f, "%PDF-stub pages", (struct weft_pdf_limits){ 0 }), &f->err);
    check_str(f->text.text, "first page\nsecond page\n");
    assert_int_equal(weft_text_page_of(&f->text, 1), 2);
    assert_false(weft_text_partial(&f->text));
}

static void test_a_crash_keeps_the_pages_before(void **state)
{
    struct fixture *f = *state;
    check_ok(act(f, "%PDF-stub crash", (struct weft_pdf_limits){ 0 }), &f->err);
    check_str(f->text.text, "first page\nsecond page\n");
    assert_true(weft_text_partial(&f->text));
    check_contains(f->text.notes[0].s, "from page 3 on is missing: pdftotext was ended by signal 11");
}

static void test_a_crash_before_the_first_page_is_an_error(void **state)
{
    struct fixture *f = *state;
    f->result.end = WEFT_PDF_CRASHED;
    f->result.code = 11;
    weft_buf_cstr(&f->result.text, "half a page");
    f->text.name = WEFT_STR("a.pdf");
    check_fails(weft_pdf_text(&f->arena, &f->result, &f->text, &f->err), &f->err, WEFT_EINPUT, "PD1",
                "a.pdf: page 1: pdftotext was ended by signal 11");
}

static void test_a_hang_ends_at_the_limit(void **state)
{
    struct fixture *f = *state;
    static const char *const parts[] = { "%PDF-stub hang", "%PDF-stub close-and-hang", "%PDF-stub spin" };
    for (size_t i = 0; i < WEFT_COUNT(parts); i++) {
        time_t begin = time(NULL);
        check_ok(act(f, parts[i], (struct weft_pdf_limits){ .seconds = 1 }), &f->err);
        assert_true(time(NULL) - begin < 60);
        check_str(f->text.text, "first page\n");
        assert_true(weft_text_partial(&f->text));
        check_contains(f->text.notes[0].s, "from page 2 on is missing");
        check_contains(f->text.notes[0].s, "max_pdf_seconds");
    }
}

static void test_a_flood_ends_at_the_limit(void **state)
{
    struct fixture *f = *state;
    check_ok(act(f, "%PDF-stub flood", (struct weft_pdf_limits){ .text_bytes = 100000 }), &f->err);
    assert_int_equal(f->result.end, WEFT_PDF_FLOODED);
    assert_true(f->text.text.len <= 100000 && f->text.text.len > 90000);
    assert_true(weft_text_partial(&f->text));
    check_contains(f->text.notes[0].s, "more than 100000 bytes of text (max_pdf_text_bytes)");
}

static void test_messages_without_end_are_read_and_forgotten(void **state)
{
    struct fixture *f = *state;
    check_ok(act(f, "%PDF-stub chatter", (struct weft_pdf_limits){ 0 }), &f->err);
    assert_int_equal(f->result.messages.len, WEFT_PDF_MESSAGE_BYTES);
    assert_int_equal(f->text.n_lines, 2);
    check_contains(f->text.notes[0].s, "something is odd");
}

static void test_memory_is_limited(void **state)
{
    struct fixture *f = *state;
    check_ok(act(f, "%PDF-stub memory", (struct weft_pdf_limits){ .memory_bytes = 128 << 20 }), &f->err);
    check_str(f->text.text, "first page\n");
    check_contains(f->text.notes[0].s, "max_pdf_memory_bytes");
}

static void test_bytes_that_are_no_text(void **state)
{
    struct fixture *f = *state;
    check_ok(act(f, "%PDF-stub bytes", (struct weft_pdf_limits){ 0 }), &f->err);
    check_str(weft_text_line(&f->text, 1), "good 中 \xEF\xBF\xBD\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD) end");
    assert_int_equal(f->text.repaired, 5);
    assert_int_equal(f->text.places[0].line, 2);
    assert_int_equal(f->text.places[0].byte, 12 + 9);
    check_ok(act(f, "%PDF-stub nul", (struct weft_pdf_limits){ 0 }), &f->err);
    check_str(f->text.text, "first page\nab\nc\nd\n");
    assert_int_equal(f->text.nul_dropped, 1);
    assert_int_equal(f->text.cr, 2);
    assert_int_equal(f->text.lines[3].begin, 19);
}

static void test_the_child_can_do_nothing_else(void **state)
{
    struct fixture *f = *state;
    const char *folder = check_folder();
    const char *mine = check_path(folder, "mine.txt");
    char document[4200];
    check_ok(weft_file_write(mine, WEFT_STR("private"), &f->err), &f->err);
    snprintf(document, sizeof document, "%%PDF-stub probe %s", mine);
    check_ok(act(f, document, (struct weft_pdf_limits){ 0 }), &f->err);
    assert_int_equal(f->result.end, WEFT_PDF_EXITED);
    size_t refused = 0;
    for (size_t i = 0; i < f->text.n_lines; i++) {
        struct weft_str line = weft_text_line(&f->text, i);
        bool possible = weft_str_ends(line, WEFT_STR(": possible"));
        if (weft_str_starts(line, WEFT_STR("reading a library"))) assert_true(possible || !weft_pdf_program());
        else if (weft_str_starts(line, WEFT_STR("reading a file of the user")) && !f->result.landlock)
            print_message("no Landlock in this kernel: files of the user are readable to the child\n");
        else if (possible && f->result.seccomp) fail_msg("%.*s", (int)line.len, line.s);
        else refused++;
    }
    if (f->result.seccomp && f->result.landlock) assert_int_equal(refused, 16);
    assert_true(weft_file_exists(mine));
    assert_false(weft_file_exists("/tmp/weft-pdf-probe"));
    check_folder_gone(folder);
}

static void test_no_descriptor_and_no_child_is_left(void **state)
{
    struct fixture *f = *state;
    int before = open("/dev/null", O_RDONLY);
    close(before);
    for (int i = 0; i < 5; i++) check_ok(act(f, "%PDF-stub pages", (struct weft_pdf_limits){ 0 }), &f->err);
    int after = open("/dev/null", O_RDONLY);
    close(after);
    assert_int_equal(before, after);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void test_a_program_that_is_not_there(void **state)
{
    struct fixture *f = *state;
    check_fails(weft_pdf_run("/nowhere/pdftotext", WEFT_STR("%PDF-"), NULL, false, &f->result, &f->err), &f->err, WEFT_ESYSTEM,
                NULL, "cannot start /nowhere/pdftotext (execve): No such file");
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[0], "pdftotext") == 0) return stub();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pages_and_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_content_within_the_first_kilobyte_decides, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_broken_table_of_objects_is_rebuilt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_scan_is_a_named_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_password_is_a_named_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_only_begins_as_a_pdf_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chinese_by_the_maps_of_poppler_data, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chinese_by_a_map_in_the_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_of_another_program, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_good_child, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_crash_keeps_the_pages_before, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_crash_before_the_first_page_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_hang_ends_at_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_flood_ends_at_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_messages_without_end_are_read_and_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_is_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes_that_are_no_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_child_can_do_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_descriptor_and_no_child_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_program_that_is_not_there, setup, teardown),
    };
    return cmocka_run_group_tests_name("text/pdf", tests, NULL, NULL);
}

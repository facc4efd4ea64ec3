/* Screenplays, chunks and dialogue from prose against the beginner's Python on the same text, medians in one run.
 * bench_prose [NOVEL [SCREENPLAY]]; without files, texts are generated.
 *   loops      the parse alone on both sides: files are read and modules loaded before the clock starts, and malloc of
 *              both keeps its memory from round to round.  Dialogue of prose has no beginner's script
 *   programs   from the start of the process to its end, by turns: reading, decoding, parsing, writing the rows; weft
 *              also hashes the source and keeps each row's origin
 *   bound      of the loops: a pool of as many threads that only counts the line ends (of chunks, whose limit is in
 *              characters: the characters, of which Python knows the number) and writes to as many bytes of memory as
 *              the result has; of the programs: one that reads, checks and hashes the input and writes as many bytes as
 *              the output has, in a file that is whole or absent */
#include "base/file.h"
#include "base/hash.h"
#include "base/pool.h"
#include "base/rng.h"
#include "dataset/chunk.h"
#include "dataset/prose.h"
#include "dataset/screenplay.h"

#include <fcntl.h>
#include <malloc.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 15 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v)
{
    qsort(v, ROUNDS, sizeof *v, by_size);
    return v[ROUNDS / 2];
}

/* The beginner's functions, for the loops and for the programs. */
#define FUNCTIONS \
    "def chunk(t,n=800):\n" \
    "    out=[];c=\"\"\n" \
    "    for s in t.split(\"。\"):\n" \
    "        if len(c)+len(s)<=n: c+=s+\"。\"\n" \
    "        else:\n" \
    "            out.append(c.strip());c=s\n" \
    "    if c: out.append(c.strip())\n" \
    "    return out\n" \
    "def script(t,role=\"甄嬛\"):\n" \
    "    acts=[];act=[]\n" \
    "    for line in t.split(\"\\n\"):\n" \
    "        line=line.strip()\n" \
    "        if not line or line[0] in \"(（\": continue\n" \
    "        if line.startswith(\"第\") and line.endswith(\"幕\"):\n" \
    "            acts.append(act);act=[];continue\n" \
    "        line=line.replace(\"：\",\":\")\n" \
    "        if \":\" in line:\n" \
    "            a,b=line.split(\":\",1)\n" \
    "            act.append({\"role\":a.strip(),\"text\":b.strip()})\n" \
    "    acts.append(act);rows=[]\n" \
    "    for act in acts:\n" \
    "        for i,l in enumerate(act):\n" \
    "            if role in l[\"role\"] and i>0: rows.append({\"instruction\":act[i-1][\"text\"],\"input\":\"\",\"output\":l[\"text\"]})\n" \
    "    return rows\n"

static const char loops[] =
    "import sys,time,statistics\n" FUNCTIONS
    "for f,p in ((chunk,sys.argv[1]),(script,sys.argv[2])):\n"
    "    t=open(p,encoding=\"utf-8-sig\").read();r=[]\n"
    "    for i in range(15):\n"
    "        s=time.perf_counter();f(t);r.append(time.perf_counter()-s)\n"
    "    print(statistics.median(r))\n";

/* The interpreter itself: a wrapper of some version manager may take longer than a short script.  False: none there. */
static bool find_python(char *out, size_t bytes)
{
    FILE *p = popen("python3 -c 'import sys; print(sys.executable)' 2>/dev/null", "r");
    bool ok = p && fgets(out, (int)bytes, p) && strchr(out, '\n');
    if (ok) *strchr(out, '\n') = 0;
    if (p) pclose(p);
    return ok;
}

static bool python_seconds(const char *python, const char *novel, const char *script, double *of_novel,
                           double *of_script)
{
    char path[] = "/tmp/weft-bench-prose-XXXXXX", command[8192];
    int fd = mkstemp(path);
    struct weft_err err = { 0 };
    if (fd < 0) return false;
    close(fd);
    bool ok = !weft_file_write(path, WEFT_STR(loops), &err);
    snprintf(command, sizeof command, "'%s' '%s' '%s' '%s' 2>/dev/null", python, path, novel, script);
    FILE *p = ok ? popen(command, "r") : NULL;
    ok = p && fscanf(p, "%lf %lf", of_novel, of_script) == 2;
    if (p) pclose(p);
    unlink(path);
    return ok;
}

/* ---- whole programs ---- */

static const char program[] =
    "import sys,json\n" FUNCTIONS
    "t=open(sys.argv[2],encoding=\"utf-8-sig\").read()\n"
    "rows=script(t) if sys.argv[1]==\"script\" else [{\"text\":x} for x in chunk(t)]\n"
    "with open(sys.argv[3],\"w\",encoding=\"utf-8\") as f:\n"
    "    for r in rows: f.write(json.dumps(r,ensure_ascii=False)+\"\\n\")\n";

/* Seconds of a process; negative: it failed.  Spawned, not forked: what this one has in memory is not copied. */
static double run_program(const char *const argv[])
{
    posix_spawn_file_actions_t quiet;
    pid_t pid;
    int status;
    if (posix_spawn_file_actions_init(&quiet)) return -1;
    bool ok = !posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
              && !posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    double begin = now();
    ok = ok && !posix_spawnp(&pid, argv[0], &quiet, NULL, (char *const *)argv, environ);
    ok = ok && waitpid(pid, &status, 0) >= 0 && WIFEXITED(status) && !WEXITSTATUS(status);
    double end = now();
    posix_spawn_file_actions_destroy(&quiet);
    return ok ? end - begin : -1;
}

/* The least of any program of this kind.  `out` is there, of the right size. */
static double least(const char *in, const char *out)
{
    struct weft_arena a = { 0 };
    struct weft_str text, rows;
    char hex[WEFT_SHA256_HEX];
    bool ok = !weft_file_read(&a, out, 0, &rows, NULL);
    double begin = now();
    ok = ok && !weft_file_read(&a, in, 0, &text, NULL) && weft_utf8_check(text) <= text.len
         && !weft_sha256_of(text, hex, NULL) && !weft_file_write(out, rows, NULL);
    weft_arena_clear(&a);
    return ok ? now() - begin : -1;
}

enum { PROGRAM_ROUNDS = 7 };

static void programs(const char *python, const char *weft, const char *kind, const char *mode, const char *input)
{
    char py[] = "/tmp/weft-bench-py-XXXXXX", out[] = "/tmp/weft-bench-out-XXXXXX";
    int fd = mkstemp(py), fd2 = mkstemp(out);
    double theirs[ROUNDS], ours[ROUNDS], bound[ROUNDS];
    const char *const python_argv[] = { python, py, kind, input, out, NULL };
    const char *const script_argv[] = { weft, "data", kind, input, "--mode", mode, "-o", out,
                                  "--role", "甄嬛", NULL };
    const char *const chunk_argv[] = { weft, "data", kind, input, "--mode", mode, "-o", out, NULL };
    bool ok = fd >= 0 && fd2 >= 0 && !weft_file_write(py, WEFT_STR(program), NULL);
    for (int i = 0; ok && i < PROGRAM_ROUNDS; i++) {
        theirs[i] = run_program(python_argv);
        ours[i] = run_program(strcmp(kind, "script") == 0 ? script_argv : chunk_argv);
        bound[i] = least(input, out);
        ok = theirs[i] > 0 && ours[i] > 0 && bound[i] > 0;
    }
    if (ok) {
        qsort(theirs, PROGRAM_ROUNDS, sizeof *theirs, by_size);
        qsort(ours, PROGRAM_ROUNDS, sizeof *ours, by_size);
        qsort(bound, PROGRAM_ROUNDS, sizeof *bound, by_size);
        double a = theirs[PROGRAM_ROUNDS / 2], b = ours[PROGRAM_ROUNDS / 2], c = bound[PROGRAM_ROUNDS / 2];
        printf("program: %-6s %-15s %.1f ms, the beginner's %.1f ms: %.1f times; bound %.1f times\n", kind, mode, 1e3 * b,
               1e3 * a, a / b, a / c);
    } else printf("program: %s %s: not measured (weft is not at hand)\n", kind, mode);
    if (fd >= 0 && close(fd)) { /* nothing was written to it */ }
    if (fd2 >= 0 && close(fd2)) { /* nor to it */ }
    unlink(py);
    unlink(out);
}

/* Some 300 KB of each kind. */
static enum weft_status generate(const char *novel, const char *script, struct weft_err *err)
{
    static const char *const names[] = { "阿沅", "老船夫", "货郎", "小满", "甄嬛" };
    static const char *const words[] = { "江上起了雾", "灯还亮着", "船慢慢靠了岸", "没有人答话", "风从水面吹过来", "天快亮了" };
    struct weft_buf n = { 0 }, s = { 0 };
    struct weft_rng rng;
    weft_rng_init(&rng, 7, WEFT_RNG_TEST, 0);
    for (int i = 0; i < 3000; i++) {
        const char *who = names[weft_rng_below(&rng, 5)], *a = words[weft_rng_below(&rng, 6)],
                   *b = words[weft_rng_below(&rng, 6)];
        if (i % 100 == 0) weft_buf_printf(&n, "第%d章 水\n\n", i / 100 + 1);
        if (i % 60 == 0) weft_buf_printf(&s, "第%d幕\n（夜）\n", i / 60 + 1);
        weft_buf_printf(&n, "%s，%s。%s走过来说：“%s，%s。”%s。\n\n", a, b, who, b, a, a);
        weft_buf_printf(&s, "%s：%s，%s。\n", who, a, b);
    }
    enum weft_status st = weft_file_write(novel, weft_buf_view(&n), err);
    if (!st) st = weft_file_write(script, weft_buf_view(&s), err);
    weft_buf_clear(&n);
    weft_buf_clear(&s);
    return st;
}

enum work { CHUNKS, CHUNKS_SEED, PROSE, SCRIPT, SCRIPT_SEED, SCRIPT_COMPAT, WORKS };

/* *bytes: of the result. */
static enum weft_status once(enum work w, const struct weft_text *novel, const struct weft_text *script, size_t *bytes,
                             struct weft_err *err)
{
    static const int modes[WORKS] = { [SCRIPT] = WEFT_SCRIPT_DEFAULT, [SCRIPT_SEED] = WEFT_SCRIPT_SEED,
                                      [SCRIPT_COMPAT] = WEFT_SCRIPT_HUANHUAN };
    struct weft_arena a = { 0 };
    enum weft_status st;
    if (w == CHUNKS || w == CHUNKS_SEED) {
        struct weft_chunk_settings s = { 0 };
        struct weft_chunks c = { 0 };
        st = weft_options_defaults(weft_chunk_options(), &s, &a, err);
        s.mode = w == CHUNKS_SEED ? WEFT_CHUNK_SEED : WEFT_CHUNK_DEFAULT;
        if (!st) st = weft_chunk_texts(&a, novel, 1, &s, NULL, NULL, &c, err);
        *bytes = c.n * sizeof *c.items + (w == CHUNKS_SEED ? novel->text.len : 0);
    } else if (w == PROSE) {
        struct weft_prose_settings s = { 0 };
        struct weft_prose p = { 0 };
        st = weft_options_defaults(weft_prose_options(), &s, &a, err);
        if (!st) st = weft_prose_parse(&a, novel, 1, &s, NULL, &p, err);
        *bytes = p.n_speeches * sizeof *p.speeches;
    } else {
        struct weft_script_settings s = { 0 };
        struct weft_rows rows = { 0 };
        struct weft_report report = { 0 };
        struct weft_script_funnel funnel = { 0 };
        st = weft_options_defaults(weft_script_options(), &s, &a, err);
        s.role = "甄嬛";
        s.mode = modes[w];
        if (!st) st = weft_script_rows(&a, script, 1, &s, &rows, &report, &funnel, err);
        *bytes = rows.n * (sizeof *rows.items + 2 * sizeof(struct weft_turn));
    }
    weft_arena_clear(&a);
    return st;
}

/* ---- the least of any loop ---- */

enum { PIECE_BYTES = 64 << 10 };

struct looking {
    struct weft_str text;
    char *result;
    size_t bytes, n;
    bool chars;
    _Atomic size_t found;
};

static void look(void *ctx, size_t i, int thread)
{
    struct looking *x = ctx;
    size_t from = x->bytes / x->n * i, to = i + 1 == x->n ? x->bytes : x->bytes / x->n * (i + 1);
    (void)thread;
    struct weft_str piece = weft_str_sub(x->text, i * PIECE_BYTES, (i + 1) * PIECE_BYTES);
    x->found += x->chars ? weft_utf8_chars_of_valid(piece) : weft_str_count(piece, '\n');
    memset(x->result + from, 1, to - from);
}

static double least_loop(const struct weft_text *t, bool chars, size_t bytes)
{
    double s[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        struct weft_arena a = { 0 };
        struct weft_pool *pool = NULL;
        double begin = now();
        struct looking x = { .text = t->text,
                             .chars = chars,
                             .bytes = bytes,
                             .n = weft_ceil_div(t->text.len, PIECE_BYTES),
                             .result = weft_arena_alloc(&a, bytes) };
        if (t->text.len >= 1 << 20 && weft_pool_new(&pool, 0, NULL)) pool = NULL;
        if (x.result) weft_pool_run(pool, x.n, look, &x);
        weft_pool_free(pool);
        weft_arena_clear(&a);
        s[i] = now() - begin;
    }
    return median(s);
}

int main(int argc, char **argv)
{
    static const char *const names[WORKS] = { "chunks", "chunks, seed", "dialogue of prose", "screenplay",
                                              "screenplay, seed", "screenplay, compat" };
    const char *novel_path = argc > 1 ? argv[1] : "/tmp/weft-bench-novel.txt";
    const char *script_path = argc > 2 ? argv[2] : "/tmp/weft-bench-script.txt";
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_text novel, script;
    double of_novel = 0, of_script = 0, t[ROUNDS];
    enum { KEPT_BYTES = 256 << 20 };
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    mallopt(M_MMAP_THRESHOLD, KEPT_BYTES);
    setenv("MALLOC_TRIM_THRESHOLD_", "268435456", 1);
    setenv("MALLOC_MMAP_THRESHOLD_", "268435456", 1);
    enum weft_status st = argc > 2 ? WEFT_OK : generate("/tmp/weft-bench-novel.txt", "/tmp/weft-bench-script.txt", &err);
    if (!st) st = weft_text_read(&a, novel_path, NULL, &novel, &err);
    if (!st) st = weft_text_read(&a, script_path, NULL, &script, &err);
    char python[4096];
    bool has_python = !st && find_python(python, sizeof python)
                      && python_seconds(python, novel_path, script_path, &of_novel, &of_script);
    for (int w = 0; w < WORKS && !st; w++) {
        bool on_script = w >= SCRIPT;
        size_t bytes = 0;
        for (int i = 0; i < ROUNDS && !st; i++) {
            double begin = now();
            st = once((enum work)w, &novel, &script, &bytes, &err);
            t[i] = now() - begin;
        }
        if (st) break;
        double m = median(t), python_s = on_script ? of_script : of_novel;
        printf("%-18s %7.0f MB/s", names[w], (double)(on_script ? script.bytes : novel.bytes) / m / 1e6);
        if (has_python && w != PROSE)
            printf("; %.1f times the beginner's loop, the bound %.0f times", python_s / m,
                   python_s / least_loop(on_script ? &script : &novel, !on_script, bytes));
        printf("\n");
    }
    if (!st) {
        unsetenv("MALLOC_TRIM_THRESHOLD_");
        unsetenv("MALLOC_MMAP_THRESHOLD_");
        const char *slash = strrchr(argv[0], '/');
        struct weft_str weft = weft_str_printf(&a, "%.*sweft", slash ? (int)(slash - argv[0] + 1) : 0, argv[0]);
        if (weft.s && has_python) {
            programs(python, weft.s, "script", "seed", script_path);
            programs(python, weft.s, "script", "default", script_path);
            programs(python, weft.s, "script", "huanhuan-compat", script_path);
            programs(python, weft.s, "chunk", "seed", novel_path);
            programs(python, weft.s, "chunk", "default", novel_path);
        }
    }
    if (st) fprintf(stderr, "%s\n", err.msg);
    weft_arena_clear(&a);
    return weft_exit_code(st);
}

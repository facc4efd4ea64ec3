/* Everything that needs memory (the filter program, the Landlock rules) is made before the fork; between fork and
 * execve the child makes system calls only, since another thread may hold any lock of the C library.
 *
 * Why fork and not posix_spawn: it has no way to restrict limits and rights.  Why the document is copied to a memory
 * file instead of being fed through a pipe: a pipe would need a third party in the loop below and a guard against
 * SIGPIPE, and the sealed file costs nothing that the child would not allocate itself. */
#include "text/pdf_child.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Debian 12's headers know the first two versions of Landlock. */
enum { ACCESS_TRUNCATE = 1 << 14 };

struct plan {
    const char *program;
    int in, out, messages, status;      /* the child's ends */
    int ruleset;                        /* Landlock; -1: none */
    struct sock_fprog filter;           /* len 0: none */
    struct weft_pdf_limits limits;
    pid_t parent;
    bool words;
};

/* What the child could not do; sent through the status pipe, which execve closes. */
enum step { STEP_DESCRIPTORS = 1, STEP_LIMITS, STEP_PRIVILEGES, STEP_LANDLOCK, STEP_SECCOMP, STEP_EXEC };
struct complaint {
    int step, number;
};

const char *weft_pdf_program(void)
{
    static const char *const places[] = { "/usr/bin/pdftotext", "/usr/local/bin/pdftotext" };
    for (size_t i = 0; i < WEFT_COUNT(places); i++)
        if (access(places[i], X_OK) == 0) return places[i];
    return NULL;
}

void weft_pdf_result_clear(struct weft_pdf_result *r)
{
    weft_buf_clear(&r->text);
    weft_buf_clear(&r->messages);
}

static void close_fd(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- before the fork ---- */

static enum weft_status memory_file(struct weft_str document, int *fd, struct weft_err *err)
{
    *fd = memfd_create("document", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0) return weft_fail_errno(err, "create", "memfd");
    for (size_t at = 0; at < document.len;) {
        ssize_t n = write(*fd, document.s + at, document.len - at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return weft_fail_errno(err, "write", "memfd");
        at += (size_t)n;
    }
    if (lseek(*fd, 0, SEEK_SET) != 0
        || fcntl(*fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
        return weft_fail_errno(err, "seal", "memfd");
    return WEFT_OK;
}

/* Processor time: half of what the clock allows, rounded up. */
static int64_t cpu_seconds(const struct weft_pdf_limits *limits) { return (limits->seconds + 1) / 2; }

/* The macro of libseccomp leaves a member out, which clang takes for a slip. */
static struct scmp_arg_cmp equals(unsigned arg, scmp_datum_t value)
{
    return (struct scmp_arg_cmp){ .arg = arg, .op = SCMP_CMP_EQ, .datum_a = value };
}

/* Every system call that passes without a look at its arguments.  Names that an architecture lacks are skipped by
 * libseccomp. */
static const int allowed[] = {
    SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(readv), SCMP_SYS(lseek), SCMP_SYS(_llseek), SCMP_SYS(close),
    SCMP_SYS(fstat), SCMP_SYS(fstat64), SCMP_SYS(stat), SCMP_SYS(stat64), SCMP_SYS(lstat), SCMP_SYS(lstat64),
    SCMP_SYS(newfstatat), SCMP_SYS(fstatat64), SCMP_SYS(statx), SCMP_SYS(statfs), SCMP_SYS(fstatfs),
    SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd), SCMP_SYS(getdents), SCMP_SYS(getdents64), SCMP_SYS(fadvise64),
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    SCMP_SYS(arch_prctl), SCMP_SYS(set_tid_address), SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
    SCMP_SYS(futex), SCMP_SYS(getrandom), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_gettime64), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(times), SCMP_SYS(getrusage),
    SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid),
    SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

static int add_rules(scmp_filter_ctx ctx, const char *program)
{
    enum { WRITING = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND };
    int r = 0;
    for (size_t i = 0; i < WEFT_COUNT(allowed) && !r; i++)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
    if (!r)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(open), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, WRITING, O_RDONLY));
    if (!r)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, WRITING, O_RDONLY));
    /* 3 is the status pipe, closed by execve; what is opened later under that number is opened for reading. */
    for (scmp_datum_t fd = 1; fd <= 3 && !r; fd++) {
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, equals(0, fd));
        if (!r) r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(writev), 1, equals(0, fd));
    }
    /* Readable limits of itself, of no other process. */
    if (!r)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, equals(0, 0), equals(2, 0));
    if (!r) r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(getrlimit), 0);
    static const int maps[] = { SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect) };
    for (size_t i = 0; i < WEFT_COUNT(maps) && !r; i++) {
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, maps[i], 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
        if (!r) r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, maps[i], 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_WRITE, 0));
    }
    if (!r)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(execve), 1,
                             equals(0, (scmp_datum_t)(uintptr_t)program));
    return r;
}

/* libseccomp writes the compiled filter to a descriptor; prctl wants it in memory.  *filter stays empty where the
 * kernel has no filters (with them it answers EFAULT to this question) or the library does not know the machine. */
static enum weft_status make_filter(const char *program, struct sock_fprog *filter, struct weft_err *err)
{
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) != 0 && errno == EINVAL) return WEFT_OK;
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    enum weft_status st = WEFT_OK;
    struct stat about;
    int fd = -1;
    if (!ctx) return WEFT_OK;
    fd = memfd_create("filter", MFD_CLOEXEC);
    if (fd < 0 || add_rules(ctx, program) != 0 || seccomp_export_bpf(ctx, fd) != 0 || fstat(fd, &about) != 0) {
        st = weft_fail_errno(err, "make", "seccomp");
        goto done;
    }
    size_t bytes = (size_t)about.st_size;
    filter->filter = malloc(bytes + 1);
    if (!filter->filter) {
        st = weft_fail_nomem(err, bytes, "the system call filter");
        goto done;
    }
    if (pread(fd, filter->filter, bytes, 0) != (ssize_t)bytes) {
        st = weft_fail_errno(err, "read", "memfd");
        goto done;
    }
    filter->len = (unsigned short)(bytes / sizeof *filter->filter);
done:
    if (fd >= 0) close(fd);
    seccomp_release(ctx);
    return st;
}

static void allow_below(int ruleset, const char *path, uint64_t rights)
{
    struct landlock_path_beneath_attr rule = { .allowed_access = rights, .parent_fd = open(path, O_PATH | O_CLOEXEC) };
    if (rule.parent_fd < 0) return;             /* what is not there needs no rule */
    (void)!syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(rule.parent_fd);
}

/* The loader that the program names in its ELF header: the kernel opens it for executing.  False: none, or no ELF of
 * this machine's word size. */
static bool find_loader(const char *program, char *loader, size_t room)
{
    Elf64_Ehdr head;
    Elf64_Phdr part;
    bool found = false;
    int fd = open(program, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    if (pread(fd, &head, sizeof head, 0) == (ssize_t)sizeof head && memcmp(head.e_ident, ELFMAG, SELFMAG) == 0
        && head.e_ident[EI_CLASS] == ELFCLASS64 && head.e_phentsize == sizeof part)
        for (unsigned i = 0; i < head.e_phnum && !found; i++) {
            off_t at = (off_t)(head.e_phoff + (uint64_t)i * sizeof part);
            if (pread(fd, &part, sizeof part, at) != (ssize_t)sizeof part) break;
            found = part.p_type == PT_INTERP && part.p_filesz < room
                    && pread(fd, loader, (size_t)part.p_filesz, (off_t)part.p_offset) == (ssize_t)part.p_filesz;
            if (found) loader[part.p_filesz] = '\0';
        }
    close(fd);
    return found;
}

/* -1: this kernel has no Landlock. */
static int make_ruleset(const char *program)
{
    static const char *const readable[] = { "/usr", "/lib", "/lib64", "/etc/fonts", "/var/cache/fontconfig" };
    static const char *const files[] = { "/etc/ld.so.cache", "/etc/localtime" };
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) return -1;
    struct landlock_ruleset_attr all = { .handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1 };
    if (version >= 2) all.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3) all.handled_access_fs |= ACCESS_TRUNCATE;
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    if (ruleset < 0) return -1;
    for (size_t i = 0; i < WEFT_COUNT(readable); i++)
        allow_below(ruleset, readable[i], LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR);
    for (size_t i = 0; i < WEFT_COUNT(files); i++) allow_below(ruleset, files[i], LANDLOCK_ACCESS_FS_READ_FILE);
    allow_below(ruleset, program, LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE);
    char loader[256];
    if (find_loader(program, loader, sizeof loader))
        allow_below(ruleset, loader, LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE);
    return ruleset;
}

/* ---- the child: system calls only ---- */

/* A child of a fork leaves without the exit handlers, which belong to the parent. */
static void leave(const struct plan *p, int step)
{
    struct complaint c = { step, errno };
    (void)!write(p->status, &c, sizeof c);
    syscall(SYS_exit_group, 127);
    for (;;) pause();
}

static void limit(const struct plan *p, int resource, uint64_t most)
{
    struct rlimit now, want = { (rlim_t)most, (rlim_t)most };
    if (getrlimit(resource, &now) != 0) leave(p, STEP_LIMITS);
    if (now.rlim_max < want.rlim_max) want.rlim_cur = want.rlim_max = now.rlim_max;
    if (setrlimit(resource, &want) != 0) leave(p, STEP_LIMITS);
}

static void child(struct plan *p)
{
    static const char *const environment[] = { NULL };
    static const char *const plain[] = { "pdftotext", "-enc", "UTF-8", "-eol", "unix", "-", "-", NULL };
    static const char *const words[] = { "pdftotext", "-enc", "UTF-8", "-eol", "unix", "-tsv", "-", "-", NULL };
    int *ends[] = { &p->in, &p->out, &p->messages, &p->status };

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != p->parent) syscall(SYS_exit_group, 127);       /* it died before the line above */
    setsid();
    (void)!chdir("/");
    /* First out of the way of 0 to 3, then there. */
    for (size_t i = 0; i < WEFT_COUNT(ends); i++)
        if ((*ends[i] = fcntl(*ends[i], F_DUPFD_CLOEXEC, 16)) < 0) leave(p, STEP_DESCRIPTORS);
    if (p->ruleset >= 0 && (p->ruleset = fcntl(p->ruleset, F_DUPFD_CLOEXEC, 16)) < 0) leave(p, STEP_DESCRIPTORS);
    for (int i = 0; i < 4; i++)
        if (dup3(*ends[i], i, i == 3 ? O_CLOEXEC : 0) < 0) leave(p, STEP_DESCRIPTORS);
    p->status = 3;
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);

    limit(p, RLIMIT_CORE, 0);
    limit(p, RLIMIT_FSIZE, 0);
    limit(p, RLIMIT_CPU, (uint64_t)cpu_seconds(&p->limits));
    limit(p, RLIMIT_AS, (uint64_t)p->limits.memory_bytes);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) leave(p, STEP_PRIVILEGES);
    if (p->ruleset >= 0 && syscall(SYS_landlock_restrict_self, p->ruleset, 0) != 0) leave(p, STEP_LANDLOCK);
    if (syscall(SYS_close_range, 4, ~0U, 0) != 0)
        for (int fd = 4; fd < 65536; fd++) close(fd);               /* Linux before 5.9 */
    limit(p, RLIMIT_NOFILE, 64);
    if (p->filter.len && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p->filter, 0, 0) != 0) leave(p, STEP_SECCOMP);
    /* execve does not write to them; its prototype is older than const. */
    execve(p->program, (char *const *)(p->words ? words : plain), (char *const *)environment);
    leave(p, STEP_EXEC);
}

/* ---- the parent ---- */

/* One read of what is there; false at the end of the pipe. */
static bool take(int fd, struct weft_buf *to, size_t most, bool *over)
{
    char part[64 << 10];
    ssize_t n = read(fd, part, sizeof part);
    if (n < 0) return errno == EINTR || errno == EAGAIN;
    if (n == 0) return false;
    size_t room = most - to->len;
    if ((size_t)n > room) *over = true;
    weft_buf_add(to, part, weft_min_size((size_t)n, room));
    return true;
}

/* Reads both pipes until they end or a limit is met; then the child is waited for, or killed. */
static enum weft_status collect(pid_t pid, int *out, int *messages, struct weft_pdf_result *r, struct weft_err *err)
{
    int64_t until = now_ms() + r->limits.seconds * 1000;
    bool flooded = false, slow = false, ignored = false;
    int how = 0;
    struct rusage use = { 0 };

    while ((*out >= 0 || *messages >= 0) && !flooded && !slow && !r->text.failed) {
        struct pollfd fds[2] = { { .fd = *out, .events = POLLIN }, { .fd = *messages, .events = POLLIN } };
        int64_t left = until - now_ms();
        slow = left <= 0;
        if (slow || poll(fds, 2, (int)(left < 1000 ? left : 1000)) <= 0) continue;
        if (fds[0].revents && !take(*out, &r->text, (size_t)r->limits.text_bytes, &flooded)) close_fd(out);
        if (fds[1].revents && !take(*messages, &r->messages, WEFT_PDF_MESSAGE_BYTES, &ignored)) close_fd(messages);
    }
    /* Its pipes are closed: it leaves at once, or it is up to something. */
    pid_t done = 0;
    while (!flooded && !slow && !r->text.failed && (done = wait4(pid, &how, WNOHANG, &use)) == 0) {
        slow = now_ms() > until;
        poll(NULL, 0, 2);
    }
    if (done != pid) {
        kill(pid, SIGKILL);
        while (wait4(pid, &how, 0, &use) < 0 && errno == EINTR) {}
    }
    r->end = flooded ? WEFT_PDF_FLOODED : slow ? WEFT_PDF_SLOW : WIFEXITED(how) ? WEFT_PDF_EXITED : WEFT_PDF_CRASHED;
    r->code = WIFEXITED(how) ? WEXITSTATUS(how) : WIFSIGNALED(how) ? WTERMSIG(how) : 0;
    /* The kernel's word for too much processor time: SIGXCPU, or SIGKILL where soft and hard limit are one. */
    int64_t used = (int64_t)use.ru_utime.tv_sec + use.ru_stime.tv_sec
                   + (use.ru_utime.tv_usec + use.ru_stime.tv_usec + 100000) / 1000000;
    if (r->end == WEFT_PDF_CRASHED
        && (r->code == SIGXCPU || (r->code == SIGKILL && used >= cpu_seconds(&r->limits))))
        r->end = WEFT_PDF_SLOW;
    return weft_buf_check(&r->text, "the text of the PDF", err);
}

static enum weft_status complain(const char *program, struct complaint c, struct weft_err *err)
{
    static const char *const steps[] = { [STEP_DESCRIPTORS] = "descriptors", [STEP_LIMITS] = "limits",
                                         [STEP_PRIVILEGES] = "no_new_privs", [STEP_LANDLOCK] = "landlock",
                                         [STEP_SECCOMP] = "seccomp",         [STEP_EXEC] = "execve" };
    const char *step = c.step > 0 && c.step < (int)WEFT_COUNT(steps) ? steps[c.step] : "fork";
    return weft_fail(err, WEFT_ESYSTEM, "cannot start %s (%s): %s", program, step, strerror(c.number));
}

enum weft_status weft_pdf_run(const char *program, struct weft_str document, const struct weft_pdf_limits *limits,
                              bool words, struct weft_pdf_result *r, struct weft_err *err)
{
    struct plan p = { .program = program, .in = -1, .out = -1, .messages = -1, .status = -1, .ruleset = -1 };
    int out[2] = { -1, -1 }, messages[2] = { -1, -1 }, status[2] = { -1, -1 };
    struct complaint c = { 0 };
    enum weft_status st;

    *r = (struct weft_pdf_result){ 0 };
    if (limits) r->limits = *limits;
    if (r->limits.memory_bytes <= 0) r->limits.memory_bytes = INT64_C(1) << 30;
    if (r->limits.seconds <= 0) r->limits.seconds = 120;
    if (r->limits.text_bytes <= 0) r->limits.text_bytes = 256 << 20;
    p.limits = r->limits;
    p.words = r->words = words;
    p.parent = getpid();
    st = memory_file(document, &p.in, err);
    if (st) goto done;
    st = make_filter(program, &p.filter, err);
    if (st) goto done;
    p.ruleset = make_ruleset(program);
    if (pipe2(out, O_CLOEXEC) || pipe2(messages, O_CLOEXEC) || pipe2(status, O_CLOEXEC)) {
        st = weft_fail_errno(err, "make", "pipe");
        goto done;
    }
    p.out = out[1];
    p.messages = messages[1];
    p.status = status[1];
    pid_t pid = fork();
    if (pid == 0) child(&p);
    if (pid < 0) {
        st = weft_fail_errno(err, "start", program);
        goto done;
    }
    close_fd(&out[1]);
    close_fd(&messages[1]);
    close_fd(&status[1]);
    ssize_t n;
    while ((n = read(status[0], &c, sizeof c)) < 0 && errno == EINTR) {}
    if (n > 0) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
        st = complain(program, c, err);
        goto done;
    }
    r->landlock = p.ruleset >= 0;
    r->seccomp = p.filter.len > 0;
    st = collect(pid, &out[0], &messages[0], r, err);
done:
    for (int i = 0; i < 2; i++) {
        close_fd(&out[i]);
        close_fd(&messages[i]);
        close_fd(&status[i]);
    }
    close_fd(&p.in);
    close_fd(&p.ruleset);
    free(p.filter.filter);
    return st;
}

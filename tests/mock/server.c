#include "mock/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_LISTENERS = 4, MAX_REQUEST = 64 << 20 };

enum step_kind { SEND, WAIT, CLOSE, RESET, HANG, CALL };

struct step {
    struct step *next;
    enum step_kind kind;
    struct weft_buf bytes;
    size_t sent, times; /* sent of the present time; times it is still to be sent */
    unsigned ms;
    void (*fn)(void *ctx, size_t number);
    void *ctx;
    size_t number;
};

struct mock_conn {
    struct mock_conn *next, *prev;
    struct mock *mock;
    int fd, port;
    struct weft_buf in;
    struct step *first, **last;
    uint64_t due_ms; /* of a WAIT at the head; 0: not begun */
    bool blocked;    /* the socket takes no more for now */
    bool gone;
};

struct mock {
    int epoll;
    struct {
        int fd, port;
    } listeners[MAX_LISTENERS];
    size_t n_listeners;
    mock_handler *handler;
    void *ctx;
    int buffer;
    uint64_t sent;
    struct mock_conn *conns;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number) { stopped = 1; }

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void *need(void *p)
{
    if (!p) die("malloc");
    return p;
}

/* ---- steps ---- */

static struct step *add_step(struct mock_conn *c, enum step_kind kind)
{
    struct step *s = need(calloc(1, sizeof *s));
    s->kind = kind;
    *c->last = s;
    c->last = &s->next;
    return s;
}

void mock_repeat(struct mock_conn *c, struct weft_str bytes, size_t times)
{
    struct step *s = add_step(c, SEND);
    weft_buf_str(&s->bytes, bytes);
    s->times = times;
}

void mock_send(struct mock_conn *c, struct weft_str bytes) { mock_repeat(c, bytes, 1); }
void mock_say(struct mock_conn *c, const char *text) { mock_send(c, weft_str_c(text)); }
void mock_wait(struct mock_conn *c, unsigned ms) { add_step(c, WAIT)->ms = ms; }
void mock_close(struct mock_conn *c) { add_step(c, CLOSE); }
void mock_reset(struct mock_conn *c) { add_step(c, RESET); }
void mock_hang(struct mock_conn *c) { add_step(c, HANG); }

void mock_printf(struct mock_conn *c, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0) die("malloc");
    mock_say(c, text);
    free(text);
}

void mock_drip(struct mock_conn *c, struct weft_str bytes, size_t each, unsigned ms)
{
    for (size_t at = 0; at < bytes.len; at += each) {
        mock_send(c, weft_str_sub(bytes, at, at + each));
        mock_wait(c, ms);
    }
}

void mock_then(struct mock_conn *c, void (*fn)(void *ctx, size_t number), void *ctx, size_t number)
{
    struct step *s = add_step(c, CALL);
    s->fn = fn;
    s->ctx = ctx;
    s->number = number;
}

void mock_reply(struct mock_conn *c, int status, const char *type, const char *more, struct weft_str body)
{
    mock_printf(c, "HTTP/1.1 %d Mock\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", status, type, body.len,
                more);
    mock_send(c, body);
}

static void drop_step(struct mock_conn *c)
{
    struct step *s = c->first;
    c->first = s->next;
    if (!c->first) c->last = &c->first;
    weft_buf_clear(&s->bytes);
    free(s);
}

/* ---- requests ---- */

struct weft_str mock_header(const struct mock_request *r, const char *name)
{
    size_t n = strlen(name);
    struct weft_str text = r->headers;
    for (size_t at = 0; at < text.len;) {
        size_t end = weft_str_find(text, WEFT_STR("\r\n"), at);
        if (end == SIZE_MAX) end = text.len;
        if (end - at > n && strncasecmp(text.s + at, name, n) == 0 && text.s[at + n] == ':')
            return weft_str_trim_ascii(weft_str_sub(text, at + n + 1, end));
        at = end + 2;
    }
    return (struct weft_str){ 0 };
}

/* Takes one whole request out of the input, if there is one. */
static bool take_request(struct mock_conn *c)
{
    struct weft_str in = weft_buf_view(&c->in);
    struct mock_request r = { .port = c->port };
    size_t end = weft_str_find(in, WEFT_STR("\r\n\r\n"), 0), line = weft_str_find(in, WEFT_STR("\r\n"), 0);
    if (in.len && in.s[0] == 0x16) { /* a TLS hello to a server that has no TLS: answered as such servers do */
        mock_say(c, "HTTP/1.1 400 Mock\r\nContent-Length: 0\r\n\r\n");
        mock_close(c);
        c->in.len = 0;
        return true;
    }
    if (end == SIZE_MAX) return false;
    r.headers = weft_str_sub(in, line + 2, end + 2);
    struct weft_str length = mock_header(&r, "content-length");
    size_t n = length.s ? (size_t)strtoull(length.s, NULL, 10) : 0;
    if (in.len < end + 4 + n) return false;
    struct weft_str start = weft_str_sub(in, 0, line);
    size_t one = weft_str_find(start, WEFT_STR(" "), 0),
           two = one == SIZE_MAX ? one : weft_str_find(start, WEFT_STR(" "), one + 1);
    if (two == SIZE_MAX) {
        c->gone = true;
        return false;
    }
    r.method = weft_str_sub(start, 0, one);
    r.target = weft_str_sub(start, one + 1, two);
    r.body = weft_str_sub(in, end + 4, end + 4 + n);
    c->mock->handler(c->mock->ctx, c, &r);
    memmove(c->in.s, c->in.s + end + 4 + n, c->in.len - (end + 4 + n));
    c->in.len -= end + 4 + n;
    return true;
}

static void read_some(struct mock_conn *c)
{
    char bytes[65536];
    for (;;) {
        ssize_t n = read(c->fd, bytes, sizeof bytes);
        if (n > 0) weft_buf_add(&c->in, bytes, (size_t)n);
        else if (n == 0 || (errno != EAGAIN && errno != EINTR)) c->gone = true;
        if (n <= 0 || c->in.failed || c->in.len > MAX_REQUEST) return;
    }
}

/* Does what can be done now. */
static void advance(struct mock_conn *c)
{
    while (!c->gone && (c->first || take_request(c))) {
        struct step *s = c->first;
        if (!s) continue;
        switch (s->kind) {
        case SEND:
            while (s->times) {
                if (s->sent == s->bytes.len) {
                    s->sent = 0;
                    s->times--;
                    continue;
                }
                ssize_t n = send(c->fd, s->bytes.s + s->sent, s->bytes.len - s->sent, MSG_NOSIGNAL);
                if (n < 0 && errno == EAGAIN) {
                    c->blocked = true;
                    return;
                }
                if (n < 0 && errno != EINTR) {
                    c->gone = true;
                    return;
                }
                if (n <= 0) continue;
                s->sent += (size_t)n;
                c->mock->sent += (uint64_t)n;
            }
            break;
        case WAIT:
            if (!c->due_ms) c->due_ms = now_ms() + s->ms;
            if (now_ms() < c->due_ms) return;
            c->due_ms = 0;
            break;
        case CALL: s->fn(s->ctx, s->number); break;
        case HANG: return;
        case RESET: {
            struct linger now = { .l_onoff = 1, .l_linger = 0 };
            setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
            c->gone = true;
            return;
        }
        case CLOSE: c->gone = true; return;
        }
        drop_step(c);
    }
}

/* ---- the loop ---- */

struct mock *mock_new(mock_handler *handler, void *ctx)
{
    struct mock *m = need(calloc(1, sizeof *m));
    struct sigaction act = { .sa_handler = on_signal };
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGINT, &act, NULL);
    m->handler = handler;
    m->ctx = ctx;
    m->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (m->epoll < 0) die("epoll");
    return m;
}

void mock_buffer(struct mock *m, int bytes) { m->buffer = bytes; }

uint64_t mock_sent(const struct mock_conn *c) { return c->mock->sent; }

void mock_listen(struct mock *m, int *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)*port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || m->n_listeners == MAX_LISTENERS) die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (m->buffer) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &m->buffer, sizeof m->buffer); /* connections inherit it */
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 1024)) die("listen");
    if (getsockname(fd, (struct sockaddr *)&at, &len)) die("getsockname");
    *port = ntohs(at.sin_port);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL };
    if (epoll_ctl(m->epoll, EPOLL_CTL_ADD, fd, &e)) die("epoll");
    m->listeners[m->n_listeners].fd = fd;
    m->listeners[m->n_listeners++].port = *port;
}

static void accept_all(struct mock *m)
{
    for (size_t i = 0; i < m->n_listeners; i++)
        for (int fd; (fd = accept4(m->listeners[i].fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
            struct mock_conn *c = need(calloc(1, sizeof *c));
            int yes = 1;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
            *c = (struct mock_conn){ .mock = m, .fd = fd, .port = m->listeners[i].port, .next = m->conns };
            c->last = &c->first;
            if (m->conns) m->conns->prev = c;
            m->conns = c;
            /* Edge-triggered: each side is looked at when something changed, so nothing is registered anew. */
            struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c };
            if (epoll_ctl(m->epoll, EPOLL_CTL_ADD, fd, &e)) die("epoll");
        }
}

static void free_conn(struct mock_conn *c)
{
    if (c->prev) c->prev->next = c->next;
    else c->mock->conns = c->next;
    if (c->next) c->next->prev = c->prev;
    while (c->first) drop_step(c);
    weft_buf_clear(&c->in);
    close(c->fd);
    free(c);
}

/* Milliseconds until the next WAIT ends, at most `most`. */
static int next_wait(const struct mock *m, int most)
{
    uint64_t now = now_ms(), due = now + (uint64_t)most;
    for (const struct mock_conn *c = m->conns; c; c = c->next)
        if (c->due_ms && c->due_ms < due) due = c->due_ms < now ? now : c->due_ms;
    return (int)(due - now);
}

void mock_run(struct mock *m, int seconds)
{
    uint64_t end = now_ms() + (uint64_t)seconds * 1000;
    for (size_t i = 0; i < m->n_listeners; i++) printf("%s%d", i ? " " : "", m->listeners[i].port);
    printf("\n");
    fflush(stdout);
    while (!stopped && now_ms() < end) {
        struct epoll_event events[256];
        int n = epoll_wait(m->epoll, events, 256, next_wait(m, 1000));
        for (int i = 0; i < n; i++) {
            struct mock_conn *c = events[i].data.ptr;
            if (!c) accept_all(m);
            else {
                if (events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) read_some(c);
                c->blocked = false;
                advance(c);
            }
        }
        for (struct mock_conn *c = m->conns, *next; c; c = next) {
            next = c->next;
            if (!c->gone && c->due_ms && c->due_ms <= now_ms()) advance(c);
            if (c->gone) free_conn(c);
        }
    }
    while (m->conns) free_conn(m->conns);
    for (size_t i = 0; i < m->n_listeners; i++) close(m->listeners[i].fd);
    close(m->epoll);
    free(m);
}

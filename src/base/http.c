/* libcurl's multi interface by sockets: curl says which descriptors it waits for, epoll tells which are ready, so
 * that a turn costs as much as happened in it and not as many calls as there are.
 *
 * What is not left to curl, and why:
 * - deadlines: curl knows one for connecting and one for all; a model may think for a minute and then write for five;
 * - redirects: which headers go along is decided here, in one place that a test can read;
 * - repeats: curl sends a request again by itself when a kept connection turns out dead; a call that may cost money is
 *   sent once, and whoever pays decides about the second time;
 * - the environment: curl would read proxies from it.
 * HTTP/1.1 only: with HTTP/2 a hundred calls share one connection and one fault ends them all. */
#include "base/http.h"

#include "base/file.h"
#include "base/lang.h"
#include "base/library.h"
#include "base/url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

enum {
    CONNECT_MS = 10 * 1000,
    FIRST_BYTE_MS = 120 * 1000,
    GAP_MS = 60 * 1000,
    WHOLE_MS = 600 * 1000,
    MAX_HEADERS = 64 << 10, /* of one reply, all lines */
    MAX_ERROR_BODY = 1 << 20,
    POLL_MS = 250, /* how late the cancel flag may be seen */
    MAX_EVENTS = 64
};

/* The functions of libcurl.so.4 that are used. */
struct curl {
    __typeof__(curl_global_init) *global_init;
    __typeof__(curl_global_cleanup) *global_cleanup;
    __typeof__(curl_version_info) *version_info;
    __typeof__(curl_easy_init) *easy_init;
    __typeof__(curl_easy_cleanup) *easy_cleanup;
    __typeof__(curl_easy_setopt) *setopt;
    __typeof__(curl_easy_getinfo) *getinfo;
    __typeof__(curl_easy_strerror) *strerror;
    __typeof__(curl_slist_append) *slist_append;
    __typeof__(curl_slist_free_all) *slist_free;
    __typeof__(curl_multi_init) *multi_init;
    __typeof__(curl_multi_cleanup) *multi_cleanup;
    __typeof__(curl_multi_setopt) *multi_setopt;
    __typeof__(curl_multi_add_handle) *multi_add;
    __typeof__(curl_multi_remove_handle) *multi_remove;
    __typeof__(curl_multi_socket_action) *multi_action;
    __typeof__(curl_multi_info_read) *multi_info;
};

struct timer {
    struct timer *next;
    uint64_t number, due_ms;
    void (*fn)(void *ctx);
    void *ctx;
};

struct weft_http_call {
    struct weft_http_call *next, *prev; /* in h->calls once it is in the multi handle, else in h->fresh */
    struct weft_http *http;
    struct weft_arena arena; /* copies of the request's strings */
    struct weft_http_request request;
    struct curl_slist *all, *few; /* headers for the first origin, and for any other */
    CURL *easy;
    bool in_multi;

    bool cancelled, crossed;        /* crossed: a redirect led to another origin */
    bool following, head_done;      /* of the present hop */
    int hops, sends;                /* sends: of the present hop */
    enum weft_http_fault found;     /* what a callback of curl's noticed; explains curl's own error */
    char address[INET6_ADDRSTRLEN]; /* the address that was refused */

    uint64_t started_ms, hop_ms, sent_ms, byte_ms; /* byte_ms: the last byte that came; 0: none yet */
    struct weft_buf headers, body;
    struct weft_http_reply reply;
    char detail[CURL_ERROR_SIZE];
};

struct weft_http {
    struct curl c;
    CURLM *multi;
    int epoll;
    struct weft_http_options options;
    struct weft_arena arena; /* copies of the options */
    struct curl_slist *resolve;
    struct weft_http_call *calls, *fresh, *fresh_last; /* fresh: submitted since the last turn, in order */
    size_t n_calls;
    bool one_bundle; /* certificates come from one file, not from a folder as well */
    struct timer *timers;
    uint64_t next_timer;
    int64_t curl_due_ms; /* when curl wants to be called; -1: not */
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t weft_http_now_ms(const struct weft_http *h) { return now_ms(); }

size_t weft_http_calls(const struct weft_http *h) { return h->n_calls; }

/* ---- headers of a reply ---- */

static bool same_name(struct weft_str a, struct weft_str b)
{
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++) {
        char x = a.s[i], y = b.s[i];
        if (x >= 'A' && x <= 'Z') x = (char)(x + 32);
        if (y >= 'A' && y <= 'Z') y = (char)(y + 32);
        if (x != y) return false;
    }
    return true;
}

struct weft_str weft_http_header(const struct weft_http_reply *reply, const char *name)
{
    struct weft_str found = { 0 }, line;
    struct weft_lines lines = { .text = reply->headers };
    while (weft_lines_next(&lines, &line)) {
        const char *colon = line.len ? memchr(line.s, ':', line.len) : NULL;
        if (!colon) continue;
        size_t at = (size_t)(colon - line.s);
        if (same_name(weft_str_sub(line, 0, at), weft_str_c(name)))
            found = weft_str_trim_ascii(weft_str_skip(line, at + 1));
    }
    if (found.s == NULL) found.len = 0;
    return found;
}

/* ---- curl's callbacks ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *of_socket)
{
    struct weft_http *h = ctx;
    struct epoll_event e = { .data.fd = fd };
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(h->epoll, EPOLL_CTL_DEL, fd, &e); /* fails when it was closed: then it is gone already */
        return 0;
    }
    if (what & CURL_POLL_IN) e.events |= EPOLLIN;
    if (what & CURL_POLL_OUT) e.events |= EPOLLOUT;
    if (epoll_ctl(h->epoll, EPOLL_CTL_MOD, fd, &e) && errno == ENOENT)
        return epoll_ctl(h->epoll, EPOLL_CTL_ADD, fd, &e) ? -1 : 0;
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    struct weft_http *h = ctx;
    h->curl_due_ms = timeout_ms < 0 ? -1 : (int64_t)now_ms() + timeout_ms;
    return 0;
}

static bool address_allowed(const struct weft_http *h, enum weft_address_kind kind)
{
    return kind != WEFT_ADDRESS_FORBIDDEN && !(kind == WEFT_ADDRESS_PRIVATE && h->options.public_only);
}

/* The proxy for the call's present address; "": none. */
static const char *proxy_of(const struct weft_http_call *call)
{
    const struct weft_http_options *o = &call->http->options;
    bool tls = strncasecmp(call->reply.url.s, "https:", 6) == 0;
    const char *proxy = !tls && o->plain_proxy ? o->plain_proxy : o->proxy;
    return proxy ? proxy : "";
}

/* The address checked here is the one connected to: nothing can change between. */
static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct weft_http_call *call = ctx;
    enum weft_address_kind kind = WEFT_ADDRESS_PUBLIC;
    if (address->family == AF_INET) {
        struct sockaddr_in *in = (void *)&address->addr;
        kind = weft_address_kind4(ntohl(in->sin_addr.s_addr));
        inet_ntop(AF_INET, &in->sin_addr, call->address, sizeof call->address);
    } else if (address->family == AF_INET6) {
        struct sockaddr_in6 *in = (void *)&address->addr;
        kind = weft_address_kind6(in->sin6_addr.s6_addr);
        inet_ntop(AF_INET6, &in->sin6_addr, call->address, sizeof call->address);
    }
    /* A proxy was chosen by the user and is often private; what lies behind it is checked where it is an address. */
    bool allowed = proxy_of(call)[0] ? kind != WEFT_ADDRESS_FORBIDDEN : address_allowed(call->http, kind);
    if (!allowed) {
        call->found = WEFT_HTTP_FORBIDDEN;
        return CURL_SOCKET_BAD;
    }
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
        call->found = WEFT_HTTP_LOCAL;
        snprintf(call->detail, sizeof call->detail, "%s", strerror(errno));
    } else if (call->found == WEFT_HTTP_FORBIDDEN) call->found = WEFT_HTTP_FINE; /* another address will do */
    return fd;
}

/* Connected; the request goes out next. */
static int on_connected(void *ctx, char *ip, char *own_ip, int port, int own_port)
{
    struct weft_http_call *call = ctx;
    if (call->sends++ && call->request.body.s) {
        call->found = WEFT_HTTP_RESET;
        return CURL_PREREQFUNC_ABORT;
    }
    call->reply.sent = true;
    call->sent_ms = now_ms();
    return CURL_PREREQFUNC_OK;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* May this redirect be followed?  Anything but GET and HEAD is not: a POST would become something else on the way. */
static bool follows(const struct weft_http_call *call)
{
    const struct weft_http_request *r = &call->request;
    struct weft_str place = weft_http_header(&call->reply, "location");
    if (!is_redirect(call->reply.status) || !place.s || r->follow == WEFT_HTTP_STAY) return false;
    if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0) return false;
    if (r->follow == WEFT_HTTP_ANYWHERE) return true;
    struct weft_arena scratch = { .block_bytes = 1024 };
    struct weft_url here, there;
    struct weft_str target = weft_url_join(&scratch, call->reply.url, place);
    bool same = target.s && !weft_url_parse(call->reply.url, &here, NULL) && !weft_url_parse(target, &there, NULL)
                && weft_url_same_origin(&here, &there);
    weft_arena_clear(&scratch);
    return same;
}

static void head_complete(struct weft_http_call *call)
{
    call->head_done = true;
    call->reply.headers = weft_buf_view(&call->headers);
    call->following = follows(call);
    if (call->following) return;
    curl_off_t length = -1;
    call->http->c.getinfo(call->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (length > 0 && strcmp(call->request.method, "HEAD") != 0 && call->reply.status < 300
        && (uint64_t)length > call->request.max_body_bytes)
        call->found = WEFT_HTTP_TOO_LARGE;
    else if (call->request.head && !call->request.head(call->request.ctx, &call->reply))
        call->found = WEFT_HTTP_CANCELLED;
}

/* One line of the head, with its line end; "HTTP/..." begins another reply (after 100 Continue), an empty line ends
 * it. */
static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct weft_http_call *call = ctx;
    struct weft_str line = { p, size * n };
    call->byte_ms = now_ms();
    if (weft_str_starts(line, WEFT_STR("HTTP/"))) {
        const char *blank = memchr(p, ' ', line.len);
        weft_buf_reset(&call->headers);
        call->head_done = false;
        call->reply.status = 0;
        for (blank = blank ? blank + 1 : p + line.len; blank < p + line.len && *blank >= '0' && *blank <= '9';
             blank++)
            if (call->reply.status < 1000) call->reply.status = call->reply.status * 10 + (*blank - '0');
        call->reply.first_byte_ms = call->byte_ms - call->started_ms;
        return line.len;
    }
    if (weft_str_trim_ascii(line).len == 0) {
        if (call->reply.status >= 200 && !call->head_done) head_complete(call);
        return call->found ? 0 : line.len;
    }
    if (!call->head_done) weft_buf_str(&call->headers, line);
    if (call->headers.failed) call->found = call->headers.too_long ? WEFT_HTTP_BAD_REPLY : WEFT_HTTP_LOCAL;
    return call->found ? 0 : line.len;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct weft_http_call *call = ctx;
    struct weft_str piece = { p, size * n };
    call->byte_ms = now_ms();
    if (call->found) return 0;
    if (call->following) return piece.len; /* the page that says "moved" */
    call->reply.body_bytes += piece.len;
    if (call->reply.status >= 300) {
        if (call->body.len < MAX_ERROR_BODY)
            weft_buf_str(&call->body, weft_str_sub(piece, 0, MAX_ERROR_BODY - call->body.len));
        if (call->body.failed) call->found = WEFT_HTTP_LOCAL;
        return call->found ? 0 : piece.len;
    }
    if (call->reply.body_bytes > call->request.max_body_bytes) call->found = WEFT_HTTP_TOO_LARGE;
    else if (call->request.piece) {
        if (!call->request.piece(call->request.ctx, &call->reply, piece)) call->found = WEFT_HTTP_CANCELLED;
    } else {
        weft_buf_str(&call->body, piece);
        if (call->body.failed) call->found = WEFT_HTTP_LOCAL;
    }
    return call->found ? 0 : piece.len;
}

/* ---- lists ---- */

static void unlink_call(struct weft_http_call *call)
{
    struct weft_http *h = call->http;
    if (call->prev) call->prev->next = call->next;
    else if (h->calls == call) h->calls = call->next;
    else if (h->fresh == call) h->fresh = call->next;
    if (call->next) call->next->prev = call->prev;
    if (h->fresh_last == call) h->fresh_last = call->prev;
    call->next = call->prev = NULL;
}

static void free_call(struct weft_http_call *call)
{
    struct weft_http *h = call->http;
    if (call->in_multi) h->c.multi_remove(h->multi, call->easy);
    if (call->easy) h->c.easy_cleanup(call->easy);
    if (call->all) h->c.slist_free(call->all);
    if (call->few) h->c.slist_free(call->few);
    weft_buf_clear(&call->headers);
    weft_buf_clear(&call->body);
    weft_arena_clear(&call->arena);
    free(call);
}

/* ---- the end of a call ---- */

static void explain(struct weft_http_call *call, enum weft_http_fault fault)
{
    struct weft_err *err = &call->reply.err;
    struct weft_url url = { 0 };
    const struct weft_http_request *r = &call->request;
    const char *detail = call->detail;
    char host[256], reason[256];
    uint64_t now = now_ms();
    long number = 0;
    if (weft_url_parse(call->reply.url, &url, NULL)) url.host = call->reply.url;
    weft_escape(host, sizeof host, url.host);
    detail = weft_escape(reason, sizeof reason, weft_str_c(detail));
    *err = (struct weft_err){ .lang = call->http->options.lang };
    switch (fault) {
    case WEFT_HTTP_FINE: break;
    case WEFT_HTTP_DNS:
        weft_fail(err, WEFT_EREMOTE, "the name %s was not found; check the address and the network (%s)", host,
                  detail);
        break;
    case WEFT_HTTP_REFUSED:
        call->http->c.getinfo(call->easy, CURLINFO_OS_ERRNO, &number);
        weft_fail(err, WEFT_EREMOTE, "no connection to %s, port %d: %s", host, url.port,
                  number ? strerror((int)number) : detail);
        break;
    case WEFT_HTTP_RESET:
        weft_fail(err, WEFT_EREMOTE, "%s closed the connection before the reply was whole: %s", host, detail);
        break;
    case WEFT_HTTP_TLS:
        weft_fail(err, WEFT_EREMOTE, "the connection to %s cannot be trusted: %s", host, detail);
        break;
    case WEFT_HTTP_TIMEOUT:
        if (now - call->started_ms >= r->whole_ms)
            weft_fail(err, WEFT_EREMOTE, "the call to %s took longer than %g s", host, r->whole_ms / 1000.0);
        else if (!call->sent_ms)
            weft_fail(err, WEFT_EREMOTE, "no connection to %s within %g s", host, r->connect_ms / 1000.0);
        else
            weft_fail(err, WEFT_EREMOTE, "%s sent nothing for %g s", host,
                      (call->byte_ms ? r->gap_ms : r->first_byte_ms) / 1000.0);
        break;
    case WEFT_HTTP_TOO_LARGE:
        weft_fail(err, WEFT_ELIMIT, "the reply of %s is larger than %llu bytes", host,
                  (unsigned long long)r->max_body_bytes);
        break;
    case WEFT_HTTP_BAD_REPLY:
        weft_fail(err, WEFT_EREMOTE, "%s sent no proper HTTP reply: %s", host, detail);
        break;
    case WEFT_HTTP_FORBIDDEN:
        weft_fail_rule(err, WEFT_EARG, "D9", "%s has the address %s, which is never called", host,
                       call->address[0] ? call->address : host);
        break;
    case WEFT_HTTP_CANCELLED: weft_fail(err, WEFT_ECANCEL, "the call to %s was stopped", host); break;
    case WEFT_HTTP_LOCAL:
        weft_fail(err, WEFT_ESYSTEM, "no call to %s, this machine is short of something: %s", host,
                  detail[0] ? detail : strerror(ENOMEM));
        break;
    }
}

/* The call leaves the loop before its owner hears of it, so that the owner may do anything but keep it. */
static void finish(struct weft_http_call *call, enum weft_http_fault fault)
{
    struct weft_http *h = call->http;
    unlink_call(call);
    h->n_calls--;
    if (call->in_multi) h->c.multi_remove(h->multi, call->easy);
    call->in_multi = false;
    call->reply.fault = fault;
    call->reply.ms = now_ms() - call->started_ms;
    call->reply.headers = weft_buf_view(&call->headers);
    call->reply.body = weft_buf_view(&call->body);
    if (!call->reply.body.s) call->reply.body = WEFT_STR("");
    explain(call, fault);
    call->request.done(call->request.ctx, &call->reply);
    free_call(call);
}

static enum weft_http_fault fault_of(const struct weft_http_call *call, CURLcode code)
{
    if (code == CURLE_OK) return call->reply.status ? WEFT_HTTP_FINE : WEFT_HTTP_BAD_REPLY;
    if (call->found) return call->found;
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY: return WEFT_HTTP_DNS;
    case CURLE_COULDNT_CONNECT: return WEFT_HTTP_REFUSED;
    case CURLE_OPERATION_TIMEDOUT: return WEFT_HTTP_TIMEOUT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_USE_SSL_FAILED: return WEFT_HTTP_TLS;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE: return WEFT_HTTP_RESET;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT: return WEFT_HTTP_LOCAL;
    default: return WEFT_HTTP_BAD_REPLY;
    }
}

/* ---- starting ---- */

/* Sets up the handle for the present address.  False: memory is out. */
static bool prepare(struct weft_http_call *call)
{
    struct weft_http *h = call->http;
    const struct weft_http_request *r = &call->request;
    const struct weft_http_options *o = &h->options;
    if (!call->easy) call->easy = h->c.easy_init();
    CURL *e = call->easy;
    bool ok = true;
    if (!e) return false;
#define SET(option, value) ok = h->c.setopt(e, CURLOPT_##option, value) == CURLE_OK && ok
    SET(URL, call->reply.url.s);
    SET(PROTOCOLS_STR, "http,https");
    SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(NOSIGNAL, 1L);
    SET(QUICK_EXIT, 1L); /* a name server that does not answer must not hold up a Ctrl-C */
    SET(PROXY, proxy_of(call));
    SET(NOPROXY, o->no_proxy ? o->no_proxy : "");
    SET(SUPPRESS_CONNECT_HEADERS, 1L);
    SET(SSL_VERIFYPEER, 1L);
    SET(SSL_VERIFYHOST, 2L);
    SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (o->ca_file) SET(CAINFO, o->ca_file);
    /* A folder of certificates beside the file keeps curl from sharing what it has read: then each of 500 connections
     * reads the system's 140 certificates again, 470 MB in all instead of 50. */
    if (h->one_bundle) SET(CAPATH, NULL);
    if (h->resolve) SET(RESOLVE, h->resolve);
    SET(USERAGENT, o->user_agent ? o->user_agent : "weft/" WEFT_VERSION);
    SET(HTTPHEADER, call->crossed ? call->few : call->all);
    SET(CONNECTTIMEOUT_MS, (long)(r->connect_ms == WEFT_HTTP_NEVER ? 3600 * 1000 : r->connect_ms));
    SET(ERRORBUFFER, call->detail);
    SET(PRIVATE, call);
    SET(OPENSOCKETFUNCTION, on_open_socket);
    SET(OPENSOCKETDATA, call);
    SET(PREREQFUNCTION, on_connected);
    SET(PREREQDATA, call);
    SET(HEADERFUNCTION, on_header);
    SET(HEADERDATA, call);
    SET(WRITEFUNCTION, on_body);
    SET(WRITEDATA, call);
    if (r->body.s) {
        SET(POST, 1L);
        SET(POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
        SET(POSTFIELDS, r->body.s);
        SET(CUSTOMREQUEST, r->method);
    } else if (strcmp(r->method, "HEAD") == 0) SET(NOBODY, 1L);
    else SET(CUSTOMREQUEST, r->method);
#undef SET
    return ok;
}

/* Puts a call that is prepared into the multi handle.  An address in digits is looked at here as well: behind a
 * proxy no socket to it will be opened. */
static void start(struct weft_http_call *call)
{
    struct weft_http *h = call->http;
    struct weft_url url;
    call->hop_ms = now_ms();
    call->detail[0] = '\0';
    if (call->cancelled) finish(call, WEFT_HTTP_CANCELLED);
    else if (weft_url_parse(call->reply.url, &url, NULL) || !address_allowed(h, weft_address_kind(url.host)))
        finish(call, WEFT_HTTP_FORBIDDEN);
    else if (!prepare(call) || h->c.multi_add(h->multi, call->easy) != CURLM_OK) finish(call, WEFT_HTTP_LOCAL);
    else call->in_multi = true;
}

/* A redirect: the next hop, or the end.  Bodies of GET and HEAD are empty, so nothing is sent twice. */
static void follow(struct weft_http_call *call)
{
    struct weft_http *h = call->http;
    struct weft_url here, there;
    struct weft_str target =
        weft_url_join(&call->arena, call->reply.url, weft_http_header(&call->reply, "location"));
    h->c.multi_remove(h->multi, call->easy);
    call->in_multi = false;
    if (!target.s) {
        finish(call, WEFT_HTTP_LOCAL);
        return;
    }
    const char *wrong = NULL;
    if (++call->hops > WEFT_HTTP_REDIRECTS) wrong = "too many redirects";
    else if (weft_url_parse(target, &there, NULL) || weft_url_parse(call->reply.url, &here, NULL))
        wrong = "a redirect to an address that cannot be used";
    else if (here.tls && !there.tls) wrong = "a redirect from https to http";
    if (wrong) {
        snprintf(call->detail, sizeof call->detail, "%s", weft_tr(h->options.lang, wrong));
        finish(call, WEFT_HTTP_BAD_REPLY);
        return;
    }
    if (!weft_url_same_origin(&here, &there)) call->crossed = true;
    call->reply.url = target;
    call->reply.status = 0;
    call->following = call->head_done = false;
    call->sends = 0;
    call->sent_ms = call->byte_ms = 0;
    start(call);
}

/* ---- submitting ---- */

static bool is_token(const char *s)
{
    if (!s || !*s) return false;
    for (; *s; s++)
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9')
              || strchr("!#$%&'*+-.^_`|~", *s)))
            return false;
    return true;
}

static bool is_value(const char *s)
{
    if (!s) return false;
    for (; *s; s++)
        if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f) return false;
    return true;
}

/* Headers that may go to any host. */
static bool harmless(const char *name)
{
    static const char *const names[] = { "accept", "accept-encoding", "accept-language", "range", "if-range" };
    for (size_t i = 0; i < WEFT_COUNT(names); i++)
        if (same_name(weft_str_c(name), weft_str_c(names[i]))) return true;
    return false;
}

static bool append(struct weft_http *h, struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = h->c.slist_append(*list, line);
    if (longer) *list = longer;
    return longer != NULL;
}

static enum weft_status add_header(struct weft_http_call *call, const char *name, const char *value,
                                   struct weft_err *err)
{
    struct weft_http *h = call->http;
    char shown[128];
    if (!is_token(name))
        return weft_fail(err, WEFT_EARG, "\"%s\" is no name of an HTTP header",
                         weft_escape(shown, sizeof shown, weft_str_c(name)));
    if (!is_value(value))
        return weft_fail(err, WEFT_EARG, "the value of the HTTP header %s holds a line break or control character",
                         name);
    /* "Name;" is curl's way to send an empty one. */
    struct weft_str line = weft_str_printf(&call->arena, value[0] ? "%s: %s" : "%s;%s", name, value);
    if (!line.s || !append(h, &call->all, line.s) || (harmless(name) && !append(h, &call->few, line.s)))
        return weft_fail_nomem(err, strlen(value), "an HTTP header");
    return WEFT_OK;
}

static enum weft_status add_headers(struct weft_http_call *call, const struct weft_http_request *r,
                                    struct weft_err *err)
{
    struct weft_http *h = call->http;
    enum weft_status st = WEFT_OK;
    bool type = false;
    char range[64];
    for (size_t i = 0; !st && i < r->n_headers; i++) {
        st = add_header(call, r->headers[i].name, r->headers[i].value, err);
        type = type || (!st && same_name(weft_str_c(r->headers[i].name), WEFT_STR("content-type")));
    }
    if (!st && r->bearer) {
        struct weft_str value = weft_str_printf(&call->arena, "Bearer %s", r->bearer);
        if (!value.s) st = weft_fail_nomem(err, strlen(r->bearer), "an HTTP header");
        else st = add_header(call, "Authorization", value.s, err);
    }
    if (!st && (r->from || r->to)) {
        if (r->to)
            snprintf(range, sizeof range, "bytes=%llu-%llu", (unsigned long long)r->from,
                     (unsigned long long)r->to);
        else snprintf(range, sizeof range, "bytes=%llu-", (unsigned long long)r->from);
        st = add_header(call, "Range", range, err);
    }
    /* curl would wait a second for "100 Continue" with long bodies, and call every body a form. */
    if (!st && r->body.s
        && (!append(h, &call->all, "Expect:") || (!type && !append(h, &call->all, "Content-Type:"))))
        st = weft_fail_nomem(err, 16, "an HTTP header");
    return st;
}

enum weft_status weft_http_submit(struct weft_http *h, const struct weft_http_request *request,
                                  struct weft_http_call **out, struct weft_err *err)
{
    struct weft_url url;
    enum weft_status st = weft_url_parse(weft_str_c(request->url), &url, err);
    if (st) return st;
    const char *method = request->method ? request->method : request->body.s ? "POST" : "GET";
    if (!is_token(method)) return weft_fail(err, WEFT_EARG, "\"%s\" is no HTTP method", method);
    struct weft_http_call *call = calloc(1, sizeof *call);
    if (!call) return weft_fail_nomem(err, sizeof *call, "an HTTP call");
    call->http = h;
    weft_arena_init(&call->arena, 1024, 0);
    call->headers.max_bytes = MAX_HEADERS;
    struct weft_http_request *r = &call->request;
    *r = *request;
    r->headers = NULL;
    r->n_headers = 0;
    r->bearer = NULL;
    r->max_body_bytes = r->max_body_bytes ? r->max_body_bytes : WEFT_HTTP_MAX_BODY;
    r->connect_ms = r->connect_ms ? r->connect_ms : CONNECT_MS;
    r->first_byte_ms = r->first_byte_ms ? r->first_byte_ms : FIRST_BYTE_MS;
    r->gap_ms = r->gap_ms ? r->gap_ms : GAP_MS;
    r->whole_ms = r->whole_ms ? r->whole_ms : WHOLE_MS;
    r->method = weft_arena_strndup(&call->arena, method, strlen(method));
    call->reply.url = weft_str_dup(&call->arena, weft_str_c(request->url));
    if (!r->method || !call->reply.url.s) st = weft_fail_nomem(err, strlen(request->url), "an HTTP call");
    if (!st) st = add_headers(call, request, err);
    if (st) {
        free_call(call);
        return st;
    }
    call->started_ms = now_ms();
    call->prev = h->fresh_last;
    if (h->fresh_last) h->fresh_last->next = call;
    else h->fresh = call;
    h->fresh_last = call;
    h->n_calls++;
    if (out) *out = call;
    return WEFT_OK;
}

void weft_http_cancel(struct weft_http *h, struct weft_http_call *call) { call->cancelled = true; }

void weft_http_cancel_all(struct weft_http *h)
{
    for (struct weft_http_call *c = h->calls; c; c = c->next) c->cancelled = true;
    for (struct weft_http_call *c = h->fresh; c; c = c->next) c->cancelled = true;
}

/* ---- the loop ---- */

static enum weft_status load_curl(struct curl *c, struct weft_err *err)
{
    const struct weft_symbol symbols[] = {
        { "curl_global_init", (void **)&c->global_init },
        { "curl_global_cleanup", (void **)&c->global_cleanup },
        { "curl_version_info", (void **)&c->version_info },
        { "curl_easy_init", (void **)&c->easy_init },
        { "curl_easy_cleanup", (void **)&c->easy_cleanup },
        { "curl_easy_setopt", (void **)&c->setopt },
        { "curl_easy_getinfo", (void **)&c->getinfo },
        { "curl_easy_strerror", (void **)&c->strerror },
        { "curl_slist_append", (void **)&c->slist_append },
        { "curl_slist_free_all", (void **)&c->slist_free },
        { "curl_multi_init", (void **)&c->multi_init },
        { "curl_multi_cleanup", (void **)&c->multi_cleanup },
        { "curl_multi_setopt", (void **)&c->multi_setopt },
        { "curl_multi_add_handle", (void **)&c->multi_add },
        { "curl_multi_remove_handle", (void **)&c->multi_remove },
        { "curl_multi_socket_action", (void **)&c->multi_action },
        { "curl_multi_info_read", (void **)&c->multi_info },
    };
    /* Never closed: a resolver thread that was given up may still run the library's code. */
    void *handle;
    return weft_library_open(&handle, "libcurl.so.4", "libcurl4", symbols, WEFT_COUNT(symbols), err);
}

static bool copy_string(struct weft_arena *a, const char **s)
{
    if (*s) *s = weft_arena_strndup(a, *s, strlen(*s));
    return *s != NULL;
}

/* The options outlive their caller's. */
static bool copy_options(struct weft_http *h, const struct weft_http_options *options)
{
    struct weft_http_options *o = &h->options;
    *o = *options;
    o->resolve = NULL;
    const char **const strings[] = { &o->proxy, &o->plain_proxy, &o->no_proxy, &o->ca_file, &o->user_agent };
    for (size_t i = 0; i < WEFT_COUNT(strings); i++)
        if (*strings[i] && !copy_string(&h->arena, strings[i])) return false;
    for (size_t i = 0; i < options->n_resolve; i++)
        if (!append(h, &h->resolve, options->resolve[i])) return false;
    return true;
}

enum weft_status weft_http_new(struct weft_http **out, const struct weft_http_options *options,
                               struct weft_err *err)
{
    *out = NULL;
    if (options->ca_file && access(options->ca_file, R_OK))
        return weft_fail(err, WEFT_EARG, "the file of certificates %s cannot be read: %s", options->ca_file,
                         strerror(errno));
    struct weft_http *h = calloc(1, sizeof *h);
    if (!h) return weft_fail_nomem(err, sizeof *h, "the HTTP client");
    h->epoll = -1;
    h->curl_due_ms = -1;
    h->next_timer = 1;
    weft_arena_init(&h->arena, 1024, 0);
    enum weft_status st = load_curl(&h->c, err);
    if (!st && h->c.global_init(CURL_GLOBAL_DEFAULT)) {
        st = weft_fail(err, WEFT_ESYSTEM, "libcurl does not start; install the package %s", "libcurl4");
        h->c.multi_init = NULL;
    }
    if (st) {
        free(h);
        return st;
    }
    if (!copy_options(h, options)) st = weft_fail_nomem(err, 1024, "the HTTP client");
    if (!st) h->multi = h->c.multi_init();
    if (!st && !h->multi) st = weft_fail_nomem(err, 1024, "the HTTP client");
    if (!st) h->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!st && h->epoll < 0) st = weft_fail_errno(err, "create", "epoll");
    if (st) {
        weft_http_free(h);
        return st;
    }
    const curl_version_info_data *info = h->c.version_info(CURLVERSION_NOW);
    h->one_bundle = h->options.ca_file
                    || (info && info->age >= CURLVERSION_SEVENTH && info->cainfo && access(info->cainfo, R_OK) == 0);
    h->c.multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    h->c.multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    h->c.multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    h->c.multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    *out = h;
    return WEFT_OK;
}

void weft_http_free(struct weft_http *h)
{
    if (!h) return;
    struct weft_http_call *lists[] = { h->calls, h->fresh }, *next;
    for (size_t i = 0; i < WEFT_COUNT(lists); i++)
        for (struct weft_http_call *c = lists[i]; c; c = next) {
            next = c->next;
            free_call(c);
        }
    for (struct timer *t = h->timers, *later; t; t = later) {
        later = t->next;
        free(t);
    }
    if (h->multi) h->c.multi_cleanup(h->multi);
    if (h->resolve) h->c.slist_free(h->resolve);
    h->c.global_cleanup();
    if (h->epoll >= 0) close(h->epoll);
    weft_arena_clear(&h->arena);
    free(h);
}

uint64_t weft_http_timer(struct weft_http *h, uint64_t delay_ms, void (*fn)(void *ctx), void *ctx)
{
    struct timer *t = malloc(sizeof *t);
    if (!t) return 0;
    *t = (struct timer){ h->timers, h->next_timer++, now_ms() + delay_ms, fn, ctx };
    h->timers = t;
    return t->number;
}

void weft_http_timer_cancel(struct weft_http *h, uint64_t number)
{
    for (struct timer **t = &h->timers; *t; t = &(*t)->next)
        if ((*t)->number == number) {
            struct timer *gone = *t;
            *t = gone->next;
            free(gone);
            return;
        }
}

/* The earliest deadline of a call; *missed: it has passed. */
static uint64_t deadline(const struct weft_http_call *call)
{
    const struct weft_http_request *r = &call->request;
    uint64_t whole = r->whole_ms == WEFT_HTTP_NEVER ? UINT64_MAX : call->started_ms + r->whole_ms, other;
    if (call->byte_ms) other = r->gap_ms == WEFT_HTTP_NEVER ? UINT64_MAX : call->byte_ms + r->gap_ms;
    else if (call->sent_ms)
        other = r->first_byte_ms == WEFT_HTTP_NEVER ? UINT64_MAX : call->sent_ms + r->first_byte_ms;
    else other = r->connect_ms == WEFT_HTTP_NEVER ? UINT64_MAX : call->hop_ms + r->connect_ms;
    return whole < other ? whole : other;
}

static uint64_t next_due(const struct weft_http *h, uint64_t now, uint32_t max_wait_ms)
{
    uint64_t due = now + max_wait_ms;
    if (h->curl_due_ms >= 0 && (uint64_t)h->curl_due_ms < due) due = (uint64_t)h->curl_due_ms;
    for (const struct timer *t = h->timers; t; t = t->next)
        if (t->due_ms < due) due = t->due_ms;
    for (const struct weft_http_call *c = h->calls; c; c = c->next) {
        uint64_t d = c->cancelled ? now : deadline(c);
        if (d < due) due = d;
    }
    return h->fresh || due < now ? now : due;
}

static void collect_finished(struct weft_http *h)
{
    int left;
    for (CURLMsg *m; (m = h->c.multi_info(h->multi, &left)) != NULL;) {
        char *private = NULL;
        if (m->msg != CURLMSG_DONE) continue;
        CURLcode code = m->data.result;
        h->c.getinfo(m->easy_handle, CURLINFO_PRIVATE, &private);
        struct weft_http_call *call = (void *)private;
        enum weft_http_fault fault = fault_of(call, code);
        if (!call->detail[0] && code) snprintf(call->detail, sizeof call->detail, "%s", h->c.strerror(code));
        if (fault == WEFT_HTTP_FINE && call->following && !call->cancelled) follow(call);
        else finish(call, fault);
    }
}

static void sweep(struct weft_http *h)
{
    uint64_t now = now_ms();
    for (struct weft_http_call *c = h->calls, *next; c; c = next) {
        next = c->next; /* nobody but this thread's finish takes a call out of the list */
        if (c->cancelled) finish(c, WEFT_HTTP_CANCELLED);
        else if (deadline(c) <= now) finish(c, WEFT_HTTP_TIMEOUT);
    }
}

static void run_timers(struct weft_http *h)
{
    uint64_t now = now_ms();
    for (;;) { /* a timer's function may change the list; the oldest of those that are due goes first */
        struct timer **first = NULL;
        for (struct timer **t = &h->timers; *t; t = &(*t)->next)
            if ((*t)->due_ms <= now
                && (!first || (*t)->due_ms < (*first)->due_ms
                    || ((*t)->due_ms == (*first)->due_ms && (*t)->number < (*first)->number)))
                first = t;
        if (!first) return;
        struct timer due = **first, *gone = *first;
        *first = gone->next;
        free(gone);
        due.fn(due.ctx);
    }
}

enum weft_status weft_http_step(struct weft_http *h, uint32_t max_wait_ms, struct weft_err *err)
{
    struct epoll_event events[MAX_EVENTS];
    struct weft_http_call *c;
    size_t n_fresh = 0; /* what is submitted meanwhile waits for the next turn */
    int running;
    for (c = h->fresh; c; c = c->next) n_fresh++;
    for (; n_fresh && (c = h->fresh) != NULL; n_fresh--) {
        unlink_call(c);
        c->next = h->calls;
        if (h->calls) h->calls->prev = c;
        h->calls = c;
        start(c);
    }
    uint64_t now = now_ms(), due = next_due(h, now, max_wait_ms);
    int n = epoll_wait(h->epoll, events, MAX_EVENTS, (int)(due - now));
    if (n < 0 && errno != EINTR) return weft_fail_errno(err, "read", "epoll");
    for (int i = 0; i < n; i++) {
        int what = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0)
                   | (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0)
                   | (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
        h->c.multi_action(h->multi, events[i].data.fd, what, &running);
    }
    if (h->curl_due_ms >= 0 && (uint64_t)h->curl_due_ms <= now_ms()) {
        h->curl_due_ms = -1; /* curl sets the next one from inside */
        h->c.multi_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    collect_finished(h);
    sweep(h);
    run_timers(h);
    return WEFT_OK;
}

enum weft_status weft_http_run(struct weft_http *h, const struct weft_progress *progress, struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    bool stopping = false;
    while (!st && (h->n_calls || h->timers)) {
        if (weft_progress_cancelled(progress)) {
            stopping = true;
            weft_http_cancel_all(h);
            while (h->timers) weft_http_timer_cancel(h, h->timers->number);
            if (!h->n_calls) break;
        }
        st = weft_http_step(h, POLL_MS, err);
    }
    if (!st && stopping) st = weft_fail(err, WEFT_ECANCEL, "stopped");
    return st;
}

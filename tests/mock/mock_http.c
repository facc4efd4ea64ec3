/* mock_http [SECONDS] - replies of every kind, good and bad, chosen by the target of the request:
 *
 *   /echo            the request's own bytes (line, headers, body)
 *   /status/N        an empty reply of status N
 *   /bytes/N         N bytes "x" with their length
 *   /head/N          a reply that announces N bytes and closes after half of them
 *   /chunked         "one", "two", "three" in chunks
 *   /until-close     a body without a length
 *   /redirect/N/URL  status N, "Location: URL" (URL may be absolute)
 *   /loop            a redirect to itself
 *   /hang            nothing, ever           /hang/head    the head, then nothing
 *   /drip/MS         ten bytes, one each MS milliseconds
 *   /late/MS         "late" after MS milliseconds
 *   /reset           a broken connection     /reset/body   the same in the middle of the body
 *   /close           closed without a byte   /garbage      bytes that are no HTTP
 *   /once            the first request on a connection is answered, the second finds it closed
 *   /count           how many requests came so far, this one included
 *
 * It listens on two ports, so that a second origin is there; every request is answered the same on both. */
#include "mock/server.h"

#include <stdio.h>
#include <stdlib.h>

struct state {
    size_t requests;
};

static void handle(void *ctx, struct mock_conn *c, const struct mock_request *r)
{
    struct state *s = ctx;
    char path[8192];
    unsigned number = 0;
    int at = 0;
    snprintf(path, sizeof path, "%.*s", (int)r->target.len, r->target.s);
    s->requests++;
    if (strcmp(path, "/echo") == 0) {
        struct weft_buf b = { 0 };
        weft_buf_printf(&b, "%.*s %s port %d\r\n", (int)r->method.len, r->method.s, path, r->port);
        weft_buf_str(&b, r->headers);
        weft_buf_cstr(&b, "\r\n");
        weft_buf_str(&b, r->body);
        mock_reply(c, 200, "text/plain", "X-One: 1\r\nx-two:  two words \r\n", weft_buf_view(&b));
        weft_buf_clear(&b);
    } else if (sscanf(path, "/status/%u", &number) == 1)
        mock_reply(c, (int)number, "text/plain", "", WEFT_STR("no\n"));
    else if (sscanf(path, "/bytes/%u", &number) == 1) {
        mock_printf(c, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", number);
        for (unsigned left = weft_str_is(r->method, "HEAD") ? 0 : number; left;) {
            char piece[4096];
            unsigned n = left < sizeof piece ? left : (unsigned)sizeof piece;
            memset(piece, 'x', n);
            mock_send(c, (struct weft_str){ piece, n });
            left -= n;
        }
    } else if (sscanf(path, "/head/%u", &number) == 1) {
        mock_printf(c, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", number);
        for (unsigned i = 0; i < number / 2; i++) mock_say(c, "y");
        mock_close(c);
    } else if (strcmp(path, "/chunked") == 0)
        mock_say(
            c,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n");
    else if (strcmp(path, "/until-close") == 0) {
        mock_say(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall there is");
        mock_close(c);
    } else if (sscanf(path, "/redirect/%u/%n", &number, &at) == 1 && at)
        mock_printf(c, "HTTP/1.1 %u Moved\r\nLocation: %s\r\nX-Hop: first\r\nContent-Length: 5\r\n\r\nmoved",
                    number, path + at);
    else if (strcmp(path, "/loop") == 0)
        mock_say(c, "HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n");
    else if (strcmp(path, "/hang") == 0) mock_hang(c);
    else if (strcmp(path, "/hang/head") == 0) {
        mock_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        mock_hang(c);
    } else if (sscanf(path, "/drip/%u", &number) == 1) {
        mock_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        mock_drip(c, WEFT_STR("0123456789"), 1, number);
    } else if (sscanf(path, "/late/%u", &number) == 1) {
        mock_wait(c, number);
        mock_reply(c, 200, "text/plain", "", WEFT_STR("late"));
    } else if (strcmp(path, "/reset") == 0) mock_reset(c);
    else if (strcmp(path, "/reset/body") == 0) {
        mock_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        mock_wait(c, 50);
        mock_reset(c);
    } else if (strcmp(path, "/close") == 0) mock_close(c);
    else if (strcmp(path, "/garbage") == 0) {
        mock_say(c, "SSH-2.0-OpenSSH_9.2\r\nhello\r\n\r\n");
        mock_close(c);
    } else if (strcmp(path, "/once") == 0) {
        /* A connection that dies while it rests: the next request on it goes out and is never read. */
        mock_reply(c, 200, "text/plain", "", WEFT_STR("once"));
        mock_wait(c, 100);
        mock_reset(c);
    } else if (strcmp(path, "/count") == 0) {
        char text[32];
        snprintf(text, sizeof text, "%zu", s->requests);
        mock_reply(c, 200, "text/plain", "", weft_str_c(text));
    } else mock_reply(c, 404, "text/plain", "", WEFT_STR("no such thing\n"));
}

int main(int argc, char **argv)
{
    struct state s = { 0 };
    struct mock *m = mock_new(handle, &s);
    int first = 0, second = 0;
    mock_listen(m, &first);
    mock_listen(m, &second);
    mock_run(m, argc > 1 ? atoi(argv[1]) : 600);
    return 0;
}

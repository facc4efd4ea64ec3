/* tests/mock/server.h - the core of the servers that tests talk to
 *
 * One thread, epoll, any number of connections.  A handler is called for each whole request and writes down what shall
 * happen on the connection as a list of steps: send these bytes, wait, close, reset.  The loop does the steps in their
 * time, so that slow, dripping and breaking replies are straight-line code:
 *
 *     mock_say(c, head); mock_wait(c, 300); mock_say(c, "half a bo"); mock_reset(c);
 *
 * Without a close the connection is kept for the next request.  These servers are for tests only: they trust their
 * client's framing (Content-Length) and know nothing of TLS.
 */
#ifndef WEFT_TESTS_MOCK_SERVER_H
#define WEFT_TESTS_MOCK_SERVER_H

#include "base/str.h"

struct mock;
struct mock_conn;

struct mock_request {
    struct weft_str method, target; /* "POST", "/v1/chat/completions?x=1" */
    struct weft_str headers;        /* all lines, with their ends */
    struct weft_str body;
    int port; /* of the listener it came through */
};
struct weft_str mock_header(const struct mock_request *r, const char *name); /* s == NULL: none */

typedef void mock_handler(void *ctx, struct mock_conn *c, const struct mock_request *r);

/* Listens on 127.0.0.1 and writes the port into *port (0: any free one).  Call once or more, then run. */
struct mock *mock_new(mock_handler *handler, void *ctx);
void mock_listen(struct mock *m, int *port);
/* Before mock_listen: send buffers of about so many bytes, so that little is under way when a client dies. */
void mock_buffer(struct mock *m, int bytes);
/* Bytes handed to the kernel so far, heads and bodies of all connections. */
uint64_t mock_sent(const struct mock_conn *c);
/* Prints the ports on one line of stdout (whoever started the server waits for it) and serves until SIGTERM, SIGINT or
 * `seconds` have passed: a forgotten server goes by itself.  Then everything is freed. */
void mock_run(struct mock *m, int seconds);

/* ---- steps of a reply ---- */

void mock_say(struct mock_conn *c, const char *text);
void mock_send(struct mock_conn *c, struct weft_str bytes);
void mock_repeat(struct mock_conn *c, struct weft_str bytes, size_t times);
void mock_printf(struct mock_conn *c, const char *fmt, ...) WEFT_PRINTF(2, 3);
void mock_wait(struct mock_conn *c, unsigned ms);
void mock_drip(struct mock_conn *c, struct weft_str bytes, size_t each, unsigned ms); /* pieces with pauses */
void mock_close(struct mock_conn *c);
void mock_reset(struct mock_conn *c); /* RST: the client sees "connection reset" */
void mock_hang(struct mock_conn *c);  /* nothing more, until the client goes */
/* Calls fn(ctx, number) when the steps so far are done and their bytes with the kernel. */
void mock_then(struct mock_conn *c, void (*fn)(void *ctx, size_t number), void *ctx, size_t number);

/* A whole reply with Content-Length.  `more`: further header lines with their ends, or "". */
void mock_reply(struct mock_conn *c, int status, const char *type, const char *more, struct weft_str body);

#endif

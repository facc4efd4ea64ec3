/* base/url.h - addresses of the web, strictly read (rule D9 of docs/robustness.md)
 *
 * An address may come from a user, a settings file or a stranger's reply, so less is accepted than a browser does:
 * http or https, a host of plain letters or an address in digits, no user:password part (a password in an address
 * ends up in logs), no blanks, control characters or backslashes, at most 8 KiB.  What this reader and libcurl could
 * understand differently is refused here.
 */
#ifndef WEFT_BASE_URL_H
#define WEFT_BASE_URL_H

#include "base/str.h"

enum { WEFT_URL_BYTES = 8192 };

/* Views into the text that was read. */
struct weft_url {
    struct weft_str host; /* as written; an IPv6 address without its brackets */
    struct weft_str path; /* path and query, from "/" or "?" on, "" when there is none; never the fragment */
    int port;             /* as written, or 80 and 443 */
    bool tls, ip6, has_port;
};

/* WEFT_EARG: the sentence says what is wrong with the address; the part "user:password" is never repeated in it. */
WEFT_MUST_USE enum weft_status weft_url_parse(struct weft_str text, struct weft_url *out, struct weft_err *err);

/* Same scheme, host (case does not matter) and port. */
bool weft_url_same_origin(const struct weft_url *a, const struct weft_url *b);

/* What `ref` (a Location header, a Link) means seen from `base`, an address that weft_url_parse accepts.  The result
 * is in `a` and must be parsed before it is used; s == NULL when memory is out. */
WEFT_MUST_USE struct weft_str weft_url_join(struct weft_arena *a, struct weft_str base, struct weft_str ref);

/* Appends `part` percent-encoded: all but letters, digits, "-._~" and, with keep_slashes, "/". */
void weft_url_encode(struct weft_buf *b, struct weft_str part, bool keep_slashes);

/* Addresses in digits that are no ordinary place on the network. */
enum weft_address_kind {
    WEFT_ADDRESS_PUBLIC,
    WEFT_ADDRESS_PRIVATE, /* loopback, 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7, 0.0.0.0, :: */
    WEFT_ADDRESS_FORBIDDEN, /* link-local, a cloud's metadata service, multicast, reserved: never a place for a call */
    WEFT_ADDRESS_NONE       /* a name, not an address */
};
enum weft_address_kind weft_address_kind4(uint32_t address);                /* host byte order */
enum weft_address_kind weft_address_kind6(const unsigned char b[16]); /* IPv4 inside IPv6 is looked into */
/* Of a host as it stands in a URL. */
enum weft_address_kind weft_address_kind(struct weft_str host);

#endif

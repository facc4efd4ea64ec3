/* mock_tls CERT.pem [SECONDS [PORT]] - an HTTPS server whose certificate nobody has signed but itself
 *
 * At its start it makes a key and a certificate for 127.0.0.1 and "trusted.example" and writes the certificate to
 * CERT.pem: a client that is told to trust that file gets "200 secret", any other must refuse.  One connection at a
 * time.  With PORT it carries each connection on to that port of this machine, as many at once as come: any of the
 * other servers behind TLS. */
#include "base/str.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *what)
{
    fprintf(stderr, "mock_tls: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *x = X509_new();
    if (!x) die("memory");
    X509_NAME *name = X509_get_subject_name(x);
    X509_EXTENSION *names =
                       X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1,DNS:trusted.example"),
                   *ca = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"mock", -1, -1, 0);
    X509_set_issuer_name(x, name);
    if (!names || !ca || !X509_add_ext(x, names, -1) || !X509_add_ext(x, ca, -1)
        || !X509_sign(x, key, EVP_sha256()))
        die("certificate");
    X509_EXTENSION_free(names);
    X509_EXTENSION_free(ca);
    return x;
}

/* One connection that is carried on. */
struct carried {
    SSL_CTX *ctx;
    int client, port;
};

static bool send_plain(int fd, const char *p, int n)
{
    for (ssize_t w; n > 0; p += w, n -= (int)w)
        if ((w = send(fd, p, (size_t)n, MSG_NOSIGNAL)) <= 0) return false;
    return true;
}

static void *carry(void *ctx)
{
    struct carried c = *(struct carried *)ctx;
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)c.port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SSL *ssl = SSL_new(c.ctx);
    char bytes[4096];
    free(ctx);
    bool open = ssl && server >= 0 && SSL_set_fd(ssl, c.client) == 1 && SSL_accept(ssl) == 1
                && connect(server, (struct sockaddr *)&to, sizeof to) == 0;
    while (open) {
        struct pollfd fds[] = { { .fd = c.client, .events = POLLIN }, { .fd = server, .events = POLLIN } };
        if (poll(fds, 2, -1) < 0) break;
        if (fds[0].revents) do {
                int n = SSL_read(ssl, bytes, sizeof bytes);
                open = n > 0 && send_plain(server, bytes, n);
            } while (open && SSL_pending(ssl));
        if (open && fds[1].revents) {
            ssize_t n = recv(server, bytes, sizeof bytes, 0);
            open = n > 0 && SSL_write(ssl, bytes, (int)n) > 0;
        }
    }
    if (ssl) SSL_shutdown(ssl);
    SSL_free(ssl);
    if (server >= 0) close(server);
    close(c.client);
    return NULL;
}

static void start_carrying(SSL_CTX *ctx, int client, int port)
{
    pthread_t thread;
    pthread_attr_t small;
    struct carried *c = malloc(sizeof *c);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 << 10);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    if (!c) die("memory");
    *c = (struct carried){ ctx, client, port };
    if (pthread_create(&thread, &small, carry, c)) die("thread");
    pthread_attr_destroy(&small);
}

int main(int argc, char **argv)
{
    static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret";
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    if (argc < 2) die("usage: mock_tls CERT.pem [SECONDS [PORT]]");
    alarm(argc > 2 ? (unsigned)atoi(argv[2]) : 600); /* a forgotten server goes by itself */
    int port = argc > 3 ? atoi(argv[3]) : 0;
    signal(SIGPIPE, SIG_IGN);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = key ? make_certificate(key) : NULL;
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    FILE *pem = fopen(argv[1], "w");
    if (!certificate || !ctx || !pem || !PEM_write_X509(pem, certificate) || fclose(pem)) die("certificate file");
    if (SSL_CTX_use_certificate(ctx, certificate) != 1 || SSL_CTX_use_PrivateKey(ctx, key) != 1) die("context");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 1024)
        || getsockname(fd, (struct sockaddr *)&at, &len))
        die("socket");
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    for (;;) {
        char bytes[4096];
        int c = accept(fd, NULL, NULL);
        if (port && c >= 0) {
            start_carrying(ctx, c, port);
            continue;
        }
        SSL *ssl = c >= 0 ? SSL_new(ctx) : NULL;
        if (!ssl) continue;
        SSL_set_fd(ssl, c);
        if (SSL_accept(ssl) == 1 && SSL_read(ssl, bytes, sizeof bytes) > 0)
            SSL_write(ssl, reply, (int)sizeof reply - 1);
        SSL_shutdown(ssl);
        SSL_free(ssl);
        close(c);
    }
}

/* Any bytes as the answer of a hub, and as the name of a repository: every path that is let through stays inside. */
#include "store/hub.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_arena a = { 0 };
    struct weft_str text = { (const char *)data, size };
    struct weft_hub_options options = { .all = size & 1 };
    char *name = weft_arena_strndup(&a, (const char *)data, size);
    struct weft_hub_repo repo, some = { .id = "owner/name", .revision = "main", .dataset = size & 2 };
    struct weft_str next = weft_hub_next_link(text);
    check(!next.s || (next.s >= text.s && next.s + next.len <= text.s + text.len));
    if (name && strlen(name) == size && weft_hub_parse(&a, name, false, &repo, NULL) == WEFT_OK
        && repo.site != WEFT_HUB_LOCAL) {
        check(!strstr(repo.id, "..") && repo.id[0] != '/' && strspn(repo.id, "/") == 0);
        check(weft_hub_path_ok(weft_str_c(repo.revision)));
        check(!repo.file || weft_hub_path_ok(weft_str_c(repo.file)));
    }
    for (int site = WEFT_HUB_HF; site <= WEFT_HUB_LOCAL; site++) { /* the last stands for the tree API */
        struct weft_hub_list list = { 0 };
        struct weft_err err = { 0 };
        enum weft_status st =
            site == WEFT_HUB_LOCAL
                ? weft_hub_tree_read(&a, "owner/name", text, &list, &err)
                : weft_hub_list_read(&a, (enum weft_hub_site)site, "owner/name", text, &list, &err);
        if (!st && site == WEFT_HUB_LOCAL) st = weft_hub_list_sort(&list, "owner/name", &err);
        check(st == WEFT_OK || err.msg[0]);
        if (st) continue;
        for (size_t i = 0; i < list.n; i++) {
            const char *p = list.files[i].path;
            check(p[0] && p[0] != '/' && strcmp(p, "..") != 0 && strncmp(p, "../", 3) != 0 && !strstr(p, "/../"));
            check(!strchr(p, '\\') && !strstr(p, "//")
                  && (!list.files[i].sha256[0] || strlen(list.files[i].sha256) == 64));
        }
        st = weft_hub_choose(&a, &some, &options, &list, &err);
        check(st == WEFT_OK ? list.n > 0 : err.msg[0] != '\0');
    }
    weft_arena_clear(&a);
    return 0;
}

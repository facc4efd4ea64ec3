/* The call ledger, whenever the power goes: it opens, every answer that was synced is there, and nothing is made up. */
#include "power_cut.h"

#include "dataset/ledger.h"

#include <sys/stat.h>

enum { ROUNDS = 5, CALLS = 3 };     /* a sync behind each round */

static struct weft_call_key key_number(unsigned n)
{
    struct weft_call_key k = { 0 };
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    char body[64];
    int len = snprintf(body, sizeof body, "{\"n\":%u}", n);
    check_ok(weft_call_key_of(&a, WEFT_STR("http://x/v1"), WEFT_STR("m"), (struct weft_str){ body, (size_t)len }, &k, &err),
             &err);
    weft_arena_clear(&a);
    return k;
}

/* Longer than a sector in every third call. */
static const char *answer(unsigned n)
{
    static char text[2048];
    int len = snprintf(text, sizeof text, "answer %u:", n);
    size_t more = n % 3 == 1 ? 700 : 40;
    memset(text + len, 'a' + (int)(n % 26), more);
    text[(size_t)len + more] = '\0';
    return text;
}

static void add(struct weft_ledger *l, unsigned n, enum weft_call_state state)
{
    struct weft_err err = { 0 };
    struct weft_call c = { .state = state, .key = key_number(n), .time_ms = 1700000000000 + n, .note = WEFT_STR("ask") };
    if (state == WEFT_CALL_ANSWERED) c.text = weft_str_c(answer(n));
    check_ok(weft_ledger_add(l, &c, &err), &err);
}

struct tally {
    size_t lost, kept, cut;
};

static void opens_with_all_that_was_synced(void *ctx, const char *folder, size_t promises, const char *moment)
{
    struct tally *t = ctx;
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_ledger *l = NULL;
    struct weft_ledger_found found = { 0 };
    const char *path = check_path(folder, "calls.ledger");
    for (int again = 0; again < 2; again++) {       /* what opening mended stays mended */
        if (weft_ledger_open(&l, path, &found, &err)) fail_msg("%s: %s [%s]", moment, err.msg, err.rule);
        if (again) assert_int_equal(found.cut_bytes, 0);
        else t->cut += found.cut_bytes > 0;
        for (unsigned n = 0; n < ROUNDS * CALLS; n++) {
            struct weft_call_key k = key_number(n);
            struct weft_call call;
            enum weft_call_state state = weft_ledger_find(l, &k);
            if (n < promises * CALLS && state != WEFT_CALL_ANSWERED)
                fail_msg("%s: answer %u was synced and would be asked again", moment, n);
            if (!again && n >= promises * CALLS)
                t->lost += state == WEFT_CALL_NONE, t->kept += state == WEFT_CALL_ANSWERED;
            if (state != WEFT_CALL_ANSWERED) continue;
            check_ok(weft_ledger_read(l, &a, &k, &call, &err), &err);
            if (!weft_str_is(call.text, answer(n))) fail_msg("%s: answer %u is another", moment, n);
        }
        /* And it goes on: the next record stands behind what is there. */
        add(l, 1000, WEFT_CALL_ANSWERED);
        check_ok(weft_ledger_sync(l, &err), &err);
        weft_ledger_close(l);
    }
    weft_arena_clear(&a);
}

static void test_a_synced_answer_is_never_asked_again(void **state)
{
    struct weft_err err = { 0 };
    struct tally t = { 0 };
    struct weft_ledger *l = NULL;
    char folder[64], path[128];
    power_folder(folder);
    snprintf(path, sizeof path, "%s/calls.ledger", folder);
    power_record(folder);
    for (unsigned r = 0; r < ROUNDS; r++) {
        if (r % 2 == 0) check_ok(weft_ledger_open(&l, path, NULL, &err), &err);
        for (unsigned i = 0; i < CALLS; i++) add(l, r * CALLS + i, WEFT_CALL_SENT);
        for (unsigned i = 0; i < CALLS; i++) add(l, r * CALLS + i, WEFT_CALL_ANSWERED);
        check_ok(weft_ledger_sync(l, &err), &err);
        power_acknowledge();
        if (r % 2 == 1) weft_ledger_close(l);       /* and begun again in the next round */
    }
    weft_ledger_close(l);
    power_stop();
    size_t n = power_replay(&(struct power_check){ opens_with_all_that_was_synced, &t, 1 });
    print_message("%zu moments; %zu times an unsynced answer was there all the same, %zu cuts\n", n, t.kept, t.cut);
    assert_true(n > 3000 && t.kept > 0 && t.cut > 0 && t.lost > 0);
    power_forget();
    check_folder_gone(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_a_synced_answer_is_never_asked_again) };
    return cmocka_run_group_tests_name("dataset/ledger power cut", tests, NULL, NULL);
}

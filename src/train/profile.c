/* What the kernels do not know: which matrices have the shapes that they multiplied. */
#include "train/trainer.h"

#include <stdio.h>

static void add_name(struct weft_profile_row *r, const char *name)
{
    const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;
    size_t len = strlen(r->matrix);
    if (strstr(r->matrix, last) || len + strlen(last) + 3 > sizeof r->matrix) return;
    snprintf(r->matrix + len, sizeof r->matrix - len, "%s%s", len ? ", " : "", last);
}

static void name_row(struct weft_profile_row *r, const struct weft_model *m)
{
    const struct weft_layer *l = &m->layers[0];
    const struct weft_linear *const all[] = { &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down, &m->head };
    r->matrix[0] = '\0';
    for (size_t i = 0; i < WEFT_COUNT(all); i++)
        if (r->n_out == all[i]->n_out && r->n_in == all[i]->n_in) add_name(r, i == 7 ? "lm_head" : all[i]->name);
    for (size_t i = 0; i < m->config.n_layers && !r->matrix[0]; i++) {
        const struct weft_layer *layer = &m->layers[i];
        const struct weft_linear *const inner[] = { &layer->q,    &layer->k,  &layer->v,   &layer->o,
                                                    &layer->gate, &layer->up, &layer->down };
        for (size_t k = 0; k < WEFT_COUNT(inner); k++) {
            const struct weft_branch *b = inner[k]->branch;
            if (b && r->n_out == b->rank && r->n_in == inner[k]->n_in) add_name(r, "lora_A");
            if (b && r->n_in == b->rank && r->n_out == inner[k]->n_out) add_name(r, "lora_B");
        }
    }
}

void weft_profile_name(struct weft_profile *p, const struct weft_model *m)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->rows[i].type) name_row(&p->rows[i], m);
}

// Appended to quickjs.c, whose structures it knows.

// Everything that the collector knows of, and every atom, stays from now on: see before.h. Called
// between two runs of JavaScript, when no frame of it is on the stack.
void ampoule_keep_forever(JSRuntime *rt)
{
    struct list_head *el;
    uint32_t i;

    list_for_each(el, &rt->gc_obj_list) {
        list_entry(el, JSGCObjectHeader, link)->ref_count = REFS_FOREVER;
    }
    for(i = 1; i < rt->atom_size; i++) {
        JSAtomStruct *p = rt->atom_array[i];
        if (!atom_is_free(p))
            p->header.ref_count = REFS_FOREVER;
    }
}

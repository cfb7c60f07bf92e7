// Appended to quickjs.c, whose structures it knows.

// Everything that the collector knows of, and every atom, stays from now on: see before.h. Called
// between two runs of JavaScript, when no frame of it is on the stack.
//
// The collector does not look at it any more. It would find nothing to free there, and what only such
// an object refers to has a count that the collector does not take away: so it stays, as it should.
void ampoule_keep_forever(JSRuntime *rt)
{
    static struct list_head kept;
    struct list_head *el, *first = rt->gc_obj_list.next, *last = rt->gc_obj_list.prev;
    uint32_t i;

    list_for_each(el, &rt->gc_obj_list) {
        list_entry(el, JSGCObjectHeader, link)->ref_count = REFS_FOREVER;
    }
    if (!kept.next)
        init_list_head(&kept);
    if (first != &rt->gc_obj_list) {
        first->prev = kept.prev;
        kept.prev->next = first;
        last->next = &kept;
        kept.prev = last;
        init_list_head(&rt->gc_obj_list);
    }
    for(i = 1; i < rt->atom_size; i++) {
        JSAtomStruct *p = rt->atom_array[i];
        if (!atom_is_free(p))
            p->header.ref_count = REFS_FOREVER;
    }
}

// Included in quickjs.c before it makes objects: shapes that are made again and again are kept.
//
// A shape is what objects with the same properties share. An object that nobody else looks like changes
// its own as it gets its properties, so what it was on the way is gone: the next object of the kind makes
// it anew, and drops it when it comes to what the first one is. A shape that is made a second time is
// kept, so that the third object finds it. Kept shapes count as used, so nobody changes them in place.
//
// A shape keeps its prototype alive, and with it whatever that refers to. So only shapes are kept whose
// prototype stays anyway, because the snapshot holds it.

#define SHAPES_KEPT_BITS 6
#define SHAPES_KEPT (1 << SHAPES_KEPT_BITS)
// With more properties it is rather a map, with keys of its own.
#define KEPT_SHAPE_PROPERTIES_MAX 16

static struct {
    // The hash of the shape that was made last of those that share a place.
    uint32_t made[SHAPES_KEPT];
    // In a ring, the one that was kept first at `oldest`.
    JSShape *kept[SHAPES_KEPT];
    uint32_t oldest;
} *ampoule_shapes;

// A shape was made, because none was found that is like it.
static void ampoule_note_shape(JSRuntime *rt, JSShape *sh)
{
    uint32_t *made;
    JSShape *dropped;

    if (!sh->is_hashed || sh->prop_count > KEPT_SHAPE_PROPERTIES_MAX ||
        (sh->proto && sh->proto->header.ref_count < REFS_FOREVER))
        return;
    if (unlikely(!ampoule_shapes)) {
        ampoule_shapes = ampoule_hot_calloc(sizeof(*ampoule_shapes));
        if (!ampoule_shapes)
            return;
    }
    made = &ampoule_shapes->made[sh->hash >> (32 - SHAPES_KEPT_BITS)];
    if (*made != sh->hash) {
        *made = sh->hash;
        return;
    }
    dropped = ampoule_shapes->kept[ampoule_shapes->oldest];
    ampoule_shapes->kept[ampoule_shapes->oldest] = js_dup_shape(sh);
    ampoule_shapes->oldest = (ampoule_shapes->oldest + 1) % SHAPES_KEPT;
    if (dropped)
        js_free_shape(rt, dropped);
}

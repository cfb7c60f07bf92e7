// Included in quickjs.c where it sets elements: arrays that are filled from their end.
//
// An array holds its elements side by side as long as each comes behind the last. One that comes further
// behind makes properties of them all, each found by its name, and so it stays. For loops that go down
// to 0 that is all elements of nearly every array; so where 0 comes last, and none is missing, they
// are put side by side again.

// Puts the elements of an array side by side, if that is all it has, or does nothing.
static void ampoule_gather(JSContext *ctx, JSObject *p)
{
    JSShape *sh = p->shape, *usual = ctx->array_shape;
    JSProperty *length, *props;
    JSValue *values;
    uint32_t count = sh->prop_count - 1, i;

    length = &p->prop[0];
    if (!p->extensible || sh->proto != usual->proto || sh->deleted_prop_count != 0 ||
        sh->prop[0].atom != usual->prop[0].atom || sh->prop[0].flags != usual->prop[0].flags ||
        JS_VALUE_GET_TAG(length->u.value) != JS_TAG_INT ||
        (uint32_t)JS_VALUE_GET_INT(length->u.value) != count)
        return;
    for(i = 1; i <= count; i++) {
        const JSShapeProperty *described = &sh->prop[i];

        if (!__JS_AtomIsTaggedInt(described->atom) || __JS_AtomToUInt32(described->atom) >= count ||
            described->flags != JS_PROP_C_W_E)
            return;
    }
    // It is as good as it is if there is no room.
    values = js_malloc_rt(ctx->rt, sizeof(values[0]) * count);
    props = js_malloc_rt(ctx->rt, sizeof(props[0]) * usual->prop_size);
    if (!values || !props) {
        js_free(ctx, values);
        js_free(ctx, props);
        return;
    }
    for(i = 1; i <= count; i++)
        values[__JS_AtomToUInt32(sh->prop[i].atom)] = p->prop[i].u.value;
    props[0] = *length;
    js_free(ctx, p->prop);
    p->prop = props;
    p->shape = js_dup_shape(usual);
    js_free_shape(ctx->rt, sh);
    p->u.array.u.values = values;
    p->u.array.count = count;
    p->u.array.u1.size = count;
    p->fast_array = 1;
}

// `JS_SetPropertyInternal` of an element that is not among those side by side.
static int ampoule_set_element(JSContext *ctx, JSValueConst object, JSAtom atom, JSValue value, int flags)
{
    JSObject *p = NULL;
    int count, ret;

    if (atom == __JS_AtomFromUInt32(0) && JS_VALUE_GET_TAG(object) == JS_TAG_OBJECT) {
        p = JS_VALUE_GET_OBJ(object);
        if (p->class_id != JS_CLASS_ARRAY || p->fast_array)
            p = NULL;
    }
    count = p ? p->shape->prop_count : 0;
    ret = JS_SetPropertyInternal(ctx, object, atom, value, flags);
    if (p && ret > 0 && !p->fast_array && p->shape->prop_count == count + 1)
        ampoule_gather(ctx, p);
    return ret;
}

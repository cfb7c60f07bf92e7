// Appended to quickjs.c, whose structures it knows.

// Calls one of two functions when a promise has settled, as `then` does, but makes no promise of what
// they answer: whether it is a promise.
static JSValue listen(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    JSValueConst nobody[2] = { JS_UNDEFINED, JS_UNDEFINED };

    if (!JS_GetOpaque(argv[0], JS_CLASS_PROMISE))
        return JS_FALSE;
    return perform_promise_then(ctx, argv[0], &argv[1], nobody) ? JS_EXCEPTION : JS_TRUE;
}

// Adds the native `listen(promise, fulfilled, rejected)`.
int ampoule_define_listen(JSContext *ctx, JSValueConst natives)
{
    JSValue function = JS_NewCFunction(ctx, listen, "listen", 3);

    return JS_SetPropertyStr(ctx, natives, "listen", function) < 0 ? -1 : 0;
}

// Moves an object's properties to where every invocation writes anyway (src/hot.rs). For objects that
// get no more of them.
void ampoule_make_hot(JSContext *ctx, JSValueConst value)
{
    JSObject *p = JS_VALUE_GET_OBJ(value);
    size_t bytes = sizeof(JSProperty) * p->shape->prop_size;
    JSProperty *hot = ampoule_hot_calloc(bytes);

    if (!hot)
        return;
    ctx->rt->malloc_state.malloc_count++;
    ctx->rt->malloc_state.malloc_size += ampoule_usable(hot) + MALLOC_OVERHEAD;
    memcpy(hot, p->prop, bytes);
    js_free(ctx, p->prop);
    p->prop = hot;
}

static void keep_text(JSValueConst value)
{
    int tag = JS_VALUE_GET_TAG(value);

    if (tag == JS_TAG_STRING || tag == JS_TAG_STRING_ROPE)
        ((JSRefCountHeader *)JS_VALUE_GET_PTR(value))->ref_count = REFS_FOREVER;
}

// The strings that an object, a variable or a function's code holds, of which the collector knows
// nothing. Those in maps and such are counted still.
static void keep_texts(JSGCObjectHeader *header)
{
    JSFunctionBytecode *code = (JSFunctionBytecode *)header;
    JSObject *object = (JSObject *)header;
    int i;

    switch(header->gc_obj_type) {
    case JS_GC_OBJ_TYPE_JS_OBJECT:
        for(i = 0; i < object->shape->prop_count; i++) {
            JSShapeProperty *property = &object->shape->prop[i];

            if (property->atom != JS_ATOM_NULL &&
                (property->flags & JS_PROP_TMASK) == JS_PROP_NORMAL)
                keep_text(object->prop[i].u.value);
        }
        if (object->class_id == JS_CLASS_ARRAY && object->fast_array) {
            for(i = 0; i < object->u.array.count; i++)
                keep_text(object->u.array.u.values[i]);
        }
        break;
    case JS_GC_OBJ_TYPE_FUNCTION_BYTECODE:
        for(i = 0; i < code->cpool_count; i++)
            keep_text(code->cpool[i]);
        break;
    case JS_GC_OBJ_TYPE_VAR_REF:
        keep_text(*((JSVarRef *)header)->pvalue);
        break;
    default:
        break;
    }
}

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
        JSGCObjectHeader *header = list_entry(el, JSGCObjectHeader, link);

        header->ref_count = REFS_FOREVER;
        keep_texts(header);
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

// Appended to quickjs.c after after.c: the JSON text of plain data, which is what most answers
// are, without the ceremony that JSON.stringify owes to `toJSON`, getters and proxies.
//
// Nothing here runs JavaScript or changes anything. Whatever is not plain is left to
// JSON.stringify: other classes and prototypes, accessors, integer keys (which come first), wide
// strings, ropes, bigints, deep nesting (and with it cycles), and any `toJSON` within reach.

// Deeper data is left to JSON.stringify.
#define PLAIN_DEPTH_MAX 32

static int plain_string(DynBuf *out, JSString *p)
{
    static const char hex[] = "0123456789abcdef";
    const uint8_t *text;
    uint32_t from, i;

    if (p->is_wide_char)
        return -1;
    text = str8(p);
    dbuf_putc(out, '"');
    for(i = from = 0; i < p->len; i++) {
        uint8_t c = text[i];
        const char *escape;

        if (likely(c >= ' ' && c != '"' && c != '\\'))
            continue;
        dbuf_put(out, text + from, i - from);
        from = i + 1;
        switch(c) {
        case '"': escape = "\\\""; break;
        case '\\': escape = "\\\\"; break;
        case '\b': escape = "\\b"; break;
        case '\f': escape = "\\f"; break;
        case '\n': escape = "\\n"; break;
        case '\r': escape = "\\r"; break;
        case '\t': escape = "\\t"; break;
        default: escape = NULL; break;
        }
        if (escape) {
            dbuf_put(out, escape, 2);
        } else {
            char unicode[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };
            dbuf_put(out, unicode, sizeof(unicode));
        }
    }
    dbuf_put(out, text + from, i - from);
    return dbuf_putc(out, '"');
}

static int plain_number(JSContext *ctx, DynBuf *out, double number)
{
    JSValue text;
    JSString *p;

    if (!isfinite(number))
        return dbuf_put(out, "null", 4);
    text = JS_ToString(ctx, js_float64(number));
    if (JS_IsException(text)) {
        JS_FreeValue(ctx, JS_GetException(ctx));
        return -1;
    }
    p = JS_VALUE_GET_STRING(text);
    dbuf_put(out, str8(p), p->len);
    JS_FreeValue(ctx, text);
    return 0;
}

// Whether JSON has a text for a value; `undefined` and symbols are left out, and so are functions,
// which are not plain.
static bool plain_has_text(JSValueConst value)
{
    int tag = JS_VALUE_GET_TAG(value);
    return tag != JS_TAG_UNDEFINED && tag != JS_TAG_SYMBOL;
}

static int plain_value(JSContext *ctx, DynBuf *out, JSValueConst value, int depth);

static int plain_array(JSContext *ctx, DynBuf *out, JSObject *p, int depth)
{
    uint32_t i, len = p->u.array.count;

    // Only `length`, and nothing missing before it.
    if (p->shape->prop_count != 1 || JS_VALUE_GET_TAG(p->prop[0].u.value) != JS_TAG_INT ||
        (uint32_t)JS_VALUE_GET_INT(p->prop[0].u.value) != len)
        return -1;
    dbuf_putc(out, '[');
    for(i = 0; i < len; i++) {
        JSValueConst element = p->u.array.u.values[i];

        if (i > 0)
            dbuf_putc(out, ',');
        if (!plain_has_text(element))
            dbuf_put(out, "null", 4);
        else if (plain_value(ctx, out, element, depth))
            return -1;
    }
    return dbuf_putc(out, ']');
}

static int plain_object(JSContext *ctx, DynBuf *out, JSObject *p, int depth)
{
    JSShape *shape = p->shape;
    bool is_first = true;
    int i;

    dbuf_putc(out, '{');
    for(i = 0; i < shape->prop_count; i++) {
        JSShapeProperty *property = &shape->prop[i];
        JSAtomStruct *name;
        JSValueConst value;

        if (property->atom == JS_ATOM_NULL)
            continue;
        if ((property->flags & JS_PROP_TMASK) != JS_PROP_NORMAL ||
            property->atom == JS_ATOM_toJSON || __JS_AtomIsTaggedInt(property->atom))
            return -1;
        name = ctx->rt->atom_array[property->atom];
        if (name->atom_type != JS_ATOM_TYPE_STRING || !(property->flags & JS_PROP_ENUMERABLE))
            continue;
        // It may be an index beyond what a tagged atom holds.
        if (name->len > 0 && !name->is_wide_char && str8(name)[0] >= '0' && str8(name)[0] <= '9')
            return -1;
        value = p->prop[i].u.value;
        if (!plain_has_text(value))
            continue;
        if (!is_first)
            dbuf_putc(out, ',');
        is_first = false;
        if (plain_string(out, name))
            return -1;
        dbuf_putc(out, ':');
        if (plain_value(ctx, out, value, depth))
            return -1;
    }
    return dbuf_putc(out, '}');
}

static int plain_value(JSContext *ctx, DynBuf *out, JSValueConst value, int depth)
{
    char digits[16];
    JSObject *p;

    switch(JS_VALUE_GET_NORM_TAG(value)) {
    case JS_TAG_STRING:
        return plain_string(out, JS_VALUE_GET_STRING(value));
    case JS_TAG_INT:
        return dbuf_put(out, digits, i32toa(digits, JS_VALUE_GET_INT(value)));
    case JS_TAG_FLOAT64:
        return plain_number(ctx, out, JS_VALUE_GET_FLOAT64(value));
    case JS_TAG_BOOL:
        return JS_VALUE_GET_BOOL(value) ? dbuf_put(out, "true", 4) : dbuf_put(out, "false", 5);
    case JS_TAG_NULL:
        return dbuf_put(out, "null", 4);
    case JS_TAG_OBJECT:
        break;
    default:
        return -1;
    }
    p = JS_VALUE_GET_OBJ(value);
    if (depth >= PLAIN_DEPTH_MAX)
        return -1;
    if (p->class_id == JS_CLASS_ARRAY && p->fast_array &&
        p->shape->proto == JS_VALUE_GET_OBJ(ctx->class_proto[JS_CLASS_ARRAY]))
        return plain_array(ctx, out, p, depth + 1);
    if (p->class_id == JS_CLASS_OBJECT && !p->is_exotic &&
        (!p->shape->proto || p->shape->proto == JS_VALUE_GET_OBJ(ctx->class_proto[JS_CLASS_OBJECT])))
        return plain_object(ctx, out, p, depth + 1);
    return -1;
}

// Whether no plain object or array inherits a `toJSON`.
static bool plain_prototypes(JSContext *ctx)
{
    JSObject *object = JS_VALUE_GET_OBJ(ctx->class_proto[JS_CLASS_OBJECT]);
    JSObject *array = JS_VALUE_GET_OBJ(ctx->class_proto[JS_CLASS_ARRAY]);

    return array->shape->proto == object && !find_own_property1(object, JS_ATOM_toJSON) &&
        !find_own_property1(array, JS_ATOM_toJSON);
}

static JSValue json_text(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    JSValue text;
    DynBuf out;

    js_dbuf_init(ctx, &out);
    if (plain_prototypes(ctx) && !plain_value(ctx, &out, argv[0], 0) && !dbuf_error(&out))
        text = js_new_string8_len(ctx, (const char *)out.buf, out.size);
    else
        text = JS_JSONStringify(ctx, argv[0], JS_UNDEFINED, JS_UNDEFINED);
    dbuf_free(&out);
    return text;
}

// Adds the native `jsonText(value)`: what `JSON.stringify(value)` answers, whatever was put in its
// place. In a stack it is called as that is.
int ampoule_define_json_text(JSContext *ctx, JSValueConst natives)
{
    return JS_SetPropertyStr(ctx, natives, "jsonText",
                             JS_NewCFunction(ctx, json_text, "stringify", 1));
}

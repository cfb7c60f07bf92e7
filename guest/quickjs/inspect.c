// Appended to quickjs.c after json.c: plain data as `util.inspect` shows it on one line, which is what
// most of what is logged is.
//
// Nothing here runs JavaScript or changes anything. Whatever is not plain, or takes more than a line, is
// left to the library that shows everything (js/src/console.js).

// What lies deeper is shown as `[Object]`.
#define INSPECT_DEPTH_MAX 2
// What an entry must fit in, in characters, with 10 to spare and its braces.
#define INSPECT_LINE 80
// Longer arrays are shown in columns.
#define INSPECT_ROW_MAX 6

// What plain data inherits, as it was before there was any code of users.
static struct {
    JSObject *constructor;
    int count;
} inspect_inherited[2];

static int inspect_value(JSContext *ctx, StringBuffer *out, JSValueConst value, int depth);

static JSObject *inspect_prototype(JSContext *ctx, int i)
{
    return JS_VALUE_GET_OBJ(ctx->class_proto[i == 0 ? JS_CLASS_OBJECT : JS_CLASS_ARRAY]);
}

static JSObject *inspect_constructor(JSObject *prototype)
{
    JSProperty *property;
    JSShapeProperty *shape = find_own_property(&property, prototype, JS_ATOM_constructor);

    if (!shape || (shape->flags & JS_PROP_TMASK) != JS_PROP_NORMAL ||
        JS_VALUE_GET_TAG(property->u.value) != JS_TAG_OBJECT)
        return NULL;
    return JS_VALUE_GET_OBJ(property->u.value);
}

// Whether nothing was added to what plain data inherits, such as a way of its own to be shown, and it
// is called as it was.
static bool inspect_inherits(JSContext *ctx)
{
    int i;

    for(i = 0; i < countof(inspect_inherited); i++) {
        JSObject *prototype = inspect_prototype(ctx, i);

        if (prototype->shape->prop_count != inspect_inherited[i].count ||
            inspect_constructor(prototype) != inspect_inherited[i].constructor)
            return false;
    }
    return inspect_prototype(ctx, 1)->shape->proto == inspect_prototype(ctx, 0);
}

// Whether entries of so many characters in all fit on a line, as the library reckons.
static bool inspect_fits(uint32_t entries, uint32_t len, int depth)
{
    uint32_t around = 11 + 2 * entries + 2 * depth;

    return around + entries <= INSPECT_LINE && around + len <= INSPECT_LINE;
}

// In single quotes, if nothing in it has to be escaped.
static int inspect_quoted(StringBuffer *out, JSString *text)
{
    uint32_t i;

    if (text->is_wide_char || text->len > INSPECT_LINE)
        return -1;
    for(i = 0; i < text->len; i++) {
        uint8_t c = str8(text)[i];

        if (c < ' ' || (c >= 0x7f && c < 0xa0) || c == '\'' || c == '\\')
            return -1;
    }
    string_buffer_putc8(out, '\'');
    string_buffer_write8(out, str8(text), text->len);
    return string_buffer_putc8(out, '\'');
}

static bool inspect_is_identifier(const uint8_t *name, uint32_t len)
{
    uint32_t i;

    for(i = 0; i < len; i++) {
        uint8_t c = name[i] | 0x20;

        if (!(c >= 'a' && c <= 'z') && name[i] != '_' &&
            (i == 0 || name[i] < '0' || name[i] > '9'))
            return false;
    }
    return len > 0;
}

static int inspect_name(JSContext *ctx, StringBuffer *out, JSAtom atom)
{
    JSAtomStruct *name;

    // `constructor` is what an object is called by, and `__proto__` is shown in a way of its own.
    if (__JS_AtomIsTaggedInt(atom) || atom == JS_ATOM_constructor || atom == JS_ATOM___proto__)
        return -1;
    name = ctx->rt->atom_array[atom];
    if (name->atom_type != JS_ATOM_TYPE_STRING || name->is_wide_char)
        return -1;
    if (inspect_is_identifier(str8(name), name->len))
        return string_buffer_write8(out, str8(name), name->len);
    // It may be an index beyond what a tagged atom holds.
    if (name->len > 0 && is_digit(str8(name)[0]))
        return -1;
    return inspect_quoted(out, name);
}

static int inspect_array(JSContext *ctx, StringBuffer *out, JSObject *p, int depth)
{
    uint32_t i, count = p->u.array.count, len = 0, begun;

    if (p->shape->prop_count != 1 || JS_VALUE_GET_TAG(p->prop[0].u.value) != JS_TAG_INT ||
        (uint32_t)JS_VALUE_GET_INT(p->prop[0].u.value) != count || count > INSPECT_ROW_MAX)
        return -1;
    if (count == 0)
        return string_buffer_puts8(out, "[]");
    string_buffer_puts8(out, "[ ");
    for(i = 0; i < count; i++) {
        if (i > 0)
            string_buffer_puts8(out, ", ");
        begun = out->len;
        if (inspect_value(ctx, out, p->u.array.u.values[i], depth))
            return -1;
        len += out->len - begun;
    }
    return inspect_fits(count, len, depth - 1) ? string_buffer_puts8(out, " ]") : -1;
}

static int inspect_object(JSContext *ctx, StringBuffer *out, JSObject *p, int depth)
{
    uint32_t count = 0, len = 0, begun;
    int i;

    for(i = 0; i < p->shape->prop_count; i++) {
        JSShapeProperty *property = &p->shape->prop[i];

        if (property->atom == JS_ATOM_NULL)
            continue;
        if ((property->flags & JS_PROP_TMASK) != JS_PROP_NORMAL ||
            !(property->flags & JS_PROP_ENUMERABLE))
            return -1;
        string_buffer_puts8(out, count++ == 0 ? "{ " : ", ");
        begun = out->len;
        if (inspect_name(ctx, out, property->atom))
            return -1;
        string_buffer_puts8(out, ": ");
        if (inspect_value(ctx, out, p->prop[i].u.value, depth))
            return -1;
        len += out->len - begun;
    }
    if (count == 0)
        return string_buffer_puts8(out, "{}");
    return inspect_fits(count, len, depth - 1) ? string_buffer_puts8(out, " }") : -1;
}

static int inspect_number(JSContext *ctx, StringBuffer *out, double number)
{
    char digits[32];
    JSValue text;
    int len;

    if (number == 0 && signbit(number))
        return string_buffer_puts8(out, "-0");
    len = isfinite(number) ? plain_decimal(digits, number) : -1;
    if (len > 0)
        return string_buffer_write8(out, (const uint8_t *)digits, len);
    text = JS_ToString(ctx, js_float64(number));
    return JS_IsException(text) ? -1 : string_buffer_concat_value_free(out, text);
}

// -1 for what is not shown here. `depth` is how many objects it lies in.
static int inspect_value(JSContext *ctx, StringBuffer *out, JSValueConst value, int depth)
{
    char digits[16];
    JSObject *p;

    switch(JS_VALUE_GET_NORM_TAG(value)) {
    case JS_TAG_STRING:
        return inspect_quoted(out, JS_VALUE_GET_STRING(value));
    case JS_TAG_INT:
        return string_buffer_write8(out, (const uint8_t *)digits,
                                    i32toa(digits, JS_VALUE_GET_INT(value)));
    case JS_TAG_FLOAT64:
        return inspect_number(ctx, out, JS_VALUE_GET_FLOAT64(value));
    case JS_TAG_BOOL:
        return string_buffer_puts8(out, JS_VALUE_GET_BOOL(value) ? "true" : "false");
    case JS_TAG_NULL:
        return string_buffer_puts8(out, "null");
    case JS_TAG_UNDEFINED:
        return string_buffer_puts8(out, "undefined");
    case JS_TAG_OBJECT:
        break;
    default:
        return -1;
    }
    p = JS_VALUE_GET_OBJ(value);
    if (depth > INSPECT_DEPTH_MAX)
        return -1;
    if (p->class_id == JS_CLASS_ARRAY && p->fast_array &&
        p->shape->proto == inspect_prototype(ctx, 1))
        return inspect_array(ctx, out, p, depth + 1);
    if (p->class_id == JS_CLASS_OBJECT && !p->is_exotic &&
        p->shape->proto == inspect_prototype(ctx, 0))
        return inspect_object(ctx, out, p, depth + 1);
    return -1;
}

static JSValue inspect_plain(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    StringBuffer out;

    if (!inspect_inherits(ctx) || string_buffer_init(ctx, &out, PLAIN_BYTES_MIN))
        return JS_UNDEFINED;
    if (!inspect_value(ctx, &out, argv[0], 0) && !out.error_status)
        return string_buffer_end(&out);
    string_buffer_free(&out);
    // There may have been too little memory.
    JS_FreeValue(ctx, JS_GetException(ctx));
    return JS_UNDEFINED;
}

// Adds the native `inspectPlain(value)`: what `util.inspect(value)` answers, or undefined.
int ampoule_define_inspect(JSContext *ctx, JSValueConst natives)
{
    int i;

    for(i = 0; i < countof(inspect_inherited); i++) {
        JSObject *prototype = inspect_prototype(ctx, i);

        inspect_inherited[i].count = prototype->shape->prop_count;
        inspect_inherited[i].constructor = inspect_constructor(prototype);
    }
    return JS_SetPropertyStr(ctx, natives, "inspectPlain",
                             JS_NewCFunction(ctx, inspect_plain, "inspectPlain", 1));
}

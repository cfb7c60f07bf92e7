// Appended to quickjs.c after after.c: the JSON text of plain data, which is what most answers
// are, without the ceremony that JSON.stringify owes to `toJSON`, getters and proxies.
//
// Nothing here runs JavaScript or changes anything. Whatever is not plain is left to what QuickJS
// does: objects of other classes, accessors, integer keys (which come first), bigints, deep nesting
// (and with it cycles), and any `toJSON` within reach.

// Deeper data is left to QuickJS.
#define PLAIN_DEPTH_MAX 32
// What is allocated for a text at first, in bytes.
#define PLAIN_BYTES_MIN 120

// Whether one of eight bytes ends a run of what JSON has as it is: a quote, a backslash, a control
// character, or whatever is not ASCII.
static inline bool plain_ends(uint64_t bytes)
{
    const uint64_t ones = 0x0101010101010101, high = 0x8080808080808080;
    uint64_t quote = bytes ^ (ones * '"'), backslash = bytes ^ (ones * '\\');

    return ((quote - ones) | (backslash - ones) | (bytes - ones * ' ') | bytes) & high;
}

// How many bytes from `text` on JSON has as they are.
static inline uint32_t plain_run(const uint8_t *text, uint32_t len)
{
    uint32_t i = 0;

    while(len - i >= 8) {
        uint64_t bytes;

        memcpy(&bytes, text + i, 8);
        if (plain_ends(bytes))
            break;
        i += 8;
    }
    while(i < len && text[i] >= ' ' && text[i] < 0x80 && text[i] != '"' && text[i] != '\\')
        i++;
    return i;
}

static int plain_escape(StringBuffer *out, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";

    switch(c) {
    case '"': return string_buffer_puts8(out, "\\\"");
    case '\\': return string_buffer_puts8(out, "\\\\");
    case '\b': return string_buffer_puts8(out, "\\b");
    case '\f': return string_buffer_puts8(out, "\\f");
    case '\n': return string_buffer_puts8(out, "\\n");
    case '\r': return string_buffer_puts8(out, "\\r");
    case '\t': return string_buffer_puts8(out, "\\t");
    default: {
        uint8_t unicode[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };
        return string_buffer_write8(out, unicode, sizeof(unicode));
    }
    }
}

static int plain_string(StringBuffer *out, JSString *p)
{
    const uint8_t *text;
    uint32_t i;

    if (p->is_wide_char) {
        JSValue quoted = JS_ToQuotedString(out->ctx, JS_MKPTR(JS_TAG_STRING, p));
        return JS_IsException(quoted) ? -1 : string_buffer_concat_value_free(out, quoted);
    }
    text = str8(p);
    string_buffer_putc8(out, '"');
    for(i = 0; i < p->len;) {
        uint32_t run = plain_run(text + i, p->len - i);

        // Latin-1 stands for itself.
        while(i + run < p->len && text[i + run] >= 0x80)
            run++;
        if (string_buffer_write8(out, text + i, run))
            return -1;
        i += run;
        if (i < p->len && (text[i] < ' ' || text[i] == '"' || text[i] == '\\') &&
            plain_escape(out, text[i++]))
            return -1;
    }
    return string_buffer_putc8(out, '"');
}

// A number with few digits after the point, which is what people write and round to; -1 for others.
//
// The least number of such digits that reads as the same number is what JavaScript prints. With at most
// 15 digits in all there is one candidate for each, and division reads it as strtod would: both
// operands are exact.
static int plain_decimal(char *digits, double number)
{
    static const double powers[] = { 1, 1e1, 1e2, 1e3, 1e4 };
    char reversed[24];
    uint64_t whole;
    int places, count, len, i;

    if (!(fabs(number) < 1e10) || (number == 0 && signbit(number)))
        return -1;
    for(places = 0;; places++) {
        whole = (uint64_t)(fabs(number) * powers[places] + 0.5);
        if ((double)whole / powers[places] == fabs(number))
            break;
        if (places == 4)
            return -1;
    }
    for(len = count = 0; whole > 0 || count <= places; whole /= 10) {
        if (places > 0 && count == places)
            reversed[len++] = '.';
        reversed[len++] = '0' + whole % 10;
        count++;
    }
    i = 0;
    if (number < 0)
        digits[i++] = '-';
    while(len > 0)
        digits[i++] = reversed[--len];
    return i;
}

static int plain_number(JSContext *ctx, StringBuffer *out, double number)
{
    char digits[32];
    JSValue text;
    int len;

    if (!isfinite(number))
        return string_buffer_puts8(out, "null");
    len = plain_decimal(digits, number);
    if (len > 0)
        return string_buffer_write8(out, (const uint8_t *)digits, len);
    text = JS_ToString(ctx, js_float64(number));
    return JS_IsException(text) ? -1 : string_buffer_concat_value_free(out, text);
}

// A string whose parts were not put together yet.
static int plain_rope(StringBuffer *out, JSValueConst rope)
{
    JSValue text = js_linearize_string_rope(out->ctx, rope);
    int result;

    if (JS_IsException(text))
        return -1;
    result = plain_string(out, JS_VALUE_GET_STRING(text));
    JS_FreeValue(out->ctx, text);
    return result;
}

// Whether JSON has a text for a value; `undefined` and symbols are left out, and so are functions,
// which are not plain.
static bool plain_has_text(JSValueConst value)
{
    int tag = JS_VALUE_GET_TAG(value);
    return tag != JS_TAG_UNDEFINED && tag != JS_TAG_SYMBOL;
}

static int plain_value(JSContext *ctx, StringBuffer *out, JSValueConst value, int depth);

static int plain_array(JSContext *ctx, StringBuffer *out, JSObject *p, int depth)
{
    uint32_t i, len = p->u.array.count;

    // Only `length`, and nothing missing before it.
    if (p->shape->prop_count != 1 || JS_VALUE_GET_TAG(p->prop[0].u.value) != JS_TAG_INT ||
        (uint32_t)JS_VALUE_GET_INT(p->prop[0].u.value) != len)
        return -1;
    string_buffer_putc8(out, '[');
    for(i = 0; i < len; i++) {
        JSValueConst element = p->u.array.u.values[i];

        if (i > 0)
            string_buffer_putc8(out, ',');
        if (!plain_has_text(element))
            string_buffer_puts8(out, "null");
        else if (plain_value(ctx, out, element, depth))
            return -1;
    }
    return string_buffer_putc8(out, ']');
}

static int plain_object(JSContext *ctx, StringBuffer *out, JSObject *p, int depth)
{
    JSShape *shape = p->shape;
    bool is_first = true;
    int i;

    string_buffer_putc8(out, '{');
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
            string_buffer_putc8(out, ',');
        is_first = false;
        if (plain_string(out, name))
            return -1;
        string_buffer_putc8(out, ':');
        if (plain_value(ctx, out, value, depth))
            return -1;
    }
    return string_buffer_putc8(out, '}');
}

// Whether what inherits from `proto` has no `toJSON` from it.
static bool plain_chain(JSContext *ctx, JSObject *proto)
{
    JSObject *object = JS_VALUE_GET_OBJ(ctx->class_proto[JS_CLASS_OBJECT]);

    // `plain_prototypes` has looked at Object.prototype.
    for(; proto && proto != object; proto = proto->shape->proto) {
        if (proto->is_exotic || find_own_property1(proto, JS_ATOM_toJSON))
            return false;
    }
    return true;
}

static int plain_value(JSContext *ctx, StringBuffer *out, JSValueConst value, int depth)
{
    char digits[16];
    JSObject *p;

    switch(JS_VALUE_GET_NORM_TAG(value)) {
    case JS_TAG_STRING:
        return plain_string(out, JS_VALUE_GET_STRING(value));
    case JS_TAG_STRING_ROPE:
        return plain_rope(out, value);
    case JS_TAG_INT:
        return string_buffer_write8(out, (const uint8_t *)digits,
                                    i32toa(digits, JS_VALUE_GET_INT(value)));
    case JS_TAG_FLOAT64:
        return plain_number(ctx, out, JS_VALUE_GET_FLOAT64(value));
    case JS_TAG_BOOL:
        return JS_VALUE_GET_BOOL(value) ? string_buffer_puts8(out, "true") :
            string_buffer_puts8(out, "false");
    case JS_TAG_NULL:
        return string_buffer_puts8(out, "null");
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
    if (p->class_id == JS_CLASS_OBJECT && !p->is_exotic && plain_chain(ctx, p->shape->proto))
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

// What `JSON.stringify(value)` answers.
static JSValue plain_stringify(JSContext *ctx, JSValueConst value)
{
    StringBuffer out;

    if (!plain_prototypes(ctx) || string_buffer_init(ctx, &out, PLAIN_BYTES_MIN))
        return JS_JSONStringify(ctx, value, JS_UNDEFINED, JS_UNDEFINED);
    if (!plain_value(ctx, &out, value, 0) && !out.error_status)
        return string_buffer_end(&out);
    string_buffer_free(&out);
    // There may have been too little memory.
    JS_FreeValue(ctx, JS_GetException(ctx));
    return JS_JSONStringify(ctx, value, JS_UNDEFINED, JS_UNDEFINED);
}

// In the place of JS_JSONStringify in `JSON.stringify` (json.awk).
static JSValue ampoule_stringify(JSContext *ctx, JSValueConst value, JSValueConst replacer,
                                 JSValueConst space)
{
    if (JS_IsUndefined(replacer) && JS_IsUndefined(space))
        return plain_stringify(ctx, value);
    return JS_JSONStringify(ctx, value, replacer, space);
}

static JSValue json_text(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    return plain_stringify(ctx, argv[0]);
}

// Adds the native `jsonText(value)`: what `JSON.stringify(value)` answers, whatever was put in its
// place. In a stack it is called as that is.
int ampoule_define_json_text(JSContext *ctx, JSValueConst natives)
{
    return JS_SetPropertyStr(ctx, natives, "jsonText",
                             JS_NewCFunction(ctx, json_text, "stringify", 1));
}

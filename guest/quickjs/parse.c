// Appended to quickjs.c after json.c: reads JSON text without the tokens, temporary strings and
// changes of shape that JSON.parse goes through for each value.
//
// Nothing here runs JavaScript. Whatever is unusual, and whatever is wrong, is left to QuickJS, which
// then reads the text once more and says what is the matter.

// Deeper text is left to QuickJS.
#define PARSE_DEPTH_MAX 64
// What the deepest text needs of the stack, in bytes.
#define PARSE_STACK_BYTES (64 * 1024)

typedef struct {
    JSContext *ctx;
    const uint8_t *at;
    const uint8_t *end;
    // Values of arrays and objects that are not complete.
    JSValue *values;
    uint32_t count;
    uint32_t size;
} PlainText;

static inline void parse_space(PlainText *text)
{
    while(text->at < text->end &&
          (*text->at == ' ' || *text->at == '\n' || *text->at == '\r' || *text->at == '\t'))
        text->at++;
}

// Whether the next character is this one; if so, it is read.
static inline bool parse_char(PlainText *text, char c)
{
    parse_space(text);
    if (text->at >= text->end || *text->at != c)
        return false;
    text->at++;
    return true;
}

static bool parse_push(PlainText *text, JSValue value)
{
    if (text->count == text->size) {
        uint32_t size = text->size * 2 + 32;
        JSValue *values = js_realloc_rt(text->ctx->rt, text->values, size * sizeof(JSValue));

        if (!values) {
            JS_FreeValue(text->ctx, value);
            return false;
        }
        text->values = values;
        text->size = size;
    }
    text->values[text->count++] = value;
    return true;
}

// A number after its first character was seen.
static bool parse_number(PlainText *text, JSValue *value)
{
    static const double powers[] = {
        1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
        1e17, 1e18,
    };
    const uint8_t *p = text->at, *start = p;
    bool is_negative = *p == '-';
    uint64_t digits = 0;
    int places = 0;
    double number;

    p += is_negative;
    // The text ends with a zero.
    if (!is_digit(*p) || (*p == '0' && is_digit(p[1])))
        return false;
    while(is_digit(*p))
        digits = digits * 10 + (*p++ - '0');
    if (*p == '.') {
        const uint8_t *point = p++;

        if (!is_digit(*p))
            return false;
        while(is_digit(*p))
            digits = digits * 10 + (*p++ - '0');
        places = p - point - 1;
    }
    text->at = p;
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        if (!is_digit(*p))
            return false;
        while(is_digit(*p))
            p++;
        text->at = p;
    } else if (p - start <= 17 && digits <= (1ull << 53)) {
        // Both are exact, so that their quotient is what the text says, rounded once.
        if (places == 0 && digits <= INT32_MAX && !(is_negative && digits == 0)) {
            *value = js_int32(is_negative ? -(int32_t)digits : (int32_t)digits);
            return true;
        }
        number = (double)digits / powers[places];
        *value = js_float64(is_negative ? -number : number);
        return true;
    }
    *value = js_float64(strtod((const char *)start, NULL));
    return true;
}

// What follows a quote up to the next, if it stands for itself and is ASCII; its length, or -1.
static inline int64_t parse_run(PlainText *text)
{
    const uint8_t *start = text->at;
    uint32_t len = plain_run(start, text->end - start);

    if (start + len >= text->end || start[len] != '"')
        return -1;
    text->at = start + len + 1;
    return len;
}

// The character that an escape stands for, after its backslash; -1 for none.
static int parse_escape(PlainText *text)
{
    int c, i;

    // The text ends with a zero, which is no part of an escape.
    switch(c = *text->at++) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case '"': case '\\': case '/': return c;
    case 'u': break;
    default: return -1;
    }
    for(i = c = 0; i < 4; i++) {
        int digit = from_hex(*text->at);

        if (digit < 0)
            return -1;
        text->at++;
        c = (c << 4) | digit;
    }
    return c;
}

static bool parse_odd_text(PlainText *text, StringBuffer *out)
{
    for(;;) {
        uint32_t run = plain_run(text->at, text->end - text->at);
        const uint8_t *next;
        int c;

        if (string_buffer_write8(out, text->at, run))
            return false;
        text->at += run;
        if (text->at >= text->end || *text->at < ' ')
            return false;
        c = *text->at++;
        if (c == '"')
            return true;
        if (c == '\\') {
            c = parse_escape(text);
        } else {
            c = utf8_decode(text->at - 1, &next);
            if (next == text->at)
                return false;
            text->at = next;
        }
        if (c < 0 || string_buffer_putc(out, c))
            return false;
    }
}

// A string with escapes, or with more than ASCII, after its quote.
static bool parse_odd_string(PlainText *text, JSValue *value)
{
    StringBuffer out;

    if (string_buffer_init(text->ctx, &out, PLAIN_BYTES_MIN))
        return false;
    if (!parse_odd_text(text, &out)) {
        string_buffer_free(&out);
        return false;
    }
    *value = string_buffer_end(&out);
    return !JS_IsException(*value);
}

static bool parse_string(PlainText *text, JSValue *value)
{
    const char *start = (const char *)text->at;
    int64_t len = parse_run(text);

    if (len < 0)
        return parse_odd_string(text, value);
    *value = js_new_string8_len(text->ctx, start, len);
    return !JS_IsException(*value);
}

static bool parse_value(PlainText *text, JSValueConst like, int depth);

static bool parse_array(PlainText *text, JSValueConst like, int depth)
{
    uint32_t base = text->count, len;
    JSValue array;

    if (!parse_char(text, ']')) {
        // What an array has is much alike.
        JSObject *model = JS_IsObject(like) ? JS_VALUE_GET_OBJ(like) : NULL;
        bool has_model = model && model->class_id == JS_CLASS_ARRAY && model->u.array.count > 0;

        like = has_model ? model->u.array.u.values[0] : JS_UNDEFINED;
        do {
            if (!parse_value(text, like, depth))
                return false;
            like = text->values[text->count - 1];
        } while(parse_char(text, ','));
        if (!parse_char(text, ']'))
            return false;
    }
    len = text->count - base;
    array = js_allocate_fast_array(text->ctx, len);
    if (JS_IsException(array))
        return false;
    if (len > 0)
        memcpy(JS_VALUE_GET_OBJ(array)->u.array.u.values, text->values + base, len * sizeof(JSValue));
    text->count = base;
    return parse_push(text, array);
}

// Puts a property into an object that is being read.
static bool parse_define(PlainText *text, JSObject *object, JSAtom name, JSValue value)
{
    JSProperty *property;

    // The last of several with one name counts.
    if (find_own_property(&property, object, name)) {
        set_value(text->ctx, &property->u.value, value);
        return true;
    }
    property = add_property(text->ctx, object, name, JS_PROP_C_W_E);
    if (!property) {
        JS_FreeValue(text->ctx, value);
        return false;
    }
    property->u.value = value;
    return true;
}

static JSAtom parse_name(PlainText *text)
{
    const char *start = (const char *)text->at;
    int64_t len = parse_run(text);
    JSValue name;
    JSAtom atom;

    if (len >= 0)
        return JS_NewAtomLen(text->ctx, start, len);
    if (!parse_odd_string(text, &name))
        return JS_ATOM_NULL;
    atom = JS_ValueToAtom(text->ctx, name);
    JS_FreeValue(text->ctx, name);
    return atom;
}

// The rest of an object, from a name on; `object` is that on top of the values.
static bool parse_members(PlainText *text, JSObject *object, int depth)
{
    do {
        JSAtom name;
        bool is_done;

        if (!parse_char(text, '"'))
            return false;
        name = parse_name(text);
        if (name == JS_ATOM_NULL)
            return false;
        is_done = parse_char(text, ':') && parse_value(text, JS_UNDEFINED, depth) &&
            parse_define(text, object, name, text->values[--text->count]);
        JS_FreeAtom(text->ctx, name);
        if (!is_done)
            return false;
    } while(parse_char(text, ','));
    return parse_char(text, '}');
}

// Whether the next name is this one; if so, it is read, with the colon. A name with escapes, or with
// more than ASCII, is not said to be any.
static inline bool parse_same_name(PlainText *text, JSAtom atom)
{
    const uint8_t *start = text->at;
    JSAtomStruct *name;

    if (__JS_AtomIsTaggedInt(atom))
        return false;
    name = text->ctx->rt->atom_array[atom];
    if (name->is_wide_char || name->len + 1 >= text->end - start ||
        start[name->len] != '"' || memcmp(start, str8(name), name->len) ||
        plain_run(start, name->len) != name->len)
        return false;
    text->at = start + name->len + 1;
    if (parse_char(text, ':'))
        return true;
    text->at = start;
    return false;
}

// An object without properties, put on top.
static JSObject *parse_empty(PlainText *text)
{
    JSValue object = JS_NewObject(text->ctx);

    if (JS_IsException(object) || !parse_push(text, object))
        return NULL;
    return JS_VALUE_GET_OBJ(object);
}

// An object from the first `count` properties of `model`, with the values on top; in their place.
static JSObject *parse_first(PlainText *text, JSObject *model, int count)
{
    JSContext *ctx = text->ctx;
    JSShape *shape = model->shape;
    uint32_t base = text->count - count;
    JSValue object;
    int i;

    if (count == shape->prop_count) {
        object = JS_NewObjectFromShape(ctx, js_dup_shape(shape), JS_CLASS_OBJECT, NULL);
        if (JS_IsException(object))
            return NULL;
        for(i = 0; i < count; i++)
            JS_VALUE_GET_OBJ(object)->prop[i].u.value = text->values[base + i];
    } else {
        object = JS_NewObject(ctx);
        if (JS_IsException(object))
            return NULL;
        for(i = 0; i < count; i++) {
            JSValue value = text->values[base + i];

            text->values[base + i] = JS_UNDEFINED;
            if (!parse_define(text, JS_VALUE_GET_OBJ(object), shape->prop[i].atom, value)) {
                JS_FreeValue(ctx, object);
                return NULL;
            }
        }
    }
    text->count = base;
    return parse_push(text, object) ? JS_VALUE_GET_OBJ(object) : NULL;
}

// An object, whose properties are supposed to be those of `like`, in the same order.
static bool parse_object(PlainText *text, JSValueConst like, int depth)
{
    JSObject *model = JS_IsObject(like) ? JS_VALUE_GET_OBJ(like) : NULL;
    JSObject *object;
    int count = 0;

    if (parse_char(text, '}'))
        return (object = parse_empty(text)) != NULL;
    // It was read by us, and so has nothing but plain properties.
    if (model && model->class_id == JS_CLASS_OBJECT) {
        while(count < model->shape->prop_count) {
            const uint8_t *before = text->at;

            if (!parse_char(text, '"'))
                return false;
            if (!parse_same_name(text, model->shape->prop[count].atom)) {
                text->at = before;
                break;
            }
            if (!parse_value(text, model->prop[count].u.value, depth))
                return false;
            count++;
            if (parse_char(text, ','))
                continue;
            return parse_char(text, '}') && parse_first(text, model, count);
        }
    }
    object = count > 0 ? parse_first(text, model, count) : parse_empty(text);
    return object && parse_members(text, object, depth);
}

static bool parse_word(PlainText *text, const char *word, size_t len, JSValue value)
{
    if (text->end - text->at < len || memcmp(text->at, word, len))
        return false;
    text->at += len;
    return parse_push(text, value);
}

// Reads a value and puts it on top of the others.
static bool parse_value(PlainText *text, JSValueConst like, int depth)
{
    JSValue value;

    parse_space(text);
    if (text->at >= text->end)
        return false;
    switch(*text->at) {
    case '"':
        text->at++;
        return parse_string(text, &value) && parse_push(text, value);
    case '{':
        text->at++;
        return depth < PARSE_DEPTH_MAX && parse_object(text, like, depth + 1);
    case '[':
        text->at++;
        return depth < PARSE_DEPTH_MAX && parse_array(text, like, depth + 1);
    case 't':
        return parse_word(text, "true", 4, JS_TRUE);
    case 'f':
        return parse_word(text, "false", 5, JS_FALSE);
    case 'n':
        return parse_word(text, "null", 4, JS_NULL);
    default:
        return parse_number(text, &value) && parse_push(text, value);
    }
}

// Reads JSON in UTF-8 with a zero behind it. False, and nothing done, if somebody else has to.
static bool ampoule_parse(JSContext *ctx, const char *buf, size_t len, JSValue *value)
{
    PlainText text = {
        .ctx = ctx, .at = (const uint8_t *)buf, .end = (const uint8_t *)buf + len,
    };
    bool is_done = false;

    if (js_check_stack_overflow(ctx->rt, PARSE_STACK_BYTES))
        return false;
    if (parse_value(&text, JS_UNDEFINED, 0)) {
        parse_space(&text);
        is_done = text.at == text.end;
    }
    if (is_done) {
        *value = text.values[0];
    } else {
        while(text.count > 0)
            JS_FreeValue(ctx, text.values[--text.count]);
        JS_FreeValue(ctx, JS_GetException(ctx));
    }
    js_free_rt(ctx->rt, text.values);
    return is_done;
}

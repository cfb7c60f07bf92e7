// Appended to quickjs.c after parse.c: header sections (RFC 9110, RFC 9112), as guest/js/src/fields.js
// checks, lowers and reads them, and queries, as guest/js/src/querystring.js reads them, for the cases
// that nearly all are. For the others, and for what is
// wrong, these answer `undefined`, and it is done there.

// Longest name of a field that is read here, in bytes.
#define FIELD_NAME_MAX 64

// What a token may hold: letters, digits, and fifteen other characters.
static inline bool is_token_char(uint8_t c)
{
    static const uint32_t allowed[4] = { 0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff };

    return c < 0x80 && (allowed[c >> 5] >> (c & 31) & 1);
}

static inline bool is_ascii(const uint8_t *text, uint32_t len)
{
    const uint64_t high = 0x8080808080808080;
    uint64_t bytes, all = 0;

    for(; len >= 8; len -= 8, text += 8) {
        memcpy(&bytes, text, 8);
        all |= bytes;
    }
    for(; len > 0; len--)
        all |= *text++;
    return !(all & high);
}

static inline bool is_value_char(uint8_t c)
{
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

static inline bool is_value(const uint8_t *text, uint32_t len)
{
    uint32_t i;

    for(i = 0; i < len; i++) {
        if (!is_value_char(text[i]))
            return false;
    }
    return true;
}

static inline JSString *narrow_string(JSValueConst value)
{
    JSString *text = NULL;

    if (JS_VALUE_GET_TAG(value) == JS_TAG_STRING)
        text = JS_VALUE_GET_STRING(value);
    return text && !text->is_wide_char ? text : NULL;
}

// Writes a name in lower case; false if it is no token.
static inline bool lower_name(const uint8_t *name, uint32_t len, uint8_t *lower)
{
    uint32_t i;

    for(i = 0; i < len; i++) {
        uint8_t c = name[i];

        if (!is_token_char(c))
            return false;
        lower[i] = c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
    }
    return true;
}

// The lower-case name of a field, if it is a token.
static JSValue field_name(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    JSString *given = narrow_string(argv[0]);
    uint8_t lower[FIELD_NAME_MAX];

    if (!given || given->len == 0 || given->len > FIELD_NAME_MAX ||
        !lower_name(str8(given), given->len, lower))
        return JS_UNDEFINED;
    if (!memcmp(lower, str8(given), given->len))
        return js_dup(argv[0]);
    return js_new_string8_len(ctx, (const char *)lower, given->len);
}

// Whether a string may be the value of a field.
static JSValue is_field_value(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    JSString *given = narrow_string(argv[0]);

    return given ? js_bool(is_value(str8(given), given->len)) : JS_UNDEFINED;
}

// Sets a field in a table, in place of what has its name: the lower-case name. The value is a string
// or a whole number.
static JSValue put_field(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    JSString *name = narrow_string(argv[1]), *text;
    uint8_t lower[FIELD_NAME_MAX];
    JSValue value, result;
    JSAtom atom;

    if (!name || name->len == 0 || name->len > FIELD_NAME_MAX ||
        !lower_name(str8(name), name->len, lower))
        return JS_UNDEFINED;
    value = JS_VALUE_GET_TAG(argv[2]) == JS_TAG_INT ? JS_ToString(ctx, argv[2]) : js_dup(argv[2]);
    text = narrow_string(value);
    if (!text || !is_value(str8(text), text->len)) {
        JS_FreeValue(ctx, value);
        return JS_UNDEFINED;
    }
    atom = JS_NewAtomLen(ctx, (const char *)lower, name->len);
    if (atom == JS_ATOM_NULL) {
        JS_FreeValue(ctx, value);
        return JS_EXCEPTION;
    }
    result = JS_EXCEPTION;
    if (JS_DefinePropertyValue(ctx, argv[0], atom, value, JS_PROP_C_W_E) >= 0)
        result = JS_AtomToString(ctx, atom);
    JS_FreeAtom(ctx, atom);
    return result;
}

static inline bool is_field_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0;
}

// One line of a header section as a property; false for one that needs more thought.
static bool read_field(JSContext *ctx, JSObject *table, const uint8_t *line, const uint8_t *end)
{
    const uint8_t *colon = memchr(line, ':', end - line);
    uint8_t lower[FIELD_NAME_MAX];
    JSProperty *property;
    JSValue value;
    JSAtom name;
    uint32_t len;

    if (!colon || colon == line || colon - line > FIELD_NAME_MAX)
        return false;
    len = colon - line;
    if (!lower_name(line, len, lower))
        return false;
    // It is a list.
    if (len == 10 && !memcmp(lower, "set-cookie", 10))
        return false;
    for(line = colon + 1; line < end && is_field_space(*line); line++)
        continue;
    while(end > line && is_field_space(end[-1]))
        end--;
    name = JS_NewAtomLen(ctx, (const char *)lower, len);
    if (name == JS_ATOM_NULL)
        return false;
    // Several with one name are joined, or dropped.
    property = find_own_property1(table, name) ? NULL :
        add_property(ctx, table, name, JS_PROP_C_W_E);
    JS_FreeAtom(ctx, name);
    if (!property)
        return false;
    property->u.value = JS_UNDEFINED;
    value = js_new_string8_len(ctx, (const char *)line, end - line);
    if (JS_IsException(value))
        return false;
    property->u.value = value;
    return true;
}

// The fields of a header section by their names.
static JSValue field_table(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    JSString *given = narrow_string(argv[0]);
    const uint8_t *line, *end, *text_end;
    JSValue table;

    if (!given)
        return JS_UNDEFINED;
    table = JS_NewObjectProto(ctx, JS_NULL);
    if (JS_IsException(table))
        return table;
    line = str8(given);
    text_end = line + given->len;
    for(; line < text_end; line = end + 2) {
        end = memchr(line, '\r', text_end - line);
        if (!end || end + 1 >= text_end || end[1] != '\n' ||
            !read_field(ctx, JS_VALUE_GET_OBJ(table), line, end)) {
            JS_FreeValue(ctx, table);
            JS_FreeValue(ctx, JS_GetException(ctx));
            return JS_UNDEFINED;
        }
    }
    return table;
}

// The header section of a table whose names and values were checked when they were put in; undefined
// if a value is a list.
static JSValue fields_text(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    JSObject *table = JS_VALUE_GET_OBJ(argv[0]);
    StringBuffer out;
    int i;

    if (string_buffer_init(ctx, &out, PLAIN_BYTES_MIN))
        return JS_EXCEPTION;
    for(i = 0; i < table->shape->prop_count; i++) {
        JSShapeProperty *property = &table->shape->prop[i];
        JSString *name, *value;

        if (property->atom == JS_ATOM_NULL)
            continue;
        // A name of digits comes before the others.
        value = narrow_string(table->prop[i].u.value);
        if (!value || __JS_AtomIsTaggedInt(property->atom)) {
            string_buffer_free(&out);
            return JS_UNDEFINED;
        }
        name = ctx->rt->atom_array[property->atom];
        string_buffer_concat(&out, name, 0, name->len);
        string_buffer_puts8(&out, ": ");
        string_buffer_concat(&out, value, 0, value->len);
        string_buffer_puts8(&out, "\r\n");
    }
    return string_buffer_end(&out);
}

// `key=value`, or `key` alone, as a property; false if there is one already.
static bool read_pair(JSContext *ctx, JSObject *table, const uint8_t *part, const uint8_t *end)
{
    const uint8_t *equals = memchr(part, '=', end - part);
    const uint8_t *key_end = equals ? equals : end, *start = equals ? equals + 1 : end;
    JSAtom key = JS_NewAtomLen(ctx, (const char *)part, key_end - part);
    JSProperty *property;
    JSValue value;

    if (key == JS_ATOM_NULL)
        return false;
    property = find_own_property1(table, key) ? NULL :
        add_property(ctx, table, key, JS_PROP_C_W_E);
    JS_FreeAtom(ctx, key);
    if (!property)
        return false;
    property->u.value = JS_UNDEFINED;
    value = js_new_string8_len(ctx, (const char *)start, end - start);
    if (JS_IsException(value))
        return false;
    property->u.value = value;
    return true;
}

// Most keys of a query, as in querystring.js.
#define QUERY_KEYS_MAX 1000

// The values of a query by their keys; undefined if something in it is encoded, or a key comes twice.
static JSValue query_table(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    JSString *given = narrow_string(argv[0]);
    const uint8_t *part, *end, *text_end;
    JSValue table;
    int count = 0;

    if (!given || !is_ascii(str8(given), given->len) ||
        memchr(str8(given), '%', given->len) || memchr(str8(given), '+', given->len))
        return JS_UNDEFINED;
    table = JS_NewObjectProto(ctx, JS_NULL);
    if (JS_IsException(table))
        return table;
    part = str8(given);
    text_end = part + given->len;
    for(; part < text_end; part = end + 1) {
        end = memchr(part, '&', text_end - part);
        if (!end)
            end = text_end;
        if (end == part)
            continue;
        if (++count > QUERY_KEYS_MAX || !read_pair(ctx, JS_VALUE_GET_OBJ(table), part, end)) {
            JS_FreeValue(ctx, table);
            JS_FreeValue(ctx, JS_GetException(ctx));
            return JS_UNDEFINED;
        }
    }
    return table;
}

// Adds the natives `fieldName`, `isFieldValue`, `putField`, `fieldTable`, `fieldsText`
// and `queryTable`.
int ampoule_define_fields(JSContext *ctx, JSValueConst natives)
{
    static const struct { const char *name; JSCFunction *function; int arguments; } all[] = {
        { "fieldName", field_name, 1 },
        { "isFieldValue", is_field_value, 1 },
        { "putField", put_field, 3 },
        { "fieldTable", field_table, 1 },
        { "fieldsText", fields_text, 1 },
        { "queryTable", query_table, 1 },
    };
    int i;

    for(i = 0; i < countof(all); i++) {
        JSValue function = JS_NewCFunction(ctx, all[i].function, all[i].name,
                                           all[i].arguments);

        if (JS_SetPropertyStr(ctx, natives, all[i].name, function) < 0)
            return -1;
    }
    return 0;
}

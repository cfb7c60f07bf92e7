// Appended to quickjs.c after fields.c: the end of an invocation, without the ceremony of calling Rust
// with values.

// In src/natives.rs.
bool ampoule_respond(uint32_t status, const uint8_t *fields, size_t fields_len,
                     const uint8_t *body, size_t body_len);
void ampoule_done(void);

static inline JSString *ascii_string(JSValueConst value)
{
    JSString *text = narrow_string(value);

    return text && is_ascii(str8(text), text->len) ? text : NULL;
}

// Whether a whole answer was sent. It is not, if it is of more than ASCII, or there was one before.
static JSValue respond_plain(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    JSString *fields = ascii_string(argv[1]), *body = ascii_string(argv[2]);
    bool is_empty = JS_IsUndefined(argv[2]);

    if (JS_VALUE_GET_TAG(argv[0]) != JS_TAG_INT || !fields || (!body && !is_empty))
        return JS_FALSE;
    return js_bool(ampoule_respond(JS_VALUE_GET_INT(argv[0]), str8(fields), fields->len,
                                   is_empty ? NULL : str8(body), is_empty ? 0 : body->len));
}

static JSValue done(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    ampoule_done();
    return JS_UNDEFINED;
}

// Adds the natives `respondPlain(status, fields, body)` and `done()`.
int ampoule_define_answer(JSContext *ctx, JSValueConst natives)
{
    JSValue function = JS_NewCFunction(ctx, respond_plain, "respondPlain", 3);

    if (JS_SetPropertyStr(ctx, natives, "respondPlain", function) < 0)
        return -1;
    return JS_SetPropertyStr(ctx, natives, "done", JS_NewCFunction(ctx, done, "done", 0));
}

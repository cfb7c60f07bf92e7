// Included in quickjs.c before the slow ways of its operators: what they find out in several
// calls, and is common, is decided here at once.

static inline bool ampoule_number(JSValueConst value, double *number)
{
    uint32_t tag = JS_VALUE_GET_TAG(value);

    if (tag == JS_TAG_INT)
        *number = JS_VALUE_GET_INT(value);
    else if (JS_TAG_IS_FLOAT64(tag))
        *number = JS_VALUE_GET_FLOAT64(value);
    else
        return false;
    return true;
}

// `sp[-2] op sp[-1]` of two numbers, in place of the first.
static inline bool ampoule_arith(JSValue *sp, OPCodeEnum op)
{
    double a, b;

    if (!ampoule_number(sp[-2], &a) || !ampoule_number(sp[-1], &b))
        return false;
    switch(op) {
    case OP_add:
        a += b;
        break;
    case OP_sub:
        a -= b;
        break;
    case OP_mul:
        a *= b;
        break;
    case OP_div:
        a /= b;
        break;
    default:
        return false;
    }
    sp[-2] = js_float64(a);
    return true;
}

// The 32 bits of a number that the bitwise operators work on, unless it is too far from zero for an
// integer of 64 bits.
static inline bool ampoule_bits(JSValueConst value, uint32_t *bits)
{
    uint32_t tag = JS_VALUE_GET_TAG(value);
    double number;

    if (tag == JS_TAG_INT) {
        *bits = JS_VALUE_GET_INT(value);
        return true;
    }
    if (!JS_TAG_IS_FLOAT64(tag))
        return false;
    number = JS_VALUE_GET_FLOAT64(value);
    if (!(fabs(number) < 0x1p63))
        return false;
    *bits = (uint32_t)(int64_t)number;
    return true;
}

// `sp[-2] op sp[-1]` of two numbers, in place of the first.
static inline bool ampoule_logic(JSValue *sp, OPCodeEnum op)
{
    uint32_t a, b;

    if (!ampoule_bits(sp[-2], &a) || !ampoule_bits(sp[-1], &b))
        return false;
    switch(op) {
    case OP_shl:
        a <<= b & 31;
        break;
    case OP_sar:
        a = (int32_t)a >> (b & 31);
        break;
    case OP_shr:
        sp[-2] = js_uint32(a >> (b & 31));
        return true;
    case OP_and:
        a &= b;
        break;
    case OP_or:
        a |= b;
        break;
    case OP_xor:
        a ^= b;
        break;
    default:
        return false;
    }
    sp[-2] = js_int32(a);
    return true;
}

// `~sp[-1]` of a number, in its place.
static inline bool ampoule_not(JSValue *sp)
{
    uint32_t a;

    if (!ampoule_bits(sp[-1], &a))
        return false;
    sp[-1] = js_int32(~a);
    return true;
}

// Whether two strings are the same, where a look at their heads tells: 0 or 1, otherwise -1. There are
// no two atoms of one text.
static inline int ampoule_same_text(const JSString *a, const JSString *b)
{
    if (a == b)
        return 1;
    if (a->len != b->len ||
        (a->atom_type == JS_ATOM_TYPE_STRING && b->atom_type == JS_ATOM_TYPE_STRING))
        return 0;
    return -1;
}

// Whether two values are equal, with `===`, where that takes no more than a look at them: 0 or 1,
// otherwise -1. What is compared with null or undefined by `==` is found out as well, unless it is
// an object, which may say that it is undefined.
static inline int ampoule_equal(JSValueConst a, JSValueConst b, bool strictly)
{
    int tag = JS_VALUE_GET_TAG(a), other = JS_VALUE_GET_TAG(b);
    bool is_nothing = tag == JS_TAG_NULL || tag == JS_TAG_UNDEFINED;
    bool is_other_nothing = other == JS_TAG_NULL || other == JS_TAG_UNDEFINED;

    if (is_nothing && is_other_nothing)
        return tag == other || !strictly;
    if (is_nothing || is_other_nothing)
        return strictly || (tag != JS_TAG_OBJECT && other != JS_TAG_OBJECT) ? 0 : -1;
    if (tag != other)
        return -1;
    switch(tag) {
    case JS_TAG_OBJECT:
    case JS_TAG_SYMBOL:
        return JS_VALUE_GET_PTR(a) == JS_VALUE_GET_PTR(b);
    case JS_TAG_BOOL:
        return JS_VALUE_GET_BOOL(a) == JS_VALUE_GET_BOOL(b);
    case JS_TAG_STRING:
        return ampoule_same_text(JS_VALUE_GET_STRING(a), JS_VALUE_GET_STRING(b));
    default:
        return -1;
    }
}

static inline bool ampoule_equality(JSContext *ctx, JSValue *sp, bool strictly, bool negated)
{
    int equal = ampoule_equal(sp[-2], sp[-1], strictly);

    if (equal < 0)
        return false;
    JS_FreeValue(ctx, sp[-2]);
    JS_FreeValue(ctx, sp[-1]);
    sp[-2] = js_bool(equal != negated);
    return true;
}

// `object[index]`, if it is an array that holds it, in place of the object.
static inline bool ampoule_element(JSContext *ctx, JSValue *object, JSValueConst index)
{
    JSObject *p;
    JSValue value;
    uint32_t i;

    if (JS_VALUE_GET_TAG(*object) != JS_TAG_OBJECT || JS_VALUE_GET_TAG(index) != JS_TAG_INT)
        return false;
    p = JS_VALUE_GET_OBJ(*object);
    i = JS_VALUE_GET_INT(index);
    if (p->class_id != JS_CLASS_ARRAY || i >= (uint32_t)p->u.array.count)
        return false;
    value = js_dup(p->u.array.u.values[i]);
    JS_FreeValue(ctx, *object);
    *object = value;
    return true;
}

// A property with a value that the object does not have yet, which is nearly every one that a literal,
// a class or a new function defines; takes the value. Whether that was done: not for what arrays,
// proxies and such have rules for, nor if there is no room, which is told where it is tried again.
static inline bool ampoule_define(JSContext *ctx, JSValueConst object, JSAtom name, JSValue value,
                                  int flags)
{
    JSProperty *property;
    JSObject *p;

    if (JS_VALUE_GET_TAG(object) != JS_TAG_OBJECT)
        return false;
    p = JS_VALUE_GET_OBJ(object);
    if (p->is_exotic || !p->extensible || find_own_property1(p, name))
        return false;
    property = add_property(ctx, p, name, flags & JS_PROP_C_W_E);
    if (unlikely(!property))
        return false;
    property->u.value = value;
    return true;
}

// `a[i] = value` is compiled to eight operations more than it needs when `a` is an object and `i` a
// key: `swap`, `dup`, `is_undefined_or_null`, `if_true8`, `swap` see to it that `a` is something, and
// `swap`, `to_propkey`, `swap` that `i` is a key. Both leave the stack as it was then. Together they are
// `swap`, `dup`, `is_undefined_or_null`, `if_true8`, `swap`, `to_propkey`, `swap`, `swap`.

static inline bool ampoule_is_key(JSValueConst value)
{
    uint32_t tag = JS_VALUE_GET_TAG(value);

    return tag == JS_TAG_INT || tag == (uint32_t)JS_TAG_STRING || tag == (uint32_t)JS_TAG_SYMBOL;
}

// The bytes at `pc`, behind its first `swap`, of one of the two or of both, if they leave the stack as
// it is; otherwise 0.
static inline int ampoule_settled(const uint8_t *pc, const JSValue *sp)
{
    if (pc[0] == OP_to_propkey)
        return pc[1] == OP_swap && ampoule_is_key(sp[-2]) ? 2 : 0;
    if (pc[0] != OP_dup || pc[1] != OP_is_undefined_or_null || pc[2] != OP_if_true8 ||
        pc[4] != OP_swap || JS_VALUE_GET_TAG(sp[-2]) != JS_TAG_OBJECT)
        return 0;
    if (pc[5] == OP_to_propkey && pc[6] == OP_swap && pc[7] == OP_swap && ampoule_is_key(sp[-1]))
        return 8;
    return 5;
}

// The value of a property that has one, or undefined if there is none, counted for who gets it.
// Whether it was found out: not what getters, proxies and such tell.
static inline bool ampoule_field(JSValueConst object, JSAtom name, JSValue *value)
{
    JSShapeProperty *described;
    JSProperty *property;
    JSObject *p;

    if (JS_VALUE_GET_TAG(object) != JS_TAG_OBJECT)
        return false;
    for (p = JS_VALUE_GET_OBJ(object); p; p = p->shape->proto) {
        described = find_own_property(&property, p, name);
        if (described) {
            if (unlikely(described->flags & JS_PROP_TMASK))
                return false;
            *value = js_dup(property->u.value);
            return true;
        }
        if (unlikely(p->is_exotic))
            return false;
    }
    *value = JS_UNDEFINED;
    return true;
}

static bool JS_IsCFunction(JSContext *ctx, JSValueConst val, JSCFunction *func, int magic);
static JSValue js_function_hasInstance(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv);

// Whether `instanceof` of this constructor comes to `Function.prototype[Symbol.hasInstance]`, as that of
// nearly all does, which then need not be called.
static inline bool ampoule_has_no_word(JSContext *ctx, JSValueConst constructor)
{
    JSValue method;
    bool is_usual;

    if (!ampoule_field(constructor, JS_ATOM_Symbol_hasInstance, &method))
        return false;
    is_usual = JS_IsCFunction(ctx, method, js_function_hasInstance, 0);
    JS_FreeValue(ctx, method);
    return is_usual;
}

# Amends quickjs.c, after pairs.awk; fails if it is not the text that the amendments are for.
#
# Shapes that are made again and again are kept (shapes.h, ADR 0031).

/^#define JS_PROP_INITIAL_SIZE 2$/ { sub(/2/, "4"); done++ }
/^\/\* WARNING: proto must be an object or JS_NULL \*\/$/ { print "#include \"shapes.h\"\n"; done++ }
/^JSValue JS_NewObjectProtoClass\(JSContext \*ctx, JSValueConst proto_val,$/ { at = "object" }
at == "object" && /^            return JS_EXCEPTION;$/ {
    print
    # An array's length is put into the shape that it begins with, by code that expects no failure.
    print "        if (class_id == JS_CLASS_OBJECT)"
    print "            ampoule_note_shape(ctx->rt, sh);"
    at = ""
    done++
    next
}
/^    if \(add_shape_property\(ctx, &p->shape, p, prop, prop_flags\)\)$/ { at = "property" }
at == "property" && /^    return &p->prop\[p->shape->prop_count - 1\];$/ {
    print "    ampoule_note_shape(ctx->rt, p->shape);"
    at = ""
    done++
}
{ print }
END {
    if (done != 4) {
        print "shapes.awk: found " done > "/dev/stderr"
        exit 1
    }
}

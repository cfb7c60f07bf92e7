# Amends quickjs.c, after shapes.awk; fails if it is not the text that the amendments are for.
#
# An array that is filled from its end has its elements side by side in the end (arrays.h, ADR 0031).

/^static int JS_SetPropertyValue\(JSContext \*ctx, JSValueConst this_obj,$/ && ++seen == 2 {
    print "#include \"arrays.h\"\n"
    in_set = 1
    done++
}
in_set && /^        ret = JS_SetPropertyInternal\(ctx, this_obj, atom, val, flags\);$/ {
    sub(/JS_SetPropertyInternal/, "ampoule_set_element")
    in_set = 0
    done++
}
{ print }
END {
    if (done != 2) {
        print "arrays.awk: found " done > "/dev/stderr"
        exit 1
    }
}

# Amends quickjs.c, after amend.awk; fails if it is not the text that the amendments are for.
#
# JSON of plain data is read and written by parse.c and json.c, which leave everything else, and
# every error, to QuickJS.

/^static JSValue js_json_stringify\(/ {
    print "static JSValue ampoule_stringify(JSContext *ctx, JSValueConst value,"
    print "                                 JSValueConst replacer, JSValueConst space);\n"
    in_stringify = 1
}
in_stringify { done += sub(/JS_JSONStringify\(/, "ampoule_stringify(") }
/^static JSValue JS_ParseJSON_internal\(/ {
    print "static bool ampoule_parse(JSContext *ctx, const char *text, size_t len, JSValue *value);\n"
    in_parse = 1
}
in_parse && /^    js_parse_init\(/ {
    print "    if (!pr && ampoule_parse(ctx, buf, buf_len, &val))"
    print "        return val;"
    in_parse = 0
    done++
}
{ print }
/^}/ { in_stringify = 0 }
END {
    if (done != 2) {
        print "json.awk: found " done > "/dev/stderr"
        exit 1
    }
}

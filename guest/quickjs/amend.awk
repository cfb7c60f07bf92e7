# Amends quickjs.c; fails if it is not the text that the amendments are for.
#
# 1. On WASI, QuickJS checks no stack limit, so deep recursion would run off the stack and trap,
#    where a function expects a RangeError that it can catch.
# 2. and 3. QuickJS notes positions for calls only, so an exception in `const name = user.name` would
#    name the line of the function's head. A position for every statement and property costs a
#    few bytes of debug information and no time.
# 4. A syntax error names the place where the parser stopped reading; its author looks for the token
#    that is wrong.
# 5. The allocator is ours, and called directly.
# 6. What a snapshot holds is not counted (before.h).
# 7. Neither does the collector, which would write to all that a new object refers to.
# 8. `array.push` takes a short way when the array is longer than what it holds (`array.length = 3` did
#    that): it then held what the memory happened to. The other short ways ask for it.
# 9. Runtime and context lie beside what else every invocation writes to (src/hot.rs).

/^static void update_stack_limit\(JSRuntime \*rt\)/ { in_limit = 1 }
in_limit && /^#if defined\(__wasi__\)/ { sub(/defined\(__wasi__\)/, "0"); in_limit = 0; first++ }

/\/\* specific label handling \*\// { print "    emit_source_loc(s);"; second++ }

/s->line_num, s->col_num, backtrace_flags\);/ {
    sub(/s->col_num/, "max_int(1, s->token.ptr - s->eol + (s->eol == s->buf_start))")
    fourth++
}

/^static .*js_def_(calloc|malloc|free|realloc)\(/ { in_default = 1 }
/^}/ { in_default = 0 }
in_default { fifth += sub(/(calloc|malloc|realloc|free)\((count|size|ptr)/, "ampoule_&") }
/rt->mf\.js_/ {
    fifth += gsub(/rt->mf\.js_malloc_usable_size\(/, "ampoule_usable(")
    fifth += gsub(/rt->mf\.js_calloc\(s->opaque, /, "ampoule_calloc(")
    fifth += gsub(/rt->mf\.js_malloc\(s->opaque, /, "ampoule_malloc(")
    fifth += gsub(/rt->mf\.js_realloc\(s->opaque, /, "ampoule_realloc(")
    fifth += gsub(/rt->mf\.js_free\(s->opaque, /, "ampoule_free(")
}

/^static JSValue js_dup\(JSValueConst v\)/ { in_dup = 1 }
/^}/ { in_dup = 0 }
in_dup { sixth += sub(/p->ref_count\+\+/, "REFS_KEEP(p->ref_count)") }
/(p|sh|var_ref)->header\.ref_count\+\+;/ {
    sixth += gsub(/p->header\.ref_count\+\+/, "REFS_KEEP(p->header.ref_count)")
    sixth += gsub(/sh->header\.ref_count\+\+/, "REFS_KEEP(sh->header.ref_count)")
    sixth += gsub(/var_ref->header\.ref_count\+\+/, "REFS_KEEP(var_ref->header.ref_count)")
}
/--(p|sh|str|var_ref)->(header\.)?ref_count (<=|>|==) 0/ {
    sixth += sub(/--p->ref_count/, "REFS_DROP(p->ref_count)")
    sixth += sub(/--p->header\.ref_count/, "REFS_DROP(p->header.ref_count)")
    sixth += sub(/--sh->header\.ref_count/, "REFS_DROP(sh->header.ref_count)")
    sixth += sub(/--str->header\.ref_count/, "REFS_DROP(str->header.ref_count)")
    sixth += sub(/--var_ref->header\.ref_count/, "REFS_DROP(var_ref->header.ref_count)")
}

/^static void gc_(decref|scan_incref)_child2?\(/ { in_collector = 1 }
/^}/ { in_collector = 0 }
in_collector { seventh += sub(/p->ref_count--/, "REFS_DROP(p->ref_count)") }
in_collector { seventh += sub(/p->ref_count\+\+/, "REFS_KEEP(p->ref_count)") }

/^static JSValue js_array_push\(/ { in_push = 1 }
/^}/ { in_push = 0 }
in_push && /\(p->shape->prop->flags & JS_PROP_WRITABLE\)/ {
    eighth += sub(/\(p->shape->prop->flags & JS_PROP_WRITABLE\)/, "& \\&\\&\n"\
        "                       (uint32_t)JS_VALUE_GET_INT(p->prop[0].u.value) == p->u.array.count")
}

/sizeof\(JS(Runtime|Context)\)/ {
    ninth += sub(/mf->js_calloc\(opaque, 1, sizeof\(JSRuntime\)\)/, "ampoule_hot_calloc(sizeof(JSRuntime))")
    ninth += sub(/js_mallocz_rt\(rt, sizeof\(JSContext\)\);/, "ampoule_hot_calloc(sizeof(JSContext));\n"\
        "    if (ctx) {\n"\
        "        rt->malloc_state.malloc_count++;\n"\
        "        rt->malloc_state.malloc_size += ampoule_usable(ctx) + MALLOC_OVERHEAD;\n"\
        "    }")
}

held != "" {
    if ($0 ~ /emit_atom\(s, s->token\.u\.ident\.atom\);/) { print "emit_source_loc(s);"; third++ }
    print held
    held = ""
}
/^ *emit_op\(s, OP_get_field\);$/ { held = $0; next }
{ print }

END {
    counts = first "," second "," (third > 0) "," fourth "," fifth "," sixth "," seventh "," eighth "," ninth
    if (counts != "1,1,1,1," FIFTH "," SIXTH ",3,1,2") {
        print "amend.awk: found " counts > "/dev/stderr"
        exit 1
    }
}

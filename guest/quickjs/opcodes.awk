# Amends quickjs.c, after amend.awk; fails if it is not the text that the amendments are for.
#
# Shorter ways to what is common: numbers of which one is an integer and one is not, comparisons
# that a look at the values decides, elements of arrays, what is asked before one is stored, properties
# that are new, and operations that nearly always follow each other (opcodes.h).

function first(test) { print "    if (" test ")\n        return 0;"; done++ }

/^\/\* shortcut to add or redefine a new property value \*\// {
    print "#include \"opcodes.h\"\n"
    at = "define"
    done++
}
at == "define" && /^    ret = JS_DefinePropertyValueConst\(/ {
    print "    if (likely(ampoule_define(ctx, this_obj, prop, val, flags)))"
    print "        return true;"
    at = ""
    done++
}
/^static no_inline __exception int js_binary_arith_slow\(/ { at = "arith" }
/^static no_inline __exception int js_add_slow\(/ { at = "add" }
/^static no_inline __exception int js_eq_slow\(/ { at = "eq" }
/^static no_inline int js_strict_eq_slow\(/ { at = "strict" }
{ print }
at == "arith" && /^    op2 = sp\[-1\];/ { first("ampoule_arith(sp, op)"); at = "" }
at == "add" && /^    op2 = sp\[-1\];/ { first("ampoule_arith(sp, OP_add)"); at = "" }
at == "eq" && /^    op2 = sp\[-1\];/ { first("ampoule_equality(ctx, sp, false, is_neq)"); at = "" }
at == "strict" && /^    bool res;/ { first("ampoule_equality(ctx, sp, true, is_neq)"); at = "" }
/^        CASE\(OP_swap\):/ {
    print "            i = ampoule_settled(pc, sp);"
    print "            if (likely(i)) {"
    print "                pc += i;"
    print "                BREAK;"
    print "            }"
    done++
}
/^        CASE\(OP_get_array_el\):/ { at = "element" }
at == "element" && /^                JSValue val;/ {
    print ""
    print "                if (likely(ampoule_element(ctx, &sp[-2], sp[-1]))) {"
    print "                    sp--;"
    print "                    BREAK;"
    print "                }"
    at = ""
    done++
}
END {
    if (done != 8) {
        print "opcodes.awk: found " done > "/dev/stderr"
        exit 1
    }
}

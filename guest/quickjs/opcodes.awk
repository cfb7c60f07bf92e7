# Amends quickjs.c, after amend.awk; fails if it is not the text that the amendments are for.
#
# Shorter ways to what is common: numbers of which one is an integer and one is not, comparisons
# that a look at the values decides, elements of arrays, what is asked before one is stored, properties
# that are new, and instances of constructors that leave it at that (opcodes.h).

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
/^static no_inline __exception int js_binary_logic_slow\(/ { at = "logic" }
/^static no_inline int js_shr_slow\(/ { at = "shr" }
/^static no_inline int js_not_slow\(/ { at = "not" }
/^static __exception int js_operator_instanceof\(/ {
    # What it does now is not for the interpreter's loop (ADR 0023).
    sub(/^static/, "static no_inline")
    at = "instance"
}
at == "instance" && /^    ret = JS_IsInstanceOf\(ctx, op1, op2\);/ {
    print "    if (likely(ampoule_has_no_word(ctx, op2)))"
    print "        ret = JS_OrdinaryIsInstanceOf(ctx, op1, op2);"
    print "    else"
    print "        ret = JS_IsInstanceOf(ctx, op1, op2);"
    at = ""
    done++
    next
}
/^static no_inline __exception int js_eq_slow\(/ { at = "eq" }
/^static no_inline int js_strict_eq_slow\(/ { at = "strict" }
# `== null` and `== undefined` ask for either, as `?.` does. No object is equal to them: `document.all` is
# of browsers.
/^            \/\* transform (null|undefined) strict_eq (into|->) is_(null|undefined) \*\/$/ { nothing = 1 }
nothing && /^            \/\* fall thru \*\/$|^            goto no_change;$/ {
    printf "%s", ask
    ask = ""
    nothing = 0
    done++
}
nothing {
    line = $0
    gsub(/strict_/, "", line)
    gsub(/OP_is_(null|undefined)/, "OP_is_undefined_or_null", line)
    ask = ask line "\n"
}
{ print }
at == "arith" && /^    op2 = sp\[-1\];/ { first("ampoule_arith(sp, op)"); at = "" }
at == "add" && /^    op2 = sp\[-1\];/ { first("ampoule_arith(sp, OP_add)"); at = "" }
at == "logic" && /^    op2 = sp\[-1\];/ { first("ampoule_logic(sp, op)"); at = "" }
at == "shr" && /^    op2 = sp\[-1\];/ { first("ampoule_logic(sp, OP_shr)"); at = "" }
at == "not" && /^    JSValue op1;/ { first("ampoule_not(sp)"); at = "" }
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
    if (done != 14) {
        print "opcodes.awk: found " done > "/dev/stderr"
        exit 1
    }
}

# Amends quickjs.c, after opcodes.awk; fails if it is not the text that the amendments are for.
#
# An operation looks at the one behind it, and does its work as well if it is the one that nearly
# always follows: a jump behind a comparison, a property behind a variable (ADR 0029). The bytecode
# stays what it is, so jumps can still go to the second one.

# A variable: its address, to the place that looks for a field.
/^        CASE\(OP_get_(loc|arg|var_ref)[0-38]\): \*sp\+\+ = js_dup\(.*\); BREAK;$/ {
    sub(/\*sp\+\+ = js_dup\(/, "pval = \\&")
    sub(/\); BREAK;$/, "; goto variable;")
    done++
}
/^        CASE\(OP_get_loc(_check)?\):/ { at = "var_buf[idx]" }
/^        CASE\(OP_get_var_ref(_check)?\):/ { at = "*var_refs[idx]->pvalue" }
at ~ /idx/ && /^                sp\[0\] = js_dup\(/ {
    print "                pval = &" at ";"
    print "                goto variable;"
    at = "pushed"
    done++
    next
}
at == "pushed" && /^                sp\+\+;/ { at = ""; next }

/^        CASE\(OP_push_this\):/ { at = "this" }
at == "this" && /^                \*sp\+\+ = val;/ {
    print "                if (likely(*pc == OP_put_loc0)) {"
    print "                    pc++;"
    print "                    set_value(ctx, &var_buf[0], val);"
    print "                    BREAK;"
    print "                }"
    at = ""
    done++
}

# All comparisons, of numbers without a call.
/^#define OP_CMP\(/ {
    print
    print "            CASE(opcode):                                 \\"
    print "                {                                         \\"
    print "                double a, b;                              \\"
    print "                JSValue op1 = sp[-2], op2 = sp[-1];       \\"
    print "                if (likely(JS_VALUE_IS_BOTH_INT(op1, op2))) {           \\"
    print "                    i = JS_VALUE_GET_INT(op1) binary_op JS_VALUE_GET_INT(op2); \\"
    print "                } else if (ampoule_number(op1, &a) && ampoule_number(op2, &b)) { \\"
    print "                    i = a binary_op b;                    \\"
    print "                } else {                                  \\"
    print "                    sf->cur_pc = pc;                      \\"
    print "                    if (slow_call)                        \\"
    print "                        goto exception;                   \\"
    print "                    i = JS_VALUE_GET_BOOL(sp[-2]);        \\"
    print "                }                                         \\"
    print "                sp--;                                     \\"
    print "                }                                         \\"
    print "            goto decided"
    at = "comparison"
    done++
}
at == "comparison" && /^            BREAK$/ { at = ""; next }
at == "comparison" { next }

/^        CASE\(OP_lnot\):/ { at = "not" }
at == "not" && /^                sp\[-1\] = js_bool\(!res\);/ { print "                i = !res;"; next }
at == "not" && /^            BREAK;/ { print "            goto decided;"; at = ""; done++; next }
/^        (free_and_)?set_(true|false):/ { at = "set" }
at == "set" && /^            sp\[-1\] = JS_(TRUE|FALSE);/ { print "            i = " (/TRUE/ ? "true" : "false") ";"; next }
at == "set" && /^            BREAK;/ { print "            goto decided;"; at = ""; done++; next }

/^        CASE\(OP_invalid\):/ {
    print "        decided: /* `i` is to take the place of the value on top */"
    print "            if (likely(*pc == OP_if_false8)) {"
    print "                sp--;"
    print "                pc += i ? 2 : 1 + (int8_t)pc[1];"
    print "                if (unlikely(js_poll_interrupts(ctx)))"
    print "                    goto exception;"
    print "                BREAK;"
    print "            }"
    print "            sp[-1] = js_bool(i);"
    print "            BREAK;"
    print "        variable: /* at `pval` */"
    print "            if (*pc == OP_get_field && likely(ampoule_field(*pval, get_u32(pc + 1), sp))) {"
    print "                pc += 5;"
    print "                sp++;"
    print "                BREAK;"
    print "            }"
    print "            *sp++ = js_dup(*pval);"
    print "            BREAK;"
    done++
}
{ print }
END {
    if (done != 23) {
        print "pairs.awk: found " done > "/dev/stderr"
        exit 1
    }
}

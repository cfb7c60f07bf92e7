# Amends libregexp.c; fails if it is not the text that the amendments are for.
#
# Looking for the first character of a match, and loops over one class of characters, need no
# state for each character (regexp.h).

/^} REExecContext;/ {
    print "    /* the loop over all places where a match can begin, or NULL */"
    print "    const uint8_t *search;"
    done++
}
/^static int lre_poll_timeout\(/ { print "#include \"regexp.h\"\n"; done++ }
/^static intptr_t lre_exec_backtrack\(/ { in_matcher = 1 }
in_matcher && /^        case REOP_split_goto_first:/ { in_split = 1 }
in_matcher && /^        case REOP_simple_greedy_quant:/ { in_loop = 1 }
in_matcher && /memcpy\((capture|stack), rs->buf/ { done += sub(/memcpy/, "copy_words") }
in_loop && /^                q = 0;/ {
    sub(/0/, "repeat(s, pc1, \\&cptr, quant_max)")
    done++
}
in_loop && /^                for\(;;\) {/ {
    sub(/for\(;;\)/, "if (q == SIZE_MAX) for(q = 0;;)")
    in_loop = 0
    done++
}
in_split && /^                val = get_u32\(pc\);/ {
    print "                if (pc - 1 == s->search)"
    print "                    cptr = search(s, cptr);"
    in_split = 0
    done++
}
/^    ret = lre_exec_backtrack\(s, capture, stack_buf, 0, bc_buf/ {
    print "    s->search = find_search(s, bc_buf + RE_HEADER_LEN);"
    done++
}
{ print }
/^}/ { in_matcher = 0 }
END {
    if (done != 10) {
        print "regexp.awk: found " done > "/dev/stderr"
        exit 1
    }
}

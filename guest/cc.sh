#!/usr/bin/env bash
# cc.sh ARGUMENTS… — the C compiler of the guest: clang, with four amendments to QuickJS.
#
# 1. On WASI, QuickJS checks no stack limit, so deep recursion would run off the stack and trap,
#    where a function expects a RangeError that it can catch.
# 2. and 3. QuickJS notes positions for calls only, so an exception in `const name = user.name` would
#    name the line of the function's head. A position for every statement and property costs a
#    few bytes of debug information and no time.
# 4. A syntax error names the place where the parser stopped reading; its author looks for the token
#    that is wrong.
set -euo pipefail

amend() { # amend ORIGINAL COPY
    awk '
        /^static void update_stack_limit\(JSRuntime \*rt\)/ { in_limit = 1 }
        in_limit && /^#if defined\(__wasi__\)/ { sub(/defined\(__wasi__\)/, "0"); in_limit = 0; first++ }
        /\/\* specific label handling \*\// { print "    emit_source_loc(s);"; second++ }
        /s->line_num, s->col_num, backtrace_flags\);/ {
            sub(/s->col_num/, "max_int(1, s->token.ptr - s->eol + (s->eol == s->buf_start))")
            fourth++
        }
        held != "" {
            if ($0 ~ /emit_atom\(s, s->token\.u\.ident\.atom\);/) { print "emit_source_loc(s);"; third++ }
            print held
            held = ""
        }
        /^ *emit_op\(s, OP_get_field\);$/ { held = $0; next }
        { print }
        END { if (first != 1 || second != 1 || third < 1 || fourth != 1) exit 1 }
    ' "$1" > "$2" || { echo "cc.sh: quickjs.c is not what the amendments are for" >&2; exit 1; }
}

arguments=()
for argument in "$@"; do
    case $argument in
        */quickjs.c | quickjs.c)
            copy=$(mktemp -d)
            trap 'rm -rf "$copy"' EXIT
            amend "$argument" "$copy/quickjs.c"
            arguments+=("$copy/quickjs.c" "-I$(dirname "$argument")" "-ffile-prefix-map=$copy=/quickjs")
            ;;
        *) arguments+=("$argument") ;;
    esac
done
"${GUEST_CC:-clang-22}" "${arguments[@]}"

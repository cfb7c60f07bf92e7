#!/usr/bin/env bash
# cc.sh ARGUMENTS… — the C compiler of the guest: clang, with the amendments to QuickJS that
# quickjs/ holds.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)/quickjs

arguments=()
for argument in "$@"; do
    case $argument in
        */quickjs.c | quickjs.c)
            copy=$(mktemp -d)
            trap 'rm -rf "$copy"' EXIT
            awk -v FIFTH=15 -v SIXTH=18 -f "$here/amend.awk" "$argument" |
                awk -f "$here/context.awk" | awk -f "$here/json.awk" |
                awk -f "$here/opcodes.awk" | awk -f "$here/pairs.awk" |
                awk -f "$here/shapes.awk" | awk -f "$here/arrays.awk" > "$copy/quickjs.c"
            cat "$here"/{after,json,inspect,parse,valid,fields,answer,memory}.c >> "$copy/quickjs.c"
            cp "$here"/{before,opcodes,shapes,arrays}.h "$copy/"
            arguments+=("$copy/quickjs.c" -include "$copy/before.h" "-I$(dirname "$argument")" "-ffile-prefix-map=$copy=/quickjs")
            ;;
        */libregexp.c | libregexp.c)
            copy=$(mktemp -d)
            trap 'rm -rf "$copy"' EXIT
            awk -f "$here/regexp.awk" "$argument" > "$copy/libregexp.c"
            cp "$here/regexp.h" "$copy/"
            arguments+=("$copy/libregexp.c" "-I$(dirname "$argument")" "-ffile-prefix-map=$copy=/quickjs")
            ;;
        *) arguments+=("$argument") ;;
    esac
done
"${GUEST_CC:-clang-22}" "${arguments[@]}"

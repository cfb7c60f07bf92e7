#!/usr/bin/env bash
# cc.sh ARGUMENTS… — the C compiler of the guest: clang, with five amendments to QuickJS.
#
# 1. On WASI, QuickJS checks no stack limit, so deep recursion would run off the stack and trap,
#    where a function expects a RangeError that it can catch.
# 2. and 3. QuickJS notes positions for calls only, so an exception in `const name = user.name` would
#    name the line of the function's head. A position for every statement and property costs a
#    few bytes of debug information and no time.
# 4. A syntax error names the place where the parser stopped reading; its author looks for the token
#    that is wrong.
# 5. A promise's reactions, and the jobs that they become, carry one value along: what was the
#    asynchronous context when somebody began to listen is that again when the listener runs.
#    QuickJS's own promise hooks do not see `await`.
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
    ' "$1" | carry_context > "$2" || { echo "cc.sh: quickjs.c is not what the amendments are for" >&2; exit 1; }
}

# The fifth amendment, from standard input to standard output.
carry_context() {
    awk '
        function in_context(name, count) {
            print "\nstatic JSValue " name "(JSContext *ctx, int argc, JSValueConst *argv)"
            print "{"
            print "    JSValue before = async_context, result;"
            print "    async_context = js_dup(argv[" count "]);"
            print "    result = " name "_work(ctx, " count ", argv);"
            print "    JS_FreeValue(ctx, async_context);"
            print "    async_context = before;"
            print "    return result;"
            print "}"
        }
        /^typedef struct JSPromiseReactionData \{/ {
            print "static JSValue async_context = JS_UNDEFINED;\n"
            print "JSValue ampoule_async_context(JSContext *ctx);"
            print "JSValue ampoule_async_context(JSContext *ctx)"
            print "{\n    return js_dup(async_context);\n}\n"
            print "void ampoule_set_async_context(JSContext *ctx, JSValueConst value);"
            print "void ampoule_set_async_context(JSContext *ctx, JSValueConst value)"
            print "{"
            print "    JSValue before = async_context;"
            print "    async_context = js_dup(value);"
            print "    JS_FreeValue(ctx, before);"
            print "}\n"
            done++
        }
        /^} JSPromiseReactionData;/ { print "    JSValue context;"; done++ }
        /^    JS_FreeValueRT\(rt, rd->handler\);/ {
            print "    JS_FreeValueRT(rt, rd->context);"
            done++
        }
        /JS_MarkValue\(rt, rd->handler, mark_func\);/ {
            print "            JS_MarkValue(rt, rd->context, mark_func);"
            done++
        }
        /^        rd->handler = js_dup\(handler\);/ {
            print "        rd->context = js_dup(async_context);"
            done++
        }
        /^static void fulfill_or_reject_promise\(/ { reacts = 1 }
        /^static __exception int perform_promise_then\(/ { reacts = 1 }
        /^static JSValue js_promise_resolve_func/ { resolves = 1 }
        reacts && /JSValueConst args\[5\];/ { sub(/5/, "6"); done++ }
        /JS_EnqueueJob\(ctx, promise_reaction_job, 5, args\);/ {
            print "        args[5] = rd->context;"
            sub(/5/, "6")
            done++
        }
        resolves && /JSValueConst args\[3\];/ { sub(/3/, "4"); done++ }
        /JS_EnqueueJob\(ctx, js_promise_resolve_thenable_job, 3, args\);/ {
            print "        args[3] = async_context;"
            sub(/3/, "4")
            done++
        }
        /^static JSValue promise_reaction_job\(/ {
            sub(/_job/, "_job_work")
            job = "promise_reaction_job"
            count = 5
            done++
        }
        /^static JSValue js_promise_resolve_thenable_job\(/ && ++thenable == 2 {
            sub(/_job/, "_job_work")
            job = "js_promise_resolve_thenable_job"
            count = 3
            done++
        }
        { print }
        /^}/ {
            reacts = resolves = 0
            if (job != "") in_context(job, count)
            job = ""
        }
        END { if (done != 13) exit 1 }
    '
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

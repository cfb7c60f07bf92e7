# Amends quickjs.c, after amend.awk; fails if it is not the text that the amendments are for.
#
# A promise's reactions, and the jobs that they become, carry one value along: what was the
# asynchronous context when somebody began to listen is that again when the listener runs.
# QuickJS's own promise hooks do not see `await`.


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

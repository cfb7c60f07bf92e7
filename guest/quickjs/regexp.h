// Included in libregexp.c before its matcher: what that does opcode by opcode, and pushes a state
// for each time, is done here in a loop where the next step is a test of one character.

// The length of the opcode at `pc` if it tests one character, otherwise 0.
static int test_len(const uint8_t *pc)
{
    switch(*pc) {
    case REOP_char8:
        return 2;
    case REOP_char16:
        return 3;
    case REOP_dot:
    case REOP_any:
        return 1;
    case REOP_range:
        return 3 + 4 * get_u16(pc + 1);
    default:
        return 0;
    }
}

static bool in_range(const uint8_t *pairs, int n, uint32_t c)
{
    int low = 0, high = n - 1;

    /* 0xffff as the last value means +infinity */
    if (c >= 0xffff)
        return get_u16(pairs + high * 4 + 2) == 0xffff;
    while (low <= high) {
        int i = (low + high) >> 1;
        if (c < get_u16(pairs + i * 4))
            high = i - 1;
        else if (c > get_u16(pairs + i * 4 + 2))
            low = i + 1;
        else
            return true;
    }
    return false;
}

// Whether `c` passes the test at `pc`, whose length is not 0.
static inline bool passes(const REExecContext *s, const uint8_t *pc, uint32_t c)
{
    switch(*pc) {
    case REOP_dot:
        return !is_line_terminator(c);
    case REOP_any:
        return true;
    }
    if (s->ignore_case)
        c = lre_canonicalize(c, s->is_unicode);
    switch(*pc) {
    case REOP_char8:
        return c == get_u8(pc + 1);
    case REOP_char16:
        return c == get_u16(pc + 1);
    default:
        return in_range(pc + 3, get_u16(pc + 1), c);
    }
}

// How many of the characters from `at` to `end` pass, or fail, the test: at most `max`. Characters
// are units of one or two bytes here; where two units can be one character, nobody asks.
static size_t span(const REExecContext *s, const uint8_t *pc, bool passing,
                   const uint8_t *at, size_t max)
{
    size_t left = (size_t)(s->cbuf_end - at) >> s->cbuf_type, i;

    if (max > left)
        max = left;
    if (s->cbuf_type == 0) {
        for(i = 0; i < max && passes(s, pc, at[i]) == passing; i++) continue;
    } else {
        const uint16_t *units = (const uint16_t *)at;
        for(i = 0; i < max && passes(s, pc, units[i]) == passing; i++) continue;
    }
    return i;
}

// A regular expression that is not bound to a place begins with a loop over all of them: try here,
// otherwise take any character and try again. That is (opcode, bytes)
//   split_goto_first 5, any 1, goto 5, save_start 2
// and what is to match. The place of the loop, if what follows can be looked for in a simpler way.
static const uint8_t *find_search(const REExecContext *s, const uint8_t *pc)
{
    if (s->cbuf_type == 2 || pc[0] != REOP_split_goto_first || get_u32(pc + 1) != 6 ||
        pc[5] != REOP_any || pc[6] != REOP_goto || pc[11] != REOP_save_start)
        return NULL;
    pc += 13;
    if (test_len(pc) > 0 || (*pc == REOP_line_start && !s->multi_line))
        return pc - 13;
    return NULL;
}

// The first place from `at` on where a match can begin; the end, where it fails or is empty.
static const uint8_t *search(const REExecContext *s, const uint8_t *at)
{
    const uint8_t *pc = s->search + 13;
    size_t left = (size_t)(s->cbuf_end - at);

    if (*pc == REOP_line_start)
        return at == s->cbuf ? at : s->cbuf_end;
    if (*pc == REOP_char8 && s->cbuf_type == 0 && !s->ignore_case) {
        const uint8_t *found = memchr(at, get_u8(pc + 1), left);
        return found ? found : s->cbuf_end;
    }
    return at + (span(s, pc, false, at, SIZE_MAX) << s->cbuf_type);
}

// How often the body of a simple loop, which is at `pc`, matches from `*at` on, and moves there;
// SIZE_MAX if the body is more than the test of one character.
static size_t repeat(const REExecContext *s, const uint8_t *pc, const uint8_t **at, uint32_t max)
{
    int len = test_len(pc);
    size_t count;

    if (len == 0 || pc[len] != REOP_match || s->cbuf_type == 2)
        return SIZE_MAX;
    count = span(s, pc, true, *at, max == INT32_MAX ? SIZE_MAX : max);
    *at += count << s->cbuf_type;
    return count;
}

// A handful of words. As `memcpy`, it would be a call of the host for each state.
static inline void copy_words(void *to, const void *from, size_t bytes)
{
    size_t n = bytes / sizeof(void *), i;

    for(i = 0; i < n; i++)
        ((void **)to)[i] = ((void *const *)from)[i];
}

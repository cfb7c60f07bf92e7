// Appended to quickjs.c after parse.c: whether a text is JSON (RFC 8259), without making anything of it. A
// body is looked at before the handler runs, which then may not ask for it, or for its text alone.

// Each of these begins at `at`, and answers where what it reads is over; NULL if it is something else.

static inline const uint8_t *valid_space(const uint8_t *at, const uint8_t *end)
{
    while(at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

static const uint8_t *valid_escape(const uint8_t *at, const uint8_t *end)
{
    int i;

    if (at >= end)
        return NULL;
    switch(*at) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return at + 1;
    case 'u':
        if (end - at < 5)
            return NULL;
        for(i = 1; i < 5; i++) {
            if (from_hex(at[i]) < 0)
                return NULL;
        }
        return at + 5;
    default:
        return NULL;
    }
}

// A string, behind its quote.
static const uint8_t *valid_string(const uint8_t *at, const uint8_t *end)
{
    for(;;) {
        at += plain_run(at, end - at);
        if (at >= end)
            return NULL;
        if (*at == '"')
            return at + 1;
        if (*at == '\\') {
            at = valid_escape(at + 1, end);
            if (!at)
                return NULL;
        } else if (*at++ < ' ') {
            return NULL;
        }
    }
}

static inline const uint8_t *valid_digits(const uint8_t *at, const uint8_t *end)
{
    if (at >= end || !is_digit(*at))
        return NULL;
    while(at < end && is_digit(*at))
        at++;
    return at;
}

static const uint8_t *valid_number(const uint8_t *at, const uint8_t *end)
{
    if (at < end && *at == '-')
        at++;
    at = at < end && *at == '0' ? at + 1 : valid_digits(at, end);
    if (at && at < end && *at == '.')
        at = valid_digits(at + 1, end);
    if (at && at < end && (*at | 0x20) == 'e') {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        at = valid_digits(at, end);
    }
    return at;
}

static const uint8_t *valid_word(const uint8_t *at, const uint8_t *end, const char *word)
{
    size_t len = strlen(word);

    return (size_t)(end - at) >= len && !memcmp(at, word, len) ? at + len : NULL;
}

static const uint8_t *valid_value(const uint8_t *at, const uint8_t *end, int depth);

// A key and the colon behind it.
static inline const uint8_t *valid_key(const uint8_t *at, const uint8_t *end)
{
    at = valid_space(at, end);
    if (at >= end || *at != '"')
        return NULL;
    at = valid_string(at + 1, end);
    if (!at)
        return NULL;
    at = valid_space(at, end);
    return at < end && *at == ':' ? at + 1 : NULL;
}

// The rest of an array or object, behind its bracket.
static const uint8_t *valid_list(const uint8_t *at, const uint8_t *end, uint8_t close, int depth)
{
    at = valid_space(at, end);
    if (at < end && *at == close)
        return at + 1;
    for(;;) {
        if (close == '}') {
            at = valid_key(at, end);
            if (!at)
                return NULL;
        }
        at = valid_value(at, end, depth);
        if (!at)
            return NULL;
        at = valid_space(at, end);
        if (at >= end || (*at != ',' && *at != close))
            return NULL;
        if (*at++ == close)
            return at;
    }
}

static const uint8_t *valid_value(const uint8_t *at, const uint8_t *end, int depth)
{
    at = valid_space(at, end);
    if (at >= end || depth > PARSE_DEPTH_MAX)
        return NULL;
    switch(*at) {
    case '{':
        return valid_list(at + 1, end, '}', depth + 1);
    case '[':
        return valid_list(at + 1, end, ']', depth + 1);
    case '"':
        return valid_string(at + 1, end);
    case 't':
        return valid_word(at, end, "true");
    case 'f':
        return valid_word(at, end, "false");
    case 'n':
        return valid_word(at, end, "null");
    default:
        return valid_number(at, end);
    }
}

// Whether a text in UTF-8 is JSON that nests no deeper than PARSE_DEPTH_MAX.
bool ampoule_is_json(const uint8_t *text, size_t len)
{
    const uint8_t *end = text + len, *at = valid_value(text, end, 0);

    return at && valid_space(at, end) == end;
}

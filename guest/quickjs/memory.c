// Appended to quickjs.c: copying and filling, for all of the guest.
//
// The compiler would make one instruction of each, which is a call of the host: worth it for a
// page, ten times the price for a handful of bytes, and a handful is what nearly all of them are.

// From so many bytes on, the host is faster.
#define HOST_FROM 256

#define AMPOULE_HOSTED __attribute__((noinline, target("bulk-memory,bulk-memory-opt")))
typedef uint64_t __attribute__((aligned(1), may_alias)) ampoule_word;
typedef uint32_t __attribute__((aligned(1), may_alias)) ampoule_half;

static AMPOULE_HOSTED void copy_by_host(void *to, const void *from, size_t bytes)
{
    __builtin_memmove(to, from, bytes);
}

static AMPOULE_HOSTED void fill_by_host(void *at, int byte, size_t bytes)
{
    __builtin_memset(at, byte, bytes);
}

static inline void copy_upwards(uint8_t *to, const uint8_t *from, size_t bytes)
{
    for(; bytes >= 8; bytes -= 8, to += 8, from += 8)
        *(ampoule_word *)to = *(const ampoule_word *)from;
    if (bytes >= 4) {
        *(ampoule_half *)to = *(const ampoule_half *)from;
        bytes -= 4, to += 4, from += 4;
    }
    for(; bytes > 0; bytes--)
        *to++ = *from++;
}

__attribute__((weak)) void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    if (bytes >= HOST_FROM)
        copy_by_host(to, from, bytes);
    else
        copy_upwards(to, from, bytes);
    return to;
}

__attribute__((weak)) void *memmove(void *to, const void *from, size_t bytes)
{
    uint8_t *t = to;
    const uint8_t *f = from;

    if (bytes >= HOST_FROM) {
        copy_by_host(to, from, bytes);
    } else if ((uintptr_t)t - (uintptr_t)f >= bytes) {
        // Nothing is overwritten that is still to be read.
        copy_upwards(t, f, bytes);
    } else {
        for(; bytes >= 8; bytes -= 8)
            *(ampoule_word *)(t + bytes - 8) = *(const ampoule_word *)(f + bytes - 8);
        for(; bytes > 0; bytes--)
            t[bytes - 1] = f[bytes - 1];
    }
    return to;
}

__attribute__((weak)) void *memset(void *at, int byte, size_t bytes)
{
    uint8_t *p = at;
    uint64_t word = (uint8_t)byte * 0x0101010101010101ull;

    if (bytes >= HOST_FROM) {
        fill_by_host(at, byte, bytes);
        return at;
    }
    for(; bytes >= 8; bytes -= 8, p += 8)
        *(ampoule_word *)p = word;
    for(; bytes > 0; bytes--)
        *p++ = (uint8_t)byte;
    return at;
}

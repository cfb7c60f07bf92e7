// Included before quickjs.c: what its amended places call (see amend.awk).

#ifndef AMPOULE_BEFORE_H
#define AMPOULE_BEFORE_H

#include <stddef.h>
#include <stdint.h>

// The allocator in src/heap.rs. Called directly, not through JSRuntime's table of functions.
void *ampoule_malloc(size_t size);
void *ampoule_calloc(size_t count, size_t size);
void *ampoule_realloc(void *block, size_t size);
void ampoule_free(void *block);
size_t ampoule_usable_size(const void *block);
// Zeros beside what every invocation writes to anyway (src/hot.rs); never to be freed.
void *ampoule_hot_calloc(size_t size);

// The same, read from the header of a small block (src/heap.rs): QuickJS asks it of every one.
static inline size_t ampoule_usable(const void *block)
{
    uint32_t bytes = ((const uint32_t *)block)[-1];

    return bytes == 1 ? ampoule_usable_size(block) : bytes - 4;
}

// What a snapshot holds is never freed, so nobody counts who uses it. Counting would write to
// every object that a request only looks at, and each page written to is a page to copy and wipe.
#define REFS_FOREVER (1 << 30)

// `count++`
#define REFS_KEEP(count) ((void)((count) < REFS_FOREVER && ++(count)))
// `--count`; what is kept forever never gets to 0.
#define REFS_DROP(count) ((count) < REFS_FOREVER ? --(count) : REFS_FOREVER)

#endif

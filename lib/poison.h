/* Memory that is mapped, and that nobody may touch: AddressSanitizer sees who does. In other builds there is none of it. */
#ifndef NACRE_LIB_POISON_H
#define NACRE_LIB_POISON_H

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define POISON_KEPT
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define POISON_KEPT
#endif

#ifdef POISON_KEPT
#include <sanitizer/asan_interface.h>

#define POISON_GAP 16u /* between two pieces of memory that come from one mapping */
#define poison(start, size) __asan_poison_memory_region(start, size)
#define unpoison(start, size) __asan_unpoison_memory_region(start, size)
#else
#define POISON_GAP 0u
#define poison(start, size) ((void)(start), (void)(size))
#define unpoison(start, size) ((void)(start), (void)(size))
#endif

#endif

/*
 * Is this a build with AddressSanitizer, and how much of a long test is run in it?
 *
 * Test suites and their support. tools/check runs every suite natively and with AddressSanitizer. What a test
 * of random input finds by numbers, the native run finds; the instrumented one is there for the accesses to
 * memory, which are the same after a part of the rounds.
 */
#ifndef CULVERT_TESTS_SUPPORT_SANITIZER_H
#define CULVERT_TESTS_SUPPORT_SANITIZER_H

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif

#ifdef HAS_ASAN
#define ASAN_ROUNDS(n) ((n) / 10)
#else
#define ASAN_ROUNDS(n) (n)
#endif

#endif

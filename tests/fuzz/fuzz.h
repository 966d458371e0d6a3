/*
 * What the fuzz targets share: a check that holds in every build type, and libFuzzer's two entry points.
 */
#ifndef CULVERT_TESTS_FUZZ_H
#define CULVERT_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Unlike assert, in every build type. */
static inline void require(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif

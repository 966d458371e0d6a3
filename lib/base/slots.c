#include "base/slots.h"

#include <errno.h>
#include <sys/mman.h>

int slots_init(struct slots *slots, uint32_t n_min, size_t slot_bytes)
{
	uint32_t n = 1;
	void *memory;

	while (n < n_min)
		n *= 2;
	slot_bytes = (slot_bytes + SLOTS_LINE_BYTES - 1) / SLOTS_LINE_BYTES * SLOTS_LINE_BYTES;
	memory = mmap(NULL, n * slot_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	*slots = (struct slots){.n = n, .slot_bytes = slot_bytes, .memory = memory};
	return 0;
}

void slots_fini(struct slots *slots)
{
	if (slots->memory)
		munmap(slots->memory, slots->n * slots->slot_bytes);
	*slots = (struct slots){0};
}

#include "control/page.h"

#include <fnmatch.h>

#include "control/json.h"

int page_read(struct request *request, struct page *page)
{
	int ret;

	*page = (struct page){.limit = PAGE_DEFAULT};
	ret = request_number(request, "offset", false, UINT32_MAX, &page->offset);
	return ret == 0 ? request_number(request, "limit", false, PAGE_MAX, &page->limit) : ret;
}

bool page_takes(struct page *page)
{
	uint64_t i = page->n++;

	return i >= page->offset && i - page->offset < page->limit;
}

void page_end(struct request *request, const struct page *page)
{
	json_put_number(request->result, "total", page->n);
	if (page->limit > 0 && page->n > page->offset + page->limit)
		json_put_number(request->result, "next", page->offset + page->limit);
}

bool page_name_matches(const char *pattern, const char *name)
{
	return !pattern || fnmatch(pattern, name, 0) == 0;
}

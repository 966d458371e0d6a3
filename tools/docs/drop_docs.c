/*
 * Prints docs/drop-reasons.md from the one list of drop reasons. Run by tools/gen-docs.
 */
#include "net/drop.h"

#include <stdio.h>

int main(void)
{
	puts("# Drop reasons\n\n"
	     "<!-- Written by tools/gen-docs from lib/net/drop.h. -->\n\n"
	     "Each packet that the gateway drops is counted under one of these. The second column is the "
	     "counter of\n"
	     "`/proc/net/xfrm_stat` that Linux would count it in. Each links to its section of "
	     "[troubleshooting.md](troubleshooting.md),\n"
	     "which says how to see it and what to do.\n\n"
	     "| reason | Linux | cause and cure |\n|---|---|---|");
	for (int reason = 0; reason < DROP_COUNT; reason++)
		printf("| [`%s`](troubleshooting.md#%s) | %s | %s |\n", drop_name(reason), drop_name(reason),
			drop_xfrm_name(reason), drop_text(reason));
	return 0;
}

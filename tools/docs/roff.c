#include "roff.h"

#include <stdbool.h>
#include <stdio.h>

void roff_head(const char *name, unsigned section, const char *manual, const char *summary)
{
	printf(".TH %s %u \"\" \"culvert " CULVERT_VERSION "\" \"%s\"\n.SH NAME\n%s \\- %s\n", name, section,
		manual, name, summary);
}

void roff_section(const char *title)
{
	printf(".SH %s\n", title);
}

/* A line that begins with one of these would be a command to roff. */
static bool is_control(char c)
{
	return c == '.' || c == '\'';
}

void roff_inline(const char *markdown)
{
	bool bold = false, line_begins = true;

	for (const char *at = markdown; *at; at++) {
		if (at[0] == '\n' && at[1] == '\n') {
			printf("\n.PP\n");
			line_begins = true;
			at++;
			continue;
		}
		if (line_begins && is_control(*at))
			printf("\\&");
		if (*at == '`')
			printf((bold = !bold) ? "\\fB" : "\\fR");
		else if (*at == '\\')
			printf("\\e");
		else if (*at == '-')
			printf("\\-");
		else if (*at == '^')
			printf("\\(ha");
		else if (*at == '~')
			printf("\\(ti");
		else
			putchar(*at);
		line_begins = *at == '\n';
	}
}

void roff_text(const char *markdown)
{
	roff_inline(markdown);
	putchar('\n');
}

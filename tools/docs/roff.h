/*
 * Text of the manual pages: a little Markdown becomes roff. For the programs that print pages.
 *
 * Limits: `code` becomes bold, an empty line ends a paragraph; no other mark-up is known.
 */
#ifndef CULVERT_TOOLS_DOCS_ROFF_H
#define CULVERT_TOOLS_DOCS_ROFF_H

/* The title line, and the head that each page has. */
void roff_head(const char *name, unsigned section, const char *manual, const char *summary);

/* A heading. */
void roff_section(const char *title);

/* The text to standard output, with a line's end behind it. */
void roff_text(const char *markdown);

/* The text within a line. */
void roff_inline(const char *markdown);

#endif

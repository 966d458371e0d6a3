/*
 * "did you mean": the nearest of some words to one that was mistyped.
 *
 * Called by control code while a configuration is read. Plain values; the words stay the caller's.
 * Limits: at most SUGGEST_DISTANCE_MAX mistakes, words of at most SUGGEST_WORD_MAX characters.
 */
#ifndef CULVERT_CONFIG_SUGGEST_H
#define CULVERT_CONFIG_SUGGEST_H

#include <stddef.h>

#define SUGGEST_DISTANCE_MAX 2
#define SUGGEST_WORD_MAX     63
#define SUGGEST_TEXT_MAX     (SUGGEST_WORD_MAX + 24)

struct suggestion {
	const char *word;
	const char *best; /* NULL while nothing is near */
	unsigned distance;
};

/* Start with the mistyped word. */
struct suggestion suggestion_for(const char *word);

/* Consider a candidate; of equally near ones the first stays. */
void suggestion_offer(struct suggestion *suggestion, const char *candidate);

/* ` (did you mean 'action'?)`, or nothing. Returns buf. */
const char *suggestion_format(const struct suggestion *suggestion, char buf[SUGGEST_TEXT_MAX]);

/*
 * Insertions, deletions, substitutions and swaps of neighbours that turn one word into the other (the
 * optimal string alignment form of Damerau's distance). Longer words than SUGGEST_WORD_MAX are far.
 */
unsigned suggest_distance(const char *a, const char *b);

#endif

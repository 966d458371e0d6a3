#include "config/suggest.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DISTANCE_FAR 1000

struct suggestion suggestion_for(const char *word)
{
	return (struct suggestion){.word = word, .distance = SUGGEST_DISTANCE_MAX + 1};
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

unsigned suggest_distance(const char *a, const char *b)
{
	/* rows[i % 3][j]: the distance of the first i characters of a to the first j of b. */
	unsigned rows[3][SUGGEST_WORD_MAX + 1];
	size_t n = strlen(a), m = strlen(b);

	if (n > SUGGEST_WORD_MAX || m > SUGGEST_WORD_MAX)
		return DISTANCE_FAR;
	for (size_t j = 0; j <= m; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned *row = rows[i % 3], *last = rows[(i - 1) % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			row[j] = least(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], rows[(i - 2) % 3][j - 2] + 1, DISTANCE_FAR);
		}
	}
	return rows[n % 3][m];
}

void suggestion_offer(struct suggestion *suggestion, const char *candidate)
{
	size_t n = strlen(suggestion->word), m = strlen(candidate);
	unsigned distance;

	if (n > m + SUGGEST_DISTANCE_MAX || m > n + SUGGEST_DISTANCE_MAX)
		return;
	distance = suggest_distance(suggestion->word, candidate);
	/* Two mistakes in two letters share nothing with what was typed. */
	if (distance < suggestion->distance && distance < n && distance < m) {
		suggestion->best = candidate;
		suggestion->distance = distance;
	}
}

const char *suggestion_format(const struct suggestion *suggestion, char buf[SUGGEST_TEXT_MAX])
{
	buf[0] = '\0';
	if (suggestion->best)
		snprintf(buf, SUGGEST_TEXT_MAX, " (did you mean '%s'?)", suggestion->best);
	return buf;
}

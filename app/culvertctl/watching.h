/*
 * What the commands that watch packets have in common: the filter's options, and an end that the user may ask
 * for at any time.
 *
 * Called by events.c, trace.c and capture.c. Limits: once signals are watched, they end nothing by themselves
 * until watching_signals_end.
 */
#ifndef CULVERT_CULVERTCTL_WATCHING_H
#define CULVERT_CULVERTCTL_WATCHING_H

#include "arguments.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#define WATCHING_NOT_GIVEN (-1)

/* As they are given; NULL or WATCHING_NOT_GIVEN where they are not. */
struct watching_filter {
	const char *port, *source, *destination, *host, *protocol, *spi, *sa;
	long source_port, destination_port;
};

#define WATCHING_FILTER_NONE                                                                                 \
	{                                                                                                    \
		.source_port = WATCHING_NOT_GIVEN, .destination_port = WATCHING_NOT_GIVEN                    \
	}
#define WATCHING_FILTER_USAGE                                                                                \
	"[--port PORT] [--source PREFIX] [--destination PREFIX] [--host PREFIX] [--protocol NAME] "          \
	"[--source-port N] [--destination-port N] [--spi SPI] [--sa NAME]"
#define WATCHING_FILTER_MORE                                                                                 \
	"A packet is chosen by the port that it came in by, by addresses (`--host`: either of the two), "    \
	"by protocol and ports (of ICMP: type and code), by SPI, or by the SA that carries it; without any " \
	"of these each packet is."
/* Rows for a table of options. */
#define WATCHING_FILTER_OPTIONS(filter)                                                                      \
	{"--port", ARGUMENT_TEXT, &(filter)->port}, {"--source", ARGUMENT_TEXT, &(filter)->source},          \
		{"--destination", ARGUMENT_TEXT, &(filter)->destination},                                    \
		{"--host", ARGUMENT_TEXT, &(filter)->host},                                                  \
		{"--protocol", ARGUMENT_TEXT, &(filter)->protocol},                                          \
		{"--source-port", ARGUMENT_NUMBER, &(filter)->source_port},                                  \
		{"--destination-port", ARGUMENT_NUMBER, &(filter)->destination_port},                        \
		{"--spi", ARGUMENT_TEXT, &(filter)->spi},                                                    \
	{                                                                                                    \
		"--sa", ARGUMENT_TEXT, &(filter)->sa                                                         \
	}

/* Add what is given to the arguments of a request. Returns 0, or -EINVAL with err set. */
int watching_filter_put(const struct watching_filter *filter, json_t *arguments, struct err *err);

/* Add a number, unless it is WATCHING_NOT_GIVEN. */
void watching_number_put(json_t *arguments, const char *key, long number);

/*
 * From now on SIGINT, SIGTERM and SIGHUP are not deadly, but make the file descriptor that is returned
 * readable. Returns -errno with err set if that can't be.
 */
int watching_signals_begin(struct err *err);
/* One more signal ends the program, as usual. */
void watching_signals_end(int fd);

/* Wait so long for the user to end it; false if he has not. */
bool watching_is_ended(int fd, unsigned wait_ms);

/* Does a person see what is written to standard error? */
bool watching_is_seen(void);

#endif

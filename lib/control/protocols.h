/*
 * IP protocols by name, as requests name them and answers show them.
 *
 * Any thread. Limits: those that the gateway knows something of; the rest are numbers.
 */
#ifndef CULVERT_CONTROL_PROTOCOLS_H
#define CULVERT_CONTROL_PROTOCOLS_H

#include <stdbool.h>
#include <stdint.h>

#define PROTOCOL_TEXT_MAX 8

/* By name or by number; false for what is neither, and for NULL. */
bool protocol_read(const char *text, uint8_t *protocol, bool *has_ports);

/* The name, or the number in `text`. */
const char *protocol_name(uint8_t protocol, char text[PROTOCOL_TEXT_MAX]);

#endif

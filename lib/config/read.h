/*
 * Reading a tree of YAML nodes into the model, by the schema.
 *
 * Called by load.c; schema.c's rows name the types, and its finishing functions use the rest. Every fault is
 * a finding with its place in the file, and reading goes on, so that all are seen at once.
 * Limits: no text that looks like a key is ever shown in a finding.
 */
#ifndef CULVERT_CONFIG_READ_H
#define CULVERT_CONFIG_READ_H

#include "base/report.h"
#include "config/schema.h"

#define READ_PATH_MAX   256
#define READ_QUOTED_MAX 48
/* A key of 12 bytes is shorter than any algorithm's, an address has colons. */
#define READ_KEY_DIGITS_MIN 24

struct reader {
	struct report *report;
	const char *directory;    /* key files are below it */
	char path[READ_PATH_MAX]; /* of the value being read */
};

/* What came of the keys of one object. */
struct schema_result {
	const struct schema *schema;
	const struct yaml_node *node;
	bool is_given[SCHEMA_KEYS_MAX];
	bool good[SCHEMA_KEYS_MAX]; /* read without a finding, or absent and not required */
};

/* Read the mapping into object, which the caller has zeroed and frees, also after findings. */
void read_object(
	struct reader *reader, const struct schema *schema, const struct yaml_node *node, void *object);

/* Was the key read without a finding? A key that is absent without need counts as good. */
bool result_is_good(const struct schema_result *result, const char *key);

/* Add a finding at the node; `key`, if not NULL, is appended to the path. */
void read_fault(struct reader *reader, const struct yaml_node *node, const char *key, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The text in quotes, cut, without control characters; what looks like a key is not shown. Returns buf. */
const char *read_quote(const char *text, char buf[READ_QUOTED_MAX]);

/* Is it a name of letters, digits, - and _, that could not be a key put in the wrong place? */
bool read_name_is_valid(const char *name, size_t length_max);

/* The types. What each field is: */
extern const struct schema_type read_bool;      /* bool */
extern const struct schema_type read_number;    /* uint16_t, uint32_t or uint64_t, by the row's bytes */
extern const struct schema_type read_duration;  /* uint64_t: seconds */
extern const struct schema_type read_size;      /* uint64_t: bytes */
extern const struct schema_type read_name;      /* char * */
extern const struct schema_type read_path;      /* char * */
extern const struct schema_type read_device;    /* char * */
extern const struct schema_type read_driver;    /* char * */
extern const struct schema_type read_choice;    /* an enum, or nothing if the row's bytes are 0 */
extern const struct schema_type read_address;   /* struct ip_addr */
extern const struct schema_type read_interface; /* struct ip_prefix, an address with the length of its link */
extern const struct schema_type read_prefix;    /* struct ip_prefix, host bits zero */
extern const struct schema_type read_range;     /* struct ip_range */
extern const struct schema_type read_mac;       /* struct mac_addr */
extern const struct schema_type read_protocol;  /* int */
extern const struct schema_type read_dscp;      /* int */
extern const struct schema_type read_tfc;       /* int */
extern const struct schema_type read_port_range;   /* struct port_range, between the row's min and max */
extern const struct schema_type read_algorithm;    /* const struct alg * */
extern const struct schema_type read_ah_algorithm; /* const struct alg *, of ESP without encryption */
extern const struct schema_type read_key;          /* struct secret */
extern const struct schema_type read_key_file;     /* struct secret */

#endif

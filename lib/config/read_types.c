#include "config/read.h"
#include "base/array.h"
#include "config/key_file.h"
#include "config/suggest.h"
#include "model/alg.h"
#include "model/policy.h"
#include "model/sa_conf.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_LENGTH_MAX 1024
#define LIST_TEXT_MAX   512

/* Add `expects <what>, not <value>` and return false. */
static bool expects(struct reader *reader, const struct yaml_node *node, const char *what)
{
	char quoted[READ_QUOTED_MAX];

	read_fault(reader, node, NULL, "expects %s, not %s", what, read_quote(node->text, quoted));
	return false;
}

static bool bool_read(
	struct reader *reader, const struct schema_key *, const struct yaml_node *node, void *field)
{
	bool value = strcmp(node->text, "true") == 0;

	if (!value && strcmp(node->text, "false") != 0)
		return expects(reader, node, "true or false");
	memcpy(field, &value, sizeof(value));
	return true;
}

const struct schema_type read_bool = {"true or false", bool_read};

/*
 * A decimal number, or a hexadecimal one after 0x, of the first length characters. A leading zero is
 * refused: YAML 1.1 takes it for octal, people don't.
 */
static bool parse_number(const char *text, size_t length, uint64_t *value)
{
	bool hex = length > 2 && text[0] == '0' && text[1] == 'x';
	uint64_t sum = 0;
	size_t i = hex ? 2 : 0;

	if (length == 0 || (!hex && length > 1 && text[0] == '0'))
		return false;
	for (; i < length; i++) {
		unsigned char c = (unsigned char)tolower((unsigned char)text[i]);
		uint64_t digit = isdigit(c) ? (uint64_t)(c - '0') : (uint64_t)(c - 'a' + 10);

		if (!(hex ? isxdigit(c) : isdigit(c)) || __builtin_mul_overflow(sum, hex ? 16 : 10, &sum) ||
			__builtin_add_overflow(sum, digit, &sum))
			return false;
	}
	*value = sum;
	return true;
}

static bool number_read(
	struct reader *reader, const struct schema_key *key, const struct yaml_node *node, void *field)
{
	char what[96];
	uint64_t value;
	uint16_t narrow;
	uint32_t wide;

	if (!parse_number(node->text, strlen(node->text), &value) ||
		((value < key->min || value > key->max) && !(key->or_zero && value == 0))) {
		snprintf(what, sizeof(what), "%sa whole number from %llu to %llu",
			key->or_zero ? "0 or " : "", (unsigned long long)key->min,
			(unsigned long long)key->max);
		return expects(reader, node, what);
	}
	narrow = (uint16_t)value;
	wide = (uint32_t)value;
	if (key->bytes == sizeof(value))
		memcpy(field, &value, sizeof(value));
	else
		memcpy(field, key->bytes == sizeof(narrow) ? (void *)&narrow : (void *)&wide, key->bytes);
	return true;
}

const struct schema_type read_number = {"a whole number", number_read};

/* What a number may end in, and what that multiplies it by. */
struct suffix {
	char letter; /* 0 ends the list */
	uint64_t factor;
};

/*
 * A whole number of at least 1, times the factor of the letter that it may end in; a hexadecimal one has no
 * letter.
 */
static bool scaled_parse(const char *text, const struct suffix *suffixes, uint64_t *value)
{
	size_t length = strlen(text);
	uint64_t factor = 1;

	for (; length > 0 && suffixes->letter; suffixes++) {
		if (text[length - 1] != suffixes->letter || text[1] == 'x')
			continue;
		factor = suffixes->factor;
		length--;
		break;
	}
	return parse_number(text, length, value) && *value > 0 &&
	       !__builtin_mul_overflow(*value, factor, value);
}

static bool duration_read(
	struct reader *reader, const struct schema_key *key, const struct yaml_node *node, void *field)
{
	static const struct suffix suffixes[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 24 * 3600}, {0, 0}};
	uint64_t seconds;

	if (!scaled_parse(node->text, suffixes, &seconds) || seconds > key->max)
		return expects(reader, node,
			"a time of at least a second and at most ten years, as 3600, 90m or 8h");
	memcpy(field, &seconds, sizeof(seconds));
	return true;
}

const struct schema_type read_duration = {"seconds, or a number with `s`, `m`, `h` or `d`", duration_read};

static bool size_read(
	struct reader *reader, const struct schema_key *, const struct yaml_node *node, void *field)
{
	static const struct suffix suffixes[] = {{'K', UINT64_C(1) << 10}, {'M', UINT64_C(1) << 20},
		{'G', UINT64_C(1) << 30}, {'T', UINT64_C(1) << 40}, {0, 0}};
	uint64_t bytes;

	if (!scaled_parse(node->text, suffixes, &bytes) || bytes > INT64_MAX)
		return expects(reader, node, "a number of bytes, as 1000000, 512M or 2T");
	memcpy(field, &bytes, sizeof(bytes));
	return true;
}

const struct schema_type read_size = {
	"bytes, or a number with `K`, `M`, `G` or `T` (times 1024, and so on)", size_read};

static void set_text(void *field, const char *text)
{
	char *copy = xstrdup(text);

	memcpy(field, &copy, sizeof(copy));
}

static bool name_read(
	struct reader *reader, const struct schema_key *key, const struct yaml_node *node, void *field)
{
	char what[64];

	if (!read_name_is_valid(node->text, key->max)) {
		snprintf(
			what, sizeof(what), "a name of 1 to %u letters, digits, - and _", (unsigned)key->max);
		return expects(reader, node, what);
	}
	set_text(field, node->text);
	return true;
}

const struct schema_type read_name = {"a name", name_read};

static bool path_read(
	struct reader *reader, const struct schema_key *, const struct yaml_node *node, void *field)
{
	if (strlen(node->text) > TEXT_LENGTH_MAX)
		return expects(reader, node, "a path of at most 1024 characters");
	set_text(field, node->text);
	return true;
}

const struct schema_type read_path = {"a path", path_read};

static bool is_pci_address(const char *text)
{
	/* 0 stands for any hexadecimal digit; the domain may be left out. */
	static const char shape[] = "0000:00:00.0";
	size_t length = strlen(text), i;

	if (length != sizeof(shape) - 1 && length != sizeof(shape) - 6)
		return false;
	for (i = 0; i < length; i++) {
		char want = shape[sizeof(shape) - 1 - length + i];

		if (want == '0' ? !isxdigit((unsigned char)text[i]) : text[i] != want)
			return false;
	}
	return text[length - 1] >= '0' && text[length - 1] <= '7';
}

/* What is passed to EAL must not read as another of its options, nor as two. */
static bool device_read(
	struct reader *reader, const struct schema_key *, const struct yaml_node *node, void *field)
{
	size_t length = strlen(node->text);
	bool printable = length <= TEXT_LENGTH_MAX && isalnum((unsigned char)node->text[0]);

	for (size_t i = 0; printable && i < length; i++)
		printable = isgraph((unsigned char)node->text[i]);
	if (!printable)
		return expects(reader, node, "a PCI address or a DPDK device such as net_tap0,iface=lan");
	set_text(field, node->text);
	return true;
}

const struct schema_type read_device = {"a PCI address or a DPDK device string", device_read};

/* Offer and list the names of the choices; what is listed is cut at LIST_TEXT_MAX. */
static bool expects_choice(struct reader *reader, const struct yaml_node *node,
	const struct schema_choice *choices, const char *more)
{
	struct suggestion suggestion = suggestion_for(node->text);
	char list[LIST_TEXT_MAX] = "", quoted[READ_QUOTED_MAX], suggested[SUGGEST_TEXT_MAX];

	for (; choices->name; choices++) {
		size_t length = strlen(list);

		suggestion_offer(&suggestion, choices->name);
		snprintf(list + length, sizeof(list) - length, "%s%s", length ? ", " : "", choices->name);
	}
	read_fault(reader, node, NULL, "expects one of %s%s, not %s%s", list, more,
		read_quote(node->text, quoted), suggestion_format(&suggestion, suggested));
	return false;
}

static const struct schema_choice *find_choice(const struct schema_choice *choices, const char *name)
{
	for (; choices->name; choices++)
		if (strcmp(choices->name, name) == 0)
			return choices;
	return NULL;
}

static bool choice_read(
	struct reader *reader, const struct schema_key *key, const struct yaml_node *node, void *field)
{
	const struct schema_choice *choice = find_choice(key->choices, node->text);

	if (!choice)
		return expects_choice(reader, node, key->choices, "");
	memcpy(field, &choice->value, key->bytes);
	return true;
}

const struct schema_type read_choice = {"one of", choice_read};

static bool driver_read(
	struct reader *reader, const struct schema_key *key, const struct yaml_node *node, void *field)
{
	if (!find_choice(key->choices, node->text) && !is_pci_address(node->text))
		return expects_choice(reader, node, key->choices, " or a PCI address");
	set_text(field, node->text);
	return true;
}

const struct schema_type read_driver = {"a PCI address, or one of", driver_read};

static bool address_read(
	struct reader *reader, const struct schema_key *, const struct yaml_node *node, void *field)
{
	return ip_addr_parse(node->text, field) == 0 || expects(reader, node, "an IPv4 or IPv6 address");
}

const struct schema_type read_address = {"an address", address_read};

static bool interface_read(
	struct reader *reader, const struct schema_key *, const struct yaml_node *node, void *field)
{
	/* Without a length the link would be the gateway itself, which nobody means. */
	return (strchr(node->text, '/') && ip_prefix_parse(node->text, field) == 0) ||
	       expects(reader, node, "an address with its link's prefix length, as 192.0.2.1/24");
}

const struct schema_type read_interface = {"an address with its link's prefix length", interface_read};

static bool prefix_read(
	struct reader *reader, const struct schema_key *, const struct yaml_node *node, void *field)
{
	struct ip_prefix prefix;
	struct ip_range range;
	char text[IP_RANGE_TEXT_MAX];

	if (ip_prefix_parse(node->text, &prefix) != 0)
		return expects(reader, node, "a prefix, as 192.0.2.0/24");
	range = ip_prefix_range(&prefix);
	if (!ip_addr_equal(&range.first, &prefix.addr)) {
		read_fault(reader, node, NULL, "has bits set after the first %u (did you mean '%s'?)",
			prefix.length_bits, ip_range_format(&range, text));
		return false;
	}
	memcpy(field, &prefix, sizeof(prefix));
	return true;
}

const struct schema_type read_prefix = {"a prefix", prefix_read};

static bool range_read(
	struct reader *reader, const struct schema_key *key, const struct yaml_node *node, void *field)
{
	struct ip_prefix prefix;

	if (ip_range_parse(node->text, field) == 0)
		return true;
	/* A prefix with host bits gets the better message. */
	if (ip_prefix_parse(node->text, &prefix) == 0)
		return prefix_read(reader, key, node, &prefix);
	return expects(reader, node, "an address, a prefix or a range (first-last)");
}

const struct schema_type read_range = {"an address, a prefix or a range (`first-last`)", range_read};

static bool mac_read(
	struct reader *reader, const struct schema_key *, const struct yaml_node *node, void *field)
{
	static const struct mac_addr zero;
	struct mac_addr mac;

	if (mac_addr_parse(node->text, &mac) != 0 || (mac.bytes[0] & 1) ||
		memcmp(&mac, &zero, sizeof(mac)) == 0)
		return expects(reader, node, "a unicast MAC address, as 02:00:5e:00:00:01");
	memcpy(field, &mac, sizeof(mac));
	return true;
}

const struct schema_type read_mac = {"a unicast MAC address", mac_read};

/* One of the choices, or a number up to max, which `more` says to the reader. */
static bool choice_or_number_read(struct reader *reader, const struct schema_key *key,
	const struct yaml_node *node, uint64_t max, const char *more, void *field)
{
	const struct schema_choice *choice = find_choice(key->choices, node->text);
	uint64_t number;
	int value;

	if (!choice && (!parse_number(node->text, strlen(node->text), &number) || number > max))
		return expects_choice(reader, node, key->choices, more);
	value = choice ? choice->value : (int)number;
	memcpy(field, &value, sizeof(value));
	return true;
}

static bool protocol_read(
	struct reader *reader, const struct schema_key *key, const struct yaml_node *node, void *field)
{
	return choice_or_number_read(reader, key, node, UINT8_MAX, " or a number from 0 to 255", field);
}

const struct schema_type read_protocol = {"a number from 0 to 255, or one of", protocol_read};

static bool dscp_read(
	struct reader *reader, const struct schema_key *key, const struct yaml_node *node, void *field)
{
	return choice_or_number_read(reader, key, node, SA_DSCP_MAX, " or a number from 0 to 63", field);
}

const struct schema_type read_dscp = {"a number from 0 to 63, or one of", dscp_read};

static bool tfc_read(
	struct reader *reader, const struct schema_key *key, const struct yaml_node *node, void *field)
{
	return choice_or_number_read(reader, key, node, key->max, " or a number from 0 to 9000", field);
}

const struct schema_type read_tfc = {"a number from 0 to 9000, or", tfc_read};

static bool port_range_read(
	struct reader *reader, const struct schema_key *key, const struct yaml_node *node, void *field)
{
	const char *dash = strchr(node->text, '-');
	size_t length = strlen(node->text), first_length = dash ? (size_t)(dash - node->text) : length;
	struct port_range range;
	uint64_t first, last;
	char what[112];

	if (strcmp(node->text, "opaque") == 0) {
		range = (struct port_range)SELECTOR_PORTS_OPAQUE;
		memcpy(field, &range, sizeof(range));
		return true;
	}
	if (!parse_number(node->text, first_length, &first) ||
		!parse_number(
			dash ? dash + 1 : node->text, dash ? length - first_length - 1 : length, &last) ||
		first > last || last > key->max) {
		snprintf(what, sizeof(what), "a number from 0 to %u, a range of them (first-last) or opaque",
			(unsigned)key->max);
		return expects(reader, node, what);
	}
	range = (struct port_range){(uint16_t)first, (uint16_t)last};
	memcpy(field, &range, sizeof(range));
	return true;
}

const struct schema_type read_port_range = {"`opaque`, a number or a range (`first-last`)", port_range_read};

/* There are too many to list. */
static bool expects_algorithm(struct reader *reader, const struct yaml_node *node)
{
	struct suggestion suggestion = suggestion_for(node->text);
	char quoted[READ_QUOTED_MAX], suggested[SUGGEST_TEXT_MAX];

	for (size_t i = 0; alg_at(i); i++)
		suggestion_offer(&suggestion, alg_at(i)->name);
	read_fault(reader, node, NULL,
		"expects the keyword of an algorithm, as aes128gcm16 or aes256-sha256, not %s%s",
		read_quote(node->text, quoted), suggestion_format(&suggestion, suggested));
	return false;
}

static bool algorithm_read(
	struct reader *reader, const struct schema_key *, const struct yaml_node *node, void *field)
{
	const struct alg *alg = alg_find(node->text);
	const char *forbidden = alg ? NULL : alg_forbidden(node->text);

	if (forbidden)
		read_fault(reader, node, NULL, "%s", forbidden);
	else if (!alg)
		expects_algorithm(reader, node);
	else
		memcpy(field, &alg, sizeof(alg));
	return alg != NULL;
}

const struct schema_type read_algorithm = {"an algorithm's keyword", algorithm_read};

static bool ah_algorithm_read(
	struct reader *reader, const struct schema_key *, const struct yaml_node *node, void *field)
{
	struct suggestion suggestion = suggestion_for(node->text);
	char quoted[READ_QUOTED_MAX], suggested[SUGGEST_TEXT_MAX];
	const struct alg *alg;

	for (size_t i = 0; (alg = alg_at(i)) != NULL; i++) {
		const char *name = alg_auth_name(alg);

		if (!name)
			continue;
		suggestion_offer(&suggestion, name);
		if (strcmp(name, node->text) != 0)
			continue;
		memcpy(field, &alg, sizeof(alg));
		return true;
	}
	read_fault(reader, node, NULL, "expects the keyword of an integrity algorithm, as sha256, not %s%s",
		read_quote(node->text, quoted), suggestion_format(&suggestion, suggested));
	return false;
}

const struct schema_type read_ah_algorithm = {"an integrity algorithm's keyword", ah_algorithm_read};

static bool key_read(
	struct reader *reader, const struct schema_key *, const struct yaml_node *node, void *field)
{
	/* The value is never shown, whatever it is. */
	if (strncmp(node->text, "0x", 2) == 0 && secret_parse_hex(node->text, strlen(node->text), field) == 0)
		return true;
	read_fault(reader, node, NULL, "expects hexadecimal digits after 0x, two a byte, at most %d bytes",
		SECRET_BYTES_MAX);
	return false;
}

const struct schema_type read_key = {"hexadecimal digits after `0x`", key_read};

static bool key_file_type_read(
	struct reader *reader, const struct schema_key *, const struct yaml_node *node, void *field)
{
	struct err err;

	if (key_file_read(reader->directory, node->text, field, &err) == 0)
		return true;
	read_fault(reader, node, NULL, "%s", err.text);
	return false;
}

const struct schema_type read_key_file = {"a path", key_file_type_read};

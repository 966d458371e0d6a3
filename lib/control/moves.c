#include "control/moves.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "control/sas.h"

#define PORT_MAX 65535

/* One SA's move, while it is read. */
struct move {
	struct sa_conf *conf;
	const char *key;
	const json_t *value;
	struct err *err;
};

static int fault(const struct move *move, const char *expected)
{
	return err_set(move->err, EINVAL, "moves.%s.%s is %s", move->conf->name, move->key, expected);
}

static int read_address(const struct move *move, struct ip_addr *addr)
{
	const char *text = json_string_value(move->value);

	return text && ip_addr_parse(text, addr) == 0 ? 0 : fault(move, "an address");
}

static int read_source(struct move *move)
{
	return read_address(move, &move->conf->source);
}

static int read_destination(struct move *move)
{
	return read_address(move, &move->conf->destination);
}

static int read_encap(struct move *move)
{
	const char *text = json_string_value(move->value);

	if (text && strcmp(text, "udp") == 0 && move->conf->protocol == SA_ESP)
		move->conf->encap = SA_ENCAP_UDP;
	else if (text && strcmp(text, "none") == 0)
		move->conf->encap = SA_ENCAP_NONE;
	else
		return fault(move, "none, or udp with ESP");
	return 0;
}

/* What comes of YAML is text (docs/control-protocol.md). */
static json_int_t number_of(const json_t *value)
{
	const char *text = json_string_value(value);
	char *end;
	long number;

	if (!text)
		return json_integer_value(value);
	number = strtol(text, &end, 10);
	return *end == '\0' ? number : 0;
}

static int read_port(const struct move *move, uint16_t *port)
{
	json_int_t number = number_of(move->value);

	if (number < 1 || number > PORT_MAX)
		return fault(move, "a whole number from 1 to 65535");
	*port = (uint16_t)number;
	return 0;
}

static int read_source_port(struct move *move)
{
	return read_port(move, &move->conf->source_port);
}

static int read_destination_port(struct move *move)
{
	return read_port(move, &move->conf->destination_port);
}

static int read_follows(struct move *move)
{
	const char *text = json_string_value(move->value);

	if (!text && !json_is_null(move->value))
		return fault(move, "the name of an SA, or null");
	free(move->conf->follows);
	move->conf->follows = text && text[0] != '\0' ? xstrdup(text) : NULL;
	return 0;
}

static const struct {
	const char *key;
	int (*read)(struct move *move);
} members[] = {
	{"source", read_source},
	{"destination", read_destination},
	{"encap", read_encap},
	{"source_port", read_source_port},
	{"destination_port", read_destination_port},
	{"follows", read_follows},
};

static int member_read(struct move *move)
{
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (strcmp(members[i].key, move->key) == 0)
			return members[i].read(move);
	return fault(move, "nothing that moves");
}

/* What the configuration's own checks (model/check.h) don't say of an SA. */
static int move_check(const struct sa_conf *conf, struct err *err)
{
	if (conf->source.family == conf->destination.family)
		return 0;
	return err_set(err, EINVAL, "moves.%s: source and destination are of different families", conf->name);
}

static int move_read(struct sa_conf *conf, const json_t *values, struct err *err)
{
	struct move move = {.conf = conf, .err = err};
	json_t *value;
	int ret = 0;

	json_object_foreach((json_t *)values, move.key, value)
	{
		move.value = value;
		if (ret == 0)
			ret = member_read(&move);
	}
	return ret == 0 ? move_check(conf, err) : ret;
}

static bool is_named(const struct change *change, const char *name)
{
	for (size_t i = 0; i < change->n_fresh; i++)
		if (strcmp(change->fresh[i].name, name) == 0)
			return true;
	return false;
}

static int move_take(const struct control *control, const char *name, const json_t *values,
	struct change *change, struct err *err)
{
	const struct control_sa *found = sas_find(control, name);
	struct sa_conf *conf;

	if (!found)
		return err_set(err, ENOENT, "no SA is named '%s'", name);
	if (!json_is_object(values))
		return err_set(err, EINVAL, "moves.%s is an object", name);
	if (is_named(change, name))
		return err_set(err, EINVAL, "'%s' is to be moved, and in 'sas' too", name);
	conf = array_append(&change->fresh, &change->n_fresh);
	sa_conf_copy(&control->gateway->sas[found->index], conf);
	return move_read(conf, values, err);
}

int moves_take(const struct control *control, const json_t *moves, struct change *change,
	void (*tell)(void *argument, const char *name), void *argument, struct err *err)
{
	const char *name;
	json_t *values;

	if (moves && !json_is_object(moves))
		return err_set(err, EINVAL, "the argument 'moves' is an object of SAs by name");
	json_object_foreach((json_t *)moves, name, values)
	{
		int ret = move_take(control, name, values, change, err);

		if (ret != 0)
			return ret;
		if (tell)
			tell(argument, name);
	}
	return 0;
}

/*
 * The benchmark program: bench forward|latency|load|crypto OPTIONS. tools/bench runs it; docs/performance.md
 * says what the figures mean.
 */
#include "bench/bench.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "bench/site.h"

/* UDP in IPv4, and a tunnel packet in 1500 bytes; what is cut is itself no longer than that. */
#define PACKET_BYTES_MIN 28
#define PACKET_BYTES_MAX 1438
/* UDP in IPv6 */
#define PACKET_BYTES_MIN_IPV6 48

#define FLOODS "forged|replayed|unknown|fragments"
#define SHAPES "plain|esn|ipv6|ah|transport|bundle|fragments"

static const char usage[] =
	"usage: bench forward --direction out|in --bytes N|imix OPTIONS [--flood " FLOODS "]\n"
	"                     [--shape " SHAPES "]\n"
	"       bench latency --direction out|in --bytes N|imix OPTIONS\n"
	"       bench load OPTIONS\n"
	"       bench crypto --direction out|in --bytes N [--path direct|call|queue|all] OPTIONS\n"
	"options: [--algorithm NAME] [--sas N] [--policies N] [--cpus N,...] [--seconds S] [--hugepages] "
	"[--udp]\n"
	"         --directory DIR\n";

static const struct {
	const char *name;
	int (*run)(const struct bench_options *options, struct err *err);
} commands[] = {{"forward", bench_forward}, {"latency", bench_latency}, {"load", bench_load},
	{"crypto", bench_crypto}};

static int parse_number(const char *text, double least, double most, double *value, struct err *err)
{
	char *end;

	*value = strtod(text, &end);
	if (end == text || *end != '\0' || *value < least || *value > most)
		return err_set(err, EINVAL, "'%s' is not a number from %g to %g", text, least, most);
	return 0;
}

static int parse_flood(const char *text, enum frames_fault *fault, struct err *err)
{
	static const char *const names[] = {[FRAMES_FORGED] = "forged",
		[FRAMES_REPLAYED] = "replayed",
		[FRAMES_UNKNOWN] = "unknown",
		[FRAMES_FRAGMENTS] = "fragments"};

	for (unsigned i = FRAMES_FORGED; i < RTE_DIM(names); i++)
		if (strcmp(names[i], text) == 0) {
			*fault = i;
			return 0;
		}
	return err_set(err, EINVAL, "--flood is " FLOODS);
}

static int parse_shape(const char *text, enum site_shape *shape, struct err *err)
{
	static const char *const names[] = {
		[SITE_PLAIN] = "plain",
		[SITE_ESN] = "esn",
		[SITE_IPV6] = "ipv6",
		[SITE_AH] = "ah",
		[SITE_TRANSPORT] = "transport",
		[SITE_BUNDLE] = "bundle",
		[SITE_FRAGMENTS] = "fragments",
	};

	for (unsigned i = 0; i < RTE_DIM(names); i++)
		if (strcmp(names[i], text) == 0) {
			*shape = i;
			return 0;
		}
	return err_set(err, EINVAL, "--shape is " SHAPES);
}

/* What goes together. */
static int options_check(const struct bench_options *options, struct err *err)
{
	bool is_cut = options->shape == SITE_FRAGMENTS;

	if (options->n_policies < options->n_sas)
		return err_set(err, EINVAL, "each SA needs a policy");
	if (options->flood != FRAMES_GOOD && (!options->inbound || options->n_sas > 1))
		return err_set(err, EINVAL, "a flood comes in, for one SA");
	if (options->shape != SITE_PLAIN && (options->flood != FRAMES_GOOD || options->in_udp))
		return err_set(err, EINVAL, "floods and ESP in UDP are of plain tunnels");
	if (options->packet_bytes != FRAMES_IMIX && is_cut != (options->packet_bytes > PACKET_BYTES_MAX))
		return err_set(err, EINVAL, "packets of more than %d bytes are cut, and no others",
			PACKET_BYTES_MAX);
	if (options->packet_bytes == FRAMES_IMIX && (is_cut || options->flood == FRAMES_FRAGMENTS))
		return err_set(err, EINVAL, "beside fragments all packets are of one length");
	if (options->shape == SITE_IPV6 && options->packet_bytes != FRAMES_IMIX &&
		options->packet_bytes < PACKET_BYTES_MIN_IPV6)
		return err_set(err, EINVAL, "IPv6 packets have %d bytes at least", PACKET_BYTES_MIN_IPV6);
	if (!options->directory)
		return err_set(err, EINVAL, "--directory is needed");
	return 0;
}

static int option_set(struct bench_options *options, int option, const char *text, struct err *err)
{
	double value = 0;
	int ret = 0;

	switch (option) {
	case 'd':
		options->inbound = strcmp(text, "in") == 0;
		if (!options->inbound && strcmp(text, "out") != 0)
			return err_set(err, EINVAL, "--direction is out or in");
		break;
	case 'b':
		if (strcmp(text, "imix") != 0)
			ret = parse_number(text, PACKET_BYTES_MIN, SITE_MTU_BYTES, &value, err);
		options->packet_bytes = (uint16_t)value;
		break;
	case 'a':
		options->algorithm = text;
		break;
	case 'S':
		return parse_shape(text, &options->shape, err);
	case 'f':
		return parse_flood(text, &options->flood, err);
	case 'n':
		ret = parse_number(text, 1, SITE_SAS_MAX, &value, err);
		options->n_sas = (uint32_t)value;
		break;
	case 'p':
		ret = parse_number(text, 1, SITE_POLICIES_MAX, &value, err);
		options->n_policies = (uint32_t)value;
		break;
	case 's':
		ret = parse_number(text, 0.01, 60, &options->seconds, err);
		break;
	case 'P':
		options->path = text;
		break;
	case 'c':
		options->cpus = text;
		break;
	case 'h':
		options->hugepages = true;
		break;
	case 'u':
		options->in_udp = true;
		break;
	case 'D':
		options->directory = text;
		break;
	default:
		return err_set(err, EINVAL, "an option is unknown or lacks its argument");
	}
	return ret;
}

static int options_parse(int argc, char **argv, struct bench_options *options, struct err *err)
{
	static const struct option known[] = {
		{"direction", required_argument, NULL, 'd'},
		{"bytes", required_argument, NULL, 'b'},
		{"algorithm", required_argument, NULL, 'a'},
		{"flood", required_argument, NULL, 'f'},
		{"shape", required_argument, NULL, 'S'},
		{"sas", required_argument, NULL, 'n'},
		{"policies", required_argument, NULL, 'p'},
		{"seconds", required_argument, NULL, 's'},
		{"path", required_argument, NULL, 'P'},
		{"cpus", required_argument, NULL, 'c'},
		{"hugepages", no_argument, NULL, 'h'},
		{"udp", no_argument, NULL, 'u'},
		{"directory", required_argument, NULL, 'D'},
		{NULL, 0, NULL, 0},
	};
	int option, ret = 0;

	*options = (struct bench_options){.packet_bytes = 64,
		.n_sas = 1,
		.seconds = 1,
		.algorithm = "aes128gcm16",
		.path = "all",
		.cpus = "0"};
	opterr = 0;
	while (ret == 0 && (option = getopt_long(argc, argv, "", known, NULL)) != -1)
		ret = option_set(options, option, optarg, err);
	if (ret == 0 && optind < argc)
		ret = err_set(err, EINVAL, "unexpected argument %s", argv[optind]);
	if (options->n_policies == 0)
		options->n_policies = options->n_sas;
	return ret == 0 ? options_check(options, err) : ret;
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";
	struct bench_options options;
	struct err err;
	size_t i = 0;
	int ret;

	while (i < RTE_DIM(commands) && strcmp(command, commands[i].name) != 0)
		i++;
	if (i == RTE_DIM(commands)) {
		fputs(usage, stderr);
		return 2;
	}
	if (options_parse(argc - 1, argv + 1, &options, &err) != 0) {
		fprintf(stderr, "bench: %s\n%s", err.text, usage);
		return 2;
	}
	ret = commands[i].run(&options, &err);
	if (ret != 0)
		fprintf(stderr, "bench: %s\n", err.text);
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

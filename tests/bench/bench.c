/*
 * The benchmark program: bench forward|load OPTIONS. tools/bench runs it; docs/performance.md says what the
 * figures mean.
 */
#include "bench/bench.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/site.h"

/* UDP in IPv4, and a tunnel packet in 1500 bytes. */
#define PACKET_BYTES_MIN 28
#define PACKET_BYTES_MAX 1438

static const char usage[] = "usage: bench forward --direction out|in --bytes N [--tunnels N] [--seconds S] "
			    "[--crypto DEVICE] [--cpu N] [--hugepages] --directory DIR\n"
			    "       bench load [--tunnels N] [--cpu N] [--hugepages] --directory DIR\n";

static int parse_number(const char *text, double least, double most, double *value, struct err *err)
{
	char *end;

	*value = strtod(text, &end);
	if (end == text || *end != '\0' || *value < least || *value > most)
		return err_set(err, EINVAL, "'%s' is not a number from %g to %g", text, least, most);
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
		ret = parse_number(text, PACKET_BYTES_MIN, PACKET_BYTES_MAX, &value, err);
		options->packet_bytes = (uint16_t)value;
		break;
	case 't':
		ret = parse_number(text, 1, SITE_TUNNELS_MAX, &value, err);
		options->n_tunnels = (uint32_t)value;
		break;
	case 's':
		ret = parse_number(text, 0.01, 60, &options->seconds, err);
		break;
	case 'C':
		options->crypto = text;
		break;
	case 'c':
		ret = parse_number(text, 0, 1023, &value, err);
		options->cpu = (unsigned)value;
		break;
	case 'h':
		options->hugepages = true;
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
		{"tunnels", required_argument, NULL, 't'},
		{"seconds", required_argument, NULL, 's'},
		{"crypto", required_argument, NULL, 'C'},
		{"cpu", required_argument, NULL, 'c'},
		{"hugepages", no_argument, NULL, 'h'},
		{"directory", required_argument, NULL, 'D'},
		{NULL, 0, NULL, 0},
	};
	int option, ret = 0;

	*options = (struct bench_options){
		.packet_bytes = 64, .n_tunnels = 1, .seconds = 1, .crypto = "ipsec_mb"};
	opterr = 0;
	while (ret == 0 && (option = getopt_long(argc, argv, "", known, NULL)) != -1)
		ret = option_set(options, option, optarg, err);
	if (ret == 0 && optind < argc)
		ret = err_set(err, EINVAL, "unexpected argument %s", argv[optind]);
	if (ret == 0 && !options->directory)
		ret = err_set(err, EINVAL, "--directory is needed");
	return ret;
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";
	struct bench_options options;
	struct err err;
	int ret;

	if (strcmp(command, "forward") != 0 && strcmp(command, "load") != 0) {
		fputs(usage, stderr);
		return 2;
	}
	if (options_parse(argc - 1, argv + 1, &options, &err) != 0) {
		fprintf(stderr, "bench: %s\n%s", err.text, usage);
		return 2;
	}
	ret = strcmp(command, "forward") == 0 ? bench_forward(&options, &err) : bench_load(&options, &err);
	if (ret != 0)
		fprintf(stderr, "bench: %s\n", err.text);
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define UNTIL_IDLE_MAX_S 86400

const char *options_usage(void)
{
	return "usage: culvertd --config FILE [--until-idle SECONDS] [--no-seccomp]\n"
	       "       culvertd --check FILE\n"
	       "\n"
	       "  --config FILE         run the gateway that the file describes\n"
	       "  --check FILE          check the file, print every fault in it, and exit with 0 or 1; needs "
	       "no\n"
	       "                        privileges and touches nothing\n"
	       "  --until-idle SECONDS  stop when no packet has come in for so long (for captures and "
	       "tests)\n"
	       "  --no-seccomp          run without the filter of system calls\n"
	       "  --version             print the version\n"
	       "  --help                print this\n"
	       "\n"
	       "SIGINT and SIGTERM stop it, SIGHUP reads the file again, SIGUSR1 prints statistics.\n"
	       "docs/configuration.md describes the "
	       "file.\n";
}

static int parse_seconds(const char *text, uint32_t *seconds, struct err *err)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || value < 1 || value > UNTIL_IDLE_MAX_S)
		return err_set(err, EINVAL, "--until-idle: '%s' is not a number of seconds from 1 to %d",
			text, UNTIL_IDLE_MAX_S);
	*seconds = (uint32_t)value;
	return 0;
}

int options_parse(int argc, char **argv, struct options *options, struct err *err)
{
	static const struct option known[] = {
		{"config", required_argument, NULL, 'c'},
		{"check", required_argument, NULL, 'k'},
		{"until-idle", required_argument, NULL, 'i'},
		{"no-seccomp", no_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	int option, ret = 0;

	*options = (struct options){0};
	opterr = 0;
	while (ret == 0 && (option = getopt_long(argc, argv, "+:", known, NULL)) != -1) {
		switch (option) {
		case 'c':
			options->config = optarg;
			break;
		case 'k':
			options->config = optarg;
			options->check_only = true;
			break;
		case 'i':
			ret = parse_seconds(optarg, &options->until_idle_s, err);
			break;
		case 's':
			options->no_seccomp = true;
			break;
		case 'h':
			options->help = true;
			break;
		case 'v':
			options->version = true;
			break;
		case ':':
			return err_set(err, EINVAL, "%s needs an argument", argv[optind - 1]);
		default:
			return err_set(err, EINVAL, "unknown option %s", argv[optind - 1]);
		}
	}
	if (ret == 0 && optind < argc)
		return err_set(err, EINVAL, "unexpected argument %s", argv[optind]);
	if (ret == 0 && !options->config && !options->help && !options->version)
		return err_set(err, EINVAL, "--config FILE or --check FILE is needed");
	return ret;
}

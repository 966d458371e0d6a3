#include "watching.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int spi_put(json_t *arguments, const char *text, struct err *err)
{
	char *end;
	long long spi;

	errno = 0;
	spi = strtoll(text, &end, 0);
	if (end == text || *end != '\0' || errno != 0 || spi < 1 || spi > UINT32_MAX)
		return err_set(err, EINVAL, "--spi takes an SPI, as 0x1001, not '%s'", text);
	json_object_set_new(arguments, "spi", json_integer(spi));
	return 0;
}

void watching_number_put(json_t *arguments, const char *key, long number)
{
	if (number != WATCHING_NOT_GIVEN)
		json_object_set_new(arguments, key, json_integer(number));
}

int watching_filter_put(const struct watching_filter *filter, json_t *arguments, struct err *err)
{
	const struct {
		const char *key, *text;
	} texts[] = {{"port", filter->port}, {"source", filter->source}, {"destination", filter->destination},
		{"host", filter->host}, {"protocol", filter->protocol}, {"sa", filter->sa}};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].text)
			json_object_set_new(arguments, texts[i].key, json_string(texts[i].text));
	watching_number_put(arguments, "source_port", filter->source_port);
	watching_number_put(arguments, "destination_port", filter->destination_port);
	return filter->spi ? spi_put(arguments, filter->spi, err) : 0;
}

static sigset_t signals_that_end(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	return set;
}

int watching_signals_begin(struct err *err)
{
	sigset_t set = signals_that_end();
	int fd;

	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd >= 0 ? fd : err_set(err, errno, "signals can't be waited for: %s", strerror(errno));
}

void watching_signals_end(int fd)
{
	sigset_t set = signals_that_end();
	struct signalfd_siginfo taken;

	/* The one that was meant. */
	(void)!read(fd, &taken, sizeof(taken));
	close(fd);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

bool watching_is_ended(int fd, unsigned wait_ms)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	return poll(&wait, 1, (int)wait_ms) > 0;
}

bool watching_is_seen(void)
{
	return isatty(STDERR_FILENO) == 1;
}

/*
 * culvertctl top: a live screen of rates, each from two samples of what the daemon shows.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "arguments.h"
#include "base/array.h"
#include "base/clock.h"
#include "client.h"
#include "command.h"
#include "show.h"

/* Asking for more each second would cost the daemon more than they are worth. */
#define SAS_SAMPLED_MAX 5000
#define ROWS_DEFAULT    10
#define BITS_PER_BYTE   8
#define SCREEN_ENTER    "\033[?1049h\033[?25l"
#define SCREEN_CLEAR    "\033[H\033[2J"
#define SCREEN_LEAVE    "\033[?25h\033[?1049l"

/* What the daemon showed at one moment. */
struct sample {
	uint64_t taken_ns;
	json_t *ports, *workers, *drops, *sas; /* results */
};

/* Between two of them; rates are their difference. */
struct interval {
	const struct sample *from, *to;
	double seconds;
};

/* What a signal asks for; it can be nowhere but here. */
static volatile sig_atomic_t is_ending;

static void on_signal(int number __attribute__((unused)))
{
	is_ending = 1;
}

static void sample_fini(struct sample *sample)
{
	json_decref(sample->ports);
	json_decref(sample->workers);
	json_decref(sample->drops);
	json_decref(sample->sas);
	*sample = (struct sample){0};
}

static int sample_take(struct client *client, struct sample *sample, struct err *err)
{
	json_t *limit = json_pack("{s:i}", "limit", SAS_SAMPLED_MAX);

	*sample = (struct sample){.taken_ns = clock_now_ns()};
	sample->ports = client_call(client, "show-ports", NULL, err);
	if (sample->ports)
		sample->workers = client_call(client, "show-workers", NULL, err);
	if (sample->workers)
		sample->drops = client_call(client, "show-drops", NULL, err);
	if (sample->drops)
		sample->sas = show_all_pages(client, "show-sas", "sas", limit, err);
	json_decref(limit);
	if (sample->sas)
		return 0;
	sample_fini(sample);
	return -EIO;
}

/* The item of the list whose `key` is the same as that of `like`. */
static const json_t *same_item(const json_t *list, const char *key, const json_t *like)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)list, i, item)
	{
		if (json_equal(json_object_get(item, key), json_object_get(like, key)))
			return item;
	}
	return NULL;
}

/* What was added a second; an object that came later, or anew, began at 0. */
static double rate(const struct interval *interval, const json_t *from, const json_t *to, const char *key)
{
	uint64_t before = from ? show_number(from, key) : 0, now = show_number(to, key);

	return (double)(now >= before ? now - before : now) / interval->seconds;
}

/* `1.25 M` */
static const char *units_rate(double value, char buf[UNITS_TEXT_MAX])
{
	static const char *const units[] = {"", " k", " M", " G", " T"};
	size_t i = 0;

	for (; value >= 1000 && i + 1 < sizeof(units) / sizeof(units[0]); i++)
		value /= 1000;
	snprintf(buf, UNITS_TEXT_MAX, i == 0 ? "%.0f%s" : "%.2f%s", value, units[i]);
	return buf;
}

static void add_rate(struct table *table, double value)
{
	char text[UNITS_TEXT_MAX];

	table_add(table, units_rate(value, text));
}

static void print_ports(const struct interval *interval)
{
	static const struct table_column columns[] = {{"port", 0}, {"link", 0}, {"rx pps", TABLE_NUMBER},
		{"rx bit/s", TABLE_NUMBER}, {"tx pps", TABLE_NUMBER}, {"tx bit/s", TABLE_NUMBER},
		{"drops/s", TABLE_NUMBER}, {"missed/s", TABLE_NUMBER}};
	const json_t *before = json_object_get(interval->from->ports, "ports"), *port;
	struct table table;
	size_t i;

	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(json_object_get(interval->to->ports, "ports"), i, port)
	{
		const json_t *from = same_item(before, "name", port);

		table_add(&table, show_text(port, "name"));
		table_add(&table, show_text(port, "link"));
		add_rate(&table, rate(interval, from, port, "rx_packets"));
		add_rate(&table, rate(interval, from, port, "rx_bytes") * BITS_PER_BYTE);
		add_rate(&table, rate(interval, from, port, "tx_packets"));
		add_rate(&table, rate(interval, from, port, "tx_bytes") * BITS_PER_BYTE);
		add_rate(&table, rate(interval, from, port, "drops"));
		add_rate(&table, rate(interval, from, port, "missed"));
	}
	table_print(&table);
	table_fini(&table);
}

static void print_workers(const struct interval *interval)
{
	static const struct table_column columns[] = {{"worker", TABLE_NUMBER}, {"cpu", TABLE_NUMBER},
		{"pps", TABLE_NUMBER}, {"drops/s", TABLE_NUMBER}, {"with packets", TABLE_NUMBER}};
	const json_t *before = json_object_get(interval->from->workers, "workers"), *worker;
	struct table table;
	char text[UNITS_TEXT_MAX];
	size_t i;

	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(json_object_get(interval->to->workers, "workers"), i, worker)
	{
		const json_t *from = same_item(before, "worker", worker);
		double loops = rate(interval, from, worker, "loops");
		double busy = rate(interval, from, worker, "busy_loops");

		snprintf(text, sizeof(text), "%" PRIu64, show_number(worker, "worker"));
		table_add(&table, text);
		snprintf(text, sizeof(text), "%" PRIu64, show_number(worker, "cpu"));
		table_add(&table, text);
		add_rate(&table, rate(interval, from, worker, "packets"));
		add_rate(&table, rate(interval, from, worker, "drops"));
		snprintf(text, sizeof(text), "%.1f %%", loops > 0 ? 100 * busy / loops : 0);
		table_add(&table, text);
	}
	table_print(&table);
	table_fini(&table);
}

struct ranked {
	const json_t *item;
	const json_t *from;
	double packets_per_s;
};

static int faster(const void *a, const void *b)
{
	double x = ((const struct ranked *)a)->packets_per_s, y = ((const struct ranked *)b)->packets_per_s;

	return (y > x) - (y < x);
}

/* Those of the list that had packets, the fastest first; the caller frees them. */
static struct ranked *rank(
	const struct interval *interval, const json_t *before, const json_t *list, const char *key, size_t *n)
{
	struct ranked *ranked = NULL;
	json_t *by_key = json_object();
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)before, i, item)
	{
		json_object_set(by_key, show_text(item, key), (json_t *)item);
	}
	*n = 0;
	json_array_foreach((json_t *)list, i, item)
	{
		const json_t *from = json_object_get(by_key, show_text(item, key));
		double packets_per_s = rate(interval, from, item, "packets");

		if (packets_per_s > 0)
			*array_append(&ranked, n) = (struct ranked){item, from, packets_per_s};
	}
	json_decref(by_key);
	if (*n > 0)
		qsort(ranked, *n, sizeof(*ranked), faster);
	return ranked;
}

static void print_drops(const struct interval *interval, size_t rows)
{
	static const struct table_column columns[] = {
		{"drop", 0}, {"packets/s", TABLE_NUMBER}, {"cause and cure", TABLE_CUT}};
	struct table table;
	size_t n;
	struct ranked *ranked = rank(interval, json_object_get(interval->from->drops, "drops"),
		json_object_get(interval->to->drops, "drops"), "reason", &n);

	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < n && i < rows; i++) {
		table_add(&table, show_text(ranked[i].item, "reason"));
		add_rate(&table, ranked[i].packets_per_s);
		table_add(&table, show_text(ranked[i].item, "text"));
	}
	table_print(&table);
	table_fini(&table);
	free(ranked);
}

static void print_sas(const struct interval *interval, size_t rows)
{
	static const struct table_column columns[] = {{"sa", TABLE_CUT}, {"dir", 0}, {"spi", 0},
		{"source", 0}, {"destination", 0}, {"pps", TABLE_NUMBER}, {"bit/s", TABLE_NUMBER},
		{"drops/s", TABLE_NUMBER}};
	const json_t *list = json_object_get(interval->to->sas, "sas");
	struct table table;
	size_t n;
	struct ranked *ranked = rank(interval, json_object_get(interval->from->sas, "sas"), list, "name", &n);

	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < n && i < rows; i++) {
		const json_t *sa = ranked[i].item;

		table_add(&table, show_text(sa, "name"));
		table_add(&table, show_text(sa, "direction"));
		table_add(&table, show_text(sa, "spi"));
		table_add(&table, show_text(sa, "source"));
		table_add(&table, show_text(sa, "destination"));
		add_rate(&table, ranked[i].packets_per_s);
		add_rate(&table, rate(interval, ranked[i].from, sa, "bytes") * BITS_PER_BYTE);
		add_rate(&table, rate(interval, ranked[i].from, sa, "drops"));
	}
	table_print(&table);
	printf("%zu of %zu SAs had packets", n, json_array_size(list));
	if (show_number(interval->to->sas, "total") > json_array_size(list))
		printf(" (of %" PRIu64 "; the others are not looked at)",
			show_number(interval->to->sas, "total"));
	putchar('\n');
	table_fini(&table);
	free(ranked);
}

static void print_all(const struct sample *from, const struct sample *to, size_t rows)
{
	struct interval interval = {
		from, to, (double)(to->taken_ns - from->taken_ns) / (double)CLOCK_NS_PER_S};

	print_ports(&interval);
	putchar('\n');
	print_workers(&interval);
	putchar('\n');
	print_drops(&interval, rows / 2);
	putchar('\n');
	print_sas(&interval, rows);
}

/* Rows for SAs and drops, of which half as many are shown, beside those of ports and workers. */
static size_t rows_that_fit(const struct sample *sample)
{
	size_t fixed = json_array_size(json_object_get(sample->ports, "ports")) +
		       json_array_size(json_object_get(sample->workers, "workers")) + 9;
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row <= fixed)
		return ROWS_DEFAULT;
	return (size_t)(size.ws_row - fixed) * 2 / 3;
}

/* Wait for the interval's end; false if the user has had enough. */
static bool wait_more(long seconds, bool has_keys)
{
	uint64_t end_ns = clock_now_ns() + (uint64_t)seconds * CLOCK_NS_PER_S;

	while (!is_ending && clock_now_ns() < end_ns) {
		struct pollfd keys = {.fd = has_keys ? STDIN_FILENO : -1, .events = POLLIN};
		uint64_t left_ns = end_ns - clock_now_ns();
		char key;

		if (poll(&keys, 1, (int)(left_ns / CLOCK_NS_PER_MS) + 1) <= 0)
			continue;
		if (read(STDIN_FILENO, &key, 1) != 1)
			has_keys = false;
		else if (key == 'q' || key == 'Q')
			return false;
	}
	return !is_ending;
}

static void signals_catch(void)
{
	const struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

/* Keys come at once and are not shown. False where standard input is no terminal. */
static bool keys_begin(struct termios *saved)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, saved) != 0)
		return false;
	raw = *saved;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

/* Each interval's rates, until the user has had enough, or once. Returns 0, or -errno with err set. */
static int watch(struct client *client, long seconds, bool is_once, bool has_keys, struct err *err)
{
	struct sample from, to;
	int ret = sample_take(client, &from, err);

	if (ret != 0)
		return ret;
	while (wait_more(seconds, has_keys)) {
		ret = sample_take(client, &to, err);
		if (ret != 0)
			break;
		if (!is_once)
			fputs(SCREEN_CLEAR, stdout);
		print_all(&from, &to, rows_that_fit(&to));
		fflush(stdout);
		sample_fini(&from);
		from = to;
		if (is_once)
			break;
	}
	sample_fini(&from);
	return ret;
}

/* On a screen of its own, which is left as it was found whatever happens. */
static int watch_on_screen(struct client *client, long seconds, struct err *err)
{
	struct termios saved;
	bool has_keys = keys_begin(&saved);
	int ret;

	signals_catch();
	fputs(SCREEN_ENTER SCREEN_CLEAR "the first rates come in a moment; q ends\n", stdout);
	fflush(stdout);
	ret = watch(client, seconds, false, has_keys, err);
	fputs(SCREEN_LEAVE, stdout);
	fflush(stdout);
	if (has_keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	return ret;
}

static enum command_result top(const struct invocation *call, struct err *err)
{
	struct invocation invocation = *call;
	bool is_once = false;
	long seconds = 1;
	const struct argument_option options[] = {
		{"--once", ARGUMENT_FLAG, &is_once}, {"--interval", ARGUMENT_NUMBER, &seconds}, {0}};
	struct client client;
	int ret;

	if (arguments_read(&invocation, options, 0, 0, err) != 0)
		return COMMAND_MISUSED;
	if (invocation.json || seconds == 0) {
		err_set(err, EINVAL, "%s",
			invocation.json ? "top is for people; the show commands have --json"
					: "--interval is a second or more");
		return COMMAND_MISUSED;
	}
	if (client_open(&client, invocation.socket, CLIENT_SHOW_TIMEOUT_S, err) != 0)
		return COMMAND_FAILED;
	if (is_once || !isatty(STDOUT_FILENO))
		ret = watch(&client, seconds, true, false, err);
	else
		ret = watch_on_screen(&client, seconds, err);
	client_close(&client);
	return ret == 0 ? COMMAND_OK : COMMAND_FAILED;
}

const struct command top_commands[] = {
	{"top", "[--interval SECONDS] [--once]",
		"a live screen: rates of ports, workers, drops and the busiest SAs",
		"Renewed each second, or each interval; `q` ends it. With `--once`, or where standard output "
		"is "
		"no terminal, the rates of one interval are printed. Of more than 5,000 SAs the first 5,000 "
		"are "
		"looked at.",
		top},
	{NULL, NULL, NULL, NULL, NULL},
};

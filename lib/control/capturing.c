#include "control/capturing.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_rcu_qsbr.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/log.h"
#include "control/control.h"
#include "control/pcapng.h"

#define WRITER_PERIOD_US 1000
#define PROGRAM          "culvert"
/* The interfaces of a file: the ports, then what is inside tunnels. */
#define INTERFACES_MAX (GATEWAY_PORTS_MAX + 2)
#define NO_INTERFACE   UINT32_MAX

/*
 * What the writing thread has. The main thread reads the counters and `ended`, and sets `workers_gone`; the
 * rest is the thread's until it has been joined.
 */
struct capture_writer {
	pthread_t thread;
	struct capture *capture;
	unsigned n_workers;
	atomic_bool workers_gone; /* nothing more will come */
	atomic_bool ended;        /* nothing more will be written but statistics */
	atomic_bool done;
	uint64_t bytes_max;
	uint64_t pkts_max;
	uint64_t taken_pkts; /* for the file */
	int error;           /* of a write, negative */
	uint64_t start_ns;   /* since 1970, when the TSC was start_tsc */
	uint64_t start_tsc;
	uint64_t tsc_hz;
	uint32_t interface_of[4][GATEWAY_PORTS_MAX]; /* by point and port */
	uint64_t interface_pkts[INTERFACES_MAX];
	uint32_t n_interfaces;
	/* Published for others. */
	uint64_t written_pkts;
	uint64_t written_bytes;
	struct pcapng file;
};

static uint64_t time_of(const struct capture_writer *w, uint64_t tsc)
{
	uint64_t passed = tsc - w->start_tsc;

	return w->start_ns + passed / w->tsc_hz * CLOCK_NS_PER_S +
	       passed % w->tsc_hz * CLOCK_NS_PER_S / w->tsc_hz;
}

static enum pcapng_direction direction_of(uint8_t point)
{
	return point == CAPTURE_RX || point == CAPTURE_INNER_IN ? PCAPNG_DIRECTION_IN : PCAPNG_DIRECTION_OUT;
}

static int write_one(struct capture_writer *w, const struct capture_slot *slot)
{
	uint32_t interface = w->interface_of[slot->point][slot->port];
	char comment[SA_NAME_MAX + 8] = "";

	if (slot->sa[0] != '\0')
		snprintf(comment, sizeof(comment), "sa=%s", slot->sa);
	w->taken_pkts++;
	w->interface_pkts[interface]++;
	return pcapng_packet(&w->file, &(struct pcapng_packet){
					       .interface = interface,
					       .time_ns = time_of(w, slot->tsc),
					       .bytes = slot->bytes,
					       .captured_bytes = slot->captured_bytes,
					       .data = slot->data,
					       .direction = direction_of(slot->point),
					       .comment = comment,
				       });
}

static bool is_full(const struct capture_writer *w, const struct capture_slot *slot)
{
	return (w->pkts_max > 0 && w->taken_pkts >= w->pkts_max) ||
	       pcapng_bytes(&w->file) + slot->captured_bytes + PCAPNG_TEXT_MAX > w->bytes_max;
}

static void end(struct capture_writer *w, int error)
{
	if (w->error == 0)
		w->error = error;
	atomic_store_explicit(&w->ended, true, memory_order_release);
}

static void tell(struct capture_writer *w)
{
	__atomic_store_n(&w->written_pkts, w->file.n_pkts, __ATOMIC_RELAXED);
	__atomic_store_n(&w->written_bytes, w->file.written_bytes, __ATOMIC_RELAXED);
}

/* What a worker has copied, until the file is full; how many there were. */
static unsigned take_all(struct capture_writer *w, unsigned worker)
{
	const struct capture_slot *slot;
	unsigned n = 0;

	while (!w->ended && (slot = capture_peek(w->capture, worker))) {
		int ret;

		if (is_full(w, slot)) {
			end(w, 0);
			break;
		}
		ret = write_one(w, slot);
		capture_release(w->capture, worker);
		n++;
		if (ret != 0)
			end(w, ret);
	}
	return n;
}

/* Packets that passed the filter at the interface's points. */
static uint64_t received(const struct capture_writer *w, uint32_t interface)
{
	uint64_t sum = 0;

	for (unsigned point = 0; point <= CAPTURE_INNER_IN; point++)
		for (uint8_t port = 0; port < GATEWAY_PORTS_MAX; port++)
			if (w->interface_of[point][port] == interface) {
				struct capture_counts counts = capture_counts(w->capture, point, port);

				sum += counts.captured + counts.no_room + counts.over_rate;
			}
	return sum;
}

static void finish(struct capture_writer *w)
{
	int ret = pcapng_flush(&w->file);

	if (ret != 0)
		end(w, ret);
	for (uint32_t i = 0; i < w->n_interfaces; i++) {
		uint64_t all = received(w, i);

		pcapng_statistics(
			&w->file, i, time_of(w, rte_rdtsc()), all, all - RTE_MIN(w->interface_pkts[i], all));
	}
	ret = pcapng_flush(&w->file);
	if (ret == 0 && fsync(w->file.fd) != 0)
		ret = -errno;
	if (ret != 0)
		end(w, ret);
	tell(w);
}

static void *writer_main(void *argument)
{
	struct capture_writer *w = argument;

	for (;;) {
		bool is_last = atomic_load_explicit(&w->workers_gone, memory_order_acquire);
		unsigned n = 0;
		int ret;

		for (unsigned i = 0; i < w->n_workers; i++)
			n += take_all(w, i);
		/* Whoever looks at the file while it grows sees what there is. */
		if (n == 0 && !w->ended && (ret = pcapng_flush(&w->file)) != 0)
			end(w, ret);
		tell(w);
		if (is_last && (n == 0 || w->ended))
			break;
		if (n == 0)
			usleep(WRITER_PERIOD_US);
	}
	finish(w);
	atomic_store_explicit(&w->done, true, memory_order_release);
	return NULL;
}

/* Signals are the main thread's; SIGXFSZ is blocked, so that a file too large is an error of the write. */
static int writer_start(struct capture_writer *w)
{
	sigset_t all, before;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&w->thread, NULL, writer_main, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -ret;
}

static uint32_t interface_add(struct capture_writer *w, const char *name, const char *description,
	uint16_t link_type, uint32_t snap_bytes)
{
	int ret = pcapng_interface(&w->file, name, description, link_type, snap_bytes);

	if (ret != 0)
		end(w, ret);
	return w->n_interfaces++;
}

static void interfaces_add(
	struct capture_writer *w, const struct gateway *gateway, const struct capture_conf *conf)
{
	for (unsigned point = 0; point <= CAPTURE_INNER_IN; point++)
		for (unsigned port = 0; port < GATEWAY_PORTS_MAX; port++)
			w->interface_of[point][port] = NO_INTERFACE;
	for (size_t i = 0; i < gateway->n_ports; i++)
		if (conf->ports >> i & 1)
			w->interface_of[CAPTURE_RX][i] = w->interface_of[CAPTURE_TX][i] =
				interface_add(w, gateway->ports[i].name,
					gateway->ports[i].side == SIDE_PROTECTED ? "protected port"
										 : "unprotected port",
					PCAPNG_LINK_ETHERNET, conf->snap_bytes);
	if (!conf->inner)
		return;
	w->interface_of[CAPTURE_INNER_OUT][0] = interface_add(
		w, "inner-out", "packets before encryption", PCAPNG_LINK_RAW_IP, conf->snap_bytes);
	w->interface_of[CAPTURE_INNER_IN][0] = interface_add(
		w, "inner-in", "packets after decryption", PCAPNG_LINK_RAW_IP, conf->snap_bytes);
}

static uint64_t wall_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Takes fd. */
static struct capture_writer *writer_create(struct control *control, const struct capturing_conf *conf,
	const struct capture_conf *capture_conf, struct capture *capture, int fd)
{
	struct capture_writer *w = calloc(1, sizeof(*w));

	if (!w) {
		close(fd);
		return NULL;
	}
	w->capture = capture;
	w->n_workers = capture_conf->n_workers;
	w->bytes_max = conf->bytes_max;
	w->pkts_max = conf->pkts_max;
	w->start_ns = wall_clock_ns();
	w->start_tsc = rte_rdtsc();
	w->tsc_hz = rte_get_tsc_hz();
	pcapng_begin(&w->file, fd, PROGRAM);
	interfaces_add(w, control->gateway, capture_conf);
	return w;
}

static void writer_destroy(struct capture_writer *w)
{
	if (!w)
		return;
	close(w->file.fd);
	free(w);
}

void capturing_conf_init(const struct control *control, struct capturing_conf *conf)
{
	*conf = (struct capturing_conf){
		.port = FILTER_ANY,
		.rx = true,
		.tx = true,
		.inner = control->gateway->capture_inner,
		.snap_bytes = CAPTURE_SNAP_DEFAULT,
		.rate_pps = CAPTURE_RATE_DEFAULT,
		.bytes_max = CAPTURING_BYTES_DEFAULT,
		.seconds = CAPTURING_SECONDS_DEFAULT,
	};
	filter_init(&conf->filter);
}

/* A name that can't lead out of the directory, nor be hidden in it. */
static bool is_file_name(const char *name)
{
	return name && name[0] != '\0' && name[0] != '.' && strlen(name) <= NAME_MAX && !strchr(name, '/');
}

static int numbers_check(const struct capturing_conf *conf, struct err *err)
{
	if (conf->snap_bytes < CAPTURE_SNAP_MIN || conf->snap_bytes > CAPTURE_SNAP_MAX)
		return err_set(err, EINVAL, "a capture takes %d to %d bytes of a packet", CAPTURE_SNAP_MIN,
			CAPTURE_SNAP_MAX);
	if (conf->rate_pps < 1 || conf->rate_pps > CAPTURE_RATE_MAX)
		return err_set(err, EINVAL, "a capture takes 1 to %d packets a second", CAPTURE_RATE_MAX);
	if (conf->seconds < 1 || conf->seconds > CAPTURING_SECONDS_MAX)
		return err_set(err, EINVAL, "a capture lasts 1 to %d seconds", CAPTURING_SECONDS_MAX);
	if (conf->bytes_max < PCAPNG_BUFFER_BYTES || conf->bytes_max > CAPTURING_BYTES_MAX)
		return err_set(err, EINVAL, "a capture's file has %u to %" PRIu64 " bytes at most",
			PCAPNG_BUFFER_BYTES, CAPTURING_BYTES_MAX);
	return 0;
}

/* May it be done at all? */
static int conf_check(const struct control *control, const struct capturing_conf *conf, struct err *err)
{
	const struct gateway *gateway = control->gateway;

	if (control->capturing.state != CAPTURING_NONE && control->capturing.state != CAPTURING_DONE)
		return err_set(err, EBUSY, "a capture to %s is under way", control->capturing.last.path);
	if (!gateway->capture_directory)
		return err_set(err, EPERM, "the configuration has no capture.directory to write to");
	if (conf->inner && !gateway->capture_inner)
		return err_set(err, EPERM,
			"packets inside tunnels may not be captured: the configuration has no "
			"'capture.allow_inner: true'");
	if (conf->port != FILTER_ANY && gateway->ports[conf->port].side == SIDE_PROTECTED &&
		!gateway->capture_inner)
		return err_set(err, EPERM,
			"port %s is protected, and its frames are what tunnels protect: the configuration "
			"has no "
			"'capture.allow_inner: true'",
			gateway->ports[conf->port].name);
	if (!is_file_name(conf->file))
		return err_set(err, EINVAL,
			"a capture's file is a name in %s: no path, and not beginning with a dot",
			gateway->capture_directory);
	return numbers_check(conf, err);
}

/* A new file, for nobody else to read, in that very directory. */
static int file_open(const char *directory, const char *name, struct err *err)
{
	int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd, code;

	if (dir < 0)
		return err_set(err, errno, "capture.directory %s: %s", directory, strerror(errno));
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	code = errno;
	close(dir);
	return fd >= 0 ? fd : err_set(err, code, "capture %s/%s: %s", directory, name, strerror(code));
}

/* Whose frames: those of the port, or of all ports that may be captured. */
static uint32_t ports_of(const struct control *control, const struct capturing_conf *conf)
{
	const struct gateway *gateway = control->gateway;
	uint32_t ports = 0;

	for (size_t i = 0; i < gateway->n_ports; i++)
		if ((conf->port == FILTER_ANY || conf->port == (int)i) &&
			(gateway->capture_inner || gateway->ports[i].side == SIDE_UNPROTECTED))
			ports |= UINT32_C(1) << i;
	return ports;
}

static void publish(struct control *control, struct capture *capture)
{
	for (unsigned i = 0; i < control->n_workers; i++)
		atomic_store_explicit(&control->workers[i]->capture_wanted,
			capture ? capture_of(capture, i) : NULL, memory_order_release);
}

static int parts_create(struct control *control, const struct capturing_conf *conf, int fd, struct err *err)
{
	struct capturing *c = &control->capturing;
	const struct capture_conf capture_conf = {
		.filter = conf->filter,
		.ports = ports_of(control, conf),
		.rx = conf->rx,
		.tx = conf->tx,
		.inner = conf->inner,
		.snap_bytes = conf->snap_bytes,
		.rate_pps = conf->rate_pps,
		.n_workers = control->n_workers,
	};
	int ret = capture_create(&capture_conf, &c->capture, err);

	if (ret != 0) {
		close(fd);
		return ret;
	}
	c->writer = writer_create(control, conf, &capture_conf, c->capture, fd);
	if (c->writer && writer_start(c->writer) == 0)
		return 0;
	writer_destroy(c->writer);
	capture_destroy(c->capture);
	return err_set(err, ENOMEM, "no thread for a capture");
}

int capturing_begin(struct control *control, const struct capturing_conf *conf, struct err *err)
{
	struct capturing *c = &control->capturing;
	const char *directory = control->gateway->capture_directory;
	int ret = conf_check(control, conf, err);
	int fd;

	if (ret != 0)
		return ret;
	fd = file_open(directory, conf->file, err);
	if (fd < 0)
		return fd;
	ret = parts_create(control, conf, fd, err);
	if (ret != 0)
		return ret;
	c->last = (struct capturing_result){0};
	snprintf(c->last.path, sizeof(c->last.path), "%s/%s", directory, conf->file);
	c->until_ns = clock_now_ns() + conf->seconds * CLOCK_NS_PER_S;
	c->state = CAPTURING_RUNS;
	publish(control, c->capture);
	log_info("capture file=%s", c->last.path);
	return 0;
}

void capturing_end(struct control *control)
{
	struct capturing *c = &control->capturing;

	if (c->state != CAPTURING_RUNS)
		return;
	publish(control, NULL);
	c->token = rte_rcu_qsbr_start(control->qsbr);
	c->state = CAPTURING_ENDS;
}

static uint64_t not_captured(const struct capturing *c, uint64_t written_pkts)
{
	uint64_t sum = 0;

	for (unsigned point = 0; point <= CAPTURE_INNER_IN; point++)
		for (uint8_t port = 0; port < GATEWAY_PORTS_MAX; port++) {
			struct capture_counts counts = capture_counts(c->capture, point, port);

			sum += counts.captured + counts.no_room + counts.over_rate;
		}
	return sum - RTE_MIN(written_pkts, sum);
}

void capturing_look(const struct control *control, struct capturing_result *result)
{
	const struct capturing *c = &control->capturing;

	*result = c->last;
	result->state = c->state;
	if (!c->writer)
		return;
	result->written_pkts = counter_read(&c->writer->written_pkts);
	result->written_bytes = counter_read(&c->writer->written_bytes);
	result->not_captured = not_captured(c, result->written_pkts);
}

/* The writer is done: what came of it stays, the rest is freed. No worker has any of it. */
static void close_down(struct control *control)
{
	struct capturing *c = &control->capturing;

	pthread_join(c->writer->thread, NULL);
	capturing_look(control, &c->last);
	if (c->writer->error != 0)
		err_set(&c->last.err, -c->writer->error, "capture %s: %s", c->last.path,
			strerror(-c->writer->error));
	writer_destroy(c->writer);
	capture_destroy(c->capture);
	c->writer = NULL;
	c->capture = NULL;
	c->state = CAPTURING_DONE;
	if (c->last.err.text[0] != '\0')
		log_error("%s", c->last.err.text);
	log_info("capture file=%s packets=%" PRIu64 " not_captured=%" PRIu64, c->last.path,
		c->last.written_pkts, c->last.not_captured);
}

static void workers_have_gone(struct capturing *c)
{
	atomic_store_explicit(&c->writer->workers_gone, true, memory_order_release);
	c->state = CAPTURING_WRITES;
}

void capturing_poll(struct control *control, uint64_t now_ns)
{
	struct capturing *c = &control->capturing;

	switch (c->state) {
	case CAPTURING_RUNS:
		if (now_ns >= c->until_ns || atomic_load_explicit(&c->writer->ended, memory_order_acquire))
			capturing_end(control);
		break;
	case CAPTURING_ENDS:
		if (rte_rcu_qsbr_check(control->qsbr, c->token, false) == 1)
			workers_have_gone(c);
		break;
	case CAPTURING_WRITES:
		if (atomic_load_explicit(&c->writer->done, memory_order_acquire))
			close_down(control);
		break;
	default:
		break;
	}
}

void capturing_destroy(struct control *control)
{
	struct capturing *c = &control->capturing;

	if (!c->writer)
		return;
	publish(control, NULL);
	if (c->state != CAPTURING_WRITES)
		workers_have_gone(c);
	close_down(control);
}

#include "control/reloading.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "control/change_answer.h"
#include "model/gateway.h"

struct reloading {
	struct request *request;
	struct reloading_conf conf;
	pthread_t thread;
	atomic_bool stop;    /* set by control: the thread need not wait for the file any more */
	atomic_bool is_done; /* set by the thread, which writes nothing below or in the request after that */
	int ret;             /* of the load */
	struct reload_summary summary;
	struct change change;
};

/* The thread's part: everything that takes long and changes nothing. */
static void *read_and_compare(void *argument)
{
	struct reloading *reloading = argument;
	struct request *request = reloading->request;
	const struct control *control = request->control;
	struct gateway wanted;

	reloading->ret =
		control->source->load(reloading->conf.path, &reloading->stop, &wanted, &request->report);
	if (reloading->ret == 0)
		reload_difference(
			control, &wanted, &reloading->change, &reloading->summary, &request->report);
	atomic_store_explicit(&reloading->is_done, true, memory_order_release);
	return NULL;
}

/* Signals are the main thread's. */
static int thread_start(struct reloading *reloading)
{
	sigset_t all, before;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&reloading->thread, NULL, read_and_compare, reloading);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -ret;
}

int reloading_begin(struct request *request, const struct reloading_conf *conf)
{
	struct reloading *reloading = xcalloc(1, sizeof(*reloading));
	int ret;

	*reloading = (struct reloading){.request = request, .conf = *conf};
	change_answer_init(request, &reloading->summary);
	change_init(&reloading->change);
	request->findings_of = "file";
	ret = thread_start(reloading);
	if (ret != 0) {
		free(reloading);
		return err_set(&request->err, -ret, "no thread to read %s: %s", conf->path, strerror(-ret));
	}
	request->control->reloading = reloading;
	return REQUEST_LATER;
}

static int finish(struct reloading *reloading)
{
	struct request *request = reloading->request;
	const struct reloading_conf *conf = &reloading->conf;
	int ret = reloading->ret;

	if (ret != 0)
		return err_set(&request->err, -ret, "%s has faults; nothing has changed", conf->path);
	change_answer_count(request, &reloading->summary);
	ret = change_answer_make(request, &reloading->change, conf->is_dry);
	if (ret == 0 && !conf->is_dry)
		change_answer_tell(request->control, conf->by, &reloading->summary);
	else if (ret != 0 && request->err.text[0] == '\0')
		err_set(&request->err, EINVAL, "%s can't be applied; nothing has changed", conf->path);
	return ret;
}

/* What was read is wiped, as far as the change has not been made with it. */
static struct request *reloading_free(struct reloading *reloading)
{
	struct request *request = reloading->request;

	change_fini(&reloading->change);
	free(reloading);
	request->control->reloading = NULL;
	return request;
}

void reloading_poll(struct control *control)
{
	struct reloading *reloading = control->reloading;
	int ret;

	if (!reloading || !atomic_load_explicit(&reloading->is_done, memory_order_acquire))
		return;
	pthread_join(reloading->thread, NULL);
	ret = finish(reloading);
	request_end(reloading_free(reloading), ret);
}

void reloading_forget(struct control *control, const struct connection *connection)
{
	if (control->reloading && control->reloading->request->connection == connection)
		control->reloading->request->connection = NULL;
}

void reloading_end(struct control *control)
{
	struct reloading *reloading = control->reloading;
	struct connection *connection;
	struct request *request;

	if (!reloading)
		return;
	atomic_store(&reloading->stop, true);
	pthread_join(reloading->thread, NULL);
	request = reloading_free(reloading);
	connection = request->connection;
	err_set(&request->err, ECANCELED, "the gateway stops; nothing has changed");
	request_end(request, -ECANCELED);
	if (connection)
		connection_flush(connection, clock_now_ns());
}

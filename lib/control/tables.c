#include "control/tables.h"

#include <errno.h>

#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>

#include "fwd/neigh.h"
#include "ipsec/sad.h"

static int qsbr_create(struct control *control, struct err *err)
{
	size_t bytes = rte_rcu_qsbr_get_memsize(GATEWAY_WORKERS_MAX);

	control->qsbr = rte_zmalloc("qsbr", bytes, RTE_CACHE_LINE_SIZE);
	if (!control->qsbr || rte_rcu_qsbr_init(control->qsbr, GATEWAY_WORKERS_MAX) != 0)
		return err_set(err, ENOMEM, "no memory for the workers' quiescent states");
	return 0;
}

/* From all workers to the control thread. */
static int queue_create(const char *name, unsigned packets, struct rte_ring **queue, struct err *err)
{
	*queue = rte_ring_create(name, packets, (int)rte_socket_id(), RING_F_SC_DEQ);
	return *queue ? 0 : err_set(err, ENOMEM, "no memory for the queue to the control thread");
}

int tables_create(struct control *control, struct err *err)
{
	int socket = (int)rte_socket_id();
	int ret = qsbr_create(control, err);
	size_t room = control->sas_room = gateway_sas_room(control->gateway);
	const struct sad_conf sad = {
		.capacity = (uint32_t)room,
		.n_workers = (unsigned)control->gateway->workers.n_lcores,
		.qsbr = control->qsbr,
		.socket = socket,
	};
	const struct sad_conf sad_out = {
		.name = "culvert_sad_out",
		.capacity = (uint32_t)room,
		.qsbr = control->qsbr,
		.socket = socket,
	};

	if (ret == 0)
		ret = sad_create(&sad, &control->sad, err);
	if (ret == 0)
		ret = sad_create(&sad_out, &control->sad_out, err);
	if (ret == 0)
		ret = neigh_table_create(
			TABLES_NEIGHBOURS_MAX, control->qsbr, socket, &control->neighbours, err);
	if (ret == 0)
		ret = queue_create("to_control", HOST_QUEUE_PKTS, &control->to_control, err);
	if (ret == 0 && control->gateway->host.interface)
		ret = queue_create("to_host", HOST_STACK_PKTS, &control->to_host, err);
	if (ret != 0)
		tables_destroy(control);
	return ret;
}

void tables_destroy(struct control *control)
{
	rte_ring_free(control->to_host);
	rte_ring_free(control->to_control);
	neigh_table_destroy(control->neighbours);
	sad_destroy(control->sad_out);
	sad_destroy(control->sad);
	rte_free(control->qsbr);
	control->to_host = NULL;
	control->to_control = NULL;
	control->neighbours = NULL;
	control->sad_out = NULL;
	control->sad = NULL;
	control->qsbr = NULL;
}

/* The commands that show SAs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>

#include "base/clock.h"
#include "base/counter.h"
#include "control/json.h"
#include "control/lifetime.h"
#include "control/page.h"
#include "control/request.h"
#include "control/sa_text.h"
#include "control/sas.h"
#include "ipsec/natt.h"
#include "ipsec/sa.h"

static bool has_ended(const struct sa *sa)
{
	return sa->life && atomic_load(&sa->life->ended_by) != LIFE_GOES_ON;
}

static uint64_t drops_of(const struct sa_counters *sum)
{
	uint64_t drops = 0;

	for (unsigned i = 0; i < SA_DROP_COUNT; i++)
		drops += sum->drops[i];
	return drops;
}

/* What a line of a table has. */
static json_t *sa_json(const struct sa *sa, const struct sa_counters *sum)
{
	json_t *object = json_pack("{s:s, s:s, s:s, s:s}", "name", sa->name, "direction",
		sa->inbound ? "in" : "out", "protocol", sa_protocol_name(sa->protocol), "mode",
		sa_is_transport(sa) ? "transport" : "tunnel");

	json_put_text(object, "algorithm", sa_algorithm_name(sa));
	json_object_set_new(object, "spi", json_sprintf("0x%08x", rte_be_to_cpu_32(sa->spi)));
	json_put_address(object, "source", &sa->source);
	json_put_address(object, "destination", &sa->destination);
	json_put_text(object, "state", has_ended(sa) ? "ended" : "installed");
	json_put_number(object, "packets", sum->packets);
	json_put_number(object, "bytes", sum->bytes);
	json_put_number(object, "drops", drops_of(sum));
	return object;
}

/* Which SAs are asked for; what is not set is not asked. */
struct sa_filter {
	const char *name; /* a pattern */
	struct ip_addr address;
	bool has_spi;
	uint32_t spi;
	bool has_direction;
	bool inbound;
};

static int filter_read_address(struct request *request, struct sa_filter *filter)
{
	const char *text = NULL;
	int ret = request_string(request, "address", false, &text);

	if (ret == 0 && text && ip_addr_parse(text, &filter->address) != 0)
		return err_set(&request->err, EINVAL, "the argument 'address' is an IP address");
	return ret;
}

static int filter_read_spi(struct request *request, struct sa_filter *filter)
{
	uint64_t spi = UINT64_MAX;
	int ret = request_number(request, "spi", false, UINT32_MAX, &spi);

	filter->has_spi = ret == 0 && spi != UINT64_MAX;
	filter->spi = (uint32_t)spi;
	return ret;
}

static int filter_read_direction(struct request *request, struct sa_filter *filter)
{
	const char *text = NULL;
	int ret = request_string(request, "direction", false, &text);

	if (ret != 0 || !text)
		return ret;
	filter->has_direction = true;
	filter->inbound = strcmp(text, "in") == 0;
	if (!filter->inbound && strcmp(text, "out") != 0)
		return err_set(&request->err, EINVAL, "the argument 'direction' is \"in\" or \"out\"");
	return 0;
}

static int filter_read(struct request *request, struct sa_filter *filter)
{
	int ret;

	*filter = (struct sa_filter){.name = NULL};
	ret = request_string(request, "name", false, &filter->name);
	if (ret == 0)
		ret = filter_read_address(request, filter);
	if (ret == 0)
		ret = filter_read_spi(request, filter);
	return ret == 0 ? filter_read_direction(request, filter) : ret;
}

static bool filter_passes(const struct sa_filter *filter, const struct sa *sa)
{
	if (filter->has_spi && filter->spi != rte_be_to_cpu_32(sa->spi))
		return false;
	if (filter->has_direction && filter->inbound != sa->inbound)
		return false;
	if (filter->address.family != IP_NONE && !ip_addr_equal(&filter->address, &sa->source) &&
		!ip_addr_equal(&filter->address, &sa->destination))
		return false;
	return page_name_matches(filter->name, sa->name);
}

static int show_sas(struct request *request)
{
	const struct control *control = request->control;
	json_t *list = json_array();
	struct sa_filter filter;
	struct page page;
	int ret = page_read(request, &page);

	json_object_set_new(request->result, "sas", list);
	if (ret == 0)
		ret = filter_read(request, &filter);
	if (ret != 0)
		return ret;
	for (size_t i = 0; i < control->n_sas; i++) {
		struct sa_counters sum;

		if (!filter_passes(&filter, control->sas[i]) || !page_takes(&page))
			continue;
		sa_counters_sum(control->sas[i], &sum);
		json_array_append_new(list, sa_json(control->sas[i], &sum));
	}
	page_end(request, &page);
	return 0;
}

static json_t *limit_json(const struct sa *sa, enum sa_limit_kind kind)
{
	const struct sa_limit *limit = &sa->life->limits[kind];
	json_t *object = json_object();

	json_put_number(object, "used", sa_life_used(sa, kind, clock_now_ns()));
	if (limit->soft > 0)
		json_put_number(object, "soft", limit->soft);
	if (limit->hard > 0)
		json_put_number(object, "hard", limit->hard);
	return object;
}

static json_t *life_json(const struct sa *sa)
{
	json_t *object = json_object();

	for (enum sa_limit_kind kind = 0; kind < SA_LIMIT_COUNT; kind++)
		if (sa->life->limits[kind].soft > 0 || sa->life->limits[kind].hard > 0)
			json_object_set_new(object, lifetime_unit(kind), limit_json(sa, kind));
	return object;
}

static json_t *sa_drops_json(const struct sa_counters *sum)
{
	json_t *object = json_object();

	for (unsigned i = 0; i < SA_DROP_COUNT; i++)
		if (sum->drops[i] > 0)
			json_put_number(object, drop_name(sa_drop_reason(i)), sum->drops[i]);
	return object;
}

static void put_encapsulation(json_t *object, const struct sa *sa, const struct sa_conf *conf)
{
	json_t *udp = json_object();

	json_put_number(udp, "source_port", conf->source_port);
	json_put_number(udp, "destination_port", conf->destination_port);
	if (sa->natt->peer && natt_peer_moves(sa->natt->peer) > 0) {
		struct natt_endpoint peer = natt_peer_read(sa->natt->peer);

		json_put_address(udp, "peer", &peer.address);
		json_put_number(udp, "peer_port", peer.port);
		json_put_number(udp, "moves", natt_peer_moves(sa->natt->peer));
	}
	json_object_set_new(object, "udp", udp);
}

static void put_direction(json_t *object, const struct sa *sa, const struct sa_conf *conf)
{
	if (sa->inbound) {
		json_put_number(object, "sequence", replay_highest(sa->replay));
		json_put_number(object, "replay_window", conf->replay_window_pkts);
		return;
	}
	json_put_number(object, "sequence", atomic_load(&sa->seq.next) - 1);
	json_put_number(object, "path_mtu", atomic_load_explicit(&sa->path.mtu_bytes, memory_order_relaxed));
	json_put_number(object, "inner_mtu", atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed));
	json_put_number(object, "icmp_errors", counter_read(&sa->path.icmp_errors));
}

static json_t *policies_of(const struct gateway *gateway, const char *sa)
{
	json_t *list = json_array();

	for (size_t i = 0; i < gateway->n_policies; i++)
		if (policy_uses_sa(&gateway->policies[i], sa))
			json_array_append_new(list, json_string(gateway->policies[i].name));
	return list;
}

static int show_sa(struct request *request)
{
	const struct control *control = request->control;
	const char *name = NULL;
	const struct control_sa *found;
	struct sa_counters sum;
	int ret = request_string(request, "name", true, &name);

	if (ret != 0)
		return ret;
	found = sas_find(control, name);
	if (!found)
		return err_set(&request->err, ENOENT, "no SA is named '%s'", name);

	const struct sa *sa = control->sas[found->index];
	const struct sa_conf *conf = &control->gateway->sas[found->index];
	sa_counters_sum(sa, &sum);
	json_t *object = sa_json(sa, &sum);
	json_object_set_new(object, "esn", json_boolean(sa->esn));
	put_direction(object, sa, conf);
	if (sa->around)
		json_put_text(object, "around", sa->around->name);
	if (conf->peer)
		json_put_text(object, "peer", conf->peer);
	if (conf->for_peer)
		json_put_text(object, "for_peer", conf->for_peer);
	if (sa_is_in_udp(sa))
		put_encapsulation(object, sa, conf);
	if (sa->protocol == SA_IPCOMP)
		json_put_number(object, "uncompressed", sum.uncompressed);
	json_put_number(object, "dummies", sum.dummies);
	if (sum.last_tsc > 0)
		json_put_number(object, "idle_seconds", (rte_rdtsc() - sum.last_tsc) / rte_get_tsc_hz());
	if (sa->life)
		json_object_set_new(object, "life", life_json(sa));
	json_object_set_new(object, "drop_reasons", sa_drops_json(&sum));
	if (found->last_event)
		json_put_text(object, "last_event", found->last_event);
	json_object_set_new(object, "policies", policies_of(control->gateway, sa->name));
	json_object_set_new(request->result, "sa", object);
	return 0;
}

const struct command commands_show_sas[] = {
	{"show-sas", show_sas, "offset limit name address spi direction",
		"The SAs, a page at a time; those whose name matches a pattern, that have the address at "
		"either end, of that SPI, or of that direction (`in` or `out`)."},
	{"show-sa", show_sa, "name", "All that is known of one SA."},
	{0},
};

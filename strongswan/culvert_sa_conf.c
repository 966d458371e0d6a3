/* What of an SA that charon wants goes into its object of culvertd's `sas`. */
#include "culvert_algorithm.h"
#include "culvert_sas.h"
#include "culvert_text.h"

#include <stdio.h>

/* RFC 4303 section 3.4.3, and as many as culvert has: lib/model/sa_conf.h. */
#define REPLAY_WINDOW_MIN 32
#define REPLAY_WINDOW_MAX 16384
#define TFC_MTU           UINT32_MAX /* `tfc_padding = mtu` of a connection */
#define TFC_MAX           9000

static bool refuse(const struct culvert_sa *sa, const char *what)
{
	DBG1(DBG_KNL, "SA '%s': culvert has no %s", sa->name, what);
	return false;
}

/* What would make the SA carry other packets than charon means, or with less protection. */
static bool is_possible(const struct culvert_sa *sa, const kernel_ipsec_add_sa_t *data)
{
	if (data->mode != MODE_TUNNEL && data->mode != MODE_TRANSPORT)
		return refuse(sa, "BEET mode");
	if (data->ipcomp != IPCOMP_NONE)
		return refuse(sa, "IPComp by IKE");
	if (data->mark.value || data->mark.mask)
		return refuse(sa, "marks");
	if (data->interface)
		return refuse(sa, "policies for an interface");
	if (data->label)
		return refuse(sa, "security labels");
	if (data->hw_offload == HW_OFFLOAD_YES)
		return refuse(sa, "offload of single SAs to hardware");
	return true;
}

/* What differs a little, and leaves the SA as safe. */
static void differences_log(const struct culvert_sa *sa, const kernel_ipsec_add_sa_t *data)
{
	if (!data->copy_ecn)
		DBG1(DBG_KNL, "SA '%s': ECN is copied all the same (RFC 6040)", sa->name);
	if (data->copy_dscp == DSCP_COPY_YES || data->copy_dscp == DSCP_COPY_IN_ONLY)
		DBG1(DBG_KNL, "SA '%s': the DSCP is not copied to the inner header", sa->name);
}

static bool algorithm_put(const struct culvert_sa *sa, json_t *conf, const kernel_ipsec_add_sa_t *data)
{
	char keyword[CULVERT_ALGORITHM_MAX];
	const char *ah = culvert_ah_keyword(data->int_alg);

	if (sa->protocol == IPPROTO_ESP &&
		culvert_esp_keyword(data->enc_alg, data->enc_key.len, data->int_alg, keyword))
		return json_object_set_new(conf, "esp", json_string(keyword)) == 0;
	if (sa->protocol == IPPROTO_AH && ah)
		return json_object_set_new(conf, "ah", json_string(ah)) == 0;
	DBG1(DBG_KNL, "SA '%s': culvert does not know %N with %N", sa->name, encryption_algorithm_names,
		data->enc_alg, integrity_algorithm_names, data->int_alg);
	return false;
}

static void udp_put(const struct culvert_sa *sa, json_t *conf)
{
	json_object_set_new(conf, "encap", json_string("udp"));
	json_object_set_new(conf, "source_port", json_integer(sa->source->get_port(sa->source)));
	json_object_set_new(
		conf, "destination_port", json_integer(sa->destination->get_port(sa->destination)));
	if (sa->follows)
		json_object_set_new(conf, "follows", json_string(sa->follows->name));
}

/* The tunnel's header is made where it is sent. */
static void header_put(const struct culvert_sa *sa, json_t *conf, const kernel_ipsec_add_sa_t *data)
{
	bool copies = data->copy_dscp == DSCP_COPY_OUT_ONLY || data->copy_dscp == DSCP_COPY_YES;

	if (sa->inbound || data->mode != MODE_TUNNEL)
		return;
	if (sa->source->get_family(sa->source) == AF_INET)
		json_object_set_new(conf, "df", json_string(data->copy_df ? "copy" : "clear"));
	json_object_set_new(conf, "dscp", copies ? json_string("copy") : json_integer(0));
	if (data->tfc == TFC_MTU)
		json_object_set_new(conf, "tfc_padding", json_string("mtu"));
	else if (data->tfc > 0)
		json_object_set_new(conf, "tfc_padding", json_integer(min(data->tfc, TFC_MAX)));
}

/* Windows that charon has and culvert has not are made larger, but what no window can be. */
static void window_put(json_t *conf, const kernel_ipsec_add_sa_t *data)
{
	uint32_t window = data->replay_window;

	if (window > 0)
		window = min(max(window, REPLAY_WINDOW_MIN), REPLAY_WINDOW_MAX);
	json_object_set_new(conf, "replay_window", json_integer(window));
	json_object_set_new(conf, "esn", json_boolean(data->esn));
}

/* A soft limit that is not before the hard one is none. */
static void limit_put(json_t *conf, const char *unit, uint64_t soft, uint64_t hard)
{
	char key[CULVERT_NAME_MAX];

	if (soft > 0 && (hard == 0 || soft < hard)) {
		snprintf(key, sizeof(key), "rekey_%s", unit);
		json_object_set_new(conf, key, json_integer((json_int_t)soft));
	}
	if (hard > 0) {
		snprintf(key, sizeof(key), "life_%s", unit);
		json_object_set_new(conf, key, json_integer((json_int_t)hard));
	}
}

static void limits_put(json_t *conf, const lifetime_cfg_t *lifetime)
{
	limit_put(conf, "time", lifetime->time.rekey, lifetime->time.life);
	limit_put(conf, "bytes", lifetime->bytes.rekey, lifetime->bytes.life);
	limit_put(conf, "packets", lifetime->packets.rekey, lifetime->packets.life);
}

static json_t *ends_json(const struct culvert_sa *sa)
{
	return json_pack("{s:o, s:o}", "source", culvert_address(sa->source), "destination",
		culvert_address(sa->destination));
}

json_t *culvert_sa_conf(
	const struct culvert_sa *sa, const kernel_ipsec_add_sa_t *data, const struct culvert_key *key)
{
	json_t *conf;

	if (!is_possible(sa, data))
		return NULL;
	differences_log(sa, data);
	conf = ends_json(sa);
	if (!algorithm_put(sa, conf, data)) {
		json_decref(conf);
		return NULL;
	}
	json_object_set_new(conf, "spi", json_integer(ntohl(sa->spi)));
	json_object_set_new(conf, "mode", json_string(data->mode == MODE_TUNNEL ? "tunnel" : "transport"));
	json_object_set_new(conf, "key", culvert_key_place(key));
	/* Its key is of this run alone: nothing has to outlive it (docs/decisions/0007-sequence-numbers.md).
	 */
	json_object_set_new(conf, "allow_static_iv_reuse", json_true());
	window_put(conf, data);
	header_put(sa, conf, data);
	limits_put(conf, data->lifetime);
	if (sa->is_in_udp)
		udp_put(sa, conf);
	return conf;
}

json_t *culvert_sa_move(const struct culvert_sa *sa, host_t *source, host_t *destination, bool in_udp)
{
	json_t *move = json_pack("{s:o, s:o, s:s}", "source", culvert_address(source), "destination",
		culvert_address(destination), "encap", in_udp ? "udp" : "none");

	if (!in_udp)
		return move;
	json_object_set_new(move, "source_port", json_integer(source->get_port(source)));
	json_object_set_new(move, "destination_port", json_integer(destination->get_port(destination)));
	if (sa->follows)
		json_object_set_new(move, "follows", json_string(sa->follows->name));
	else
		json_object_set_new(move, "follows", json_null());
	return move;
}

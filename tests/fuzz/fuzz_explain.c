/*
 * libFuzzer target: bytes as the packet that `explain` is asked about. What can be read is explained for
 * either port of a gateway with tunnels of several kinds; the answer is whole, and no buffer stays with it.
 */
#include "control/explain.h"
#include "fuzz.h"
#include "support/eal.h"
#include "support/gateway.h"

#include <rte_mempool.h>

#include <string.h>

#define INPUT_BYTES_MAX 512
#define SITE                                                                                                 \
	"control: {directory: /run/fuzz, state_directory: /tmp}\n"                                           \
	"memory: {hugepages: false, packets: 4096}\n"                                                        \
	"workers: {lcores: [0]}\n"                                                                           \
	"ports:\n"                                                                                           \
	"  lan: {device: net_ring0, side: protected, addresses: [10.1.0.254/24, 'fd00:1::fe/64']}\n"         \
	"  wan: {device: net_ring1, side: unprotected, addresses: [192.0.2.1/24, 'fd00:9::1/64'], "          \
	"mtu: 1400}\n"                                                                                       \
	"routes: [{to: 198.51.100.0/24, via: 192.0.2.254}, {to: 'fd00:2::/64', via: 'fd00:9::fe'}]\n"        \
	"neighbours: [{port: wan, address: 192.0.2.254, mac: '02:00:5e:00:02:fe'}]\n"                        \
	"sas:\n"                                                                                             \
	"  out: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16,\n"             \
	"        key: '0x000102030405060708090a0b0c0d0e0f10111213'}\n"                                       \
	"  in: {spi: 0x2001, source: 198.51.100.1, destination: 192.0.2.1, esp: aes128gcm16,\n"              \
	"       key: '0x100102030405060708090a0b0c0d0e0f10111213'}\n"                                        \
	"policies:\n"                                                                                        \
	"  - {name: web, direction: out, action: bypass, protocol: tcp, destination_port: 443}\n"            \
	"  - {name: out, direction: out, action: protect, destination: [10.2.0.0/16, 'fd00:2::/64'], "       \
	"sas: [out]}\n"                                                                                      \
	"  - {name: in, direction: in, action: protect, source: [10.2.0.0/16, 'fd00:2::/64'], "              \
	"sas: [in]}\n"

static struct gateway_env env;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct err err;

	(void)argc, (void)argv;
	return eal_start() == 0 && gateway_env_try(&env, SITE, &err) == 0 ? 0 : -1;
}

static void require_answer(const struct explanation *explanation)
{
	char text[EXPLAIN_TEXT_MAX];

	require(explanation->n_steps > 0 && explanation->n_steps <= EXPLAIN_STEPS_MAX);
	for (unsigned i = 0; i < explanation->n_steps; i++)
		require(explain_step_text(&explanation->steps[i], text)[0] != '\0');
	require(explain_end_name(explanation->end)[0] != '\0');
	require(explanation->end != EXPLAIN_DROPPED || explanation->reason < DROP_COUNT);
	require(explain_end_text(&env.control, explanation, text)[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct explain_query query = {0};
	struct explanation explanation;
	char text[INPUT_BYTES_MAX + 1];
	unsigned buffers = rte_mempool_avail_count(env.control.ports.packets);
	struct err err;

	/* The last two bytes are what the text has not. */
	if (size < 2 || size > INPUT_BYTES_MAX)
		return -1;
	memcpy(text, data, size - 2);
	text[size - 2] = '\0';
	if (explain_query_parse(text, &query, &err) != 0) {
		require(err.text[0] != '\0');
		return 0;
	}
	require(query.flow.source.family == query.flow.destination.family);
	query.bytes = (uint16_t)(data[size - 1] << 3);
	query.df = data[size - 2] & 1;
	query.dscp = data[size - 2] >> 2;
	for (query.port = 0; query.port < env.gateway.n_ports; query.port++)
		if (explain(&env.control, &query, &explanation, &err) == 0)
			require_answer(&explanation);
	require(rte_mempool_avail_count(env.control.ports.packets) == buffers);
	return 0;
}

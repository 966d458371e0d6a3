/*
 * Prints the part of docs/architecture.md that shows a packet's way through the stages of net/stage_list.h.
 * Run by tools/gen-docs. The arrows follow datapath/pipeline.c; a stage that has none is an error, so that
 * one which is added to the list must be drawn.
 */
#include "net/stage_list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Where packets come from and go to that are in no stage. */
enum place { PORT_PROTECTED = STAGE_COUNT, PORT_UNPROTECTED, PORT_OUT, CONTROL, HOST, PLACE_COUNT };

struct arrow {
	int from;
	int to;
	const char *what; /* of the packets; NULL: all others */
};

#define S(name) STAGE_##name

/* clang-format off */
static const struct arrow outbound[] = {
	{PORT_PROTECTED, S(rx), NULL}, {S(rx), S(parse), NULL}, {S(parse), CONTROL, "ARP, neighbour discovery"},
	{S(parse), S(reass), NULL}, {S(reass), S(local), NULL}, {S(local), S(host), "for the gateway"},
	{S(host), S(route), "answers"}, {S(host), S(to_host), "IKE, and what spd_in lets in"}, {S(to_host), HOST, NULL},
	{HOST, S(from_host), "by control"}, {S(from_host), S(route), "IKE"}, {S(from_host), S(flows), NULL},
	{S(local), S(flows), NULL}, {S(flows), S(spd_out), NULL},
	{S(spd_out), S(icmp_error), "errors that no policy names"}, {S(icmp_error), S(alternatives), NULL},
	{S(spd_out), S(acquire), "PROTECT, no SA"}, {S(acquire), CONTROL, "what is wanted"},
	{S(spd_out), S(ttl), "BYPASS"}, {S(spd_out), S(alternatives), "PROTECT"}, {S(alternatives), S(ttl), NULL},
	{S(ttl), S(esp_out_mtu), "PROTECT"}, {S(ttl), S(route_mtu), "BYPASS"},
	{S(esp_out_mtu), S(frag), "too long"}, {S(frag), S(ipcomp_out), "pieces"},
	{S(esp_out_mtu), S(ipcomp_out), NULL}, {S(ipcomp_out), S(bundle), "IPComp"},
	{S(ipcomp_out), S(esp_out_prepare), "ESP"}, {S(ipcomp_out), S(ah_out_prepare), "AH"},
	{S(esp_out_prepare), S(crypto_run), NULL}, {S(ah_out_prepare), S(crypto_run), NULL},
	{S(crypto_run), S(crypto_poll), "in a device"}, {S(crypto_run), S(esp_out_finish), NULL},
	{S(crypto_poll), S(esp_out_finish), NULL}, {S(esp_out_finish), S(bundle), NULL},
	{S(bundle), S(ipcomp_out), "an SA around it"}, {S(bundle), S(natt_out), "in UDP"}, {S(natt_out), S(route), NULL},
	{S(route), S(route_mtu), NULL}, {S(bundle), S(esp_out_path), "to be cut afterwards"},
	{S(esp_out_path), S(route_mtu), NULL}, {S(bundle), S(route_mtu), NULL}, {S(route_mtu), S(neigh), NULL},
	{S(neigh), CONTROL, "neighbour not known"}, {S(neigh), S(tx), NULL}, {S(tx), PORT_OUT, NULL},
};

static const struct arrow inbound[] = {
	{PORT_UNPROTECTED, S(rx), NULL}, {S(rx), S(parse), NULL}, {S(parse), CONTROL, "ARP, neighbour discovery"},
	{S(parse), S(reass), NULL}, {S(reass), S(local), NULL}, {S(local), S(natt_in), "for the gateway"},
	{S(local), S(sad), "ESP, AH"}, {S(natt_in), S(sad), "ESP in UDP"}, {S(natt_in), S(flows), NULL},
	{S(local), S(flows), "clear"}, {S(flows), S(spd_in), NULL}, {S(spd_in), S(host), "for the gateway"},
	{S(natt_in), S(to_host), "IKE"}, {S(host), S(to_host), "not answered"}, {S(to_host), HOST, "by control"},
	{S(spd_in), CONTROL, "ICMP errors"}, {S(spd_in), S(ttl), "BYPASS"}, {S(sad), S(bundle), NULL},
	{S(bundle), S(esp_in_prepare), "ESP"}, {S(bundle), S(ah_in_prepare), "AH"}, {S(esp_in_prepare), S(crypto_run), NULL},
	{S(ah_in_prepare), S(crypto_run), NULL}, {S(crypto_run), S(crypto_poll), "in a device"},
	{S(crypto_run), S(esp_in_finish), "ESP"}, {S(crypto_run), S(ah_in_finish), "AH"},
	{S(crypto_poll), S(esp_in_finish), "ESP"}, {S(crypto_poll), S(ah_in_finish), "AH"},
	{S(esp_in_finish), S(ipcomp_in), NULL}, {S(ah_in_finish), S(ipcomp_in), NULL},
	{S(ipcomp_in), S(sad), "an SA inside it"}, {S(ipcomp_in), S(spd_in_selector), "by reass and flows"},
	{S(spd_in_selector), S(icmp_error), "errors that it may not carry"}, {S(icmp_error), S(replies), NULL},
	{S(spd_in_selector), S(replies), NULL}, {S(replies), S(mss_back), NULL}, {S(mss_back), S(split), NULL}, {S(split), S(host), "for the gateway"},
	{S(split), S(sad), "a tunnel in the tunnel"}, {S(split), S(spd_out), "out again"}, {S(split), S(ttl), NULL},
	{S(ttl), S(route_mtu), NULL}, {S(route_mtu), S(frag), "too long"}, {S(frag), S(neigh), "pieces"},
	{S(route_mtu), S(neigh), NULL}, {S(neigh), CONTROL, "neighbour not known"}, {S(neigh), S(tx), NULL},
	{S(tx), PORT_OUT, NULL},
};
/* clang-format on */

#define N(arrows) (sizeof(arrows) / sizeof((arrows)[0]))

static const char *const names[PLACE_COUNT] = {
#define X(name, text) [STAGE_##name] = #name,
	STAGES(X)
#undef X
		[PORT_PROTECTED] = "protected_port",
	[PORT_UNPROTECTED] = "unprotected_port",
	[PORT_OUT] = "port",
	[CONTROL] = "control",
	[HOST] = "this_host",
};

static const char *const texts[STAGE_COUNT] = {
#define X(name, text) [STAGE_##name] = text,
	STAGES(X)
#undef X
};

static bool is_drawn(int place, const struct arrow *arrows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (arrows[i].from == place || arrows[i].to == place)
			return true;
	return false;
}

static void print_graph(const char *title, const struct arrow *arrows, size_t n, bool *drawn)
{
	printf("\n### %s\n\n```mermaid\nflowchart TD\n", title);
	for (int place = STAGE_COUNT; place < PLACE_COUNT; place++)
		if (is_drawn(place, arrows, n))
			printf("\t%s([%s])\n", names[place], names[place]);
	for (size_t i = 0; i < n; i++) {
		drawn[arrows[i].from] = drawn[arrows[i].to] = true;
		printf("\t%s -->", names[arrows[i].from]);
		if (arrows[i].what)
			printf("|%s|", arrows[i].what);
		printf(" %s\n", names[arrows[i].to]);
	}
	puts("```");
}

int main(void)
{
	bool drawn[PLACE_COUNT] = {false};
	int undrawn = 0;

	puts("Each box is a stage of `net/stage_list.h`, each arrow a burst in `datapath/pipeline.c`. Beside "
	     "what is shown, each "
	     "stage drops\npackets by a [named reason](drop-reasons.md), and what can't be forwarded may be "
	     "answered "
	     "by ICMP.");
	print_graph("From the protected side", outbound, N(outbound), drawn);
	print_graph("From the unprotected side", inbound, N(inbound), drawn);
	puts("\n### The stages\n\n| stage | what it does |\n|---|---|");
	for (int stage = 0; stage < STAGE_COUNT; stage++) {
		printf("| `%s` | %s |\n", names[stage], texts[stage]);
		if (!drawn[stage]) {
			fprintf(stderr, "tools/docs/stage_docs.c: stage %s is not drawn\n", names[stage]);
			undrawn++;
		}
	}
	return undrawn == 0 ? 0 : 1;
}

/*
 * Faulty configurations, and exactly the findings that each yields. A table for each section of the file.
 *
 * Included by test_schema.c alone. Lines 1 to 4 are PORTS where a case has it.
 */
#ifndef CULVERT_TESTS_UNIT_CONFIG_BAD_CASES_H
#define CULVERT_TESTS_UNIT_CONFIG_BAD_CASES_H

struct bad_case {
	const char *text;
	const char *findings; /* as config_report_print prints them, without the file's name */
};

#define KEY_A "0x1111111111111111111111111111111111111111"
#define KEY_B "0x2222222222222222222222222222222222222222"

/* What `esp` takes. */
#define PORTS_ALONE                                                                                          \
	"ports:\n"                                                                                           \
	"  lan: {device: net_tap0, side: protected, addresses: [10.1.0.1/24, \"fd00:1::1/64\"]}\n"           \
	"  wan: {device: net_tap1, side: unprotected, addresses: [192.0.2.1/24, \"2001:db8::1/64\"]}\n"
#define PORTS "workers: {lcores: [1]}\n" PORTS_ALONE
#define SAS                                                                                                  \
	"sas:\n"                                                                                             \
	"  up: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A    \
	"}\n"                                                                                                \
	"  dn: {spi: 0x2001, source: 198.51.100.1, destination: 192.0.2.1, esp: aes128gcm16, key: " KEY_B    \
	"}\n"                                                                                                \
	"policies:\n"

/* clang-format off */
static const struct bad_case root_cases[] = {
	{"memory: {}\n",
	 "1:1: 'workers' is missing\n"
	 "1:1: 'ports' is missing\n"},
	{"workers: {lcores: [1]}\n",
	 "1:1: 'ports' is missing\n"},
	{PORTS "polices: []\n",
	 "5:1: unknown key 'polices' (did you mean 'policies'?)\n"},
	{PORTS "ports: {}\n",
	 "5:1: 'ports' is given twice; the first is in line 2\n"},
	{PORTS "sas:\n",
	 "5:5: sas: expects a mapping from names, not nothing\n"},
	{PORTS "routes: {}\n",
	 "5:9: routes: expects a list, not a mapping\n"},
	{PORTS "sas: []\n",
	 "5:6: sas: expects a mapping from names, not a list\n"},
	{PORTS "policies: 1\n",
	 "5:11: policies: expects a list, not a single value\n"},
	{PORTS "memory: []\n",
	 "5:9: memory: expects a mapping, not a list\n"},
	{PORTS "control: {directroy: /run}\n",
	 "5:11: control: unknown key 'directroy' (did you mean 'directory'?)\n"},
	{PORTS "control: {directory: }\n",
	 "5:22: control.directory: has no value\n"},
	{PORTS "frobnicate: 1\n",
	 "5:1: unknown key 'frobnicate'\n"},
	{PORTS "memory: {hugepages: yes}\n",
	 "5:21: memory.hugepages: expects true or false, not 'yes'\n"},
	{PORTS "memory: {size_mb: -1}\n",
	 "5:19: memory.size_mb: expects a whole number from 0 to 16777216, not '-1'\n"},
	{PORTS "memory: {size_mb: 1.5}\n",
	 "5:19: memory.size_mb: expects a whole number from 0 to 16777216, not '1.5'\n"},
	{PORTS "memory: {size_mb: 99999999999999999999999}\n",
	 "5:19: memory.size_mb: expects a whole number from 0 to 16777216, not '99999999999999999999999'\n"},
	{PORTS "memory: {size_mb: 16777217}\n",
	 "5:19: memory.size_mb: expects a whole number from 0 to 16777216, not '16777217'\n"},
	{PORTS "memory: {packets: 511}\n",
	 "5:19: memory.packets: expects 0 or a whole number from 512 to 4194304, not '511'\n"},
	{PORTS "memory: {packets: 4194305}\n",
	 "5:19: memory.packets: expects 0 or a whole number from 512 to 4194304, not '4194305'\n"},
	{PORTS "memory: {size_mb: 010}\n",
	 "5:19: memory.size_mb: expects a whole number from 0 to 16777216, not '010'\n"},
	{PORTS "memory: {size_mb: 0x}\n",
	 "5:19: memory.size_mb: expects a whole number from 0 to 16777216, not '0x'\n"},
	{PORTS "icmp: {accept: [too_big, echo]}\n",
	 "5:26: icmp.accept[1]: expects one of unreachable, too_big, time_exceeded, parameter_problem, not 'echo'\n"},
	{PORTS "icmp: {accept: too_big}\n",
	 "5:16: icmp.accept: expects a list, not a single value\n"},
	{PORTS "icmp: {path_mtu_min_ipv4: 67}\n",
	 "5:27: icmp.path_mtu_min_ipv4: expects a whole number from 68 to 9000, not '67'\n"},
	{PORTS "icmp: {path_mtu_min_ipv6: 1279}\n",
	 "5:27: icmp.path_mtu_min_ipv6: expects a whole number from 1280 to 9000, not '1279'\n"},
	{PORTS "icmp: {path_mtu_age_s: 299}\n",
	 "5:24: icmp.path_mtu_age_s: expects a whole number from 300 to 86400, not '299'\n"},
	{PORTS "host: {interface: an-interface-too-long}\n",
	 "5:19: host.interface: expects a name of 1 to 15 letters, digits, - and _, not 'an-interface-too-long'\n"},
	{PORTS "host: {interface: eth0.5}\n",
	 "5:19: host.interface: expects a name of 1 to 15 letters, digits, - and _, not 'eth0.5'\n"},
	{PORTS "host: {routes: [198.51.100.0/24]}\n",
	 "5:16: host.routes: 'interface' is missing, by which they would lead\n"},
	{PORTS "host: {interface: c0, routes: [peer]}\n",
	 "5:32: host.routes[0]: expects a prefix, as 192.0.2.0/24, not 'peer'\n"},
	{PORTS "memory: {size_mb: [1]}\n",
	 "5:19: memory.size_mb: expects a single value, not a list\n"},
};

static const struct bad_case workers_cases[] = {
	{"workers: {lcores: [1], crypto: [\"0000:41-00.0\"]}\n" PORTS_ALONE,
	 "1:33: workers.crypto[0]: expects one of ipsec_mb, aesni_gcm, aesni_mb, openssl or a PCI address, not '0000:41-00.0'\n"},
	{"workers: {}\n" PORTS_ALONE,
	 "1:10: workers: 'lcores' is missing\n"},
	{"workers: {lcores: []}\n" PORTS_ALONE,
	 "1:19: workers.lcores: expects at least 1, not 0\n"},
	{"workers: {lcores: 1}\n" PORTS_ALONE,
	 "1:19: workers.lcores: expects a list, not a single value\n"},
	{"workers: {lcores: [1, 2, 0x1]}\n" PORTS_ALONE,
	 "1:26: workers.lcores[2]: 0x1 is given twice\n"},
	{"workers: {lcores: [-1]}\n" PORTS_ALONE,
	 "1:20: workers.lcores[0]: expects a whole number from 0 to 1023, not '-1'\n"},
	{"workers: {lcores: [1024]}\n" PORTS_ALONE,
	 "1:20: workers.lcores[0]: expects a whole number from 0 to 1023, not '1024'\n"},
	{"workers: {lcores: [one]}\n" PORTS_ALONE,
	 "1:20: workers.lcores[0]: expects a whole number from 0 to 1023, not 'one'\n"},
	{"workers: {lcores: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64]}\n"
	 PORTS_ALONE,
	 "1:19: workers.lcores: expects at most 64, not 65\n"},
	{"workers: {lcores: [1], crypto: [aesni_gmc]}\n" PORTS_ALONE,
	 "1:33: workers.crypto[0]: expects one of ipsec_mb, aesni_gcm, aesni_mb, openssl or a PCI address, not 'aesni_gmc' (did you mean 'aesni_gcm'?)\n"},
	{"workers: {lcores: [1], crypto: [qat]}\n" PORTS_ALONE,
	 "1:33: workers.crypto[0]: expects one of ipsec_mb, aesni_gcm, aesni_mb, openssl or a PCI address, not 'qat'\n"},
	{"workers: {lcores: [1], crypto: [openssl, openssl]}\n" PORTS_ALONE,
	 "1:42: workers.crypto[1]: openssl is given twice\n"},
	{"workers: {lcores: [1], crypto: []}\n" PORTS_ALONE,
	 "1:32: workers.crypto: expects at least 1, not 0\n"},
	{"workers: {lcores: [1], crypto: [\"0000:41:00.9\"]}\n" PORTS_ALONE,
	 "1:33: workers.crypto[0]: expects one of ipsec_mb, aesni_gcm, aesni_mb, openssl or a PCI address, not '0000:41:00.9'\n"},
	{"workers: {lcores: [1], crypto_mode: asynch}\n" PORTS_ALONE,
	 "1:37: workers.crypto_mode: expects one of auto, sync, async, not 'asynch' (did you mean 'async'?)\n"},
	{"workers: {lcores: [1], idle_sleep_us: 10001}\n" PORTS_ALONE,
	 "1:39: workers.idle_sleep_us: expects a whole number from 0 to 10000, not '10001'\n"},
	{"workers: {lcores: [[1]]}\n" PORTS_ALONE,
	 "1:20: workers.lcores[0]: expects a single value, not a list\n"},
};

static const struct bad_case ports_cases[] = {
	{"workers: {lcores: [1]}\n" "ports:\n" "  lan: {}\n",
	 "3:8: ports.lan: 'device' is missing\n"
	 "3:8: ports.lan: 'side' is missing\n"},
	{"workers: {lcores: [1]}\n" "ports:\n" "  lan: 1\n",
	 "3:8: ports.lan: expects a mapping, not a single value\n"},
	{"workers: {lcores: [1]}\n" "ports:\n" "  'my lan': {device: a, side: protected}\n",
	 "3:3: ports: 'my lan' is not a name of 1 to 31 letters, digits, - and _\n"},
	{"workers: {lcores: [1]}\n"
	 "ports:\n"
	 "  nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn: {device: a, side: protected}\n",
	 "3:3: ports: 'nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn' is not a name of 1 to 31 letters, digits, - and _\n"},
	{"workers: {lcores: [1]}\n" "ports:\n" "  lan: {device: \"--vdev=x\", side: protected}\n",
	 "3:17: ports.lan.device: expects a PCI address or a DPDK device such as net_tap0,iface=lan, not '--vdev=x'\n"},
	{"workers: {lcores: [1]}\n" "ports:\n" "  lan: {device: \"net_tap0 -c\", side: protected}\n",
	 "3:17: ports.lan.device: expects a PCI address or a DPDK device such as net_tap0,iface=lan, not 'net_tap0 -c'\n"},
	{"workers: {lcores: [1]}\n" "ports:\n" "  lan: {device: net_tap0, side: inside}\n",
	 "3:33: ports.lan.side: expects one of protected, unprotected, not 'inside'\n"},
	{"workers: {lcores: [1]}\n"
	 "ports:\n"
	 "  lan: {device: net_tap0, side: protected, addresses: [10.1.0.1]}\n",
	 "3:56: ports.lan.addresses[0]: expects an address with its link's prefix length, as 192.0.2.1/24, not '10.1.0.1'\n"},
	{"workers: {lcores: [1]}\n"
	 "ports:\n"
	 "  lan: {device: net_tap0, side: protected, addresses: 10.1.0.1/24}\n",
	 "3:55: ports.lan.addresses: expects a list, not a single value\n"},
	{"workers: {lcores: [1]}\n"
	 "ports:\n"
	 "  lan: {device: net_tap0, side: protected, addresses: [10.1.0.300/24, 10.1.0.1/33]}\n",
	 "3:56: ports.lan.addresses[0]: expects an address with its link's prefix length, as 192.0.2.1/24, not '10.1.0.300/24'\n"
	 "3:71: ports.lan.addresses[1]: expects an address with its link's prefix length, as 192.0.2.1/24, not '10.1.0.1/33'\n"},
	{"workers: {lcores: [1]}\n"
	 "ports:\n"
	 "  lan: {device: net_tap0, side: protected, mtu: 1279}\n",
	 "3:49: ports.lan.mtu: expects a whole number from 1280 to 9000, not '1279'\n"},
	{"workers: {lcores: [1]}\n"
	 "ports:\n"
	 "  lan: {device: net_tap0, side: protected, mtu: 9001}\n",
	 "3:49: ports.lan.mtu: expects a whole number from 1280 to 9000, not '9001'\n"},
	{"workers: {lcores: [1]}\n"
	 "ports:\n"
	 "  lan: {device: net_tap0, side: protected, vlan: 0}\n",
	 "3:50: ports.lan.vlan: expects a whole number from 1 to 4094, not '0'\n"},
	{"workers: {lcores: [1]}\n"
	 "ports:\n"
	 "  lan: {device: net_tap0, side: protected, vlan: 4095}\n",
	 "3:50: ports.lan.vlan: expects a whole number from 1 to 4094, not '4095'\n"},
	{"workers: {lcores: [1]}\n"
	 "ports:\n"
	 "  lan: {device: net_tap0, side: protected, mut: 1500}\n",
	 "3:44: ports.lan: unknown key 'mut' (did you mean 'mtu'?)\n"},
	{"workers: {lcores: [1]}\n"
	 "ports:\n"
	 "  lan: {device: net_tap0, side: protected, mtu: 1500, mtu: 1400}\n",
	 "3:55: ports.lan: 'mtu' is given twice; the first is in line 3\n"},
	{"workers: {lcores: [1]}\n"
	 "ports:\n"
	 "  lan: {device: net_tap0, side: protected}\n"
	 "  lan: {device: net_tap1, side: unprotected}\n",
	 "4:3: ports: 'lan' is given twice; the first is in line 3\n"},
	{"workers: {lcores: [1]}\n" "ports:\n" "  lan: {device: net_tap0, side: protected}\n",
	 "3:3: ports: no port is on the unprotected side\n"},
	{"workers: {lcores: [1]}\n" "ports:\n" "  lan: {device: net_tap0, side: unprotected}\n",
	 "3:3: ports: no port is on the protected side\n"},
	{"workers: {lcores: [1]}\n"
	 "ports:\n"
	 "  lan: {device: \"net_tap0,iface=a\", side: protected}\n"
	 "  wan: {device: \"net_tap0,iface=b\", side: unprotected}\n",
	 "4:17: ports.wan.device: is the device of port 'lan' too\n"},
	{"workers: {lcores: [1]}\n"
	 "ports:\n"
	 "  lan: {device: \"0000:41:00.0\", side: protected}\n"
	 "  wan: {device: \"41:00.0\", side: unprotected}\n",
	 "4:17: ports.wan.device: is the device of port 'lan' too\n"},
	{"workers: {lcores: [1]}\n"
	 "ports:\n"
	 "  lan: {device: a, side: protected, addresses: [10.1.0.1/24]}\n"
	 "  wan: {device: b, side: unprotected, addresses: [10.1.0.1/24]}\n",
	 "4:51: ports.wan.addresses[0]: is an address of port 'lan' already\n"},
	{"workers: {lcores: [1]}\n"
	 "ports:\n"
	 "  lan: {device: a, side: protected, addresses: [10.1.0.1/24, 10.1.0.1/25]}\n"
	 "  wan: {device: b, side: unprotected}\n",
	 "3:62: ports.lan.addresses[1]: is an address of port 'lan' already\n"},
	{"workers: {lcores: [1]}\n"
	 "ports:\n"
	 "  lan: {device: a, side: protected, addresses: [10.1.0.1/16]}\n"
	 "  wan: {device: b, side: unprotected, addresses: [10.1.7.1/24]}\n",
	 "4:51: ports.wan.addresses[0]: overlaps a link of port 'lan'\n"},
	{"workers: {lcores: [1]}\n"
	 "ports:\n"
	 "  lan: {device: a, side: protected, addresses: [224.0.0.1/24, 0.0.0.0/0, 127.0.0.1/8, \"ff02::1/64\", \"::/0\", \"::1/128\", 255.255.255.255/32]}\n"
	 "  wan: {device: b, side: unprotected}\n",
	 "3:49: ports.lan.addresses[0]: 224.0.0.1 is a multicast address\n"
	 "3:63: ports.lan.addresses[1]: 0.0.0.0 is unspecified\n"
	 "3:74: ports.lan.addresses[2]: 127.0.0.1 is a loopback address\n"
	 "3:87: ports.lan.addresses[3]: ff02::1 is a multicast address\n"
	 "3:101: ports.lan.addresses[4]: :: is unspecified\n"
	 "3:109: ports.lan.addresses[5]: ::1 is a loopback address\n"
	 "3:120: ports.lan.addresses[6]: 255.255.255.255 is the broadcast address\n"},
	{"workers: {lcores: [1]}\n"
	 "ports:\n"
	 "  lan: {device: a, side: protected, addresses: [10.1.0.0/24, 10.2.0.255/24, 10.3.0.0/31]}\n"
	 "  wan: {device: b, side: unprotected}\n",
	 "3:49: ports.lan.addresses[0]: 10.1.0.0 is the address of the whole link, not of a host on it\n"
	 "3:62: ports.lan.addresses[1]: 10.2.0.255 is the link's broadcast address\n"},
};

static const struct bad_case routes_cases[] = {
	{PORTS "routes:\n" "  - {}\n",
	 "6:5: routes[0]: 'to' is missing\n"
	 "6:5: routes[0]: 'via' is missing\n"},
	{PORTS "routes:\n" "  - {to: 10.2.0.1/24, via: 192.0.2.254}\n",
	 "6:10: routes[0].to: has bits set after the first 24 (did you mean '10.2.0.0/24'?)\n"},
	{PORTS "routes:\n" "  - {to: everywhere, via: 192.0.2.254}\n",
	 "6:10: routes[0].to: expects a prefix, as 192.0.2.0/24, not 'everywhere'\n"},
	{PORTS "routes:\n" "  - {to: 0.0.0.0/0, via: gateway}\n",
	 "6:26: routes[0].via: expects an IPv4 or IPv6 address, not 'gateway'\n"},
	{PORTS "routes:\n" "  - {to: 0.0.0.0/0, via: \"2001:db8::2\"}\n",
	 "6:26: routes[0].via: is of another family than the destinations\n"},
	{PORTS "routes:\n" "  - {to: 0.0.0.0/0, via: 203.0.113.1}\n",
	 "6:26: routes[0].via: 203.0.113.1 is on no port's link\n"},
	{PORTS "routes:\n" "  - {to: 0.0.0.0/0, via: 192.0.2.1}\n",
	 "6:26: routes[0].via: 192.0.2.1 is the gateway's own address\n"},
	{PORTS "routes:\n" "  - {to: 0.0.0.0/0, via: 224.0.0.1}\n",
	 "6:26: routes[0].via: 224.0.0.1 is a multicast address\n"},
	{PORTS
	 "routes:\n"
	 "  - {to: 10.2.0.0/16, via: 192.0.2.254}\n"
	 "  - {to: \"::/0\", via: \"2001:db8::2\"}\n"
	 "  - {to: 10.2.0.0/16, via: 192.0.2.253}\n",
	 "8:10: routes[2].to: routes[0] is to the same prefix\n"},
	{PORTS "routes:\n" "  - 1\n",
	 "6:5: routes[0]: expects a mapping, not a single value\n"},
};

static const struct bad_case neighbours_cases[] = {
	{PORTS "neighbours:\n" "  - {}\n",
	 "6:5: neighbours[0]: 'port' is missing\n"
	 "6:5: neighbours[0]: 'address' is missing\n"
	 "6:5: neighbours[0]: 'mac' is missing\n"},
	{PORTS "neighbours:\n" "  - {port: wam, address: 192.0.2.254, mac: \"02:00:5e:00:02:fe\"}\n",
	 "6:12: neighbours[0].port: no port is named 'wam'\n"},
	{PORTS "neighbours:\n" "  - {port: wan, address: 10.1.0.7, mac: \"02:00:5e:00:02:fe\"}\n",
	 "6:26: neighbours[0].address: 10.1.0.7 is not on a link of port 'wan'\n"},
	{PORTS "neighbours:\n" "  - {port: wan, address: 192.0.2.1, mac: \"02:00:5e:00:02:fe\"}\n",
	 "6:26: neighbours[0].address: 192.0.2.1 is the gateway's own address\n"},
	{PORTS "neighbours:\n" "  - {port: wan, address: 192.0.2.254, mac: \"03:00:5e:00:02:fe\"}\n",
	 "6:44: neighbours[0].mac: expects a unicast MAC address, as 02:00:5e:00:00:01, not '03:00:5e:00:02:fe'\n"},
	{PORTS "neighbours:\n" "  - {port: wan, address: 192.0.2.254, mac: \"02:00:5e\"}\n",
	 "6:44: neighbours[0].mac: expects a unicast MAC address, as 02:00:5e:00:00:01, not '02:00:5e'\n"},
	{PORTS "neighbours:\n" "  - {port: wan, address: 192.0.2.254, mac: \"00:00:00:00:00:00\"}\n",
	 "6:44: neighbours[0].mac: expects a unicast MAC address, as 02:00:5e:00:00:01, not '00:00:00:00:00:00'\n"},
	{PORTS "neighbours:\n" "  - {port: wan, address: \"ff02::1\", mac: \"02:00:5e:00:02:fe\"}\n",
	 "6:26: neighbours[0].address: ff02::1 is a multicast address\n"},
	{PORTS
	 "neighbours:\n"
	 "  - {port: wan, address: 192.0.2.254, mac: \"02:00:5e:00:02:fe\"}\n"
	 "  - {port: wan, address: 192.0.2.254, mac: \"02:00:5e:00:02:ff\"}\n",
	 "7:26: neighbours[1].address: neighbours[0] has the same port and address\n"},
};

static const struct bad_case sas_cases[] = {
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", key_file: a}\n",
	 "6:143: sas.x.key_file: can't open the key file: No such file or directory\n"
	 "6:143: sas.x.key_file: 'key' is given too; expects one of the two\n"},
	{PORTS "sas:\n" "  x: {}\n",
	 "6:6: sas.x: 'spi' is missing\n"
	 "6:6: sas.x: 'source' is missing\n"
	 "6:6: sas.x: 'destination' is missing\n"
	 "6:6: sas.x: 'esp', 'ah' or 'ipcomp' is missing\n"
	 "6:6: sas.x: 'key' or 'key_file' is missing\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 255, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:12: sas.x.spi: expects a whole number from 256 to 4294967295, not '255'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x100000000, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:12: sas.x.spi: expects a whole number from 256 to 4294967295, not '0x100000000'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: -5, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:12: sas.x.spi: expects a whole number from 256 to 4294967295, not '-5'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: " KEY_A ", source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: 0x1001}\n",
	 "6:12: sas.x.spi: expects a whole number from 256 to 4294967295, not what looks like a key\n"
	 "6:125: sas.x.key: 2 bytes given, aes128gcm16 needs 20 (16 key + 4 salt)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:12: sas.x.spi: expects a whole number from 256 to 4294967295, not '0'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 1, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:12: sas.x.spi: expects a whole number from 256 to 4294967295, not '1'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 255, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:12: sas.x.spi: expects a whole number from 256 to 4294967295, not '255'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: \"aes128\", key: " KEY_A "}\n",
	 "6:71: sas.x.esp: encryption without integrity is forbidden (RFC 8221 section 4)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: \"aes256ctr\", key: " KEY_A "}\n",
	 "6:71: sas.x.esp: encryption without integrity is forbidden (RFC 8221 section 4)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: \"null\", key: " KEY_A "}\n",
	 "6:71: sas.x.esp: ESP without encryption and without integrity is forbidden (RFC 8221 section 4)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: \"null-null\", key: " KEY_A "}\n",
	 "6:71: sas.x.esp: ESP without encryption and without integrity is forbidden (RFC 8221 section 4)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: \"des-sha1\", key: " KEY_A "}\n",
	 "6:71: sas.x.esp: DES is forbidden (RFC 8221 section 5)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: \"3des-sha1\", key: " KEY_A "}\n",
	 "6:71: sas.x.esp: 3des-sha1 is advised against (RFC 8221 section 5); 'allow_insecure: true' on this SA accepts it\n"
	 "6:89: sas.x.key: 20 bytes given, 3des-sha1 needs 44 (24 key + 20 authentication)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: \"3des-sha256\", key: " KEY_A "}\n",
	 "6:71: sas.x.esp: 3des-sha256 is advised against (RFC 8221 section 5); 'allow_insecure: true' on this SA accepts it\n"
	 "6:91: sas.x.key: 20 bytes given, 3des-sha256 needs 56 (24 key + 32 authentication)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: \"aes128-md5\", key: " KEY_A "}\n",
	 "6:71: sas.x.esp: HMAC-MD5 is forbidden (RFC 8221 section 6)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: \"blowfish-sha256\", key: " KEY_A "}\n",
	 "6:71: sas.x.esp: Blowfish is forbidden (RFC 8221 section 5)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:28: sas.x.source: expects an IPv4 or IPv6 address, not '192.0.2'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: \"2001:db8::9\", esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:52: sas.x.destination: source and destination are of different families\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", mode: transport, df: copy, dscp: 0}\n",
	 "6:154: sas.x.df: transport mode keeps the packet's own IP header\n"
	 "6:166: sas.x.dscp: transport mode keeps the packet's own IP header\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, ah: sha256, key: " KEY_A "}\n",
	 "6:88: sas.x.ah: 'esp' is given too; further SAs of a bundle are SAs of their own\n"
	 "6:101: sas.x.key: 20 bytes given, null-sha256 needs 32 (32 authentication)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, ah: sha265, key: " KEY_A "}\n",
	 "6:70: sas.x.ah: expects the keyword of an integrity algorithm, as sha256, not 'sha265' (did you mean 'sha256'?)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 61440, source: 192.0.2.1, destination: 198.51.100.1, ipcomp: deflate, key: " KEY_A ", replay_window: 64, esn: true, allow_static_iv_reuse: true}\n",
	 "6:12: sas.x.spi: expects the CPI of IPComp, a whole number from 256 to 61439\n"
	 "6:87: sas.x.key: IPComp has no key\n"
	 "6:146: sas.x.replay_window: IPComp has no sequence numbers and no key\n"
	 "6:155: sas.x.esn: IPComp has no sequence numbers and no key\n"
	 "6:184: sas.x.allow_static_iv_reuse: IPComp has no sequence numbers and no key\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", mode: tunel}\n",
	 "6:139: sas.x.mode: expects one of tunnel, transport, not 'tunel' (did you mean 'tunnel'?)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm, key: " KEY_A "}\n",
	 "6:71: sas.x.esp: expects the keyword of an algorithm, as aes128gcm16 or aes256-sha256, not 'aes128gcm' (did you mean 'aes128gcm8'?)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: 3des, key: " KEY_A "}\n",
	 "6:71: sas.x.esp: encryption without integrity is forbidden (RFC 8221 section 4)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: 0x11111111111111111111111111111111}\n",
	 "6:89: sas.x.key: 16 bytes given, aes128gcm16 needs 20 (16 key + 4 salt)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128-md5, key: 0x1111111111111111111111111111111111111111111111111111111111111111}\n",
	 "6:71: sas.x.esp: HMAC-MD5 is forbidden (RFC 8221 section 6)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: des-sha1, key: 0x11111111111111111111111111111111111111111111111111111111}\n",
	 "6:71: sas.x.esp: DES is forbidden (RFC 8221 section 5)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: blowfish128-sha256, key: 0x111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111}\n",
	 "6:71: sas.x.esp: Blowfish is forbidden (RFC 8221 section 5)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: des-sha1, key: 0x11111111111111111111111111111111111111111111111111111111, allow_insecure: true}\n",
	 "6:71: sas.x.esp: DES is forbidden (RFC 8221 section 5)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: \"null\", key: 0x11111111111111111111111111111111}\n",
	 "6:71: sas.x.esp: ESP without encryption and without integrity is forbidden (RFC 8221 section 4)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128-sha265, key: 0x111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111}\n",
	 "6:71: sas.x.esp: expects the keyword of an algorithm, as aes128gcm16 or aes256-sha256, not 'aes128-sha265' (did you mean 'aes128-sha256'?)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: 3des-sha1, key: 0x1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111}\n",
	 "6:71: sas.x.esp: 3des-sha1 is advised against (RFC 8221 section 5); 'allow_insecure: true' on this SA accepts it\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: 3des-sha256, key: 0x1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111, allow_insecure: false}\n",
	 "6:71: sas.x.esp: 3des-sha256 is advised against (RFC 8221 section 5); 'allow_insecure: true' on this SA accepts it\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16iiv, key: 0x1111111111111111111111111111111111111111}\n",
	 "6:71: sas.x.esp: aes128gcm16iiv with a key from this file uses its nonces again after a restart (RFC 8750 section 7); 'allow_insecure: true' on this SA accepts it\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes256-sha256, key: " KEY_A "}\n",
	 "6:91: sas.x.key: 20 bytes given, aes256-sha256 needs 64 (32 key + 32 authentication)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: null-sha256, key: " KEY_A "}\n",
	 "6:89: sas.x.key: 20 bytes given, null-sha256 needs 32 (32 authentication)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: 0x111111111111111111111111111111111111111}\n",
	 "6:89: sas.x.key: expects hexadecimal digits after 0x, two a byte, at most 100 bytes\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: 0x1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111}\n",
	 "6:89: sas.x.key: expects hexadecimal digits after 0x, two a byte, at most 100 bytes\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: 1111111111111111111111111111111111111111}\n",
	 "6:89: sas.x.key: expects hexadecimal digits after 0x, two a byte, at most 100 bytes\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: 0x1g1g1g1g1g1g1g1g1g1g1g1g1g1g1g1g1g1g1g1g}\n",
	 "6:89: sas.x.key: expects hexadecimal digits after 0x, two a byte, at most 100 bytes\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: [" KEY_A "]}\n",
	 "6:89: sas.x.key: expects a single value, not a list\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16}\n",
	 "6:6: sas.x: 'key' or 'key_file' is missing\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key_file: missing.key}\n",
	 "6:94: sas.x.key_file: can't open the key file: No such file or directory\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, kye: " KEY_A "}\n",
	 "6:6: sas.x: 'key' or 'key_file' is missing\n"
	 "6:84: sas.x: unknown key 'kye' (did you mean 'key'?)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, " KEY_A ": key}\n",
	 "6:6: sas.x: 'key' or 'key_file' is missing\n"
	 "6:84: sas.x: unknown key what looks like a key\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", replay_window: 31}\n",
	 "6:148: sas.x.replay_window: expects 0 or a whole number from 32 to 16384, not '31'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", replay_window: 16385}\n",
	 "6:148: sas.x.replay_window: expects 0 or a whole number from 32 to 16384, not '16385'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", esn: true, replay_window: 0}\n",
	 "6:138: sas.x.esn: extended sequence numbers need anti-replay, but replay_window is 0\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", esn: 1}\n",
	 "6:138: sas.x.esn: expects true or false, not '1'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", df: clean}\n",
	 "6:137: sas.x.df: expects one of set, clear, copy, not 'clean' (did you mean 'clear'?)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", dscp: 64}\n",
	 "6:139: sas.x.dscp: expects one of copy, cs0, cs1, cs2, cs3, cs4, cs5, cs6, cs7, af11, af12, af13, af21, af22, af23, af31, af32, af33, af41, af42, af43, ef, le or a number from 0 to 63, not '64'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", dscp: coppy}\n",
	 "6:139: sas.x.dscp: expects one of copy, cs0, cs1, cs2, cs3, cs4, cs5, cs6, cs7, af11, af12, af13, af21, af22, af23, af31, af32, af33, af41, af42, af43, ef, le or a number from 0 to 63, not 'coppy' (did you mean 'copy'?)\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", life_time: 0}\n",
	 "6:144: sas.x.life_time: expects a time of at least a second and at most ten years, as 3600, 90m or 8h, not '0'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", life_time: 4000d}\n",
	 "6:144: sas.x.life_time: expects a time of at least a second and at most ten years, as 3600, 90m or 8h, not '4000d'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", life_bytes: 1X}\n",
	 "6:145: sas.x.life_bytes: expects a number of bytes, as 1000000, 512M or 2T, not '1X'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", life_bytes: M}\n",
	 "6:145: sas.x.life_bytes: expects a number of bytes, as 1000000, 512M or 2T, not 'M'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", life_bytes: 9000000T}\n",
	 "6:145: sas.x.life_bytes: expects a number of bytes, as 1000000, 512M or 2T, not '9000000T'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", rekey_time: 2h, life_time: 60m}\n",
	 "6:145: sas.x.rekey_time: is more than 'life_time'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", rekey_bytes: 2K, life_bytes: 2047}\n",
	 "6:146: sas.x.rekey_bytes: is more than 'life_bytes'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", rekey_packets: 11, life_packets: 10}\n",
	 "6:148: sas.x.rekey_packets: is more than 'life_packets'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", life_packets: 0}\n",
	 "6:147: sas.x.life_packets: expects a whole number from 1 to 9223372036854775807, not '0'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", tfc_padding: 9001}\n",
	 "6:146: sas.x.tfc_padding: expects one of mtu or a number from 0 to 9000, not '9001'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A ", dummy_rate: 1001}\n",
	 "6:145: sas.x.dummy_rate: expects a whole number from 0 to 1000, not '1001'\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: \"2001:db8::1\", destination: \"2001:db8:1::1\", esp: aes128gcm16, key: " KEY_A ", df: copy}\n",
	 "6:144: sas.x.df: the tunnel's header is IPv6, which has no DF flag\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 203.0.113.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:6: sas.x: neither source nor destination is the gateway's own address\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 10.1.0.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:6: sas.x: both ends are the gateway's own addresses\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 10.1.0.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:28: sas.x.source: 10.1.0.1 is an address of port 'lan', which is on the protected side\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 198.51.100.1, destination: 10.1.0.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:55: sas.x.destination: 10.1.0.1 is an address of port 'lan', which is on the protected side\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 224.0.0.5, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:52: sas.x.destination: 224.0.0.5 is a multicast address\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 127.0.0.1, destination: 192.0.2.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:28: sas.x.source: 127.0.0.1 is a loopback address\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n"
	 "  y: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_B "}\n",
	 "7:12: sas.y.spi: 0x00001001 is the SPI of 'x' too, with the same destination\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n"
	 "  y: {spi: 0x1002, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "7:6: sas.y: has the same key as 'x'; each SA needs its own\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n"
	 "  a.b: {spi: 0x1002, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_B "}\n",
	 "7:3: sas: 'a.b' is not a name of 1 to 63 letters, digits, - and _\n"},
	{PORTS
	 "sas:\n"
	 "  x: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n"
	 "  " KEY_B ": {spi: 0x1002, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16}\n",
	 "7:3: sas: what looks like a key is not a name of 1 to 63 letters, digits, - and _\n"},
	/* ESP in UDP. */
	{PORTS "sas:\n" "  x: {encap: tcp, spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:14: sas.x.encap: expects one of none, udp, not 'tcp' (did you mean 'udp'?)\n"},
	{PORTS "sas:\n" "  x: {source_port: 4501, spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:20: sas.x.source_port: needs encap: udp\n"},
	{PORTS "sas:\n" "  x: {destination_port: 4501, spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:25: sas.x.destination_port: needs encap: udp\n"},
	{PORTS "sas:\n" "  x: {bare_esp: true, spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:17: sas.x.bare_esp: needs encap: udp\n"},
	{PORTS "sas:\n" "  x: {udp_checksum: zero, spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:21: sas.x.udp_checksum: needs encap: udp\n"},
	{PORTS "sas:\n" "  x: {keepalive: 20, spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:18: sas.x.keepalive: needs encap: udp\n"},
	{PORTS "sas:\n" "  x: {lookup: spi, mode: transport, spi: 0x2001, source: 198.51.100.1, destination: 192.0.2.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:15: sas.x.lookup: by SPI alone a packet may have any ends, but in transport mode they are the SA's\n"},
	{PORTS "sas:\n" "  x: {lookup: source, ipcomp: deflate, spi: 0x301, source: 198.51.100.1, destination: 192.0.2.1}\n",
	 "6:15: sas.x.lookup: IPComp is found by its CPI and destination (RFC 3173 section 3.3)\n"},
	{PORTS "sas:\n" "  x: {follows: dn, spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:16: sas.x.follows: needs encap: udp\n"},
	{PORTS "sas:\n" "  x: {encap: udp, spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, ah: sha1, key: '0x000102030405060708090a0b0c0d0e0f10111213'}\n",
	 "6:14: sas.x.encap: needs ESP\n"},
	{PORTS "sas:\n" "  x: {source_port: 0, encap: udp, spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:20: sas.x.source_port: expects a whole number from 1 to 65535, not '0'\n"},
	{PORTS "sas:\n" "  x: {destination_port: 65536, encap: udp, spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:25: sas.x.destination_port: expects a whole number from 1 to 65535, not '65536'\n"},
	{PORTS "sas:\n" "  x: {keepalive: 3601, encap: udp, spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:18: sas.x.keepalive: expects a whole number from 0 to 3600, not '3601'\n"},
	{PORTS "sas:\n" "  x: {udp_checksum: zero, encap: udp, spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:21: sas.x.udp_checksum: needs a tunnel over IPv6; over IPv4 it is always zero (RFC 3948 section 2.1)\n"},
	{PORTS "sas:\n" "  x: {bare_esp: maybe, encap: udp, spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:17: sas.x.bare_esp: expects true or false, not 'maybe'\n"},
	{PORTS "sas:\n" "  x: {follows: dn, encap: udp, spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:16: sas.x.follows: 'dn' is the name of no SA\n"},
	{PORTS "sas:\n" "  x: {bare_esp: false, encap: udp, spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:17: sas.x.bare_esp: the SA is outbound, and sends in UDP only\n"},
	{PORTS "sas:\n" "  x: {keepalive: 20, encap: udp, spi: 0x1001, source: 198.51.100.1, destination: 192.0.2.1, esp: aes128gcm16, key: " KEY_A "}\n",
	 "6:18: sas.x.keepalive: the SA is inbound; the outbound one sends keepalives\n"},
};

/* SAs that a policy may have as alternatives: up is outbound, dn is inbound, and so on. */
#define UP(name, spi, key, more)                                                                             \
	"  " name ": {" more " spi: " spi ", source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: "  \
	key "}\n"
#define DN(name, spi, key, more)                                                                             \
	"  " name ": {" more " spi: " spi ", source: 198.51.100.1, destination: 192.0.2.1, esp: aes128gcm16, key: "  \
	key "}\n"
#define KEY_C "0x3333333333333333333333333333333333333333"
#define ALTERNATIVES(sas)                                                                                    \
	"policies:\n"                                                                                        \
	"  - {name: p, direction: out, action: protect, sas: [up], alternatives: [" sas "]}\n"

static const struct bad_case alternatives_cases[] = {
	{PORTS "sas:\n" UP("up", "0x1001", KEY_A, "") UP("x", "0x1002", KEY_B, "") ALTERNATIVES("x"),
	 "9:74: policies[0].alternatives[0]: 'x' has neither for_dscp, for_worker, after nor for_peer, so that nothing is left for 'up'\n"},
	{PORTS "sas:\n" UP("up", "0x1001", KEY_A, "for_worker: 0,") UP("x", "0x1002", KEY_B, "for_worker: 0,")
	 ALTERNATIVES("x"),
	 "9:54: policies[0].sas[0]: 'up' has for_worker, which is for alternatives; 'sas' is for what they leave\n"},
	{PORTS "sas:\n" UP("up", "0x1001", KEY_A, "for_dscp: ef,") UP("x", "0x1002", KEY_B, "after: dn,")
	 ALTERNATIVES("x"),
	 "7:14: sas.x.after: no SA is named 'dn'\n"
	 "9:54: policies[0].sas[0]: 'up' has for_dscp, which is for alternatives; 'sas' is for what they leave\n"},
	{PORTS "sas:\n" UP("up", "0x1001", KEY_A, "") UP("x", "0x1002", KEY_B, "after: up,") ALTERNATIVES("x"),
	 "7:14: sas.x.after: 'up' is outbound, and accepts no packets\n"},
	{PORTS "sas:\n" UP("up", "0x1001", KEY_A, "") UP("x", "0x1002", KEY_B, "for_worker: [0, 1],") ALTERNATIVES("x"),
	 "7:19: sas.x.for_worker: there is no worker 1; the last is 0\n"},
	{PORTS "sas:\n" UP("up", "0x1001", KEY_A, "") UP("x", "0x1002", KEY_B, "for_worker: 64,") ALTERNATIVES("x"),
	 "7:19: sas.x.for_worker: expects a whole number from 0 to 63, not '64'\n"},
	{PORTS "sas:\n" DN("dn", "0x2001", KEY_A, "for_dscp: ef,"),
	 "6:18: sas.dn.for_dscp: 'dn' is inbound; only an outbound SA is chosen\n"},
	{PORTS "sas:\n" DN("dn", "0x2001", KEY_A, "for_worker: 0,"),
	 "6:20: sas.dn.for_worker: 'dn' is inbound; only an outbound SA is chosen\n"},
	{PORTS "sas:\n" DN("dn", "0x2001", KEY_A, "after: dn,"),
	 "6:15: sas.dn.after: 'dn' is inbound; only an outbound SA is chosen\n"},
	{PORTS "sas:\n" UP("up", "0x1001", KEY_A, "for_dscp: [ef, copy, 64],"),
	 "6:23: sas.up.for_dscp[1]: expects one of cs0, cs1, cs2, cs3, cs4, cs5, cs6, cs7, af11, af12, af13, af21, af22, af23, af31, af32, af33, af41, af42, af43, ef, le or a number from 0 to 63, not 'copy'\n"
	 "6:29: sas.up.for_dscp[2]: expects one of cs0, cs1, cs2, cs3, cs4, cs5, cs6, cs7, af11, af12, af13, af21, af22, af23, af31, af32, af33, af41, af42, af43, ef, le or a number from 0 to 63, not '64'\n"},
	{PORTS "sas:\n" UP("up", "0x1001", KEY_A, "") UP("x", "0x1002", KEY_B, "for_dscp: [ef, af41],")
	 UP("y", "0x1003", KEY_C, "for_dscp: 34, for_worker: 0,") ALTERNATIVES("x, y"),
	 "10:77: policies[0].alternatives[1]: 'x' before it is for all of its packets\n"},
	{PORTS "sas:\n" DN("dn", "0x2001", KEY_A, "for_peer: bob,"),
	 "6:18: sas.dn.for_peer: 'dn' is inbound; only an outbound SA is chosen\n"},
	{PORTS "sas:\n" UP("up", "0x1001", KEY_A, "peer: bob,"),
	 "6:14: sas.up.peer: 'up' is outbound; 'for_peer' says which peer's flows it answers\n"},
	{PORTS "sas:\n" UP("up", "0x1001", KEY_A, "for_peer: bob,") DN("dn", "0x2001", KEY_B, "peer: alice,"),
	 "6:18: sas.up.for_peer: no inbound SA has the peer 'bob'\n"},
	{PORTS "sas:\n" UP("up", "0x1001", KEY_A, "peer: bob,") UP("x", "0x1002", KEY_B, "for_peer: bob,"),
	 "6:14: sas.up.peer: 'up' is outbound; 'for_peer' says which peer's flows it answers\n"
	 "7:17: sas.x.for_peer: no inbound SA has the peer 'bob'\n"},
	{PORTS "sas:\n" UP("up", "0x1001", KEY_A, "for_peer: 'b b',"),
	 "6:18: sas.up.for_peer: expects a name of 1 to 63 letters, digits, - and _, not 'b b'\n"},
	{PORTS "sas:\n" UP("up", "0x1001", KEY_A, "for_peer: bob,") DN("dn", "0x2001", KEY_B, "peer: bob,")
	 "policies:\n  - {name: p, direction: out, action: protect, sas: [up]}\n",
	 "9:54: policies[0].sas[0]: 'up' has for_peer, which is for alternatives; 'sas' is for what they leave\n"},
	{PORTS "sas:\n" UP("up", "0x1001", KEY_A, "") UP("x", "0x1002", KEY_B, "for_peer: bob,")
	 UP("y", "0x1003", KEY_C, "for_peer: bob, for_dscp: ef,")
	 DN("dn", "0x2001", "0x4444444444444444444444444444444444444444", "peer: bob,") ALTERNATIVES("x, y"),
	 "11:77: policies[0].alternatives[1]: 'x' before it is for all of its packets\n"},
	/* Without `sas` nothing need be left for it. */
	{PORTS "sas:\n" UP("up", "0x1001", KEY_A, "") UP("x", "0x1002", KEY_B, "for_dscp: ef,")
	 "policies:\n  - {name: p, direction: out, action: protect, sas: [], alternatives: [up, x]}\n",
	 "9:76: policies[0].alternatives[1]: 'up' before it is for all of its packets\n"},
};

static const struct bad_case policies_cases[] = {
	{PORTS SAS
	 "  - {name: p, direction: inn, action: protect, sas: [up], destination: x, source: \"fd00::/8\"}\n",
	 "9:26: policies[0].direction: expects one of in, out, not 'inn' (did you mean 'in'?)\n"
	 "9:72: policies[0].destination: expects an address, a prefix or a range (first-last), not 'x'\n"},
	{PORTS SAS "  - {}\n",
	 "9:5: policies[0]: 'name' is missing\n"
	 "9:5: policies[0]: 'direction' is missing\n"
	 "9:5: policies[0]: 'action' is missing\n"},
	{PORTS SAS "  - {name: p, direction: out, acton: bypass}\n",
	 "9:5: policies[0]: 'action' is missing\n"
	 "9:31: policies[0]: unknown key 'acton' (did you mean 'action'?)\n"},
	{PORTS SAS "  - {name: p, direction: outward, action: bypass}\n",
	 "9:26: policies[0].direction: expects one of in, out, not 'outward'\n"},
	{PORTS SAS "  - {name: p, direction: out, action: allow}\n",
	 "9:39: policies[0].action: expects one of protect, bypass, discard, not 'allow'\n"},
	{PORTS SAS "  - {name: p q, direction: out, action: bypass}\n",
	 "9:12: policies[0].name: expects a name of 1 to 63 letters, digits, - and _, not 'p q'\n"},
	{PORTS SAS "  - {name: p, direction: out, action: protect}\n",
	 "9:5: policies[0]: 'sas' is missing; action protect needs an SA, or '[]' for none yet\n"},
	{PORTS SAS "  - {name: p, direction: out, action: bypass, sas: []}\n",
	 "9:52: policies[0].sas: only action protect uses an SA\n"},
	{PORTS SAS "  - {name: p, direction: out, action: bypass, tell_sender: true}\n",
	 "9:60: policies[0].tell_sender: needs action protect and direction out\n"},
	{PORTS SAS "  - {name: p, direction: in, action: protect, sas: [], tell_sender: true}\n",
	 "9:69: policies[0].tell_sender: needs action protect and direction out\n"},
	{PORTS SAS "  - {name: p, direction: out, action: protect, sas: up}\n",
	 "9:53: policies[0].sas: expects a list, not a single value\n"},
	{PORTS SAS "  - {name: p, direction: out, action: protect, sas: [up, up]}\n",
	 "9:58: policies[0].sas[1]: 'up' is in the bundle twice\n"},
	{PORTS SAS "  - {name: p, direction: out, action: bypass, sas: [up]}\n",
	 "9:52: policies[0].sas: only action protect uses an SA\n"},
	{PORTS SAS "  - {name: p, direction: out, action: protect, sas: [upp]}\n",
	 "9:54: policies[0].sas[0]: no SA is named 'upp'\n"},
	{PORTS SAS "  - {name: p, direction: out, action: protect, sas: [dn]}\n",
	 "9:54: policies[0].sas[0]: 'dn' is inbound (its destination is this gateway), the policy is outbound\n"},
	{PORTS SAS "  - {name: p, direction: in, action: protect, sas: [up]}\n",
	 "9:53: policies[0].sas[0]: 'up' is outbound (its destination is not this gateway), the policy is inbound\n"},
	{PORTS SAS "  - {name: p, direction: out, action: bypass, alternatives: [up]}\n",
	 "9:61: policies[0].alternatives: only action protect uses SAs\n"},
	{PORTS SAS "  - {name: p, direction: out, action: protect, alternatives: [up]}\n",
	 "9:5: policies[0]: 'sas' is missing; action protect needs an SA, or '[]' for none yet\n"},
	{PORTS SAS "  - {name: p, direction: out, action: protect, sas: [up], alternatives: []}\n",
	 "9:73: policies[0].alternatives: expects at least 1, not 0\n"},
	{PORTS SAS "  - {name: p, direction: out, action: protect, sas: [up], alternatives: [nn, dn]}\n",
	 "9:74: policies[0].alternatives[0]: no SA is named 'nn'\n"
	 "9:78: policies[0].alternatives[1]: 'dn' is inbound (its destination is this gateway), the policy is outbound\n"},
	{PORTS SAS "  - {name: p, direction: in, action: protect, sas: [dn], alternatives: [dn]}\n",
	 "9:73: policies[0].alternatives[0]: 'dn' is an SA of this policy already\n"},
	{PORTS SAS "  - {name: p, direction: oot, action: protect, sas: [up], alternatives: [up]}\n",
	 "9:26: policies[0].direction: expects one of in, out, not 'oot' (did you mean 'out'?)\n"},
	{PORTS SAS
	 "  - {name: p, direction: out, action: bypass}\n"
	 "  - {name: p, direction: in, action: bypass}\n",
	 "10:12: policies[1].name: policies[0] has the same name\n"},
	{PORTS SAS
	 "  - {name: p, direction: out, action: bypass, source: 10.1.0.0/24, destination: \"fd00::/8\"}\n",
	 "9:5: policies[0]: matches nothing: source and destination are of different families\n"},
	{PORTS SAS "  - {name: p, direction: out, action: bypass, source: 10.1.0.1/24}\n",
	 "9:55: policies[0].source: has bits set after the first 24 (did you mean '10.1.0.0/24'?)\n"},
	{PORTS SAS
	 "  - {name: p, direction: out, action: bypass, source: [10.1.0.9-10.1.0.3, 10.1.0.1-fd00::1, x]}\n",
	 "9:56: policies[0].source[0]: expects an address, a prefix or a range (first-last), not '10.1.0.9-10.1.0.3'\n"
	 "9:75: policies[0].source[1]: expects an address, a prefix or a range (first-last), not '10.1.0.1-fd00::1'\n"
	 "9:93: policies[0].source[2]: expects an address, a prefix or a range (first-last), not 'x'\n"},
	{PORTS SAS "  - {name: p, direction: out, action: bypass, source: []}\n",
	 "9:55: policies[0].source: expects at least 1, not 0\n"},
	{PORTS SAS "  - {name: p, direction: out, action: bypass, source: {a: b}}\n",
	 "9:55: policies[0].source: expects a single value, not a mapping\n"},
	{PORTS SAS "  - {name: p, direction: out, action: bypass, protocol: 256}\n",
	 "9:57: policies[0].protocol: expects one of any, opaque, mobility, tcp, udp, icmp, icmpv6, sctp, dccp, udplite, esp, ah, gre, igmp, ospf, pim, vrrp, l2tp or a number from 0 to 255, not '256'\n"},
	{PORTS SAS "  - {name: p, direction: out, action: bypass, protocol: udpp}\n",
	 "9:57: policies[0].protocol: expects one of any, opaque, mobility, tcp, udp, icmp, icmpv6, sctp, dccp, udplite, esp, ah, gre, igmp, ospf, pim, vrrp, l2tp or a number from 0 to 255, not 'udpp' (did you mean 'udp'?)\n"},
	{PORTS SAS "  - {name: p, direction: out, action: bypass, source_port: 80}\n",
	 "9:60: policies[0].source_port: needs protocol tcp, udp, sctp, dccp or udplite\n"},
	{PORTS SAS
	 "  - {name: p, direction: out, action: bypass, protocol: icmp, destination_port: 80}\n",
	 "9:81: policies[0].destination_port: needs protocol tcp, udp, sctp, dccp or udplite\n"},
	{PORTS SAS
	 "  - {name: p, direction: out, action: bypass, protocol: udp, destination_port: 65536}\n",
	 "9:80: policies[0].destination_port: expects a number from 0 to 65535, a range of them (first-last) or opaque, not '65536'\n"},
	{PORTS SAS
	 "  - {name: p, direction: out, action: bypass, protocol: udp, destination_port: 90-80}\n",
	 "9:80: policies[0].destination_port: expects a number from 0 to 65535, a range of them (first-last) or opaque, not '90-80'\n"},
	{PORTS SAS
	 "  - {name: p, direction: out, action: bypass, protocol: udp, source_port: 1-2-3}\n",
	 "9:75: policies[0].source_port: expects a number from 0 to 65535, a range of them (first-last) or opaque, not '1-2-3'\n"},
	{PORTS SAS
	 "  - {name: p, direction: out, action: bypass, protocol: udp, source_port: http}\n",
	 "9:75: policies[0].source_port: expects a number from 0 to 65535, a range of them (first-last) or opaque, not 'http'\n"},
	{PORTS SAS "  - {name: p, direction: out, action: bypass, protocol: tcp, icmp_type: 8}\n",
	 "9:73: policies[0].icmp_type: needs protocol icmp or icmpv6\n"},
	{PORTS SAS "  - {name: p, direction: out, action: bypass, protocol: tcp, mobility_type: 8}\n",
	 "9:77: policies[0].mobility_type: needs protocol mobility\n"},
	{PORTS SAS "  - {name: p, direction: out, action: bypass, protocol: mobility, mobility_type: 256}\n",
	 "9:82: policies[0].mobility_type: expects a number from 0 to 255, a range of them (first-last) or opaque, not '256'\n"},
	{PORTS SAS "  - {name: p, direction: out, action: bypass, protocol: udp, source_port: 1, destination_port: opaque}\n",
	 "9:96: policies[0].destination_port: matches nothing: one of two is opaque, and packets have both or none\n"},
	{PORTS SAS "  - {name: p, direction: out, action: bypass, protocol: icmp, icmp_type: opaque, icmp_code: 1}\n",
	 "9:93: policies[0].icmp_code: matches nothing: one of two is opaque, and packets have both or none\n"},
	{PORTS SAS "  - {name: p, direction: out, action: bypass, protocol: opaque, source: 10.0.0.0/8}\n",
	 "9:57: policies[0].protocol: matches nothing: only in IPv6 packets it can be opaque\n"},
	{PORTS SAS "  - {name: p, direction: out, action: bypass, icmp_code: 0}\n",
	 "9:58: policies[0].icmp_code: needs protocol icmp or icmpv6\n"},
	{PORTS SAS
	 "  - {name: p, direction: out, action: bypass, protocol: icmp, icmp_type: 256}\n",
	 "9:74: policies[0].icmp_type: expects a number from 0 to 255, a range of them (first-last) or opaque, not '256'\n"},
	{PORTS SAS
	 "  - {name: p, direction: out, action: bypass, protocol: icmpv6, icmp_code: 0-256}\n",
	 "9:76: policies[0].icmp_code: expects a number from 0 to 255, a range of them (first-last) or opaque, not '0-256'\n"},
	{PORTS SAS
	 "  - {name: p, direction: out, action: protect, sas: [up], source_port: 1, protocol: nonsense}\n",
	 "9:85: policies[0].protocol: expects one of any, opaque, mobility, tcp, udp, icmp, icmpv6, sctp, dccp, udplite, esp, ah, gre, igmp, ospf, pim, vrrp, l2tp or a number from 0 to 255, not 'nonsense'\n"},
};

/* clang-format on */

#endif

# shellcheck shell=bash disable=SC2154,SC2034 # the other files use and set variables too
# The two gateways, a and b: keys, configurations, start, stop and statistics. Both modes of the demonstration use it.
#
# Site a is number 1, site b number 2. IPv4 travels in IPv6 with AES-GCM, IPv6 in IPv4 with AES-CBC and HMAC-SHA-256,
# so that each family is seen inside and outside, and both kinds of algorithm too.

gcm_bytes=20 # 16 key, 4 salt
cbc_bytes=64 # 32 key, 32 authentication key
# What the two tunnels leave of 1500 bytes. RFC 4303 section 2: SPI and sequence number 8, trailer 2.
mtu_v4=1426 # 1500 - 40 IPv6 - 8 ESP - 8 IV - 16 ICV = 1428, a multiple of 4, less 2
mtu_v6=1438 # 1500 - 20 IPv4 - 8 ESP - 16 IV - 16 ICV = 1440, a multiple of 16, less 2

random_hex() { # bytes
	od -An -v -tx1 -N "$1" /dev/urandom | tr -d ' \n'
}

# culvertd refuses a key file that others may read.
keys_make() (
	umask 077
	for way in a-to-b b-to-a; do
		random_hex $gcm_bytes >"$work/$way-v4.key"
		random_hex $cbc_bytes >"$work/$way-v6.key"
	done
)

# The first two CPUs that this process may use are the workers'; with one CPU it is both.
cpus_choose() {
	mapfile -t cpu < <("$python" -c 'import os; print(*sorted(os.sched_getaffinity(0)), sep="\n")')
	cpu[1]=${cpu[1]:-${cpu[0]}}
}

# Both gateways have the same SAs; which are inbound follows from their addresses.
sas_write() {
	cat <<YAML
sas:
  a-to-b-v4: {spi: 0x1004, source: "2001:db8::1", destination: "2001:db8::2", esp: aes128gcm16, key_file: a-to-b-v4.key}
  b-to-a-v4: {spi: 0x2004, source: "2001:db8::2", destination: "2001:db8::1", esp: aes128gcm16, key_file: b-to-a-v4.key}
  a-to-b-v6: {spi: 0x1006, source: 192.0.2.1, destination: 192.0.2.2, esp: aes256-sha256, key_file: a-to-b-v6.key}
  b-to-a-v6: {spi: 0x2006, source: 192.0.2.2, destination: 192.0.2.1, esp: aes256-sha256, key_file: b-to-a-v6.key}
YAML
}

# Write the configuration of a site; the caller appends `neighbours` where nobody answers ARP.
gateway_config() { # site, peer, its number, the peer's number, CPU, device of lan, device of wan
	local site=$1 peer=$2 n=$3 p=$4
	cat >"$work/$site.yaml" <<YAML
control: {directory: $work/$site, state_directory: $work/$site}
memory: {hugepages: false}
workers: {lcores: [$5], idle_sleep_us: 50}
ports:
  lan: {device: "$6", side: protected, addresses: [10.$n.0.1/24, "fd00:$n::1/64"]}
  wan: {device: "$7", side: unprotected, addresses: [192.0.2.$n/24, "2001:db8::$n/64"]}
$(sas_write)
policies:
  - {name: v4-out, direction: out, action: protect, source: 10.$n.0.0/24, destination: 10.$p.0.0/24, sas: [$site-to-$peer-v4]}
  - {name: v4-in, direction: in, action: protect, source: 10.$p.0.0/24, destination: 10.$n.0.0/24, sas: [$peer-to-$site-v4]}
  - {name: v6-out, direction: out, action: protect, source: "fd00:$n::/64", destination: "fd00:$p::/64", sas: [$site-to-$peer-v6]}
  - {name: v6-in, direction: in, action: protect, source: "fd00:$p::/64", destination: "fd00:$n::/64", sas: [$peer-to-$site-v6]}
YAML
}

# A gateway that has ended: its exit code, its statistics, and their balance.
gateway_ended() { # site
	[ "$exit_code" -eq 0 ] || fail "gateway $1 ended with exit code $exit_code"
	show <"$work/gateway-$1.out"
	balance_check "$1"
}

# Nothing may be lost without a name: what came in or was made went out, was dropped for a reason, or is held.
balance_check() { # site
	local received generated sent dropped consumed held name value
	while IFS='=' read -r name value; do
		case $name in
		received | generated | sent | dropped | consumed | held) printf -v "$name" %d "$value" ;;
		to_host | from_host) ;; # parts of what was consumed and generated
		*) fail "gateway $1 counts '$name', which the balance doesn't know" ;;
		esac
	done < <(sed -n 's/^total: //p' "$work/gateway-$1.out" | tr ' ' '\n')
	[ -n "${held:-}" ] || fail "gateway $1 printed no total"
	[ $((received + generated)) -eq $((sent + dropped + consumed + held)) ] ||
		fail "gateway $1 lost packets without a name: its total doesn't balance"
	shown "gateway $1: $received received + $generated made = $sent sent + $dropped dropped + $consumed consumed + $held held"
}

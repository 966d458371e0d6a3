# shellcheck shell=bash disable=SC2154,SC2034 # the other files use and set variables too
# The sites: namespaces, virtual cables, hosts, and captures of the wire. `ns` is the prefix of the names.

declare -A gateway_pid=() capture_pid=() frames_before=()

in_ns() { # name, command...
	local name=$1
	shift
	ip netns exec "$ns-$name" "$@"
}

host_address() { # site, family
	case $1$2 in
	a4) echo 10.1.0.2 ;;
	a6) echo fd00:1::2 ;;
	b4) echo 10.2.0.2 ;;
	b6) echo fd00:2::2 ;;
	esac
}

# The same as it stands in a URL.
url_address() { # site, family
	if [ "$2" = 4 ]; then host_address "$1" 4; else echo "[$(host_address "$1" 6)]"; fi
}

sites_make() {
	local name
	for name in host-a gateway-a wire gateway-b host-b; do
		ip netns add "$ns-$name"
		namespaces+=("$ns-$name")
		# No duplicate address detection: addresses work at once.
		in_ns "$name" sysctl -q -w net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
	done
	cable host-a lan gateway-a lan
	cable host-b lan gateway-b lan
	wire_make
	for name in gateway-a gateway-b; do
		kernel_silent "$name" lan
		kernel_silent "$name" wan
	done
	host_up a 1
	host_up b 2
}

# A bridge in a namespace that neither gateway is in: what is captured there is what an eavesdropper gets. A capture
# at a gateway's own end would miss what culvertd sends, since net_af_packet goes past the kernel's taps.
wire_make() {
	local port
	ip -n "$ns-wire" link add wire type bridge mcast_snooping 0
	in_ns wire sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	cable gateway-a wan wire to-a
	cable gateway-b wan wire to-b
	for port in to-a to-b; do
		ip -n "$ns-wire" link set $port master wire up
	done
	ip -n "$ns-wire" link set wire up
}

# Two ends of a virtual cable. Without offloads frames are what a real wire carries: checksums filled in, at most an MTU long.
cable() { # namespace, interface, namespace, interface
	ip link add "$2" netns "$ns-$1" type veth peer name "$4" netns "$ns-$3"
	in_ns "$1" ethtool -K "$2" tx off rx off sg off tso off gso off gro off >/dev/null
	in_ns "$3" ethtool -K "$4" tx off rx off sg off tso off gso off gro off >/dev/null
}

# The gateway answers on its interfaces, so the kernel must not: it has no address there, no ARP and no IPv6.
kernel_silent() { # namespace, interface
	in_ns "$1" sysctl -q -w "net.ipv6.conf.$2.disable_ipv6=1" net.ipv4.ip_forward=0
	ip -n "$ns-$1" link set "$2" arp off up
}

host_up() { # site, number
	local host=$ns-host-$1
	ip -n "$host" link set lo up
	ip -n "$host" link set lan up
	ip -n "$host" address add "10.$2.0.2/24" dev lan
	ip -n "$host" address add "fd00:$2::2/64" dev lan nodad
	ip -n "$host" route add default via "10.$2.0.1"
	ip -n "$host" -6 route add default via "fd00:$2::1"
}

# Capture the wire, whole frames.
capture_start() { # name, filter...
	local name=$1
	shift
	start "$name" ip netns exec "$ns-wire" tcpdump -n -i to-a -s 0 -B 131072 -Z root -w "$work/$name.pcap" "$@"
	capture_pid[$name]=$started
	await "$name" "$started" 'listening on'
	frames_before[$name]=$(wire_frames)
}

# How many frames went over the wire, both ways, by the interface's own counters.
wire_frames() {
	local counters=/sys/class/net/to-a/statistics
	in_ns wire cat $counters/rx_packets $counters/tx_packets | { read -r rx; read -r tx; echo $((rx + tx)); }
}

# A capture that lost frames shows nothing, so its count is held against the interface's.
capture_stop() { # name
	local passed captured received dropped
	passed=$(($(wire_frames) - frames_before[$1]))
	sleep 1.5 # the kernel hands over its last block within a second
	finish "$1" "${capture_pid[$1]}"
	captured=$(capture_count "$1" captured)
	received=$(capture_count "$1" 'received by filter')
	dropped=$(capture_count "$1" 'dropped by kernel')
	say "captured: $1.pcap, $captured frames of $passed that passed, $dropped lost"
	[ "$dropped-$captured" = "0-$received" ] || fail "the capture $1.pcap is not complete: $received frames matched"
	# Only a capture with a filter may have less than what passed.
	[ "$1" = clear ] || [ "$captured" -ge "$passed" ] || fail "the capture $1.pcap is not complete"
}

capture_count() { # name, what tcpdump counts
	sed -nE "s/ packets? $2//p" "$work/$1.log"
}

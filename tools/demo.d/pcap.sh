# shellcheck shell=bash disable=SC2154,SC2034 # the other files use and set variables too
# The demonstration without a network: a capture file goes in at gateway a and comes out of gateway b.
#
# It needs no privileges and no hugepages. net_pcap gives its devices the MAC addresses 02:70:63:61:70:00 and :01 in
# the order of their making, so the frames that gateway a sends are addressed to gateway b as they are.

lan_mac=02:70:63:61:70:00
wan_mac=02:70:63:61:70:01
host_mac=02:00:00:00:00:02 # of all hosts of site b
idle_s=2

demo_run() {
	"$python" -c 'import scapy' 2>/dev/null || fail "python3-scapy is missing; as root: apt-get install --no-install-recommends python3-scapy"
	step "make packets of all kinds and sizes"
	packets make "$work/in.pcap" --gateway-mac $lan_mac --mtu-v4 "$mtu_v4" --mtu-v6 "$mtu_v6" | show
	packets empty "$work/nothing.pcap"
	keys_make
	cpus_choose
	step "gateway a encrypts them"
	gateway_config a b 1 2 "${cpu[0]}" \
		"net_pcap0,rx_pcap=$work/in.pcap,tx_pcap=$work/a-lan-out.pcap" \
		"net_pcap1,rx_pcap=$work/nothing.pcap,tx_pcap=$work/wire.pcap"
	cat >>"$work/a.yaml" <<YAML
neighbours:
  - {port: wan, address: 192.0.2.2, mac: "$wan_mac"}
  - {port: wan, address: "2001:db8::2", mac: "$wan_mac"}
YAML
	gateway_run a
	step "what the wire carried"
	packets wire "$work/wire.pcap" --sent "$work/in.pcap" >"$work/wire" || { show <"$work/wire"; fail "the wire carried something in clear"; }
	show <"$work/wire"
	shown "wire: $(tail -n 1 "$work/wire")"
	step "an attacker adds to the wire: every packet again, and one of each SA changed"
	packets attack "$work/wire.pcap" "$work/attacked.pcap" | show
	step "gateway b decrypts them"
	gateway_config b a 2 1 "${cpu[0]}" \
		"net_pcap0,rx_pcap=$work/nothing.pcap,tx_pcap=$work/out.pcap" \
		"net_pcap1,rx_pcap=$work/attacked.pcap,tx_pcap=$work/b-wan-out.pcap"
	{
		echo "neighbours:"
		packets hosts | sed "s/.*/  - {port: lan, address: \"&\", mac: \"$host_mac\"}/"
	} >>"$work/b.yaml"
	gateway_run b
	attack_check
	step "compare what came out with what went in"
	packets compare "$work/in.pcap" "$work/out.pcap" --from-mac $lan_mac --to-mac $host_mac >"$work/compared" ||
		{ show <"$work/compared"; fail "what came out is not what went in"; }
	show <"$work/compared"
	shown "packets: $(tail -n 1 "$work/compared")"
}

packets() {
	"$python" "$top/tools/demo.d/packets.py" "$@"
}

gateway_run() { # site
	say "culvertd --config $1.yaml --until-idle $idle_s"
	start "gateway-$1" "$culvertd" --config "$work/$1.yaml" --until-idle $idle_s
	timeout 60 tail --pid="$started" -s 0.1 -f /dev/null || fail "gateway $1 does not end when its traffic does"
	reap "$started"
	gateway_ended "$1"
	[ "$1" = a ] || return 0
	# The next gateway listens to the address that this one sends to.
	grep -q "port=wan .*mac=$wan_mac" "$work/gateway-a.log" || fail "the wan port's MAC address is not $wan_mac"
}

attack_check() {
	local wire replayed
	wire=$(sed -n 's/ ESP frames.*//p' "$work/wire")
	replayed=$(dropped_for b in_replay)
	[ "$replayed" -eq "$wire" ] || fail "gateway b dropped $replayed of $wire replayed packets as replays"
	[ "$(dropped_for b in_icv)" -eq 2 ] || fail "gateway b did not drop the two changed packets for their ICV"
	shown "attack: $replayed of $wire replayed packets dropped (in_replay), 2 of 2 changed packets dropped (in_icv)"
}

dropped_for() { # site, reason
	awk -v reason="$2" '$1 == reason && $2 ~ /^[0-9]+$/ { n = $2 } END { print n + 0 }' "$work/gateway-$1.out"
}

# shellcheck shell=bash disable=SC2154,SC2034 # the other files use and set variables too
# The demonstration with live traffic: host a - gateway a - wire - gateway b - host b, each in a network namespace.

marker=culvert-demo-plaintext-marker
file_v4_bytes=100000000
file_v6_bytes=10000000
udp_rate=200M
iperf_s=3
ns=culvert-$$ # the namespaces' common prefix

# shellcheck source=tools/demo.d/sites.sh
. "$top/tools/demo.d/sites.sh"

demo_run() {
	step "two sites, and a gateway at each"
	sites_make
	gateways_start
	show <<'PICTURE'
host a           gateway a             the wire              gateway b           host b
10.1.0.2  ---  10.1.0.1  192.0.2.1    ==========    192.0.2.2  10.2.0.1  ---  10.2.0.2
fd00:1::2      fd00:1::1 2001:db8::1  only ESP    2001:db8::2  fd00:2::1      fd00:2::2

IPv4 of the sites goes in IPv6, aes128gcm16;  IPv6 of the sites goes in IPv4, aes256-sha256
PICTURE
	# Whatever is not ESP, from the first packet to the last.
	capture_start clear "not (ip proto 50 or ip6 proto 50)"
	capture_start talk
	ping_sizes
	hop_limits
	path_mtu
	small_page
	capture_stop talk
	capture_start bulk
	files
	capture_stop bulk
	throughput
	capture_stop clear
	step "the gateways stop and print their statistics"
	gateway_stop a
	gateway_stop b
	step "what the wire carried"
	wire_only_esp
	wire_no_plaintext
	step "what tshark, which has the keys, sees inside"
	wire_decrypted
}

ping_sizes() {
	local size address count=0
	step "ping, both families, several sizes"
	for address in 10.2.0.2 fd00:2::2; do
		for size in 0 1 56 700 1378; do
			in_ns host-a ping -q -n -c 3 -i 0.05 -W 2 -s $size $address >"$work/ping.log" 2>&1 ||
				{ show <"$work/ping.log"; fail "ping -s $size $address"; }
			count=$((count + 3))
		done
		in_ns host-a ping -n -c 1 -W 2 -p "$(printf %s "${marker:0:16}" | od -An -tx1 | tr -d ' \n')" $address | grep 'bytes from' | show
	done
	shown "ping: $count of $count answered, IPv4 and IPv6, payloads of 0 to 1378 bytes"
}

# As traceroute does: who says that the hop limit ran out?
hop_limits() {
	local family hop answer hops
	step "the way, by hop limits"
	for family in 4 6; do
		hops=
		for hop in 1 2 3; do
			answer=$(in_ns host-a ping -n -c 1 -W 2 -t $hop "$(host_address b $family)" | sed -nE 's/.*([Ff]rom|bytes from) ([0-9a-f.:]+[0-9a-f])[: ].*/\2/p' | head -n 1) || true
			hops+="${hops:+ - }${answer:-?}"
		done
		say "IPv$family: $hops"
		case $family-$hops in
		4-"10.1.0.1 - 10.2.0.1 - 10.2.0.2" | 6-"fd00:1::1 - fd00:2::1 - fd00:2::2") ;;
		*) fail "the hops to the IPv$family address of host b are not gateway a, gateway b, host b" ;;
		esac
	done
	shown "traceroute: both gateways answer for an expired hop limit, gateway b's answer through the tunnel"
}

# A packet too big for the tunnel is answered with the size that fits, and that size does fit.
path_mtu() {
	local family address header fits mtu answer
	step "path MTU discovery"
	for family in 4 6; do
		address=$(host_address b $family)
		header=$((family == 4 ? 28 : 48))
		fits=$((family == 4 ? mtu_v4 : mtu_v6))
		answer=$(in_ns host-a ping -n -c 1 -W 2 -M 'do' -s $((1500 - header)) "$address" 2>&1 || true)
		sed -n 2p <<<"$answer" | show
		mtu=$(sed -nE 's/.*mtu ?= ?([0-9]+).*/\1/p' <<<"$answer" | head -n 1)
		[ "$mtu" = $fits ] || fail "IPv$family: the path MTU is ${mtu:-not answered}, expected $fits"
		in_ns host-a ping -q -n -c 1 -W 2 -M 'do' -s $((mtu - header)) "$address" >/dev/null ||
			fail "IPv$family: a packet of $mtu bytes does not pass"
	done
	shown "path MTU: $mtu_v4 for IPv4 in IPv6 with AES-GCM, $mtu_v6 for IPv6 in IPv4 with AES-CBC; packets of that size pass"
}

small_page() {
	local family page
	step "a small page over HTTP"
	mkdir "$work/www"
	printf 'This page says %s.\n' $marker >"$work/www/page.txt"
	start http ip netns exec "$ns-host-b" "$python" -u -m http.server 8000 --bind :: --directory "$work/www"
	await http "$started" 'Serving HTTP'
	for family in 4 6; do
		page=$(in_ns host-a curl -sS -g --connect-timeout 10 --max-time 10 "http://$(url_address b $family):8000/page.txt") ||
			fail "curl over IPv$family"
		say "IPv$family: $page"
	done
}

files() {
	step "files over HTTP"
	file 4 $file_v4_bytes
	file 6 $file_v6_bytes
}

# Random bytes with the marker in each 4 KiB of them, so that its absence on the wire means something.
file() { # family, bytes
	local sent got speed
	"$python" -c 'import os, sys
size, marker = int(sys.argv[1]), sys.argv[2].encode()
block = 4096 - len(marker)
for left in range(size, 0, -4096):
    sys.stdout.buffer.write((marker + os.urandom(block))[:left])' "$2" $marker >"$work/www/file"
	speed=$(in_ns host-a curl -sS -g --connect-timeout 10 --max-time 300 -o "$work/got" -w '%{speed_download}' "http://$(url_address b "$1"):8000/file") ||
		fail "curl over IPv$1"
	sent=$(sha256sum <"$work/www/file")
	got=$(sha256sum <"$work/got")
	rm "$work/got"
	[ "$sent" = "$got" ] || fail "the file arrived changed over IPv$1"
	shown "file over IPv$1: $2 bytes, sha256 equal (${got:0:16}...), $((${speed%.*} * 8 / 1000000)) Mbit/s"
}

throughput() {
	local family
	step "iperf3, $iperf_s s each"
	say "hosts, gateways and captures share $(nproc) CPUs, so the rates are this machine's, not the gateway's best"
	start iperf ip netns exec "$ns-host-b" iperf3 --server --forceflush
	await iperf "$started" 'listening'
	for family in 4 6; do
		iperf "TCP over IPv$family" "$family"
		iperf "UDP over IPv$family" "$family" --udp --bitrate $udp_rate --length 1300
	done
}

iperf() { # what, family, options...
	local what=$1 address before result
	address=$(host_address b "$2")
	shift 2
	before=$(receive_buffer_errors)
	in_ns host-a timeout $((iperf_s + 20)) iperf3 --client "$address" --time $iperf_s --json "$@" >"$work/iperf.json" ||
		{ show <"$work/iperf.json"; fail "iperf3, $what"; }
	result=$("$python" "$top/tools/demo.d/iperf_result.py" "$work/iperf.json" $(($(receive_buffer_errors) - before)))
	shown "iperf3 $what: $result"
}

# Datagrams that came to host b and found iperf3's socket full: no fault of the way there.
receive_buffer_errors() {
	in_ns host-b nstat -asz UdpRcvbufErrors Udp6RcvbufErrors | awk '{ n[$1] = $2 } END { print n["UdpRcvbufErrors"] + n["Udp6RcvbufErrors"] }'
}

gateways_start() {
	local arguments="blocksz=65536,framesz=2048,framecnt=4096"
	cpus_choose
	keys_make
	gateway_config a b 1 2 "${cpu[0]}" "net_af_packet0,iface=lan,$arguments" "net_af_packet1,iface=wan,$arguments"
	gateway_config b a 2 1 "${cpu[1]}" "net_af_packet0,iface=lan,$arguments" "net_af_packet1,iface=wan,$arguments"
	start gateway-a ip netns exec "$ns-gateway-a" "$culvertd" --config "$work/a.yaml"
	gateway_pid[a]=$started
	start gateway-b ip netns exec "$ns-gateway-b" "$culvertd" --config "$work/b.yaml"
	gateway_pid[b]=$started
	await gateway-a "${gateway_pid[a]}" 'msg=forwarding'
	await gateway-b "${gateway_pid[b]}" 'msg=forwarding'
}

gateway_stop() { # site
	say "gateway $1"
	finish "gateway-$1" "${gateway_pid[$1]}"
	gateway_ended "$1"
}

# What each frame of the captures is; all else than ESP, ARP and neighbour discovery is a leak.
wire_only_esp() {
	local esp
	frame_kinds talk bulk
	esp=$(sed -n 's/^ *\([0-9]*\) ESP frames.*/\1/p' "$work/kinds")
	# Enough to have carried the file, or the capture was of another wire.
	[ "$esp" -gt $((file_v4_bytes / 1500)) ] || fail "$esp ESP frames can't have carried the file"
	shown "wire, pings and files: $(tail -n 1 "$work/kinds")"
	frame_kinds clear
	shown "wire, whole run, what is not ESP: $(tail -n 1 "$work/kinds" | sed 's/^[^,]*, //')"
}

frame_kinds() { # captures...
	local name
	for name in "$@"; do
		tshark -n -r "$work/$name.pcap" -T fields -e frame.protocols -e icmpv6.type 2>>"$work/tshark.log"
	done >"$work/frames"
	"$python" "$top/tools/demo.d/frame_kinds.py" <"$work/frames" >"$work/kinds" ||
		{ show <"$work/kinds"; fail "the wire carried something in clear"; }
	show <"$work/kinds"
}

wire_no_plaintext() {
	local name found
	for name in talk bulk clear; do
		found=$(grep -a -c -F "${marker:0:16}" "$work/$name.pcap" || true)
		[ "$found" -eq 0 ] || fail "$name.pcap has the marker in clear"
	done
	# The same search finds it in what was sent, or it would prove nothing.
	grep -a -q -F "${marker:0:16}" "$work/www/file" || fail "the marker is not in the file"
	shown "wire: the marker that every page, file and some pings carry is nowhere in $(du -ch "$work"/*.pcap | tail -n 1 | cut -f 1) of captures"
}

# tshark's table of SAs, in a configuration directory of its own.
tshark_sas() {
	local way from to
	mkdir -p "$work/tshark"
	printf 'esp.enable_encryption_decode: TRUE\nesp.enable_authentication_check: TRUE\n' >"$work/tshark/preferences"
	for way in a-to-b:1:2 b-to-a:2:1; do
		IFS=: read -r way from to <<<"$way"
		printf '"IPv6","2001:db8::%s","2001:db8::%s","0x0000%s004","AES-GCM with 16 octet ICV [RFC4106]","0x%s","NULL","","32-bit","0x0"\n' \
			"$from" "$to" "$from" "$(cat "$work/$way-v4.key")"
		printf '"IPv4","192.0.2.%s","192.0.2.%s","0x0000%s006","AES-CBC [RFC3602]","0x%s","HMAC-SHA-256-128 [RFC4868]","0x%s","32-bit","0x0"\n' \
			"$from" "$to" "$from" "$(head -c 64 "$work/$way-v6.key")" "$(tail -c 64 "$work/$way-v6.key")"
	done >"$work/tshark/esp_sa"
}

wire_decrypted() {
	local good bad esp inner sas
	tshark_sas
	tshark_inner -Y 'icmp.type == 8 || icmpv6.type == 128 || http || icmp.type == 11 || icmpv6.type == 3' \
		-T fields -E separator=' ' -e esp.spi -e esp.sequence -e _ws.col.Source -e _ws.col.Destination -e frame.len -e _ws.col.Info >"$work/inner"
	awk '!seen[$1 $3 $4 $6 $7 $8]++' "$work/inner" | head -n 16 | cut -c 1-110 | show
	esp=$(tshark_inner -Y esp | wc -l)
	good=$(tshark_inner -Y 'esp.icv_good == 1' | wc -l)
	bad=$(tshark_inner -Y 'esp.icv_bad == 1' | wc -l)
	inner=$(tshark_inner -Y 'esp && (icmp || icmpv6 || tcp)' | wc -l)
	[ "$bad" -eq 0 ] || fail "tshark finds $bad wrong ICVs"
	[ "$inner" -eq "$esp" ] || fail "tshark decrypts $inner of $esp ESP packets"
	[ "$good" -gt 0 ] || fail "tshark verified no ICV"
	sas=$(cut -d ' ' -f 1 "$work/inner" | sort -u | wc -l)
	[ "$sas" -eq 4 ] || fail "tshark sees $sas of 4 SAs"
	grep -q 'GET /page.txt' "$work/inner" || fail "tshark does not see the HTTP request"
	shown "tshark: $inner of $esp ESP packets of $sas SAs decrypted, $good ICVs verified, $bad wrong"
}

tshark_inner() {
	WIRESHARK_CONFIG_DIR="$work/tshark" tshark -n -r "$work/talk.pcap" "$@" 2>>"$work/tshark.log"
}

"""Linux's side of a culvert configuration: `ip xfrm` lines, and what Linux counted."""
import re
from typing import NamedTuple

from culvert import A, B, EVERY_ALGORITHM

# culvert's name: Linux's AEAD, or its cipher and integrity algorithm; bits of the ICV.
XFRM_ALGORITHMS = {
    "aes128gcm16": ("rfc4106(gcm(aes))", None, 128),
    "aes256gcm16": ("rfc4106(gcm(aes))", None, 128),
    "aes128-sha256": ("cbc(aes)", "hmac(sha256)", 128),
    "aes256-sha256": ("cbc(aes)", "hmac(sha256)", 128),
    "aes256-sha512": ("cbc(aes)", "hmac(sha512)", 256),
    "null-sha256": ("ecb(cipher_null)", "hmac(sha256)", 128),
    "chacha20poly1305": ("rfc7539esp(chacha20,poly1305)", None, 128),
    "aes128gcm8": ("rfc4106(gcm(aes))", None, 64),
    "aes256gcm12": ("rfc4106(gcm(aes))", None, 96),
    "aes192gcm16": ("rfc4106(gcm(aes))", None, 128),
    "aes128ccm8": ("rfc4309(ccm(aes))", None, 64),
    "aes128ccm12": ("rfc4309(ccm(aes))", None, 96),
    "aes256ccm16": ("rfc4309(ccm(aes))", None, 128),
    "aes128gmac": ("rfc4543(gcm(aes))", None, 128),
    "aes192gmac": ("rfc4543(gcm(aes))", None, 128),
    "aes256gmac": ("rfc4543(gcm(aes))", None, 128),
    "aes128-sha1": ("cbc(aes)", "hmac(sha1)", 96),
    "aes128-sha256_96": ("cbc(aes)", "hmac(sha256)", 96),
    "aes192-sha384": ("cbc(aes)", "hmac(sha384)", 192),
    "aes128-aesxcbc": ("cbc(aes)", "xcbc(aes)", 96),
    "aes256-aescmac": ("cbc(aes)", "cmac(aes)", 96),
    "aes128ctr-sha256": ("rfc3686(ctr(aes))", "hmac(sha256)", 128),
    "aes192ctr-sha1": ("rfc3686(ctr(aes))", "hmac(sha1)", 96),
    "aes256ctr-sha512": ("rfc3686(ctr(aes))", "hmac(sha512)", 256),
    "null-sha1": ("ecb(cipher_null)", "hmac(sha1)", 96),
    "null-sha384": ("ecb(cipher_null)", "hmac(sha384)", 192),
    "null-aesxcbc": ("ecb(cipher_null)", "xcbc(aes)", 96),
    "3des-sha1": ("cbc(des3_ede)", "hmac(sha1)", 96),
    "3des-sha256": ("cbc(des3_ede)", "hmac(sha256)", 128),
}
# Bytes of the IV of each cipher, and what a packet's end is aligned to.
XFRM_CIPHERS = {
    "rfc4106(gcm(aes))": (8, 4),
    "rfc4309(ccm(aes))": (8, 4),
    "rfc4543(gcm(aes))": (8, 4),
    "rfc3686(ctr(aes))": (8, 4),
    "rfc7539esp(chacha20,poly1305)": (8, 4),
    "cbc(des3_ede)": (8, 8),
    "cbc(aes)": (16, 16),
    "ecb(cipher_null)": (0, 4),
}
ESP_HEADER_BYTES = 8   # SPI and sequence number, RFC 4303 section 2
AH_FIXED_BYTES = 12    # RFC 4302 section 2
ESP_TRAILER_BYTES = 2  # the padding's length and the next header
IP_HEADER_BYTES = {4: 20, 6: 40}
UDP_HEADER_BYTES = 8
ENCAP_PORT = 4500      # RFC 3948 section 2.1, and culvert's default
REPLAY_WINDOW = 1024
# TCP leaves at most this much on the way, which the queues hold (TAP_QUEUE_FRAMES, AF_PACKET's blocks).
TCP_BUFFER_BYTES = 1 << 20

# The guest is the router on culvert's wan, the gateway behind it, and the host of that gateway's site.
GUEST_SETUP = f"""
cd /proc/sys/net
for which in all default eth0; do
	echo 0 >ipv6/conf/$which/accept_dad
	echo 0 >ipv6/conf/$which/router_solicitations
	echo 0 >ipv6/conf/$which/accept_ra
done
echo 4096 {TCP_BUFFER_BYTES} {TCP_BUFFER_BYTES} >ipv4/tcp_rmem
echo 4096 {TCP_BUFFER_BYTES} {TCP_BUFFER_BYTES} >ipv4/tcp_wmem
/sbin/ip -batch - <<'END'
link set lo up
link set eth0 txqueuelen 8192 up
address add {A.router[4]}/24 dev eth0
address add {A.router[6]}/64 dev eth0 nodad
address add {B.wan[4]}/32 dev lo
address add {B.wan[6]}/128 dev lo nodad
address add {B.host[4]}/32 dev lo
address add {B.host[6]}/128 dev lo nodad
route add {A.net[4]} via {A.wan[4]} src {B.host[4]}
route add {A.net[6]} via {A.wan[6]} src {B.host[6]}
END
/sbin/encap_socket {ENCAP_PORT}
"""


def algorithm(sa):
    """The words for an SA's algorithm and key."""
    if "ah" in sa:
        _, auth, icv_bits = XFRM_ALGORITHMS[f"null-{sa['ah']}"]
        return f"auth-trunc '{auth}' {sa['key']} {icv_bits}"
    if "ipcomp" in sa:
        return f"comp {sa['ipcomp']}"
    cipher, auth, icv_bits = XFRM_ALGORITHMS[sa["esp"]]
    _, cipher_bytes, *_ = EVERY_ALGORITHM[sa["esp"]]
    digits = sa["key"].removeprefix("0x")
    cipher_key, auth_key = digits[:2 * cipher_bytes], digits[2 * cipher_bytes:]
    if auth is None:
        return f"aead '{cipher}' 0x{cipher_key} {icv_bits}"
    cipher_key = f"0x{cipher_key}" if cipher_key else "''"
    return f"auth-trunc '{auth}' 0x{auth_key} {icv_bits} enc '{cipher}' {cipher_key}"


def tunnel_mtu(esp, outer, link_mtu=1500):
    """The longest inner packet of a tunnel with outer headers of that IP version; in transport mode, the longest that
    is behind the IP header. In UDP, the link's MTU is so much less."""
    cipher, _, icv_bits = XFRM_ALGORITHMS[esp]
    iv_bytes, align_bytes = XFRM_CIPHERS[cipher]
    room = link_mtu - IP_HEADER_BYTES[outer] - ESP_HEADER_BYTES - iv_bytes - icv_bits // 8
    return room // align_bytes * align_bytes - ESP_TRAILER_BYTES


def ah_mtu(auth, outer, link_mtu=1500):
    """The same for a tunnel of AH, whose header is whole words in IPv4 and pairs of them in IPv6."""
    _, _, icv_bits = XFRM_ALGORITHMS[f"null-{auth}"]
    unit = {4: 4, 6: 8}[outer]
    return link_mtu - IP_HEADER_BYTES[outer] - -(-(AH_FIXED_BYTES + icv_bits // 8) // unit) * unit


def protocol(sa):
    if "ipcomp" in sa:
        return "comp"
    return "ah" if "ah" in sa else "esp"


def flags(sa):
    """Linux pads AH to pairs of words in IPv4 too, unless it is told to be as RFC 4302 section 3.3.3.2.1."""
    found = ["esn"] if sa.get("esn") else []
    if "ah" in sa and "." in sa["source"]:
        found.append("align4")
    return " ".join(["flag", *found]) if found else ""


def state_line(sa, policy, options=""):
    """What takes or makes an SA's packets. The policy says which family it carries; the SPI, as the request's number
    too, tells SAs between the same ends apart. What is in transport mode carries the family of its ends."""
    mode = sa.get("mode", "tunnel")
    replay = "" if "ipcomp" in sa else f"replay-window {REPLAY_WINDOW}"
    selector = f"sel src {policy['source']} dst {policy['destination']}" if mode == "tunnel" else ""
    return (f"xfrm state add src {sa['source']} dst {sa['destination']} proto {protocol(sa)} spi {sa['spi']}"
        f" reqid {sa['spi']} mode {mode} {algorithm(sa)} {encap(sa)} {replay} {flags(sa)} {options} {selector}")


def encap(sa):
    """Its last word is the original address, which nobody reads."""
    if sa.get("encap") != "udp":
        return ""
    return f"encap espinudp {ENCAP_PORT} {ENCAP_PORT} {'0.0.0.0' if '.' in sa['source'] else '::'}"


def level(sa, direction):
    """What could not be compressed comes without IPComp's header."""
    return "level use" if "ipcomp" in sa and direction == "in" else ""


def policy_line(sas, policy):
    """Culvert's outbound traffic is the guest's inbound one. `sas` are innermost first on both sides."""
    direction = {"in": "out", "out": "in"}[policy["direction"]]
    templates = " ".join(f"tmpl src {sa['source']} dst {sa['destination']} proto {protocol(sa)} reqid {sa['spi']}"
        f" mode {sa.get('mode', 'tunnel')} {level(sa, direction)}" for sa in sas)
    return f"xfrm policy add src {policy['source']} dst {policy['destination']} dir {direction} {templates}"


def peer_script(conf, options=None):
    """The script that makes the guest the other end of a culvert configuration. `options` are more words for the
    states of some SAs, by name."""
    lines = ["xfrm policy flush", "xfrm state flush"]
    for policy in conf["policies"]:
        sas = [conf["sas"][name] for name in policy["sas"]]
        lines += [state_line(conf["sas"][name], policy, (options or {}).get(name, "")) for name in policy["sas"]]
        lines.append(policy_line(sas, policy))
    return "/sbin/ip -batch - <<'END'\n" + "\n".join(lines) + "\nEND\n"


class State(NamedTuple):
    """What Linux counted for one SA. It calls what is older than the window `late`, and a wrong ICV `failed`."""

    bytes: int
    packets: int
    late: int
    replayed: int
    failed: int


def states(text):
    """Of `ip -s xfrm state`, by SPI."""
    found = re.findall(r"^\s+proto \S+ spi 0x([0-9a-f]+).*?(\d+)\(bytes\), (\d+)\(packets\).*?"
        r"stats:\s+replay-window (\d+) replay (\d+) failed (\d+)", text, re.DOTALL | re.MULTILINE)
    return {int(spi, 16): State(*map(int, counts)) for spi, *counts in found}


def statistics(text):
    """Of /proc/net/xfrm_stat: what is not zero."""
    pairs = (line.split() for line in text.splitlines())
    return {words[0]: int(words[1]) for words in pairs if len(words) == 2 and words[1] != "0"}

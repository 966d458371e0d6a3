"""Count frames by kind, from `tshark -T fields -e frame.protocols -e icmpv6.type`; exit 1 if any is in clear."""
import collections
import sys

# RFC 4861: router and neighbour solicitations and advertisements, redirects.
ND_TYPES = {"133", "134", "135", "136", "137"}


def kind(line):
    protocols, _, icmpv6_type = line.rstrip("\n").partition("\t")
    stack = protocols.split(":")[2:]
    if stack[:1] == ["arp"]:
        return "ARP"
    if stack[:2] == ["ip", "esp"]:
        return "ESP over IPv4"
    if stack[:2] == ["ipv6", "esp"]:
        return "ESP over IPv6"
    if stack == ["ipv6", "icmpv6"] and icmpv6_type in ND_TYPES:
        return "neighbour discovery"
    return "IN CLEAR " + ":".join(stack)


counts = collections.Counter(kind(line) for line in sys.stdin)
clear = sum(n for name, n in counts.items() if name.startswith("IN CLEAR"))
for name, n in counts.most_common():
    print(f"{n:9} {name}")
esp = counts["ESP over IPv4"] + counts["ESP over IPv6"]
print(f"{esp} ESP frames, {counts['ARP']} ARP, {counts['neighbour discovery']} neighbour discovery, {clear} of anything else")
sys.exit(1 if clear else 0)

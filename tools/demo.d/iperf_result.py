"""Print the rate, and for UDP the loss, of an `iperf3 --json` result in one line.

The second argument is how many datagrams found the receiver's socket full.
"""
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    end = json.load(file)["end"]
if "sum_received" in end and "lost_packets" not in end.get("sum", {}):
    received = end["sum_received"]
    print(f"{received['bits_per_second'] / 1e6:.0f} Mbit/s, {end['sum_sent'].get('retransmits', 0)} segments sent again")
else:
    total = end["sum"]
    rate = total["bits_per_second"] * (1 - total["lost_percent"] / 100)
    print(f"{rate / 1e6:.0f} Mbit/s, {total['lost_packets']} of {total['packets']} datagrams lost, "
          f"{sys.argv[2]} at the receiver's full socket")

#!/usr/bin/env python3
"""A search plugin for varpd: a table of 'MAC IP:PORT [OVERLAY-IP...]' lines. docs/plugins.md has the protocol."""
import ipaddress, json, os, select, time

PROPERTIES = [{"name": "table", "kind": "string", "required": True, "doc": "file of lines MAC IP:PORT [OVERLAY-IP]"}]
table, retry = None, None  # the table's file, and when to try it again after it could not be read
ends, macs = None, None  # tunnel ends by MAC address, MAC addresses by IP address, of the last good table

def say(word, **members):
    print(json.dumps({word: members}), flush=True)

def octets(mac):
    """2:8:20:0:0:1 and 02:08:20:00:00:01 are the same address."""
    return bytes(int(octet, 16) for octet in mac.split(":"))

def load():
    """Reads the table, all or nothing: a wrong one leaves the last good one, and without that we are not ready yet."""
    global ends, macs, retry
    try:
        with open(table, encoding="utf-8") as file:
            rows = [row for row in (line.split("#")[0].split() for line in file) if row]
        new_ends = {octets(mac): end for mac, end, *_ in rows}
        new_macs = {ipaddress.ip_address(ip): mac for mac, _, *ips in rows for ip in ips}
        hosts = {str(ipaddress.ip_address(end.rpartition(":")[0].strip("[]"))) for end in new_ends.values()}
    except (OSError, ValueError) as error:
        retry = time.monotonic() + 1
        return say("degrade", message=f"{table}: {error}")
    ends, macs, retry = new_ends, new_macs, None
    for word, members in ("ready", {"sources": sorted(hosts)}), ("restore", {}), ("doubtful", {"all": True}):
        say(word, **members)

def finding(target=None, resolve=None, **others):
    if ends is None or not (target or resolve):
        return {"unknown": True}
    if target and octets(target["mac"])[0] & 1:  # a group address: every tunnel end
        return {"ends": sorted(set(ends.values()))}
    found = ends.get(octets(target["mac"])) if target else macs.get(ipaddress.ip_address(resolve["ip"]))
    return {"absent": True} if found is None else {"ends": [found]} if target else {"mac": found}

def orders():
    """What varpd says, until its end, and a word of our own when it is time to try the table again."""
    rest = b""
    while True:
        wait = retry and max(0, retry - time.monotonic())
        if wait == 0 or not select.select([0], [], [], wait)[0]:
            yield {"reload": {}}
        elif piece := os.read(0, 65536):
            *lines, rest = (rest + piece).split(b"\n")
            yield from map(json.loads, lines)
        else:
            return

for order in orders():
    if "describe" in order:
        say("plugin", protocol=1, mode="dynamic", properties=PROPERTIES)
    elif "start" in order or "reload" in order:
        table = order["start"]["properties"]["table"] if "start" in order else table
        load()
    elif "ask" in order:
        say("answer", id=order["ask"].pop("id"), **finding(**order["ask"]))

#!/usr/bin/env python3
"""A search plugin for varpd: a table of 'MAC IP:PORT [OVERLAY-IP...]' lines. docs/plugins.md has the protocol."""
import ipaddress
import json
import sys

PROPERTIES = [{"name": "table", "kind": "string", "required": True, "doc": "file of lines MAC IP:PORT [OVERLAY-IP]"}]
ends, macs = {}, {}  # tunnel ends by MAC address, MAC addresses by IP address


def say(word, **members):
    print(json.dumps({word: members}), flush=True)


def octets(mac):
    """2:8:20:0:0:1 and 02:08:20:00:00:01 are the same address."""
    return bytes(int(octet, 16) for octet in mac.split(":"))


def host(end):
    return str(ipaddress.ip_address(end.rpartition(":")[0].strip("[]")))


def load(path):
    """Reads the table, all or nothing: a wrong one leaves what was read before."""
    global ends, macs
    new_ends, new_macs = {}, {}
    try:
        with open(path, encoding="utf-8") as file:
            for fields in filter(None, (line.split("#")[0].split() for line in file)):
                mac, end, *ips = fields
                host(end)
                new_ends[octets(mac)] = end
                new_macs.update((ipaddress.ip_address(ip), mac) for ip in ips)
        ends, macs = new_ends, new_macs
        say("restore")
    except (OSError, ValueError) as error:
        say("degrade", message=f"{path}: {error}")
    say("ready", sources=sorted({host(end) for end in ends.values()}))
    say("doubtful", all=True)


def finding(target=None, resolve=None, **others):
    if target and octets(target["mac"])[0] & 1:  # a group address: every tunnel end
        return {"ends": sorted(set(ends.values()))}
    if target:
        end = ends.get(octets(target["mac"]))
        return {"ends": [end]} if end else {"absent": True}
    mac = macs.get(ipaddress.ip_address(resolve["ip"])) if resolve else None
    return {"mac": mac} if mac else {"absent": True} if resolve else {"unknown": True}


for order in map(json.loads, sys.stdin):  # the end of the input is the end of the work
    if "describe" in order:
        say("plugin", protocol=1, mode="dynamic", properties=PROPERTIES)
    elif "start" in order or "reload" in order:
        table = order["start"]["properties"]["table"] if "start" in order else table
        load(table)
    elif "ask" in order:
        say("answer", id=order["ask"].pop("id"), **finding(**order["ask"]))

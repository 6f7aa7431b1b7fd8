# demo, test, check, man, bench and install; each fetches from the distribution's packages what it needs and misses.
PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo
PROGRAMS = overlayd varpd dladm
COMPAT = ifconfig svcs

.PHONY: demo test check man bench bench-quick bench-micro build install needs-build needs-demo needs-test needs-bench

# The whole session between two hosts on this machine.
demo: needs-demo build
	tests/demo.sh target/release

# Everything that shows that the project works; as root.
test: needs-test
	$(CARGO) build --workspace --bins
	$(CARGO) test --workspace

check: needs-build
	@tests/needs.sh c++:g++
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items

# The manual pages in docs/man, from the tables and command lines of the programs.
man: needs-build
	$(CARGO) run -q -p overlay-manual

# Ratios against the kernel's vxlan behind a bridge and Open vSwitch, in one interleaved run, then what lookups and what
# thousands of things cost; as root. target/bench.json has every figure, target/bench.svg draws the ratios.
bench: needs-bench build
	target/release/overlay-bench --rounds 7
	target/release/overlay-bench lookups
	target/release/overlay-bench scale

# The same ratios, less exact, in under two minutes; as root.
bench-quick: needs-bench build
	target/release/overlay-bench --rounds 3 --seconds 1 --out target/bench-quick

# The instructions of single steps.
bench-micro: build
	@tests/needs.sh valgrind:valgrind
	target/release/overlay-bench micro

build: needs-build
	$(CARGO) build --release --workspace --exclude overlay-fuzz --bins

install: build
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/lib/overlay/compat $(DESTDIR)$(PREFIX)/lib/overlay/plugins
	install -m 755 $(PROGRAMS:%=target/release/%) $(DESTDIR)$(PREFIX)/sbin
	install -m 755 $(COMPAT:%=target/release/%) $(DESTDIR)$(PREFIX)/lib/overlay/compat

needs-build:
	@tests/needs.sh cc:gcc

needs-demo: needs-build
	@tests/needs.sh ip:iproute2 ping:iputils-ping iperf3:iperf3 ethtool:ethtool

# Open vSwitch's rows are left out where it cannot be installed.
needs-bench: needs-demo
	-@tests/needs.sh ovs-vswitchd:openvswitch-switch

needs-test: needs-demo
	@tests/needs.sh tshark:tshark setpriv:util-linux tcpdump:tcpdump c++:g++ arping:arping ndisc6:ndisc6 \
		dhclient:isc-dhcp-client dnsmasq:dnsmasq-base python3:python3 strace:strace \
		groff:groff man:man-db mandoc:mandoc fish:fish zsh:zsh

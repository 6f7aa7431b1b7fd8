# demo, test, check, man, bench, install and deb; each fetches from the distribution's packages what it needs and misses.
PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo
# Where the programs are that are installed.
FROM ?= target/release
# Where zsh looks for completions: Debian's packages have a place of their own.
ZSH_COMPLETIONS ?= share/zsh/site-functions
PROGRAMS = overlayd varpd dladm
COMPAT = ifconfig svcs
UNITS = overlay.service overlay.socket varpd.service varpd.socket overlay-first-boot.service
MAN = man5/overlay_files.5 man7/overlay.7 man8/dladm.8 man8/overlayd.8 man8/varpd.8

# What is installed below PREFIX, beside the directory of plugins.
INSTALLED = $(PROGRAMS:%=sbin/%) $(COMPAT:%=lib/overlay/compat/%) $(UNITS:%=lib/systemd/system/%) \
	lib/systemd/network/70-overlay-vnic.link lib/systemd/network/70-overlay-vnic.network \
	lib/udev/rules.d/70-overlay-vnic.rules lib/sysusers.d/overlay.conf $(MAN:%=share/man/%) \
	share/bash-completion/completions/dladm $(ZSH_COMPLETIONS)/_dladm share/fish/vendor_completions.d/dladm.fish

.PHONY: demo test check man bench bench-quick bench-micro build install install-files uninstall deb needs-build needs-demo \
	needs-test needs-bench

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
# thousands of things cost, and how well rates are kept; as root. target/bench.json has every figure, target/bench.svg draws the ratios.
bench: needs-bench build
	target/release/overlay-bench --rounds 7
	target/release/overlay-bench lookups
	target/release/overlay-bench scale
	target/release/overlay-bench maxbw

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
	@$(MAKE) --no-print-directory install-files

# The same with programs that have been built already.
install-files: to = $(DESTDIR)$(PREFIX)
install-files:
	install -d $(sort $(dir $(INSTALLED:%=$(to)/%))) $(to)/lib/overlay/plugins
	install -m 755 $(PROGRAMS:%=$(FROM)/%) $(to)/sbin
	install -m 755 $(COMPAT:%=$(FROM)/%) $(to)/lib/overlay/compat
	for unit in $(UNITS); do \
		sed 's|@SBINDIR@|$(PREFIX)/sbin|' contrib/systemd/$$unit >$(to)/lib/systemd/system/$$unit || exit 1; done
	chmod 644 $(UNITS:%=$(to)/lib/systemd/system/%)
	install -m 644 contrib/systemd/70-overlay-vnic.link contrib/systemd/70-overlay-vnic.network $(to)/lib/systemd/network
	install -m 644 contrib/udev/70-overlay-vnic.rules $(to)/lib/udev/rules.d
	install -m 644 contrib/sysusers.d/overlay.conf $(to)/lib/sysusers.d
	for page in $(MAN); do install -m 644 docs/man/$${page#*/} $(to)/share/man/$$page || exit 1; done
	install -m 644 contrib/completions/dladm.bash $(to)/share/bash-completion/completions/dladm
	install -m 644 contrib/completions/_dladm $(to)/$(ZSH_COMPLETIONS)
	install -m 644 contrib/completions/dladm.fish $(to)/share/fish/vendor_completions.d

# What make install has installed; plugins and what the daemons have stored stay.
uninstall:
	rm -f $(INSTALLED:%=$(DESTDIR)$(PREFIX)/%)
	-rmdir --ignore-fail-on-non-empty $(DESTDIR)$(PREFIX)/lib/overlay/* $(DESTDIR)$(PREFIX)/lib/overlay

# target/overlay_VERSION_ARCHITECTURE.deb
deb: build
	@tests/needs.sh dpkg-deb:dpkg objdump:binutils
	contrib/debian/build target/release target

needs-build:
	@tests/needs.sh cc:gcc

needs-demo: needs-build
	@tests/needs.sh ip:iproute2 ping:iputils-ping iperf3:iperf3 ethtool:ethtool

# Open vSwitch's rows are left out where it cannot be installed.
needs-bench: needs-demo
	-@tests/needs.sh ovs-vswitchd:openvswitch-switch

needs-test: needs-demo
	@tests/needs.sh tshark:tshark setpriv:util-linux tcpdump:tcpdump c++:g++ arping:arping ndisc6:ndisc6 \
		dhclient:isc-dhcp-client dnsmasq:dnsmasq-base python3:python3 strace:strace systemctl:systemd udevadm:udev \
		dpkg-deb:dpkg objdump:binutils unshare:util-linux find:findutils \
		groff:groff man:man-db mandoc:mandoc fish:fish zsh:zsh

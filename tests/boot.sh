#!/bin/sh
# boot.sh SCRATCH PACKAGE [COMMAND]: boots systemd on a copy of this machine's root that keeps nothing, with PACKAGE
# installed, in namespaces of its own, and writes the process number of its init to SCRATCH/init. COMMAND is for the shell,
# and runs before the boot with the copy's root in $root. As root. It ends with its standard input, and takes everything
# with it but SCRATCH.
set -eu
scratch=$1 package=$2 command=${3:-} root=$1/root

# A mount namespace of its own: what is mounted below ends with it.
if [ "${OVERLAY_BOOT:-}" != mounts ]; then
    OVERLAY_BOOT=mounts exec unshare --mount --propagation private "$0" "$@"
fi

mkdir -p "$root" "$scratch/layer" "$scratch/groups"
mount -t tmpfs layer "$scratch/layer"
mkdir "$scratch/layer/upper" "$scratch/layer/work"
mount -t overlay -o "lowerdir=/,upperdir=$scratch/layer/upper,workdir=$scratch/layer/work" root "$root"
mount -t tmpfs run "$root/run"
mount -t tmpfs dev "$root/dev"
mkdir "$root/dev/net" "$root/dev/pts" "$root/dev/shm"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/full" c 1 7
mknod -m 666 "$root/dev/random" c 1 8
mknod -m 666 "$root/dev/urandom" c 1 9
mknod -m 666 "$root/dev/tty" c 5 0
mknod -m 666 "$root/dev/net/tun" c 10 200
ln -s /proc/self/fd "$root/dev/fd"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"

# The machine's own services do not run in the copy, and nothing in it looks at the machine's devices.
rm -rf "$root/etc/systemd/system" "$root/etc/fstab" "$root/usr/sbin/policy-rc.d"
mkdir "$root/etc/systemd/system"
for unit in getty.target dbus.service dbus.socket systemd-logind.service systemd-udev-trigger.service \
    systemd-modules-load.service kmod-static-nodes.service systemd-sysctl.service systemd-remount-fs.service \
    modprobe@.service dev-hugepages.mount dev-mqueue.mount sys-kernel-config.mount sys-kernel-debug.mount \
    sys-kernel-tracing.mount sys-fs-fuse-connections.mount networking.service NetworkManager.service; do
    ln -s /dev/null "$root/etc/systemd/system/$unit"
done
cp "$package" "$root/root/overlay.deb"
chroot "$root" dpkg --force-depends --install /root/overlay.deb >"$scratch/dpkg.log" 2>&1 ||
    { cat "$scratch/dpkg.log" >&2; exit 1; }
root=$root sh -euc "$command"

# A control group of its own, below which systemd makes others.
mount -t cgroup2 groups "$scratch/groups"
group=$scratch/groups/overlay-test-$$
mkdir "$group"
init=
end() {
    # What it has started ends with it.
    [ -z "$init" ] || kill -KILL "$init" || true
    echo $$ >"$scratch/groups/cgroup.procs"
    while grep -q 'populated 1' "$group/cgroup.events"; do sleep 0.1; done
    find "$group" -depth -type d -exec rmdir {} +
}
trap end EXIT
trap 'exit 1' HUP INT TERM
echo $$ >"$group/cgroup.procs"

# shellcheck disable=SC2016 # it is for the inner shell
unshare --cgroup --pid --fork --kill-child --mount --uts --ipc --net sh -euc '
    mount -t proc proc "$1/proc"
    mount -t sysfs sysfs "$1/sys"
    mount -t cgroup2 groups "$1/sys/fs/cgroup"
    mkdir "$1/old"
    cd "$1"
    pivot_root . old
    umount -l /old
    # As systemd does on a machine that is no container: units of their own mounts see those that come later.
    mount --make-rshared /
    exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --log-target=journal' \
    sh "$root" </dev/null &
init=$!
until inner=$(cat "/proc/$init/task/$init/children") && [ -n "$inner" ]; do kill -0 "$init"; done
echo "${inner% }" >"$scratch/init"
cat >/dev/null

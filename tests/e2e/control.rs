//! The control sockets: bytes of all kinds, clients of all kinds, and who may do what.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use overlay_core::control::Client;
use overlay_core::protocol::{LINE_MAX, Request};
use overlay_tests::{Daemon, Host, LONG, Outcome, SHORT, open_fds, raise_fd_limit, resident_kib, wait_until};

const DAEMONS: [Daemon; 2] = [Daemon::Overlayd, Daemon::Varpd];
const HELLO: &[u8] = b"{\"protocol\":1,\"program\":\"test\"}\n";
/// A user that owns nothing and is in no group.
const NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
/// The number of the group that the tests call `netadm`.
const NETADM: u32 = 54321;

const CREATE: [&str; 10] = [
    "dladm",
    "create-overlay",
    "-e",
    "vxlan",
    "-s",
    "direct",
    "-v",
    "23",
    "-p",
    "vxlan/listen_ip=127.0.0.1,direct/dest_ip=127.0.0.2,direct/dest_port=4789",
];

fn connect(host: &Host, daemon: Daemon) -> UnixStream {
    let stream = UnixStream::connect(host.paths().socket(daemon)).expect("the daemon's socket");
    stream.set_read_timeout(Some(LONG)).expect("a time limit");
    stream.set_write_timeout(Some(Duration::from_secs(2))).expect("a time limit");
    stream
}

/// Checks that a client is served, and soon.
#[track_caller]
fn served(host: &Host, daemon: Daemon) {
    let request = if daemon == Daemon::Overlayd { Request::Links } else { Request::Instances };
    wait_until(SHORT, "a client is served", || {
        let mut client = Client::connect(host.paths(), daemon, "test").map_err(|error| error.to_string())?;
        client.call(request.clone()).map_err(|error| error.to_string())
    });
}

/// A host on which varpd is attached: its connection is among those that overlayd has open for good.
fn settled() -> Host {
    let mut host = Host::started();
    wait_until(LONG, "varpd is attached", || {
        let log = host.daemon(Daemon::Varpd).log();
        if log.contains("attached to overlayd") { Ok(()) } else { Err(log) }
    });
    host
}

/// Everything that the daemon sends until it closes the connection.
fn rest(stream: &mut UnixStream) -> String {
    let mut octets = Vec::new();
    // A reset is as good an end as any.
    let _ = stream.read_to_end(&mut octets);
    String::from_utf8_lossy(&octets).into_owned()
}

#[test]
fn any_bytes_are_survived() {
    let mut host = Host::started();
    let all: Vec<u8> = (0..=255).collect();
    let bytes: [&[u8]; 9] = [
        b"\n",
        b"\0\0\0\0\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"{}\n",
        b"[[[[[[[[\n",
        b"\xff\xfe\xfd\n",
        b"null\n",
        &all,
        b"{\"protocol\":99,\"program\":\"test\"}\n",
    ];
    for daemon in DAEMONS {
        for octets in bytes {
            for greeting in [&b""[..], HELLO] {
                let mut stream = connect(&host, daemon);
                let _ = stream.write_all(&[greeting, octets].concat());
                stream.shutdown(std::net::Shutdown::Write).expect("half closed");
                rest(&mut stream);
            }
        }
        served(&host, daemon);
        assert!(host.daemon(daemon).alive());
    }
}

#[test]
fn what_cannot_be_read_is_answered_with_why() {
    let host = Host::started();
    for daemon in DAEMONS {
        let mut stream = connect(&host, daemon);
        let deep = "[".repeat(100_000);
        let requests =
            format!("{{\"id\":5,\"request\":\"explode\"}}\nnonsense\n{{\"id\":6,\"request\":{deep}\n");
        stream.write_all(HELLO).expect("taken");
        stream.write_all(requests.as_bytes()).expect("taken");
        let mut lines = BufReader::new(&stream).lines();
        let mut next = || lines.next().expect("a line").expect("a line");
        assert!(next().contains(daemon.program()), "the greeting names the daemon");
        let answers = [next(), next(), next()];
        assert!(answers[0].contains("\"id\":5"), "{answers:?}");
        assert!(
            answers.iter().all(|line| line.contains("\"Err\"") && line.contains("invalid")),
            "{answers:?}"
        );
    }
}

#[test]
fn requests_of_the_other_daemon_are_unsupported() {
    let host = Host::started();
    for (daemon, request) in [(Daemon::Overlayd, Request::Instances), (Daemon::Varpd, Request::Links)] {
        let mut client = Client::connect(host.paths(), daemon, "test").expect("a daemon that runs");
        let refusal = client.call(request).expect_err("the other's business");
        assert!(format!("{refusal:?}").contains("Unsupported"), "{refusal:?}");
    }
}

#[test]
fn half_a_request_holds_nobody_up() {
    let mut host = settled();
    for daemon in DAEMONS {
        let fds = open_fds(host.daemon(daemon).pid());
        let halves: Vec<_> = (0..10)
            .map(|_| {
                let mut stream = connect(&host, daemon);
                stream.write_all(&[HELLO, b"{\"id\":1,\"requ"].concat()).expect("taken");
                stream
            })
            .collect();
        served(&host, daemon);
        drop(halves);
        let pid = host.daemon(daemon).pid();
        wait_until(SHORT, "their descriptors are closed", || {
            let now = open_fds(pid);
            if now <= fds { Ok(()) } else { Err(format!("{now} instead of {fds}")) }
        });
    }
}

/// Sends so many octets without a line's end, or as many as are taken.
fn endless(stream: &mut UnixStream, octets: usize) -> usize {
    let piece = vec![b'x'; 64 * 1024];
    let mut sent = 0;
    while sent < octets {
        match stream.write(&piece) {
            Ok(count) => sent += count,
            Err(_) => break,
        }
    }
    sent
}

#[test]
fn a_request_of_a_hundred_megabytes_is_refused_without_room_for_it() {
    let mut host = Host::started();
    for daemon in DAEMONS {
        let pid = host.daemon(daemon).pid();
        served(&host, daemon);
        let memory = resident_kib(pid);
        let mut stream = connect(&host, daemon);
        stream.write_all(HELLO).expect("taken");
        let sent = endless(&mut stream, 100_000_000);
        let now = resident_kib(pid);
        assert!(now <= memory + 8 * 1024, "{now} KiB after {memory} KiB, for {sent} octets");
        let answer = rest(&mut stream);
        assert!(sent < 100_000_000 || answer.contains(&LINE_MAX.to_string()), "{sent} taken: {answer}");
        served(&host, daemon);
    }
}

#[test]
fn a_thousand_idle_connections_leave_room_for_others() {
    let mut host = settled();
    raise_fd_limit();
    // The connection between the daemons stays, and would else come while descriptors are counted.
    wait_until(LONG, "varpd is attached", || {
        let log = host.daemon(Daemon::Overlayd).log();
        if log.contains("varpd is attached") { Ok(()) } else { Err(log) }
    });
    for daemon in DAEMONS {
        let pid = host.daemon(daemon).pid();
        let fds = open_fds(pid);
        let idle: Vec<_> = (0..1000).map(|_| connect(&host, daemon)).collect();
        served(&host, daemon);
        assert!(host.dladm(&["show-link"]).succeeded());
        drop(idle);
        wait_until(LONG, "their descriptors are closed", || {
            let now = open_fds(pid);
            if now <= fds { Ok(()) } else { Err(format!("{now} instead of {fds}")) }
        });
    }
}

#[test]
fn a_client_that_never_reads_holds_nobody_up() {
    let mut host = Host::started();
    for daemon in DAEMONS {
        let pid = host.daemon(daemon).pid();
        served(&host, daemon);
        let memory = resident_kib(pid);
        let mut stream = connect(&host, daemon);
        stream.write_all(HELLO).expect("taken");
        let request = if daemon == Daemon::Overlayd { "encaps" } else { "plugins" };
        let calls = format!("{{\"id\":1,\"request\":\"{request}\"}}\n").repeat(1000);
        let full = (0..2000).any(|_| stream.write_all(calls.as_bytes()).is_err());
        assert!(full, "a daemon stops reading from who does not read");
        served(&host, daemon);
        let now = resident_kib(pid);
        assert!(now <= memory + 16 * 1024, "{now} KiB after {memory} KiB");
    }
}

#[test]
fn a_client_that_stops_reading_half_way_and_goes_on_gets_every_answer() {
    let host = Host::started();
    let mut stream = connect(&host, Daemon::Overlayd);
    stream.set_write_timeout(None).expect("no time limit");
    let mut reader = stream.try_clone().expect("a second handle");
    let writer = std::thread::spawn(move || -> io::Result<()> {
        stream.write_all(HELLO)?;
        (0..20_000).try_for_each(|id| writeln!(stream, "{{\"id\":{id},\"request\":\"encaps\"}}"))?;
        stream.shutdown(std::net::Shutdown::Write)
    });
    let mut greeting = [0; 1];
    reader.read_exact(&mut greeting).expect("a greeting");
    let answers = BufReader::new(reader).lines().skip(1).take(20_000);
    let numbered =
        answers.enumerate().all(|(id, line)| line.is_ok_and(|line| line.contains(&format!("\"id\":{id},"))));
    assert!(numbered, "one answer to each, in order");
    writer.join().expect("a writer").expect("everything is taken");
}

fn as_user(host: &Host, wrapper: &[&str], words: &[&str]) -> Outcome {
    host.net.run(&[wrapper, words].concat())
}

#[test]
fn an_unprivileged_user_may_read_but_not_change() {
    let host = Host::started();
    host.create_overlay("demo0", 23, "127.0.0.1", "127.0.0.2", &[]);
    host.create_vnic("foo0", "demo0", &[]);
    for words in [["dladm", "show-overlay"], ["dladm", "show-link"], ["dladm", "show-vnic"]] {
        assert!(as_user(&host, &NOBODY, &words).ok().contains("demo0"), "{words:?}");
    }
    let before = host.snapshot();
    let create = [&CREATE[..], &["new0"]].concat();
    let changes: [&[&str]; 4] = [
        &create,
        &["dladm", "create-vnic", "-l", "demo0", "foo1"],
        &["dladm", "delete-vnic", "foo0"],
        &["dladm", "delete-overlay", "demo0"],
    ];
    for words in changes {
        let line = as_user(&host, &NOBODY, words).refusal();
        assert!(line.contains("permission denied") && line.contains("netadm"), "{line}");
        assert_eq!(host.snapshot(), before);
    }
}

#[test]
fn a_member_of_netadm_may_change_things_and_others_may_not() {
    let mut host = Host::new();
    host.add_group("netadm", NETADM);
    host.start();
    let create = [&CREATE[..], &["demo0"]].concat();
    as_user(&host, &["setpriv", "--reuid=65534", "--regid=65534", "--groups=54320"], &create).refusal();
    let member = ["setpriv", "--reuid=65534", "--regid=65534", "--groups=54321"];
    as_user(&host, &member, &create).ok();
    as_user(&host, &member, &["dladm", "create-vnic", "-l", "demo0", "foo0"]).ok();
    as_user(&host, &member, &["dladm", "delete-vnic", "foo0"]).ok();
    // The group may be the primary one as well.
    let primary = ["setpriv", "--reuid=65534", "--regid=54321", "--clear-groups"];
    as_user(&host, &primary, &["dladm", "delete-overlay", "demo0"]).ok();
    assert!(host.overlays().is_empty());
}

#[test]
fn a_client_that_closes_its_side_gets_every_answer() {
    let host = Host::started();
    for daemon in [Daemon::Overlayd, Daemon::Varpd] {
        let mut stream = connect(&host, daemon);
        let question = if daemon == Daemon::Overlayd { "links" } else { "plugins" };
        let mut lines = "{\"protocol\":1,\"program\":\"test\"}\n".to_owned();
        (1..=2000).for_each(|id| lines += &format!("{{\"id\":{id},\"request\":\"{question}\"}}\n"));
        stream.write_all(lines.as_bytes()).expect("room for the requests");
        stream.shutdown(std::net::Shutdown::Write).expect("closed");
        let answers = rest(&mut stream);
        assert_eq!(answers.lines().count(), 2001, "{daemon:?}");
    }
}

//! Dynamic lookups: how many, how fast, and how soon a move is heard of. Figures of this machine; `docs/performance.md`
//! says which bars they are held against.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use overlay_core::control::{Client, Paths};
use overlay_core::lookup::Question;
use overlay_core::property::Assignment;
use overlay_core::protocol::{Event, Request, Response, Session};
use overlay_core::types::{LinkId, MacAddr, VnetId};
use overlay_tests::{Daemon, Host, SHORT, Switch, VNETID, inner_v4, program, underlay_v4, wait_until};

use crate::figures::median;
use crate::options::Extent;

/// Entries of the table that is searched and loaded.
const ENTRIES: u32 = 100_000;
/// Questions under way at once.
const UNDER_WAY: usize = 10_000;
/// Questions in one line, as overlayd writes them.
const LINE: usize = 256;
/// First frames, and cached ones, that are timed in a round.
const FIRST_FRAMES: usize = 100;

/// Measures and prints everything of this page.
pub(crate) fn run(extent: &Extent) {
    println!("dynamic lookups: {} rounds; medians\n", extent.rounds);
    let show = |title: &str, figure: String, bar: &str| println!("{title:<52} {figure:>16}   {bar}");
    let loads = rounds(extent, || load(&table(ENTRIES)));
    show("a file of 100,000 entries is read", format!("{:.0} ms", loads * 1e3), "bar: below 1 s");
    let desk = Desk::open();
    let rate = rounds(extent, || desk.rate(extent.length));
    show("lookups through varpd, 10,000 under way", format!("{rate:.0} /s"), "bar: 100,000 /s");
    drop(desk);
    let moving = Moving::start();
    let (first, cached) = moving.first_frames(extent.rounds);
    let more = format!("{:.0} us", first - cached);
    show("a first frame's echo takes longer than a cached one's", more, "bar: 1,000 us");
    println!("  (first {first:.0} us, cached {cached:.0} us)");
    let heard = rounds(extent, || moving.once().as_secs_f64() * 1e3);
    show("a move reaches running traffic after", format!("{heard:.1} ms"), "bar: 50 ms");
}

fn rounds(extent: &Extent, mut round: impl FnMut() -> f64) -> f64 {
    median((0..extent.rounds).map(|_| round()).collect())
}

/// The address of entry `number`.
fn mac(number: u32) -> MacAddr {
    let [a, b, c, d] = number.to_be_bytes();
    MacAddr([2, 8, a, b, c, d])
}

fn table(entries: u32) -> String {
    let entry = |number: u32| {
        let [_, b, c, d] = number.to_be_bytes();
        format!(
            r#""{}": {{"ip": "10.1.{}.{}", "port": 4789, "arp": "10.{}.{c}.{d}"}}"#,
            mac(number),
            number / 250 % 4,
            1 + number % 250,
            100 + b
        )
    };
    format!("{{\n{}\n}}\n", (0..entries).map(entry).collect::<Vec<_>>().join(",\n"))
}

fn load(text: &str) -> f64 {
    let start = Instant::now();
    let table = varpd::plugins::files::format::parse(text.as_bytes()).expect("a table that is legal");
    let took = start.elapsed().as_secs_f64();
    assert!(table.target(mac(ENTRIES - 1)).is_some());
    took
}

/// varpd, with this program in the place of overlayd.
struct Desk {
    stream: UnixStream,
    directory: PathBuf,
    _varpd: Ended,
}

/// A process that ends with this value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn link() -> LinkId {
    LinkId(7.try_into().expect("not 0"))
}

impl Desk {
    fn open() -> Self {
        let directory = std::env::temp_dir().join(format!("overlay-bench-{}", std::process::id()));
        let paths = Paths { run: directory.join("run"), state: directory.join("state") };
        for path in [&paths.run, &paths.state] {
            fs::create_dir_all(path).expect("a directory");
        }
        let file = directory.join("table.json");
        fs::write(&file, table(ENTRIES)).expect("a file");
        let listener = UnixListener::bind(paths.socket(Daemon::Overlayd)).expect("a socket");
        let mut command = Command::new(program("varpd"));
        command.arg("--run-dir").arg(&paths.run).arg("--state-dir").arg(&paths.state);
        let varpd = Ended(command.stderr(Stdio::null()).spawn().expect("varpd runs"));
        let stream = attach(&listener, &paths, &file);
        Self { stream, directory, _varpd: varpd }
    }

    /// Questions answered in a second, with [`UNDER_WAY`] under way.
    fn rate(&self, length: Duration) -> f64 {
        let mut session = greeted_session();
        let (start, mut answered, mut asked) = (Instant::now(), 0, 0);
        while start.elapsed() < length {
            while asked - answered + LINE <= UNDER_WAY {
                let numbers = asked as u32..(asked + LINE) as u32;
                session.event(Event::Lookups(numbers.map(|number| question(number % ENTRIES)).collect()));
                asked += LINE;
            }
            answered += self.exchange(&mut session);
        }
        let rate = answered as f64 / start.elapsed().as_secs_f64();
        while answered < asked {
            answered += self.exchange(&mut session);
        }
        rate
    }

    /// Carries octets both ways; how many questions were answered.
    fn exchange(&self, session: &mut Session) -> usize {
        wait_for(&self.stream, !session.output().is_empty());
        carry(&self.stream, session).expect("varpd is there");
        let mut answered = 0;
        while let Some(incoming) = session.next_request(|| true) {
            if let Request::Answers { answers } = &incoming.request {
                answered += answers.len();
            }
            session.reply(incoming.id, Ok(Response::Done));
        }
        answered
    }
}

fn question(number: u32) -> Question {
    Question::Target { link: link(), mac: mac(number), source: mac(ENTRIES), vid: None }
}

/// The greeting is long over on the connection that it continues.
fn greeted_session() -> Session {
    let mut session = Session::new("overlayd");
    session.trust();
    session.receive(b"{\"protocol\":1,\"program\":\"varpd\"}\n");
    assert!(session.next_request(|| true).is_none());
    session.written(session.output().len());
    session
}

/// Lets varpd attach and associate an instance of `files`.
fn attach(listener: &UnixListener, paths: &Paths, file: &Path) -> UnixStream {
    let (stream, _) = listener.accept().expect("varpd connects");
    stream.set_nonblocking(true).expect("a socket");
    let mut session = Session::new("overlayd");
    session.trust();
    let paths = paths.clone();
    let file = file.display().to_string();
    let activation = std::thread::spawn(move || {
        let mut client = wait_until(SHORT, "varpd answers", || {
            Client::connect(&paths, Daemon::Varpd, "bench").map_err(|error| error.to_string())
        });
        let properties = vec![Assignment::new("files/config", file)];
        let (vnetid, plugin) = (VnetId::new(23).expect("legal"), "files".to_owned());
        let create = Request::CreateInstance { link: link(), vnetid, plugin, properties, temporary: false };
        let Ok(Response::Instance(instance)) = client.call(create) else { panic!("no instance") };
        client.call(Request::ActivateInstance { instance }).expect("it becomes active");
    });
    while !activation.is_finished() || !session.output().is_empty() {
        wait_for(&stream, !session.output().is_empty());
        carry(&stream, &mut session).expect("varpd is there");
        while let Some(incoming) = session.next_request(|| true) {
            let response = match incoming.request {
                Request::Attach => Response::Attached { overlays: vec![link()], deleted: vec![] },
                _ => Response::Done,
            };
            session.reply(incoming.id, Ok(response));
        }
    }
    activation.join().expect("the instance is active");
    stream
}

fn wait_for(stream: &UnixStream, writes: bool) {
    use std::os::fd::AsFd;
    let mut interest = PollFlags::POLLIN;
    interest.set(PollFlags::POLLOUT, writes);
    poll(&mut [PollFd::new(stream.as_fd(), interest)], PollTimeout::from(100u8)).expect("a socket");
}

fn carry(mut stream: &UnixStream, session: &mut Session) -> io::Result<()> {
    let mut octets = vec![0; 256 * 1024];
    match stream.read(&mut octets) {
        Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
        Ok(count) => session.receive(&octets[..count]),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    match stream.write(session.output()) {
        Ok(count) => session.written(count),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Three hosts with one file; the second and the third both have the address that moves between them.
struct Moving {
    hosts: [Host; 3],
    file: PathBuf,
    sender: UdpSocket,
    receivers: [UdpSocket; 2],
    _switch: Switch,
}

/// The address of the sender, and the one that moves.
const ENDS: [&str; 2] = ["2:8:20:0:0:1", "2:8:20:0:0:2"];

impl Moving {
    fn start() -> Self {
        let hosts = [Host::started(), Host::started(), Host::started()];
        let switch = Switch::join(&[&hosts[0].net, &hosts[1].net, &hosts[2].net], 1500);
        let file = hosts[0].paths().run.join("table.json");
        write(&file, 2);
        for (host, end) in hosts.iter().zip(1..) {
            furnish(host, end, &file);
        }
        let socket = |host: &Host, end| {
            host.net.inside(|| UdpSocket::bind((inner_v4(end), 7777)).expect("an address"))
        };
        let receivers = [socket(&hosts[1], 2), socket(&hosts[2], 2)];
        let sender = socket(&hosts[0], 1);
        sender.connect((inner_v4(2), 7777)).expect("a route");
        for socket in receivers.iter().chain([&sender]) {
            socket.set_read_timeout(Some(SHORT)).expect("a time limit");
        }
        Self { hosts, file, sender, receivers, _switch: switch }
    }

    /// The median echo of a first frame and of the one after it, in microseconds.
    fn first_frames(&self, rounds: usize) -> (f64, f64) {
        let mut client =
            Client::connect(self.hosts[0].paths(), Daemon::Overlayd, "bench").expect("overlayd runs");
        let forget = || Request::RemoveTarget {
            overlay: "demo0".parse().expect("legal"),
            mac: ENDS[1].parse().expect("legal"),
        };
        self.echo();
        let (mut first, mut cached) = (Vec::new(), Vec::new());
        for _ in 0..FIRST_FRAMES * rounds {
            client.call(forget()).expect("it was there");
            first.push(self.echo());
            cached.push(self.echo());
        }
        (median(first), median(cached))
    }

    /// An echo's microseconds.
    fn echo(&self) -> f64 {
        let (mut buffer, start) = ([0; 64], Instant::now());
        self.sender.send(b"first").expect("it leaves");
        let (_, from) = self.receivers[0].recv_from(&mut buffer).expect("it arrives");
        self.receivers[0].send_to(b"back", from).expect("it leaves");
        self.sender.recv(&mut buffer).expect("it comes back");
        start.elapsed().as_secs_f64() * 1e6
    }

    /// How long after the file has its new content a stream's datagrams arrive at the other host.
    fn once(&self) -> Duration {
        self.receivers[1].set_read_timeout(Some(Duration::from_micros(500))).expect("a time limit");
        let mut buffer = [0; 64];
        self.sender.send(b"before").expect("it leaves");
        self.receivers[0].recv(&mut buffer).expect("it arrives where it should");
        let start = Instant::now();
        write(&self.file, 3);
        while self.receivers[1].recv(&mut buffer).is_err() {
            assert!(start.elapsed() < SHORT, "nothing arrives at the new place");
            self.sender.send(b"where").expect("it leaves");
        }
        let took = start.elapsed();
        self.back();
        took
    }

    fn back(&self) {
        write(&self.file, 2);
        self.receivers[0].set_nonblocking(true).expect("a socket");
        let mut buffer = [0; 64];
        while self.receivers[0].recv(&mut buffer).is_ok() {}
        wait_until(SHORT, "the address is back", || {
            self.sender.send(b"again").expect("it leaves");
            self.receivers[0].recv(&mut buffer).map(drop).map_err(|error| error.to_string())
        });
        self.receivers[0].set_nonblocking(false).expect("a socket");
        self.receivers[0].set_read_timeout(Some(Duration::from_millis(50))).expect("a time limit");
        while self.receivers[0].recv(&mut buffer).is_ok() {}
        self.receivers[0].set_read_timeout(Some(SHORT)).expect("a time limit");
    }
}

/// Writes the file in one step, with the moving address at host `at`.
fn write(file: &Path, at: u8) {
    let entry = |mac: &str, host: u8| format!(r#""{mac}": {{"ip": "{}", "port": 4789}}"#, underlay_v4(host));
    // The host that does not have it now may send to the others all the same.
    let spare = entry("2:8:20:0:0:3", 5 - at);
    let text = format!("{{ {}, {}, {spare} }}", entry(ENDS[0], 1), entry(ENDS[1], at));
    let fresh = file.with_extension("new");
    fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, file)).expect("a file");
}

fn furnish(host: &Host, end: u8, file: &Path) {
    let config = format!("files/config={}", file.display());
    host.create_searched("demo0", VNETID, underlay_v4(end), "files", &["-p", &config]);
    let (own, other) = if end == 1 { (0, 1) } else { (1, 0) };
    host.create_vnic("foo0", "demo0", &["-m", ENDS[own]]);
    host.net.address("foo0", own as u8 + 1);
    let neighbour = inner_v4(other as u8 + 1).to_string();
    host.net.ip(&["neigh", "replace", &neighbour, "lladdr", ENDS[other], "dev", "foo0", "nud", "permanent"]);
}

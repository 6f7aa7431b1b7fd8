//! The control protocol in the hands of those who should not have it: wrong answers, huge frames, numbers that nothing
//! has. What is refused changes nothing, what is ignored too, and traffic goes on.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;

use overlay_core::control::{Client, ClientError};
use overlay_core::lookup::{About, Answer, Octets, Sources, TargetMode, Verdict};
use overlay_core::protocol::{Association, ErrorCode, FixedTarget, Request, Response, TargetPage};
use overlay_core::types::{LinkId, LinkName, MacAddr};
use overlay_tests::frame::{arp, ethernet};
use overlay_tests::{
    Daemon, Host, KernelPeer, LONG, Plan, RawLink, SHORT, Scene, Transfer, inner_v4, resident_kib,
    underlay_v4, wait_until,
};

const MAC: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 7]);
const A_BIT: u64 = 1_000_000;

/// `demo0` carries a stream; `table0` is to be lied to. There is no varpd but the test.
struct Stand {
    scene: Scene<KernelPeer>,
    transfer: Transfer,
    link: LinkId,
    demo: LinkId,
}

impl Stand {
    fn new() -> Self {
        let scene = Scene::kernel(Plan::default());
        let host = &scene.host;
        let config = host.paths().run.join("table.json");
        std::fs::write(&config, "{}").expect("written");
        let config = format!("files/config={}", config.display());
        host.create_searched("table0", 24, underlay_v4(1), "files", &["-p", &config]);
        host.create_vnic("bar0", "table0", &[]);
        host.net.run(&["sysctl", "-q", "-w", "net.ipv6.conf.bar0.disable_ipv6=1"]).ok();
        host.net.ip(&["link", "set", "bar0", "up"]);
        let id = |name: &str| host.overlay(name).expect("it is there").id;
        let (link, demo) = (id("table0"), id("demo0"));
        let transfer = Transfer::start(&host.net, &scene.peer.net, inner_v4(2));
        Self { scene, transfer, link, demo }
    }

    /// A client in the place of varpd, which ends.
    fn attached(&mut self) -> Client {
        self.scene.host.kill9(Daemon::Varpd);
        let paths = self.scene.host.paths().clone();
        wait_until(SHORT, "the place of varpd is free", || {
            let mut client = client(&paths);
            client.call(Request::Attach).map(|_| client).map_err(|error| error.to_string())
        })
    }

    fn association(&self) -> Association {
        Association { link: self.link, instance: 7, mode: TargetMode::Dynamic, sources: Sources::Any }
    }

    #[track_caller]
    fn unharmed(mut self) {
        self.transfer.wait_for_more(LONG, A_BIT);
        self.transfer.finish();
        self.scene.host.check_counters();
        assert!(self.scene.host.daemon(Daemon::Overlayd).alive());
    }
}

fn client(paths: &overlay_core::control::Paths) -> Client {
    Client::connect(paths, Daemon::Overlayd, "test").expect("a daemon that runs")
}

fn name(text: &str) -> LinkName {
    text.parse().expect("a link name")
}

fn wrong_link() -> LinkId {
    LinkId(1.try_into().expect("not 0"))
}

fn end(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Every verdict about every subject, for every link.
fn nonsense(links: &[LinkId]) -> Vec<Answer> {
    let ends = vec![end("10.0.0.2:4789"), end("0.0.0.0:0"), end("[ff02::1]:1"), end("255.255.255.255:65535")];
    let verdicts = [
        Verdict::Found(Vec::new()),
        Verdict::Found(ends.clone()),
        Verdict::Learned(ends),
        Verdict::Absent,
        Verdict::Unknown,
        Verdict::Doubtful,
        Verdict::Reply(Octets(Vec::new())),
        Verdict::Reply(Octets(vec![0xff; 13])),
        Verdict::Reply(Octets(vec![0xff; 65_536])),
        Verdict::Redirect(MAC),
        Verdict::Redirect(MacAddr([0xff; 6])),
    ];
    let abouts = [
        About::Mac(MAC),
        About::Mac(MacAddr([0; 6])),
        About::Mac(MacAddr([0xff; 6])),
        About::Frame(0),
        About::Frame(1),
        About::Frame(u64::MAX),
        About::Groups,
        About::All,
    ];
    let mut all = Vec::new();
    for link in links {
        for about in abouts {
            all.extend(verdicts.iter().map(|verdict| Answer {
                link: *link,
                about,
                verdict: verdict.clone(),
            }));
        }
    }
    all
}

/// What only the attached varpd may say is refused from anybody else; and what anybody with the right may ask is
/// answered.
#[test]
fn a_client_that_is_not_attached_answers_nothing() {
    let stand = Stand::new();
    let mut client = client(stand.scene.host.paths());
    let answers = |count| nonsense(&[stand.link, stand.demo, wrong_link()]).into_iter().take(count).collect();
    for count in [0, 1, 6] {
        match client.call(Request::Answers { answers: answers(count) }) {
            Err(ClientError::Refused(error)) if error.code == ErrorCode::Denied => {}
            other => panic!("{other:?}"),
        }
    }
    // A line that is longer than a stranger's may be costs it its connection.
    let one = Answer { link: stand.link, about: About::All, verdict: Verdict::Absent };
    assert!(client.call(Request::Answers { answers: vec![one; 100_000] }).is_err());
    match self::client(stand.scene.host.paths()).call(Request::Attach) {
        Err(ClientError::Refused(error)) if error.code == ErrorCode::Exists => {}
        other => panic!("{other:?}"),
    }
    assert!(stand.scene.host.all_targets("table0").expect("a table").is_empty());
    stand.unharmed();
}

#[test]
fn an_attached_varpd_that_talks_nonsense_harms_no_other_overlay() {
    let mut stand = Stand::new();
    let mut varpd = stand.attached();
    varpd.call(Request::Associate(stand.association())).expect("it is taken");
    let out = RawLink::open(&stand.scene.host.net, "bar0");
    let source = MacAddr([2, 0xcc, 0, 0, 0, 1]);
    for round in 0..3u8 {
        out.send(&ethernet(MAC, source, 0x88b5, &[round; 60]));
        let question = arp(1, (source, inner_v4(9)), (MacAddr([0; 6]), inner_v4(8)));
        out.send(&ethernet(MacAddr([0xff; 6]), source, 0x0806, &question));
        wait_until(SHORT, "something is asked", || {
            let waiting = stand.scene.host.counters("table0").of("waiting");
            if waiting > 0 { Ok(()) } else { Err("nothing waits".to_owned()) }
        });
        for links in [&[wrong_link()][..], &[stand.link]] {
            for answer in nonsense(links) {
                let _ =
                    varpd.call(Request::Answers { answers: vec![answer] }).expect("taken, or passed over");
            }
        }
        varpd.call(Request::Answers { answers: nonsense(&[stand.link, wrong_link()]) }).expect("at once too");
    }
    stand.scene.host.check_counters();
    assert!(stand.scene.host.net.ping(inner_v4(2), 56, false));
    stand.unharmed();
}

#[test]
fn a_hundred_thousand_answers_in_a_line_keep_nobody_waiting() {
    let mut stand = Stand::new();
    let mut varpd = stand.attached();
    varpd.call(Request::Associate(stand.association())).expect("it is taken");
    let pid = stand.scene.host.daemon(Daemon::Overlayd).pid();
    let before = resident_kib(pid);
    let answer = |number: u32| {
        let [_, a, b, c] = number.to_be_bytes();
        let about = About::Mac(MacAddr([2, 0xdd, 0, a, b, c]));
        Answer { link: stand.link, about, verdict: Verdict::Learned(vec![end("10.0.0.2:4789")]) }
    };
    for _ in 0..2 {
        varpd.call(Request::Answers { answers: (0..100_000).map(answer).collect() }).expect("taken");
        stand.scene.host.overlay("table0").expect("a control request is answered");
    }
    let kept = stand.scene.host.all_targets("table0").expect("a table").len();
    assert_eq!(kept, 65_536, "no more than target/maximum");
    let after = resident_kib(pid);
    assert!(after <= before + 128 * 1024, "{before} KiB grew to {after} KiB");
    stand.unharmed();
}

#[test]
fn frames_of_any_size_may_be_injected_anywhere() {
    let stand = Stand::new();
    let mut client = client(stand.scene.host.paths());
    for link in [stand.link, stand.demo, wrong_link()] {
        for size in [0, 1, 12, 13, 14, 17, 18, 60, 1414, 9000, 65_535, 65_536, 100_000] {
            for octet in [0, 0x81, 0xff] {
                let outcome = client.call(Request::Inject { link, frame: Octets(vec![octet; size]) });
                assert!(!matches!(outcome, Err(ClientError::Lost { .. })), "{size}: {outcome:?}");
            }
        }
    }
    stand.unharmed();
}

#[test]
fn targets_that_cannot_be_and_pages_that_are_not_are_refused_or_empty() {
    let stand = Stand::new();
    let mut client = client(stand.scene.host.paths());
    for page in [1, 191, 192, 1000, u32::MAX] {
        let request = Request::Targets { overlay: name("table0"), page };
        match client.call(request).expect("a page") {
            Response::Targets(TargetPage { targets, next }) => {
                assert!(targets.is_empty() && next.is_none_or(|next| next == page + 1));
            }
            other => panic!("{other:?}"),
        }
    }
    let ends = |texts: &[&str]| FixedTarget::Ends(texts.iter().map(|text| end(text)).collect());
    for target in [
        ends(&[]),
        ends(&["0.0.0.0:4789"]),
        ends(&["10.0.0.2:0"]),
        ends(&["224.0.0.1:4789"]),
        ends(&["[2001:db8::1]:4789"]),
        FixedTarget::Ends(vec![end("10.0.0.2:4789"); 65]),
    ] {
        let request = Request::SetTarget { overlay: name("table0"), mac: MAC, target };
        match client.call(request) {
            Err(ClientError::Refused(error)) => assert!(!error.message.contains('\n'), "{error}"),
            other => panic!("{other:?}"),
        }
    }
    for (overlay, mac) in [("demo0", MAC), ("none0", MAC), ("foo0", MAC), ("table0", MacAddr([9; 6]))] {
        assert!(client.call(Request::RemoveTarget { overlay: name(overlay), mac }).is_err(), "{overlay}");
    }
    for mac in [MacAddr([0; 6]), MacAddr([0xff; 6])] {
        let _ = client.call(Request::SetTarget { overlay: name("table0"), mac, target: FixedTarget::Drop });
    }
    client.call(Request::FlushTargets { overlay: name("table0") }).expect("it is emptied");
    assert!(stand.scene.host.all_targets("table0").expect("a table").is_empty());
    stand.unharmed();
}

#[test]
fn what_varpd_says_of_links_that_are_not_is_refused() {
    let mut stand = Stand::new();
    let mut varpd = stand.attached();
    let link = wrong_link();
    let message = "\u{1b}[1m\nnonsense".repeat(100);
    for request in [
        Request::Associate(Association { link, ..stand.association() }),
        Request::Disassociate { link },
        Request::Degrade { link, message: message.clone() },
        Request::Restore { link },
    ] {
        assert!(matches!(varpd.call(request), Err(ClientError::Refused(_))));
    }
    varpd.call(Request::ForgetDeleted { links: vec![link; 10_000] }).expect("nothing to forget");
    // Whatever it says reaches a terminal as text of one line.
    varpd.call(Request::Degrade { link: stand.link, message }).expect("taken");
    let shown = stand.scene.host.dladm_ok(&["show-overlay", "-f"]);
    assert!(shown.lines().count() <= 4 && !shown.contains('\u{1b}'), "{shown:?}");
    let shown = stand.scene.host.dladm_ok(&["show-overlay", "-f", "-p", "-o", "link,status,details"]);
    assert!(shown.lines().count() == 2 && !shown.contains('\u{1b}'), "{shown:?}");
    let point = |text: &str| TargetMode::Point(end(text));
    for mode in [point("0.0.0.0:1"), point("10.0.0.2:0"), point("224.0.0.1:1"), point("[2001:db8::1]:1")] {
        let association = Association { mode, ..stand.association() };
        assert!(matches!(varpd.call(Request::Associate(association)), Err(ClientError::Refused(_))));
    }
    stand.unharmed();
}

/// Each request that changes something, as JSON that is legal.
fn changes(link: LinkId) -> Vec<Request> {
    let overlay = || name("table0");
    vec![
        Request::SetTarget { overlay: overlay(), mac: MAC, target: FixedTarget::Drop },
        Request::RemoveTarget { overlay: overlay(), mac: MAC },
        Request::FlushTargets { overlay: overlay() },
        Request::SetOverlayProperties { overlay: overlay(), properties: Vec::new() },
        Request::Attach,
        Request::Degrade { link, message: "no".to_owned() },
        Request::Answers { answers: nonsense(&[link]).into_iter().take(3).collect() },
        Request::Inject { link, frame: Octets(vec![0; 60]) },
        Request::ForgetDeleted { links: vec![link] },
    ]
}

/// What the process of another user is to say, and where: this test again, in that process.
const SOCKET: &str = "OVERLAY_TEST_SOCKET";
const LINES: &str = "OVERLAY_TEST_LINES";

#[test]
fn somebody_else_speaks() {
    let (Ok(socket), Ok(lines)) = (std::env::var(SOCKET), std::env::var(LINES)) else { return };
    let mut stream = UnixStream::connect(socket).expect("anybody may connect");
    stream.write_all(lines.as_bytes()).expect("taken");
    stream.shutdown(Shutdown::Write).expect("closed");
    io::copy(&mut stream, &mut io::stdout()).expect("answers");
}

#[test]
fn an_unprivileged_user_is_denied_every_change() {
    let stand = Stand::new();
    let host: &Host = &stand.scene.host;
    let mut lines = "{\"protocol\":1,\"program\":\"nobody\"}\n".to_owned();
    let requests = changes(stand.link);
    for (id, request) in requests.iter().enumerate() {
        let request = serde_json::to_string(request).expect("a line");
        lines += &format!("{{\"id\":{id},\"request\":{request}}}\n");
    }
    let socket = host.paths().socket(Daemon::Overlayd).display().to_string();
    let variables = [format!("{SOCKET}={socket}"), format!("{LINES}={lines}")];
    let program = std::env::current_exe().expect("the path of the test").display().to_string();
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env"];
    let test = [&program, "--exact", "somebody_else_speaks", "--nocapture"];
    let answers = host.net.run(&[&nobody[..], &[&variables[0], &variables[1]], &test].concat()).ok();
    let denied = answers.lines().filter(|line| line.contains("\"denied\"")).count();
    assert_eq!(denied, requests.len(), "{answers}");
    assert!(host.all_targets("table0").expect("a table").is_empty());
    stand.unharmed();
}

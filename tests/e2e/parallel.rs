//! Many administrators at once: every answer is right, nothing waits for ever, and nothing is left.

use std::collections::BTreeSet;
use std::thread;

use overlay_core::control::{Client, ClientError};
use overlay_core::property::Assignment;
use overlay_core::protocol::{ErrorCode, MacChoice, Request, Response};
use overlay_core::types::LinkName;
use overlay_tests::{Daemon, Host, LONG, Namespace, Underlay, open_fds, underlay_v4, wait_until};

/// Administrators, each with a connection of his own.
const MANY: u32 = 100;
/// How often each makes his overlay and VNIC and deletes them again.
const ROUNDS: usize = 2;

fn name(text: &str) -> LinkName {
    text.parse().expect("a link name")
}

/// What could be left behind.
fn possessions(host: &Host) -> (BTreeSet<String>, usize, usize) {
    let devices = host.net.devices().into_iter().map(|(_, name)| name).collect();
    (devices, open_fds(host.running(Daemon::Overlayd).pid()), host.record_files().len())
}

/// Makes an overlay and a VNIC and deletes them, and with them what all others want to have too.
fn administrate(host: &Host, number: u32) -> usize {
    let mut overlayd = Client::connect(host.paths(), Daemon::Overlayd, "test").expect("it runs");
    let mut varpd = Client::connect(host.paths(), Daemon::Varpd, "test").expect("it runs");
    let (overlay, card) = (name(&format!("many{number}")), name(&format!("card{number}")));
    let mut won = 0;
    for _ in 0..ROUNDS {
        let Ok(Response::Link(link)) = overlayd.call(create(&overlay, 1000 + number)) else {
            panic!("{overlay} is not made")
        };
        let properties = vec![
            Assignment::new("direct/dest_ip", underlay_v4(2).to_string()),
            Assignment::new("direct/dest_port", "4789"),
        ];
        let (vnetid, plugin) = ((1000 + number).try_into().expect("a vnetid"), "direct".to_owned());
        let request = Request::CreateInstance { link, vnetid, plugin, properties, temporary: false };
        let Ok(Response::Instance(instance)) = varpd.call(request) else {
            panic!("{overlay} has no instance")
        };
        varpd.call(Request::ActivateInstance { instance }).expect("it is activated");
        overlayd.call(Request::ActivateOverlay { name: overlay.clone() }).expect("it is activated");
        overlayd.call(vnic(&card, &overlay)).expect("it is made");
        won += usize::from(contend(&mut overlayd));
        overlayd.call(Request::DeleteVnic { name: card.clone(), keep_stored: false }).expect("it is deleted");
        overlayd
            .call(Request::DeleteOverlay { name: overlay.clone(), keep_stored: false })
            .expect("so is this");
    }
    won
}

/// Wants to have the one name that everybody wants; who has it gives it back.
fn contend(overlayd: &mut Client) -> bool {
    match overlayd.call(create(&name("wanted0"), 999)) {
        Ok(Response::Link(_)) => {
            let gone = Request::DeleteOverlay { name: name("wanted0"), keep_stored: false };
            overlayd.call(gone).expect("it is mine");
            true
        }
        Err(ClientError::Refused(error)) if error.code == ErrorCode::Exists => false,
        other => panic!("{other:?}"),
    }
}

fn create(name: &LinkName, vnetid: u32) -> Request {
    Request::CreateOverlay {
        name: name.clone(),
        encap: "vxlan".to_owned(),
        vnetid: vnetid.try_into().expect("a vnetid"),
        search: "direct".to_owned(),
        properties: vec![Assignment::new("vxlan/listen_ip", underlay_v4(1).to_string())],
        temporary: false,
    }
}

fn vnic(name: &LinkName, over: &LinkName) -> Request {
    let (name, over, mac) = (name.clone(), over.clone(), MacChoice::Random { prefix: None });
    Request::CreateVnic { name, over, mac, vid: None, properties: Vec::new(), temporary: false }
}

#[test]
fn a_hundred_administrators_at_once_get_right_answers_and_leave_nothing() {
    let host = Host::started();
    let peer = Namespace::new();
    let _underlay = Underlay::join(&host.net, &peer, 1500);
    host.forget();
    let before = possessions(&host);
    let won: usize = thread::scope(|scope| {
        let all: Vec<_> = (0..MANY)
            .map(|number| {
                scope.spawn({
                    let host = &host;
                    move || administrate(host, number)
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().expect("every answer is right")).sum()
    });
    assert!(won > 0, "nobody ever had the name that all wanted");
    wait_until(LONG, "nothing is left", || {
        let now = possessions(&host);
        if now == before && host.instances().is_empty() {
            Ok(())
        } else {
            Err(format!("{before:?} before, now {now:?}"))
        }
    });
}

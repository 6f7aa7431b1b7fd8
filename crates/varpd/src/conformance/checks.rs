//! What is checked of a program that has declared itself, each with a run of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;

use overlay_core::types::{MacAddr, VlanId};

use super::Subject;
use super::session::{Session, late};
use crate::plugins::Mode;
use crate::plugins::interface::{Finding, Query};
use crate::plugins::program::legal::Wanted;
use crate::plugins::program::message::Order;

/// Questions asked without waiting.
const AT_ONCE: u64 = 1000;

const HOST: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 1]);
const ASKER: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 2]);

type Check = fn(&Subject) -> Pin<Box<dyn Future<Output = Result<(), String>> + '_>>;

/// Every check, with its name, and the mode it is for when it is not for both.
pub(super) static CHECKS: &[(&str, Option<Mode>, Check)] = &[
    ("becomes ready", None, |subject| Box::pin(becomes_ready(subject))),
    ("answers a question for a destination once", Some(Mode::Dynamic), |subject| {
        Box::pin(answers(subject, vec![target(HOST, None)]))
    }),
    ("answers a question for a destination in a VLAN once", Some(Mode::Dynamic), |subject| {
        Box::pin(answers(subject, vec![target(HOST, VlanId::new(7).ok())]))
    }),
    ("answers a question for a group once", Some(Mode::Dynamic), |subject| {
        Box::pin(answers(subject, vec![target(MacAddr::BROADCAST, None)]))
    }),
    ("answers questions for owners of IP addresses once", Some(Mode::Dynamic), |subject| {
        Box::pin(answers(subject, vec![resolve(Ipv4Addr::new(10, 8, 0, 1)), resolve(Ipv6Addr::LOCALHOST)]))
    }),
    ("answers questions for DHCP servers once", Some(Mode::Dynamic), |subject| {
        Box::pin(answers(subject, vec![dhcp(false), dhcp(true)]))
    }),
    ("answers 1000 questions that do not wait for each other", Some(Mode::Dynamic), |subject| {
        Box::pin(answers_many(subject))
    }),
    ("does not know the answer to a question of an unknown kind", Some(Mode::Dynamic), |subject| {
        Box::pin(answers_unknown_kinds(subject))
    }),
    ("passes over words that it does not know", None, |subject| Box::pin(passes_over(subject))),
    ("goes on after a reload", None, |subject| Box::pin(goes_on_after_a_reload(subject))),
    ("ends when its input ends", None, |subject| Box::pin(ends_with_its_input(subject))),
    ("ends when its output is closed", Some(Mode::Dynamic), |subject| {
        Box::pin(ends_with_its_output(subject))
    }),
];

async fn becomes_ready(subject: &Subject) -> Result<(), String> {
    Session::ready(subject).await?.farewell(subject.limits.end).await.map(drop)
}

async fn answers(subject: &Subject, queries: Vec<Query>) -> Result<(), String> {
    let mut session = Session::ready(subject).await?;
    for query in &queries {
        session.ask(query);
    }
    all_answered_once(session, subject).await
}

async fn answers_many(subject: &Subject) -> Result<(), String> {
    let mut session = Session::ready(subject).await?;
    for number in 0..AT_ONCE {
        let [.., high, low] = number.to_be_bytes();
        session.ask(&match number % 3 {
            0 => target(MacAddr([2, 8, 0x20, 0, high, low]), None),
            1 => resolve(Ipv4Addr::new(10, 8, high, low)),
            _ => dhcp(number % 2 == 0),
        });
    }
    all_answered_once(session, subject).await
}

async fn answers_unknown_kinds(subject: &Subject) -> Result<(), String> {
    let mut session = Session::ready(subject).await?;
    let id = session.number(Wanted::Mac);
    session.send(
        format!("{{\"ask\":{{\"id\":{id},\"of-tomorrow\":{{\"mac\":\"2:8:20:0:0:1\"}}}}}}\n").as_bytes(),
    );
    session.all_answered(subject.limits.answer).await?;
    match session.answer(id) {
        Some(Finding::Unknown) => Ok(()),
        other => Err(format!("the answer is not 'unknown' but {other:?}")),
    }
}

async fn passes_over(subject: &Subject) -> Result<(), String> {
    let mut session = Session::ready(subject).await?;
    session.send(b"{\"of-tomorrow\":{\"id\":1}}\n");
    session.send(b"{\"reload\":{\"of-tomorrow\":[1,{}]},\"of-tomorrow\":null}\n");
    if subject.mode == Mode::Dynamic {
        let id = session.number(Wanted::Ends);
        let ask = format!(
            "{{\"ask\":{{\"of-tomorrow\":1,\"id\":{id},\"target\":{{\"mac\":\"{HOST}\",\"source\":\"{ASKER}\",\"of-tomorrow\":{{}}}}}}}}\n"
        );
        session.send(ask.as_bytes());
    }
    all_answered_once(session, subject).await
}

async fn goes_on_after_a_reload(subject: &Subject) -> Result<(), String> {
    let mut session = Session::ready(subject).await?;
    session.send(&Order::Reload {}.line());
    if subject.mode == Mode::Dynamic {
        session.ask(&target(HOST, None));
    }
    all_answered_once(session, subject).await
}

async fn ends_with_its_input(subject: &Subject) -> Result<(), String> {
    let limit = subject.limits.end;
    let ended = Session::ready(subject).await?.farewell(limit).await?;
    ended.then_some(()).ok_or_else(|| late("it did not end", limit))
}

async fn ends_with_its_output(subject: &Subject) -> Result<(), String> {
    let query = target(HOST, None);
    let limit = subject.limits.end;
    let ended = Session::ready(subject).await?.output_closes(&query, limit).await;
    ended.then_some(()).ok_or_else(|| late("it did not end", limit))
}

/// Waits for all answers, and for the end of the program, so that a second answer would be seen. One that does not
/// end in time fails in a check of its own.
async fn all_answered_once(mut session: Session, subject: &Subject) -> Result<(), String> {
    session.all_answered(subject.limits.answer).await?;
    session.farewell(subject.limits.end).await.map(drop)
}

fn target(mac: MacAddr, vid: Option<VlanId>) -> Query {
    Query::Target { mac, source: ASKER, vid }
}

fn resolve(ip: impl Into<IpAddr>) -> Query {
    Query::Resolve { ip: ip.into(), asker: ASKER, vid: None }
}

fn dhcp(v6: bool) -> Query {
    Query::Dhcp { client: ASKER, v6, vid: None }
}

use std::fs;
use std::sync::Arc;

use overlay_core::lookup::{About, Answer, Octets, Question, Sources, TargetMode, Verdict};
use overlay_core::property::Assignment;
use overlay_core::protocol::{Event, InstanceState, Request, Response};
use overlay_core::types::MacAddr;
use tokio::join;
use tokio::task::yield_now;

use crate::dynamic::{self, Script};
use crate::host::{Host, create_of};
use crate::lines::soon;
use crate::plugins::interface::{Action, Finding, News};
use crate::twin::{Link, Twin, link};

fn mac(last: u8) -> MacAddr {
    MacAddr([2, 8, 0x20, 0, 0, last])
}

fn target(id: u32, last: u8) -> Question {
    Question::Target { link: link(id), mac: mac(last), source: mac(0xee), vid: None }
}

fn told(about: About, verdict: Verdict) -> Answer {
    Answer { link: link(1), about, verdict }
}

/// A host with an active instance of the dynamic twin for overlay 1, its driver, and the twin's script.
async fn active() -> (Host, Twin, Link, Script) {
    let plugin = dynamic::Twin::named("twin");
    let script = plugin.script();
    let mut host = Host::with(vec![Arc::new(plugin)]);
    let twin = Twin::start(&host.paths());
    host.start().await;
    let mut driver = twin.attach(&[1], &[]).await;
    let instance = host.create_by(create_of(1, "twin", vec![])).await;
    let mut client = host.client().await;
    let (result, association) =
        join!(client.call(Request::ActivateInstance { instance }), driver.associated());
    assert_eq!((result, association.mode), (Ok(Response::Done), TargetMode::Dynamic));
    greeting(&mut driver).await;
    (host, twin, driver, script)
}

/// What the driver still knows from before is called doubtful.
async fn greeting(driver: &mut Link) {
    assert_eq!(answers(driver).await, [told(About::All, Verdict::Doubtful)]);
}

async fn answers(driver: &mut Link) -> Vec<Answer> {
    let call = driver.call().await;
    driver.reply(call.id, Ok(Response::Done)).await;
    match call.request {
        Request::Answers { answers } => answers,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn questions_of_a_line_are_answered_in_a_line() {
    let (_host, _twin, mut driver, script) = active().await;
    let ends = vec!["10.0.0.7:4789".parse().unwrap()];
    script.knows(Some(Finding::Ends(ends.clone())));
    let frame = Octets([[0xff; 6], mac(0xee).0].concat().into_iter().chain([0; 48]).collect());
    let frame = Question::Frame { link: link(1), id: 3, frame };
    driver.event(Event::Lookups(vec![target(1, 1), frame, target(9, 2)])).await;
    let unknown = Answer { link: link(9), about: About::Mac(mac(2)), verdict: Verdict::Unknown };
    let expected = [
        told(About::Mac(mac(1)), Verdict::Found(ends.clone())),
        told(About::Frame(3), Verdict::Found(ends)),
        unknown,
    ];
    assert_eq!(answers(&mut driver).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_nobody_answers_is_given_up() {
    let (_host, _twin, mut driver, _script) = active().await;
    driver.event(Event::Lookups(vec![target(1, 1)])).await;
    assert_eq!(answers(&mut driver).await, [told(About::Mac(mac(1)), Verdict::Unknown)]);
}

#[tokio::test]
async fn a_question_is_asked_once_though_the_driver_comes_back_with_it() {
    let (host, twin, mut driver, script) = active().await;
    driver.event(Event::Lookups(vec![target(1, 1)])).await;
    let asked = async {
        loop {
            match script.asked().pop() {
                Some((ticket, _)) => break ticket,
                None => yield_now().await,
            }
        }
    };
    let ticket = soon(asked).await;
    drop(driver);
    let mut driver = twin.attach(&[1], &[]).await;
    driver.associated().await;
    greeting(&mut driver).await;
    driver.event(Event::Lookups(vec![target(1, 1)])).await;
    host.until(&[(1, InstanceState::Associated)]).await;
    script.next(1, [Action::Answer(ticket, Finding::Absent)]);
    host.hangup();
    assert_eq!(answers(&mut driver).await, [told(About::Mac(mac(1)), Verdict::Absent)]);
    assert!(script.asked().is_empty());
}

#[tokio::test]
async fn news_that_nobody_asked_for_reach_the_driver() {
    let (host, _twin, mut driver, script) = active().await;
    script.next(1, [Action::News(News::Gone(mac(1))), Action::Degrade("half of it is missing".into())]);
    host.hangup();
    assert_eq!(answers(&mut driver).await, [told(About::Mac(mac(1)), Verdict::Absent)]);
    let degrade = Request::Degrade { link: link(1), message: "half of it is missing".into() };
    assert_eq!(driver.call().await.request, degrade);
    assert_eq!(script.heard(), ["Started", "Associated", "Reload"].map(|event| (1, event.to_owned())));
}

#[tokio::test]
async fn properties_change_while_it_runs_and_stay_changed() {
    let (mut host, twin, mut driver, _script) = active().await;
    let properties = vec![Assignment::new("twin/count", "2")];
    let change = Request::SetInstanceProperties { link: link(1), properties };
    let mut client = host.client().await;
    let (result, association) = join!(client.call(change), driver.associated());
    assert_eq!(result, Ok(Response::Done));
    assert_eq!(association.sources, Sources::known(["10.0.0.2".parse().unwrap()]));
    assert_eq!(answers(&mut driver).await, [told(About::All, Verdict::Doubtful)]);
    host.crash().await;
    host.start().await;
    twin.attach(&[1], &[]).await.associated().await;
    let instances = host.instances().await;
    let count = instances[0].properties.iter().find(|property| property.spec.name == "twin/count");
    assert_eq!(count.unwrap().value.as_deref(), Some("2"));
}

#[tokio::test]
async fn an_overlay_says_where_its_bad_record_is() {
    let (mut host, twin, driver, _script) = active().await;
    drop(driver);
    host.stop().await;
    fs::write(host.scratch.record(1, 1, false), "{\"version\":1,").unwrap();
    for what in [".bad: EOF while parsing", "was set aside earlier"] {
        host.start().await;
        let mut driver = twin.attach(&[1], &[]).await;
        match driver.call().await.request {
            Request::Degrade { link: of, message } if of == link(1) => {
                assert!(message.contains(what) && message.contains("/varpd/1.1.bad"), "{message}");
            }
            other => panic!("{other:?}"),
        }
        host.stop().await;
    }
}

#[tokio::test]
async fn an_instance_whose_plugin_is_missing_waits_for_it() {
    let (mut host, twin, driver, _script) = active().await;
    drop(driver);
    host.stop().await;
    let plugins = host.replace_plugins(vec![]);
    host.start().await;
    let mut driver = twin.attach(&[1], &[]).await;
    match driver.call().await.request {
        Request::Degrade { message, .. } => assert!(message.contains("'twin' is not there"), "{message}"),
        other => panic!("{other:?}"),
    }
    host.until(&[(1, InstanceState::Active)]).await;
    host.stop().await;
    host.replace_plugins(plugins);
    host.start().await;
    let mut driver = twin.attach(&[1], &[]).await;
    driver.associated().await;
    host.until(&[(1, InstanceState::Associated)]).await;
}

use std::time::Duration;

use overlay_core::protocol::{ControlError, ErrorCode, Event, InstanceState, Request, Response};
use tokio::join;
use tokio::time::{Instant, sleep};

use crate::host::Host;
use crate::lines::soon;
use crate::twin::{Link, Twin, link};

/// An active instance for overlay 1 on a host with a driver.
async fn active(host: &Host, driver: &mut Link) {
    let instance = host.create(1).await;
    let mut client = host.client().await;
    let (result, association) =
        join!(client.call(Request::ActivateInstance { instance }), driver.associated());
    assert_eq!((result, association.link), (Ok(Response::Done), link(1)));
    host.until(&[(1, InstanceState::Associated)]).await;
}

#[tokio::test]
async fn the_driver_may_be_there_first() {
    let mut host = Host::new();
    let twin = Twin::start(&host.paths());
    host.start().await;
    let mut driver = twin.attach(&[1], &[]).await;
    active(&host, &mut driver).await;
}

#[tokio::test]
async fn varpd_may_be_there_first() {
    let host = Host::started().await;
    assert!(host.instances().await.is_empty());
    let twin = Twin::start(&host.paths());
    let mut driver = twin.attach(&[1], &[]).await;
    active(&host, &mut driver).await;
}

#[tokio::test]
async fn a_driver_that_restarts_is_told_again() {
    let host = Host::started().await;
    let mut twin = Twin::start(&host.paths());
    let mut driver = twin.attach(&[1], &[]).await;
    active(&host, &mut driver).await;
    for _ in 0..5 {
        drop((driver, twin));
        host.until(&[(1, InstanceState::Active)]).await;
        twin = Twin::start(&host.paths());
        driver = twin.attach(&[1], &[]).await;
        assert_eq!(driver.associated().await.instance, 1);
        host.until(&[(1, InstanceState::Associated)]).await;
    }
}

#[tokio::test]
async fn a_varpd_that_restarts_tells_again() {
    let mut host = Host::started().await;
    let twin = Twin::start(&host.paths());
    let mut driver = twin.attach(&[1], &[]).await;
    active(&host, &mut driver).await;
    for round in 0..6 {
        if round % 2 == 0 {
            host.crash().await;
        } else {
            host.stop().await;
        }
        host.start().await;
        driver = twin.attach(&[1], &[]).await;
        assert_eq!(driver.associated().await.instance, 1);
        host.until(&[(1, InstanceState::Associated)]).await;
    }
}

#[tokio::test]
async fn an_overlay_deleted_while_varpd_is_away_takes_its_instance_along() {
    let mut host = Host::started().await;
    let twin = Twin::start(&host.paths());
    let mut driver = twin.attach(&[1], &[]).await;
    active(&host, &mut driver).await;
    host.crash().await;
    host.start().await;
    let mut driver = twin.attach(&[], &[1, 5]).await;
    let forget = driver.call().await.request;
    assert_eq!(forget, Request::ForgetDeleted { links: vec![link(1), link(5)] });
    host.until(&[]).await;
    assert!(!host.scratch.record(1, 1, false).exists());
}

#[tokio::test]
async fn an_overlay_deleted_while_varpd_is_there_takes_its_instance_along() {
    let host = Host::started().await;
    let twin = Twin::start(&host.paths());
    let mut driver = twin.attach(&[1], &[]).await;
    active(&host, &mut driver).await;
    driver.event(Event::OverlayDeleted(link(1))).await;
    assert_eq!(driver.call().await.request, Request::ForgetDeleted { links: vec![link(1)] });
    host.until(&[]).await;
}

#[tokio::test]
async fn destroying_an_instance_disassociates_it() {
    let host = Host::started().await;
    let twin = Twin::start(&host.paths());
    let mut driver = twin.attach(&[1], &[]).await;
    active(&host, &mut driver).await;
    let result = host.client().await.call(Request::DestroyInstance { link: link(1) }).await;
    assert_eq!(result, Ok(Response::Done));
    assert_eq!(driver.call().await.request, Request::Disassociate { link: link(1) });
    host.until(&[]).await;
}

#[tokio::test]
async fn the_drivers_refusal_reaches_the_client() {
    let host = Host::started().await;
    let twin = Twin::start(&host.paths());
    let mut driver = twin.attach(&[1], &[]).await;
    let instance = host.create(1).await;
    let refusal = ControlError::not_found("there is no link 1").with_hint("make one");
    let mut client = host.client().await;
    let refuse = async {
        let call = driver.call().await;
        driver.reply(call.id, Err(refusal.clone())).await;
    };
    let (result, ()) = join!(client.call(Request::ActivateInstance { instance }), refuse);
    assert_eq!(result, Err(refusal));
    host.until(&[(1, InstanceState::Created)]).await;
}

#[tokio::test]
async fn without_a_driver_activation_says_so() {
    let host = Host::started().await;
    let instance = host.create(1).await;
    let error = host.client().await.call(Request::ActivateInstance { instance }).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(error.message.starts_with("no overlayd is running"), "{error}");
    assert!(error.hint.unwrap().contains("overlayd &"));
    host.until(&[(1, InstanceState::Created)]).await;
}

#[tokio::test]
async fn a_driver_lost_during_an_activation_ends_it() {
    let host = Host::started().await;
    let twin = Twin::start(&host.paths());
    let mut driver = twin.attach(&[1], &[]).await;
    let instance = host.create(1).await;
    let mut client = host.client().await;
    let lose = async {
        driver.call().await;
        drop(driver);
    };
    let (result, ()) = join!(client.call(Request::ActivateInstance { instance }), lose);
    assert_eq!(result.unwrap_err().code, ErrorCode::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_does_not_answer_counts_as_lost() {
    let host = Host::started().await;
    let twin = Twin::start(&host.paths());
    let silent = twin.accept().await;
    let mut driver = twin.attach(&[1], &[]).await;
    drop(silent);
    let instance = host.create(1).await;
    let mut client = host.client().await;
    let (result, _) = join!(client.call(Request::ActivateInstance { instance }), driver.call());
    assert_eq!(result.unwrap_err().message, "overlayd has not answered for 10 s");
    assert!(soon(driver.lines.next::<serde_json::Value>()).await.is_none(), "the connection is closed");
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_says_other_things_than_the_answer_counts_as_lost_as_soon() {
    let host = Host::started().await;
    let twin = Twin::start(&host.paths());
    let mut driver = twin.attach(&[1], &[]).await;
    let instance = host.create(1).await;
    let mut client = host.client().await;
    let begin = Instant::now();
    let news = async {
        driver.call().await;
        for _ in 0..2 {
            sleep(Duration::from_secs(4)).await;
            driver.event(Event::Lookups(vec![])).await;
        }
    };
    let (result, ()) = join!(client.call(Request::ActivateInstance { instance }), news);
    assert_eq!(result.unwrap_err().message, "overlayd has not answered for 10 s");
    assert!(begin.elapsed() < Duration::from_secs(12), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_driver_that_serves_another_varpd_is_asked_again() {
    let host = Host::started().await;
    let twin = Twin::start(&host.paths());
    for _ in 0..3 {
        let (mut driver, id) = twin.greet().await;
        driver.reply(id, Err(ControlError::new(ErrorCode::Exists, "another varpd is attached"))).await;
    }
    let mut driver = twin.attach(&[1], &[]).await;
    active(&host, &mut driver).await;
}

#[tokio::test]
async fn nonsense_from_the_driver_is_answered_with_a_new_connection() {
    let host = Host::started().await;
    let twin = Twin::start(&host.paths());
    let mut driver = twin.attach(&[1], &[]).await;
    driver.lines.send(&"nonsense").await;
    let mut driver = twin.attach(&[1], &[]).await;
    active(&host, &mut driver).await;
}

#[tokio::test]
async fn a_record_under_its_old_name_comes_back() {
    let mut host = Host::started().await;
    host.create(1).await;
    host.stop().await;
    std::fs::rename(host.scratch.record(1, 1, false), host.scratch.old_record(1, false)).unwrap();
    host.start().await;
    host.until(&[(1, InstanceState::Created)]).await;
}

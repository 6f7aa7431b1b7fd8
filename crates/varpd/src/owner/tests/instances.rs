//! The life of instances, with the plugin that needs nothing.

use overlay_core::lookup::{Sources, TargetMode};

use super::*;

#[test]
fn an_instance_is_created_activated_and_destroyed() {
    let mut bench = Bench::new();
    bench.attach(&[4], &[]);
    assert_eq!(bench.create(4), Ok(1));
    assert_eq!(bench.states(), [(1, InstanceState::Created)]);
    let mut pending = bench.activate(1);
    let call = bench.call();
    let end = "10.0.0.2".parse().unwrap();
    let (mode, sources) = (TargetMode::Point((end, 4789).into()), Sources::known([end]));
    assert_eq!(call.request, Request::Associate(Association { link: link(4), instance: 1, mode, sources }));
    assert!(pending.try_recv().is_err(), "answered before the driver's answer");
    bench.reply(call.id, Ok(Response::Done));
    assert_eq!(pending.try_recv().unwrap(), Ok(Response::Done));
    assert_eq!(bench.states(), [(1, InstanceState::Associated)]);
    assert_eq!(bench.destroy(4), Ok(Response::Done));
    assert_eq!(bench.requests(), [Request::Disassociate { link: link(4) }]);
    assert!(bench.instances().is_empty() && !bench.scratch.record(1, 4, false).exists());
}

#[test]
fn instances_are_shown_with_the_values_of_all_properties() {
    let mut bench = Bench::new();
    bench.create(1).unwrap();
    let instances = bench.instances();
    let values = instances[0].properties.iter().map(|property| property.value.as_deref().unwrap());
    assert_eq!(values.collect::<Vec<_>>(), ["10.0.0.2", "4789", "known"]);
}

#[test]
fn a_link_has_one_instance() {
    let mut bench = Bench::new();
    bench.create(1).unwrap();
    assert_eq!(bench.create(1).unwrap_err().code, ErrorCode::Exists);
    assert_eq!(bench.instances().len(), 1);
}

#[test]
fn a_wrong_instance_is_refused_and_leaves_nothing() {
    let mut bench = Bench::new();
    let create = |plugin: &str, properties| Request::CreateInstance {
        link: link(1),
        vnetid: VnetId::new(23).unwrap(),
        plugin: plugin.into(),
        properties,
        temporary: false,
    };
    let unknown = bench.answer(create("telepathy", direct())).unwrap_err();
    assert!(unknown.message.contains("known ones: direct"), "{unknown}");
    let missing = bench.answer(create("direct", vec![])).unwrap_err();
    assert!(missing.message.contains("direct/dest_ip, direct/dest_port"), "{missing}");
    assert!(bench.instances().is_empty() && !bench.scratch.record(1, 1, false).exists());
}

#[test]
fn what_is_not_there_is_not_found() {
    let mut bench = Bench::new();
    assert_eq!(bench.destroy(1).unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(bench.activate(1).try_recv().unwrap().unwrap_err().code, ErrorCode::NotFound);
}

#[test]
fn what_belongs_to_overlayd_is_unsupported() {
    for request in
        [Request::Encaps, Request::Links, Request::Attach, Request::ForgetDeleted { links: vec![] }]
    {
        assert_eq!(Bench::new().answer(request).unwrap_err().code, ErrorCode::Unsupported);
    }
}

#[test]
fn an_activation_without_a_driver_hurries_the_next_attempt_and_is_refused_by_its_failure() {
    let mut bench = Bench::new();
    bench.create(1).unwrap();
    let mut pending = bench.activate(1);
    assert!(pending.try_recv().is_err());
    bench.lose();
    assert_eq!(pending.try_recv().unwrap(), Err(refusal()));
    assert_eq!(bench.states(), [(1, InstanceState::Created)]);
}

#[test]
fn an_activation_that_waits_is_associated_once_the_driver_is_there() {
    let mut bench = Bench::new();
    bench.create(1).unwrap();
    let mut pending = bench.activate(1);
    bench.attach(&[1], &[]);
    let call = bench.call();
    bench.reply(call.id, Ok(Response::Done));
    assert_eq!(pending.try_recv().unwrap(), Ok(Response::Done));
}

#[test]
fn activating_twice_is_refused_and_does_not_disturb_the_first() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.create(1).unwrap();
    let mut first = bench.activate(1);
    assert_eq!(bench.activate(1).try_recv().unwrap().unwrap_err().code, ErrorCode::Exists);
    let call = bench.call();
    bench.reply(call.id, Ok(Response::Done));
    assert_eq!(first.try_recv().unwrap(), Ok(Response::Done));
    assert_eq!(bench.activate(1).try_recv().unwrap().unwrap_err().code, ErrorCode::Exists);
    assert!(bench.requests().is_empty());
}

#[test]
fn the_drivers_refusal_is_passed_on_and_the_instance_stays_created() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.create(1).unwrap();
    let mut pending = bench.activate(1);
    let call = bench.call();
    let error = ControlError::not_found("no link 1").with_hint("make one");
    bench.reply(call.id, Err(error.clone()));
    assert_eq!(pending.try_recv().unwrap(), Err(error));
    let mut bench = bench.restarted();
    assert_eq!(bench.states(), [(1, InstanceState::Created)]);
}

#[test]
fn a_destroyed_instance_answers_the_client_that_waits_for_it() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.create(1).unwrap();
    let mut pending = bench.activate(1);
    let call = bench.call();
    bench.destroy(1).unwrap();
    assert_eq!(pending.try_recv().unwrap().unwrap_err().code, ErrorCode::NotFound);
    bench.reply(call.id, Ok(Response::Done));
    assert!(bench.instances().is_empty());
}

#[test]
fn instances_come_back_with_number_and_state_after_a_restart() {
    let mut bench = Bench::new();
    bench.attach(&[1, 2], &[]);
    bench.associated(1);
    bench.create(2).unwrap();
    let mut bench = bench.restarted();
    assert_eq!(bench.states(), [(1, InstanceState::Active), (2, InstanceState::Created)]);
    bench.attach(&[1, 2], &[]);
    let call = bench.call();
    assert!(matches!(call.request, Request::Associate(Association { instance: 1, .. })));
    assert!(bench.requests().is_empty(), "what was never activated is not associated");
    bench.reply(call.id, Ok(Response::Done));
    assert_eq!(bench.states()[0], (1, InstanceState::Associated));
    assert_eq!(bench.create(3), Ok(3));
}

#[test]
fn a_driver_that_is_back_is_told_of_every_activated_instance() {
    let mut bench = Bench::new();
    bench.attach(&[1, 2], &[]);
    bench.associated(1);
    bench.associated(2);
    bench.lose();
    assert_eq!(bench.states(), [(1, InstanceState::Active), (2, InstanceState::Active)]);
    bench.attach(&[1, 2], &[]);
    assert_eq!(bench.requests().len(), 2);
}

#[test]
fn an_instance_whose_overlay_is_missing_waits_until_it_is_there() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated(1);
    bench.lose();
    bench.attach(&[], &[]);
    assert!(bench.requests().is_empty());
    assert_eq!(bench.states(), [(1, InstanceState::Active)]);
    bench.attach(&[1], &[]);
    assert_eq!(bench.requests().len(), 1);
}

#[test]
fn a_refused_active_instance_stays() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated(1);
    bench.attach(&[1], &[]);
    let call = bench.call();
    bench.reply(call.id, Err(refusal()));
    assert_eq!(bench.restarted().states(), [(1, InstanceState::Active)]);
}

#[test]
fn an_instance_ends_with_its_overlay_and_the_driver_forgets_it() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated(1);
    bench.take(Message::Driver(Notice::OverlayDeleted(link(1))));
    assert_eq!(bench.requests(), [Request::ForgetDeleted { links: vec![link(1)] }]);
    assert!(bench.restarted().instances().is_empty());
}

#[test]
fn overlays_deleted_while_away_end_their_instances_and_are_forgotten() {
    let mut bench = Bench::new();
    bench.attach(&[1, 2], &[]);
    bench.associated(1);
    bench.associated(2);
    let mut bench = bench.restarted();
    bench.attach(&[2], &[1, 7]);
    let requests = bench.requests();
    assert_eq!(requests[0], Request::ForgetDeleted { links: vec![link(1), link(7)] });
    assert!(matches!(requests[1], Request::Associate(Association { instance: 2, .. })));
    assert_eq!(bench.states().len(), 1);
}

#[test]
fn an_instance_that_cannot_be_written_is_not_made() {
    let mut bench = Bench::new();
    bench.break_disk();
    assert_eq!(bench.create(1).unwrap_err().code, ErrorCode::Failed);
    assert!(bench.instances().is_empty());
}

#[test]
fn an_activation_that_cannot_be_written_is_taken_back() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.create(1).unwrap();
    let mut pending = bench.activate(1);
    let call = bench.call();
    bench.break_disk();
    bench.reply(call.id, Ok(Response::Done));
    assert_eq!(pending.try_recv().unwrap().unwrap_err().code, ErrorCode::Failed);
    assert_eq!(bench.requests(), [Request::Disassociate { link: link(1) }]);
    assert_eq!(bench.states(), [(1, InstanceState::Created)]);
}

#[test]
fn an_instance_whose_record_cannot_be_removed_stays_and_is_not_forgotten() {
    let mut bench = Bench::new();
    bench.attach(&[1], &[]);
    bench.associated(1);
    bench.break_disk();
    assert_eq!(bench.destroy(1).unwrap_err().code, ErrorCode::Failed);
    bench.take(Message::Driver(Notice::OverlayDeleted(link(1))));
    assert!(bench.requests().is_empty());
    assert_eq!(bench.states(), [(1, InstanceState::Associated)]);
}

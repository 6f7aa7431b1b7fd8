use std::num::NonZeroU32;

use overlay_core::lookup::{Sources, TargetMode};
use overlay_core::property::Assignment;
use overlay_core::protocol::{Association, Call, InstanceInfo, InstanceState, Reply};
use overlay_core::types::VnetId;
use tokio::sync::oneshot;

use super::*;
use crate::message::Notice;
use crate::scratch::Scratch;

type Pending = oneshot::Receiver<Result<Response, ControlError>>;

/// An owner, and the driver's end of its link.
struct Bench {
    owner: Owner,
    calls: Option<mpsc::UnboundedReceiver<Call>>,
    scratch: Scratch,
}

fn link(id: u32) -> LinkId {
    LinkId(NonZeroU32::new(id).unwrap())
}

fn direct() -> Vec<Assignment> {
    vec![Assignment::new("direct/dest_ip", "10.0.0.2"), Assignment::new("direct/dest_port", "4789")]
}

fn refusal() -> ControlError {
    ControlError::new(ErrorCode::Unavailable, "no overlayd is running")
}

impl Bench {
    fn new() -> Self {
        Self::on(Scratch::new())
    }

    fn on(scratch: Scratch) -> Self {
        let owner = Owner::restore(Store::open(&scratch.paths()).unwrap(), Arc::default()).unwrap();
        Self { owner, calls: None, scratch }
    }

    fn restarted(self) -> Self {
        Self::on(self.scratch)
    }

    fn attach(&mut self, overlays: &[u32], deleted: &[u32]) {
        let (calls, receiver) = mpsc::unbounded_channel();
        self.calls = Some(receiver);
        let links = |ids: &[u32]| ids.iter().copied().map(link).collect();
        let (overlays, deleted) = (links(overlays), links(deleted));
        self.owner.handle(Message::Driver(Notice::Attached { overlays, deleted, calls }));
    }

    fn lose(&mut self) {
        self.calls = None;
        self.owner.handle(Message::Driver(Notice::Unavailable(refusal())));
    }

    fn ask(&mut self, request: Request) -> Pending {
        let (answer, receiver) = Answer::channel();
        self.owner.handle(Message::Request { request, answer });
        receiver
    }

    fn answer(&mut self, request: Request) -> Result<Response, ControlError> {
        self.ask(request).try_recv().unwrap()
    }

    fn create(&mut self, id: u32) -> Result<u32, ControlError> {
        let properties = direct();
        let request = Request::CreateInstance {
            link: link(id),
            vnetid: VnetId::new(23).unwrap(),
            plugin: "direct".into(),
            properties,
            temporary: false,
        };
        match self.answer(request)? {
            Response::Instance(instance) => Ok(instance),
            other => panic!("{other:?}"),
        }
    }

    fn activate(&mut self, instance: u32) -> Pending {
        self.ask(Request::ActivateInstance { instance })
    }

    /// An instance for an overlay that the attached driver has accepted.
    fn associated(&mut self, id: u32) -> u32 {
        let instance = self.create(id).unwrap();
        let mut pending = self.activate(instance);
        let call = self.call();
        self.reply(call.id, Ok(Response::Done));
        assert_eq!(pending.try_recv().unwrap(), Ok(Response::Done));
        instance
    }

    fn destroy(&mut self, id: u32) -> Result<Response, ControlError> {
        self.answer(Request::DestroyInstance { link: link(id) })
    }

    fn call(&mut self) -> Call {
        self.calls.as_mut().unwrap().try_recv().unwrap()
    }

    fn requests(&mut self) -> Vec<Request> {
        let calls = self.calls.as_mut().unwrap();
        std::iter::from_fn(|| calls.try_recv().ok()).map(|call| call.request).collect()
    }

    fn reply(&mut self, id: u64, result: Result<Response, ControlError>) {
        self.owner.handle(Message::Driver(Notice::Reply(Reply { id, result })));
    }

    fn instances(&mut self) -> Vec<InstanceInfo> {
        match self.answer(Request::Instances) {
            Ok(Response::Instances(instances)) => instances,
            other => panic!("{other:?}"),
        }
    }

    fn states(&mut self) -> Vec<(u32, InstanceState)> {
        self.instances().iter().map(|instance| (instance.instance, instance.state)).collect()
    }

    /// Lets no record be written or removed from here on.
    fn break_disk(&self) {
        let directory = self.scratch.record(1, false).parent().unwrap().to_owned();
        std::fs::remove_dir_all(&directory).unwrap();
        std::fs::write(directory, "in the way").unwrap();
    }
}

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
    assert!(bench.instances().is_empty() && !bench.scratch.record(1, false).exists());
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
    assert!(bench.instances().is_empty() && !bench.scratch.record(1, false).exists());
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
    bench.owner.handle(Message::Driver(Notice::OverlayDeleted(link(1))));
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
    bench.owner.handle(Message::Driver(Notice::OverlayDeleted(link(1))));
    assert!(bench.requests().is_empty());
    assert_eq!(bench.states(), [(1, InstanceState::Associated)]);
}

#[test]
fn a_record_that_no_longer_checks_is_set_aside_alone() {
    let mut bench = Bench::new();
    for id in 1..=4 {
        bench.create(id).unwrap();
    }
    let file = |id| bench.scratch.record(id, false);
    let edit = |id, from: &str, to: &str| {
        let text = std::fs::read_to_string(file(id)).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(file(id), text.replace(from, to)).unwrap();
    };
    edit(1, "\"direct\"", "\"telepathy\"");
    edit(2, "4789", "0");
    edit(3, "\"link\": 3", "\"link\": 4");
    let mut bench = bench.restarted();
    let left: Vec<_> = bench.instances().iter().map(|instance| instance.instance).collect();
    assert_eq!(left, [3], "the first with a link keeps it");
    for id in [1, 2, 4] {
        assert!(bench.scratch.record(id, false).with_extension("bad").exists());
    }
    assert_eq!(bench.create(9), Ok(5), "numbers of records set aside are not given out");
}

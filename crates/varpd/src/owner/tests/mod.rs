mod changes;
mod crowds;
mod instances;
mod lookups;
mod records;
mod searches;

use std::collections::VecDeque;
use std::num::NonZeroU32;

use overlay_core::lookup::{About, Answer as Told, Question, TargetMode, Verdict};
use overlay_core::property::Assignment;
use overlay_core::protocol::{Association, Call, InstanceInfo, InstanceState, Reply};
use overlay_core::types::{MacAddr, VnetId};
use tokio::sync::oneshot;

use super::*;
use crate::message::Notice;
use crate::plugins::Plugin;
use crate::plugins::twin::{Script, Twin};
use crate::scratch::Scratch;

type Pending = oneshot::Receiver<Result<Response, ControlError>>;

/// An owner, the driver's end of its link, and the dynamic plugin `twin`.
struct Bench {
    owner: Owner,
    plugin_is_missing: watch::Receiver<bool>,
    calls: Option<UnboundedReceiver<Call>>,
    /// Calls that have been looked at already.
    early: VecDeque<Call>,
    /// Whether no association has been taken since the driver was attached.
    greets: bool,
    script: Script,
    scratch: Scratch,
}

fn link(id: u32) -> LinkId {
    LinkId(NonZeroU32::new(id).unwrap())
}

fn mac(last: u8) -> MacAddr {
    MacAddr([2, 8, 0x20, 0, 0, last])
}

fn direct() -> Vec<Assignment> {
    vec![Assignment::new("direct/dest_ip", "10.0.0.2"), Assignment::new("direct/dest_port", "4789")]
}

fn refusal() -> ControlError {
    ControlError::new(ErrorCode::Unavailable, "no overlayd is running")
}

fn told(id: u32, about: About, verdict: Verdict) -> Told {
    Told { link: link(id), about, verdict }
}

fn target(id: u32, last: u8) -> Question {
    Question::Target { link: link(id), mac: mac(last), source: mac(0xee), vid: None }
}

impl Bench {
    fn new() -> Self {
        Self::on(Scratch::new())
    }

    fn on(scratch: Scratch) -> Self {
        let twin = Twin::named("twin");
        let script = twin.script();
        Self::with(scratch, vec![Arc::new(twin)], script)
    }

    fn with(scratch: Scratch, outside: Vec<Arc<dyn Plugin>>, script: Script) -> Self {
        let store = Store::open(&scratch.paths()).unwrap();
        let (missing, plugin_is_missing) = watch::channel(false);
        let mut owner = Owner::restore(store, Registry::new(outside), Arc::default(), missing).unwrap();
        owner.say_what_is_missing();
        owner.wake_all();
        Self { owner, plugin_is_missing, calls: None, early: VecDeque::new(), greets: false, script, scratch }
    }

    fn restarted(self) -> Self {
        Self::on(self.scratch)
    }

    fn take(&mut self, message: Message) {
        self.owner.handle(message);
        self.owner.flush();
    }

    /// The time comes.
    fn at(&mut self, milliseconds: u64) {
        self.owner.at(Moment(milliseconds));
        self.owner.flush();
    }

    /// Lets an instance's I/O report, and so its plugin do what the script has for it.
    fn nudge(&mut self, instance: u32, generation: u64) {
        let event = Some(crate::plugins::interface::IoEvent::Twin);
        self.take(Message::Io { instance, generation, event });
    }

    fn attach(&mut self, overlays: &[u32], deleted: &[u32]) {
        let (calls, receiver) = unbounded_channel();
        self.calls = Some(receiver);
        self.greets = true;
        let links = |ids: &[u32]| ids.iter().copied().map(link).collect();
        let (overlays, deleted) = (links(overlays), links(deleted));
        self.take(Message::Driver(Notice::Attached { overlays, deleted, calls }));
    }

    fn lose(&mut self) {
        self.calls = None;
        self.take(Message::Driver(Notice::Unavailable(refusal())));
    }

    fn ask(&mut self, request: Request) -> Pending {
        let (answer, receiver) = Answer::channel();
        self.take(Message::Request { request, answer });
        receiver
    }

    fn answer(&mut self, request: Request) -> Result<Response, ControlError> {
        self.ask(request).try_recv().unwrap()
    }

    fn create(&mut self, id: u32) -> Result<u32, ControlError> {
        self.create_of(id, "direct", direct())
    }

    /// An instance of the twin with a value of `twin/start`.
    fn create_twin(&mut self, id: u32, start: &str) -> u32 {
        self.create_of(id, "twin", vec![Assignment::new("twin/start", start)]).unwrap()
    }

    fn create_of(&mut self, id: u32, plugin: &str, properties: Vec<Assignment>) -> Result<u32, ControlError> {
        let (link, vnetid, plugin) = (link(id), VnetId::new(23).unwrap(), plugin.into());
        let request = Request::CreateInstance { link, vnetid, plugin, properties, temporary: false };
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
        self.associate(instance);
        instance
    }

    /// The same of the twin; it is the first instance that the twin makes.
    fn associated_twin(&mut self, id: u32) -> u32 {
        let instance = self.create_twin(id, "ready");
        self.associate(instance);
        instance
    }

    fn associate(&mut self, instance: u32) {
        let mut pending = self.activate(instance);
        self.accept();
        assert_eq!(pending.try_recv().unwrap(), Ok(Response::Done));
    }

    /// The driver takes the association that it has been asked for.
    fn accept(&mut self) -> Association {
        let call = self.call();
        let Request::Associate(association) = call.request else { panic!("{call:?}") };
        self.reply(call.id, Ok(Response::Done));
        if std::mem::take(&mut self.greets) && association.mode == TargetMode::Dynamic {
            self.take_greeting(association.link);
        }
        association
    }

    /// What the driver knows of an earlier connection is called doubtful, once for each.
    fn take_greeting(&mut self, link: LinkId) {
        let doubt = Told { link, about: About::All, verdict: Verdict::Doubtful };
        let greeting = Request::Answers { answers: vec![doubt] };
        let mut calls: Vec<_> = std::iter::from_fn(|| self.calls.as_mut()?.try_recv().ok()).collect();
        let place = calls.iter().position(|call| call.request == greeting);
        calls.remove(place.unwrap_or_else(|| panic!("{calls:?}")));
        self.early.extend(calls);
    }

    /// The driver has done everything that it was told; what that was.
    fn catch_up(&mut self) -> Vec<Request> {
        let calls: Vec<_> = std::iter::from_fn(|| self.next_call()).collect();
        calls.iter().for_each(|call| self.reply(call.id, Ok(Response::Done)));
        calls.into_iter().map(|call| call.request).collect()
    }

    fn destroy(&mut self, id: u32) -> Result<Response, ControlError> {
        self.answer(Request::DestroyInstance { link: link(id) })
    }

    fn look_up(&mut self, questions: Vec<Question>) {
        self.take(Message::Driver(Notice::Lookups(questions)));
    }

    fn call(&mut self) -> Call {
        self.next_call().unwrap()
    }

    fn requests(&mut self) -> Vec<Request> {
        std::iter::from_fn(|| self.next_call()).map(|call| call.request).collect()
    }

    fn next_call(&mut self) -> Option<Call> {
        self.early.pop_front().or_else(|| self.calls.as_mut().unwrap().try_recv().ok())
    }

    /// The answers of the one call that has been made.
    fn answers(&mut self) -> Vec<Told> {
        match &mut self.requests()[..] {
            [Request::Answers { answers }] => std::mem::take(answers),
            others => panic!("{others:?}"),
        }
    }

    fn reply(&mut self, id: u64, result: Result<Response, ControlError>) {
        self.take(Message::Driver(Notice::Reply(Reply { id, result })));
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
        let directory = self.scratch.record(1, 1, false).parent().unwrap().to_owned();
        std::fs::remove_dir_all(&directory).unwrap();
        std::fs::write(directory, "in the way").unwrap();
    }
}

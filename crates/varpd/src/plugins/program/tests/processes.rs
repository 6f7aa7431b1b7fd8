use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use overlay_core::types::{MacAddr, Moment};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::script::{answering, python, write};
use crate::plugins::interface::{Action, Event, Finding, IoAction, IoEvent, IoEvents, Query, Ticket};
use crate::plugins::program::launch::{Guard, Launch};
use crate::plugins::program::message::Order;
use crate::plugins::program::trust::tests::Rooted;
use crate::plugins::program::{Program, ProgramAction, ProgramEvent};
use crate::plugins::{Lookup, Mode, Plugin};

/// Long enough for anything here on a busy machine; only a failing test waits for it.
const LIMIT: Duration = Duration::from_secs(60);

const MAC: MacAddr = MacAddr([2, 8, 0x20, 0, 0, 1]);

/// An instance with its process, and what both wanted of the world.
struct Instance {
    lookup: Box<dyn Lookup>,
    io: JoinHandle<()>,
    wants: Option<UnboundedSender<IoAction>>,
    news: UnboundedReceiver<IoEvent>,
    alarm: Option<Instant>,
    begun: Instant,
    done: Vec<Action>,
}

impl Instance {
    fn of(file: PathBuf, guard: Guard) -> Self {
        let program = Program::new("x".into(), Mode::Dynamic, vec![], Launch::new(file, guard));
        let lookup = program.instantiate(&Default::default(), None).unwrap();
        let (wants, wanted) = unbounded_channel();
        let (report, news) = unbounded_channel();
        let events = IoEvents::new(move |event| report.send(event).is_ok());
        let io = tokio::spawn(lookup.io().unwrap().run(wanted, events));
        let mut instance =
            Self { lookup, io, wants: Some(wants), news, alarm: None, begun: Instant::now(), done: vec![] };
        instance.on(Event::Started);
        instance
    }

    fn on(&mut self, event: Event) {
        let now = Moment(self.begun.elapsed().as_millis() as u64);
        let mut actions = Vec::new();
        self.lookup.on_event(event, now, &mut actions);
        for action in actions {
            match action {
                Action::Io(action) => drop(self.wants.as_ref().unwrap().send(action)),
                Action::Alarm(moment) => self.alarm = Some(self.begun + Duration::from_millis(moment.0)),
                action => self.done.push(action),
            }
        }
    }

    fn ask(&mut self, ticket: u64) {
        self.on(Event::Ask(Ticket(ticket), Query::Target { mac: MAC, source: MAC, vid: None }));
    }

    /// Lets things happen until this has been wanted, and forgets all before it.
    async fn until(&mut self, wanted: impl Fn(&Action) -> bool) -> Action {
        let reached = async {
            loop {
                if let Some(index) = self.done.iter().position(&wanted) {
                    return self.done.drain(..=index).next_back().unwrap();
                }
                let alarm = self.alarm.unwrap_or_else(|| Instant::now() + LIMIT);
                tokio::select! {
                    Some(event) = self.news.recv() => self.on(Event::Io(event)),
                    () = sleep_until(alarm) => {
                        self.alarm = None;
                        self.on(Event::Alarm);
                    }
                }
            }
        };
        timeout(LIMIT, reached).await.expect("it does not happen")
    }

    async fn ready(&mut self) {
        self.until(|action| matches!(action, Action::Ready)).await;
    }

    async fn degraded(&mut self) -> String {
        match self.until(|action| matches!(action, Action::Degrade(_))).await {
            Action::Degrade(text) => text,
            other => panic!("{other:?}"),
        }
    }

    async fn released(mut self) {
        self.wants = None;
        timeout(LIMIT, self.io).await.expect("it does not end").unwrap();
    }
}

/// The instance of a script, and the directory that it may write to.
fn scene(text: &str) -> (Rooted, Instance) {
    let rooted = Rooted::new();
    let text = text.replace("DIRECTORY", rooted.0.to_str().unwrap());
    let file = write(&rooted.0, "x", &text);
    let instance = Instance::of(file, Guard::RootOnly);
    (rooted, instance)
}

/// Waits for a file with a process number in it.
async fn process(file: &Path) -> i32 {
    let number = async {
        loop {
            match fs::read_to_string(file).ok().and_then(|text| text.strip_suffix('\n')?.parse().ok()) {
                Some(number) => return number,
                None => tokio::task::yield_now().await,
            }
        }
    };
    timeout(LIMIT, number).await.expect("there is no such file")
}

/// Waits until a process is no more; a dead one that waits for its parent counts as none.
async fn gone(process: i32) {
    let runs = || {
        let status = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        status.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
    };
    let end = async {
        while runs() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, end).await.expect("it goes on");
}

const ABSENT: &str = "say('answer', id=id, absent=True)";

#[tokio::test]
async fn questions_are_carried_to_the_program_and_answers_back() {
    let (_rooted, mut instance) = scene(&answering("say('answer', id=id, ends=['10.0.0.2:4789'])"));
    instance.ready().await;
    for ticket in 0..5000 {
        instance.ask(ticket);
    }
    for _ in 0..5000 {
        let answer = instance.until(|action| matches!(action, Action::Answer(..))).await;
        assert!(matches!(answer, Action::Answer(_, Finding::Ends(ends)) if ends.len() == 1));
    }
    instance.released().await;
}

#[tokio::test]
async fn one_that_dies_is_started_again_with_its_last_words_in_the_reason() {
    let text = answering("sys.exit('no such table')");
    let (_rooted, mut instance) = scene(&text);
    instance.ready().await;
    instance.ask(7);
    let answer = instance.until(|action| matches!(action, Action::Answer(..))).await;
    assert!(matches!(answer, Action::Answer(Ticket(7), Finding::Unknown)));
    let reason = "search plugin x: it ended with exit status 1 (no such table); started again in 0.25 s";
    assert_eq!(instance.degraded().await, reason);
    instance.until(|action| matches!(action, Action::Restore)).await;
    instance.ready().await;
}

#[tokio::test]
async fn one_that_cannot_be_started_is_tried_again() {
    let mut instance = Instance::of(PathBuf::from("/nonexistent"), Guard::Open);
    let first = instance.degraded().await;
    assert!(first.starts_with("search plugin x: cannot start /nonexistent: "), "{first}");
    assert!(instance.degraded().await.ends_with("started again in 0.5 s"));
}

#[tokio::test]
async fn one_that_has_come_into_others_hands_is_not_started() {
    use std::os::unix::fs::PermissionsExt;
    let rooted = Rooted::new();
    let file = write(&rooted.0, "x", &answering(ABSENT));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o777)).unwrap();
    let mut instance = Instance::of(file, Guard::RootOnly);
    assert!(instance.degraded().await.contains("can be written to by others than root"));
}

#[tokio::test]
async fn the_end_of_its_input_is_its_end() {
    let text = answering(ABSENT) + "open('DIRECTORY/end', 'w').write('well\\n')\n";
    let (rooted, mut instance) = scene(&text);
    instance.ready().await;
    instance.released().await;
    assert_eq!(fs::read_to_string(rooted.0.join("end")).unwrap(), "well\n");
}

#[tokio::test]
async fn one_that_goes_on_after_its_input_ends_with_all_it_has_started() {
    let text = python(
        "if os.fork() == 0:\n    open('DIRECTORY/child', 'w').write(f'{os.getpid()}\\n'); time.sleep(1000)\n\
         say('ready', sources='any')\n\
         for order in orders: pass\n\
         time.sleep(1000)",
    );
    let (rooted, mut instance) = scene(&text);
    instance.ready().await;
    let child = process(&rooted.0.join("child")).await;
    instance.released().await;
    gone(child).await;
}

#[tokio::test]
async fn its_children_end_with_it() {
    let text = python(
        "if os.fork() == 0:\n    open('DIRECTORY/child', 'w').write(f'{os.getpid()}\\n'); time.sleep(1000)\n\
         while not os.path.exists('DIRECTORY/child'): pass\n\
         sys.exit(3)",
    );
    let (rooted, mut instance) = scene(&text);
    let child = process(&rooted.0.join("child")).await;
    assert!(instance.degraded().await.contains("it ended with exit status 3"));
    gone(child).await;
}

#[tokio::test]
async fn dropping_everything_at_once_leaves_no_process() {
    let text = "open('DIRECTORY/self', 'w').write(f'{os.getpid()}\\n')\nsay('ready', sources='any')\ntime.sleep(1000)";
    let (rooted, mut instance) = scene(&python(text));
    instance.ready().await;
    let process = process(&rooted.0.join("self")).await;
    instance.io.abort();
    gone(process).await;
}

#[tokio::test]
async fn one_that_closes_its_output_is_of_no_more_use() {
    let (_rooted, mut instance) = scene(&python("os.close(1)\ntime.sleep(1000)"));
    assert!(instance.degraded().await.contains("it closed its output"));
}

#[tokio::test]
async fn one_that_does_not_read_is_killed_before_much_waits_for_it() {
    let rooted = Rooted::new();
    let file = write(&rooted.0, "x", &python("time.sleep(1000)"));
    let mut instance = Instance::of(file, Guard::RootOnly);
    let wants = instance.wants.clone().unwrap();
    let line = [Order::Reload {}.line(), vec![b' '; 1024 * 1024]].concat();
    for _ in 0..20 {
        wants.send(IoAction::Program(ProgramAction::Send(line.clone()))).unwrap();
    }
    assert!(instance.degraded().await.contains("it does not read its input"));
}

#[tokio::test]
async fn one_that_writes_without_end_waits_for_whoever_reads() {
    let rooted = Rooted::new();
    let file = write(&rooted.0, "x", "#!/bin/sh\nexec yes '{}'\n");
    let program = Program::new("x".into(), Mode::Dynamic, vec![], Launch::new(file, Guard::RootOnly));
    let lookup = program.instantiate(&Default::default(), None).unwrap();
    let (wants, wanted) = unbounded_channel();
    let (report, mut news) = unbounded_channel();
    let events = IoEvents::new(move |event| report.send(event).is_ok());
    let io = tokio::spawn(lookup.io().unwrap().run(wanted, events));
    wants.send(IoAction::Program(ProgramAction::Spawn)).unwrap();
    for _ in 0..10 {
        let piece = timeout(LIMIT, news.recv()).await.unwrap();
        assert!(matches!(piece, Some(IoEvent::Program(ProgramEvent::Output(_)))));
        assert!(news.try_recv().is_err(), "nobody has asked for more");
        wants.send(IoAction::Program(ProgramAction::More)).unwrap();
    }
    drop(wants);
    timeout(LIMIT, io).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_flood_of_complaints_does_not_keep_it_from_answering() {
    let text = answering("print('x' * 100000, file=sys.stderr); say('answer', id=id, absent=True)");
    let (_rooted, mut instance) = scene(&text);
    instance.ready().await;
    (0..100).for_each(|ticket| instance.ask(ticket));
    for _ in 0..100 {
        let answer = instance.until(|action| matches!(action, Action::Answer(..))).await;
        assert!(matches!(answer, Action::Answer(_, Finding::Absent)));
    }
}

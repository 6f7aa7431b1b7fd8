use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::super::interface::News;
use super::super::difference::Difference;
use super::super::table::Table;
use super::*;
use crate::scratch::Scratch;

/// The only entry of a table, at this tunnel end.
fn at(last: u8) -> String {
    format!(r#"{{"2:0:0:0:0:1": {{"ip": "192.0.2.{last}", "port": 4789}}}}"#)
}

/// A directory with an instance's I/O for a file in it.
struct Desk {
    orders: mpsc::UnboundedSender<IoAction>,
    reports: mpsc::UnboundedReceiver<Report>,
    task: JoinHandle<()>,
    scratch: Scratch,
}

impl Desk {
    /// For the file of this name, once `prepare` has put there what is there.
    fn new(name: &str, prepare: impl FnOnce(&Path)) -> Self {
        Self::accepting(false, name, prepare)
    }

    fn accepting(any: bool, name: &str, prepare: impl FnOnce(&Path)) -> Self {
        let scratch = Scratch::new();
        let directory = scratch.paths().run;
        prepare(&directory);
        let (orders, actions) = mpsc::unbounded_channel();
        let (sink, reports) = mpsc::unbounded_channel();
        let events = IoEvents::new(move |event| match event {
            IoEvent::Files(report) => sink.send(report).is_ok(),
            other => panic!("{other:?}"),
        });
        let keeper = Box::new(Keeper::new(directory.join(name), any));
        let task = tokio::spawn(keeper.run(actions, events));
        orders.send(IoAction::Files(Order::Watch)).unwrap();
        Self { orders, reports, task, scratch }
    }

    /// With a file whose entry is at the tunnel end 1, read.
    async fn with_file() -> Self {
        let mut desk =
            Self::new("red.json", |directory| fs::write(directory.join("red.json"), at(1)).unwrap());
        desk.loads(1).await;
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.paths().run.join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    /// The way of careful programs: no reader ever sees half a file.
    fn replace(&self, name: &str, text: impl AsRef<[u8]>) {
        self.write("new", text);
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    async fn report(&mut self) -> Report {
        timeout(Duration::from_secs(60), self.reports.recv()).await.expect("nothing is reported").unwrap()
    }

    async fn loaded(&mut self) -> (Arc<Table>, Difference) {
        match self.report().await {
            Report::Loaded(table, difference) => (table, difference),
            Report::Failed(reason) => panic!("{reason}"),
        }
    }

    /// The next that is reported is a table whose entry is at this tunnel end.
    async fn loads(&mut self, last: u8) -> Difference {
        let (table, difference) = self.loaded().await;
        let (_, ends) = table.destinations().next().unwrap();
        assert_eq!(ends, [([192, 0, 2, last], 4789).into()]);
        difference
    }

    /// The next that is reported is this failure, of the file of this name.
    async fn fails(&mut self, name: &str, reason: &str) {
        match self.report().await {
            Report::Failed(said) => assert_eq!(said, format!("{}: {reason}", self.path(name).display())),
            Report::Loaded(..) => panic!("it is loaded"),
        }
    }
}

const MISSING: &str = "cannot be opened: No such file or directory (os error 2)";

#[tokio::test]
async fn a_table_that_is_needed_no_more_is_taken_apart() {
    let mut desk = Desk::new("red.json", |directory| fs::write(directory.join("red.json"), at(1)).unwrap());
    let (old, _) = desk.loaded().await;
    desk.replace("red.json", at(2));
    desk.loads(2).await;
    let gone = Arc::downgrade(&old);
    desk.orders.send(IoAction::Files(Order::Drop(old))).unwrap();
    let taken_apart = async {
        while gone.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), taken_apart).await.unwrap();
    desk.replace("red.json", at(3));
    desk.loads(3).await;
}

#[tokio::test]
async fn a_replaced_file_is_read_and_compared_with_the_one_before() {
    let mut desk = Desk::with_file().await;
    desk.replace("red.json", at(2));
    let difference = desk.loads(2).await;
    let moved = News::Moved("2:0:0:0:0:1".parse().unwrap(), vec!["192.0.2.2:4789".parse().unwrap()]);
    assert_eq!((difference.news, difference.sources), (vec![moved], true));
}

#[tokio::test]
async fn a_file_written_in_place_is_read_when_it_is_closed() {
    let mut desk = Desk::with_file().await;
    let mut file = File::create(desk.path("red.json")).unwrap();
    file.write_all(&at(2).as_bytes()[..20]).unwrap();
    // Nobody is asked to look now.
    desk.write("blue.json", "");
    file.write_all(&at(2).as_bytes()[20..]).unwrap();
    drop(file);
    desk.loads(2).await;
}

#[tokio::test]
async fn a_bad_file_is_told_of_at_once_and_a_good_one_after_it() {
    let mut desk = Desk::with_file().await;
    desk.replace("red.json", "{\n  oops\n}\n");
    desk.fails("red.json", "line 2, column 3: key must be a string").await;
    desk.write("red.json", "");
    desk.fails("red.json", "line 1, column 0: the file is empty").await;
    desk.replace("red.json", at(1));
    assert_eq!(desk.loads(1).await, Difference::default());
}

#[tokio::test]
async fn a_missing_file_is_told_of_and_read_when_it_comes() {
    let mut desk = Desk::new("red.json", |_| ());
    desk.fails("red.json", MISSING).await;
    desk.write("red.json", at(1));
    desk.loads(1).await;
}

#[tokio::test]
async fn a_deleted_file_is_told_of_when_it_stays_away() {
    let mut desk = Desk::with_file().await;
    fs::remove_file(desk.path("red.json")).unwrap();
    desk.fails("red.json", MISSING).await;
    desk.replace("red.json", at(2));
    desk.loads(2).await;
}

#[tokio::test]
async fn an_editor_that_puts_the_old_file_aside_raises_no_alarm() {
    let mut desk = Desk::with_file().await;
    fs::rename(desk.path("red.json"), desk.path("red.json~")).unwrap();
    desk.write("red.json", at(2));
    fs::remove_file(desk.path("red.json~")).unwrap();
    desk.loads(2).await;
}

#[tokio::test]
async fn a_file_that_got_its_name_by_a_link_is_read() {
    let mut desk = Desk::with_file().await;
    desk.write("other", at(2));
    fs::remove_file(desk.path("red.json")).unwrap();
    fs::hard_link(desk.path("other"), desk.path("red.json")).unwrap();
    desk.loads(2).await;
}

#[tokio::test]
async fn a_file_written_under_another_of_its_names_is_read() {
    let mut desk = Desk::new("red.json", |directory| {
        fs::write(directory.join("red.json"), at(1)).unwrap();
        fs::create_dir(directory.join("elsewhere")).unwrap();
        fs::hard_link(directory.join("red.json"), directory.join("elsewhere/x")).unwrap();
    });
    desk.loads(1).await;
    desk.write("elsewhere/x", at(2));
    desk.loads(2).await;
}

#[tokio::test]
async fn a_swapped_link_on_the_way_is_followed() {
    // As Kubernetes lays out a ConfigMap.
    let mut desk = Desk::new("red.json", |directory| {
        for version in [1, 2] {
            fs::create_dir(directory.join(format!("..v{version}"))).unwrap();
            fs::write(directory.join(format!("..v{version}/red.json")), at(version)).unwrap();
        }
        symlink("..v1", directory.join("..data")).unwrap();
        symlink("..data/red.json", directory.join("red.json")).unwrap();
    });
    desk.loads(1).await;
    symlink("..v2", desk.path("..new")).unwrap();
    fs::rename(desk.path("..new"), desk.path("..data")).unwrap();
    desk.loads(2).await;
    desk.write("..v2/red.json", at(3));
    desk.loads(3).await;
}

#[tokio::test]
async fn a_link_to_another_directory_is_watched_at_both_ends() {
    let mut desk = Desk::new("red.json", |directory| {
        let other = directory.with_file_name("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("file"), at(1)).unwrap();
        symlink("../run/../other/file", directory.join("red.json")).unwrap();
    });
    desk.loads(1).await;
    desk.replace("../other/file", at(2));
    desk.loads(2).await;
    desk.replace("red.json", at(3));
    desk.loads(3).await;
}

#[tokio::test]
async fn a_directory_that_comes_later_is_found() {
    let mut desk = Desk::new("net/red/red.json", |_| ());
    desk.fails("net/red/red.json", MISSING).await;
    fs::create_dir_all(desk.path("net/red")).unwrap();
    desk.write("net/red/red.json", at(1));
    desk.loads(1).await;
}

#[tokio::test]
async fn another_directory_in_the_place_of_one_on_the_way_is_seen() {
    let mut desk = Desk::new("net/red/red.json", |directory| {
        for (place, last) in [("net", 1), ("new", 2)] {
            fs::create_dir_all(directory.join(place).join("red")).unwrap();
            fs::write(directory.join(place).join("red/red.json"), at(last)).unwrap();
        }
    });
    desk.loads(1).await;
    fs::rename(desk.path("net"), desk.path("old")).unwrap();
    fs::rename(desk.path("new"), desk.path("net")).unwrap();
    desk.loads(2).await;
    fs::remove_dir_all(desk.path("net")).unwrap();
    desk.fails("net/red/red.json", MISSING).await;
    fs::rename(desk.path("old"), desk.path("net")).unwrap();
    desk.loads(1).await;
}

#[tokio::test]
async fn what_is_no_file_is_refused_without_waiting_for_it() {
    let fifo = |directory: &Path| mkfifo(&directory.join("red.json"), Mode::S_IRWXU).unwrap();
    let mut desk = Desk::new("red.json", fifo);
    desk.fails("red.json", "is not a regular file").await;
    desk.replace("red.json", at(1));
    desk.loads(1).await;
    fs::remove_file(desk.path("red.json")).unwrap();
    fs::create_dir(desk.path("red.json")).unwrap();
    desk.fails("red.json", "is not a regular file").await;
}

#[tokio::test]
async fn links_in_a_circle_are_told_of() {
    let mut desk =
        Desk::new("red.json", |directory| symlink("red.json", directory.join("red.json")).unwrap());
    desk.fails("red.json", "cannot be opened: Too many levels of symbolic links (os error 40)").await;
}

#[tokio::test]
async fn a_file_that_is_too_large_is_not_read() {
    let sparse = |directory: &Path| {
        File::create(directory.join("red.json")).unwrap().set_len(256 * 1024 * 1024 + 1).unwrap();
    };
    Desk::new("red.json", sparse).fails("red.json", "has more than 268435456 octets").await;
}

#[tokio::test]
async fn told_to_reload_it_reads_again_what_has_not_changed() {
    let mut desk = Desk::with_file().await;
    desk.orders.send(IoAction::Files(Order::Reload)).unwrap();
    assert_eq!(desk.loads(1).await, Difference::default());
}

#[tokio::test]
async fn what_happens_to_other_files_is_nobodys_business() {
    let mut desk = Desk::with_file().await;
    desk.write("blue.json", "{");
    fs::remove_file(desk.path("blue.json")).unwrap();
    let permissions = fs::metadata(desk.path("red.json")).unwrap().permissions();
    fs::set_permissions(desk.path("red.json"), permissions).unwrap();
    desk.replace("red.json", at(2));
    desk.loads(2).await;
}

#[tokio::test]
async fn it_ends_when_its_instance_does() {
    let Desk { orders, reports: _reports, task, .. } = Desk::with_file().await;
    drop(orders);
    timeout(Duration::from_secs(60), task).await.expect("it goes on").unwrap();
}

#[test]
fn without_a_watch_a_changed_file_is_known_by_its_identity() {
    let scratch = Scratch::new();
    let path = scratch.paths().run.join("red.json");
    fs::write(&path, at(1)).unwrap();
    let (disk, look) = Disk::new(path.clone(), false, None).look(false);
    assert!(matches!(look, Look::Loaded(..)) && !disk.is_watched());
    let (disk, look) = disk.look(false);
    assert!(matches!(look, Look::Same));
    fs::write(&path, at(10)).unwrap();
    let (disk, look) = disk.look(false);
    assert!(matches!(look, Look::Loaded(_, difference) if difference.sources));
    assert!(matches!(disk.look(true).1, Look::Loaded(_, difference) if difference == Difference::default()));
}

mod pace {
    use super::*;

    fn failed(there: bool) -> Look {
        Look::Failed { reason: "bad".to_owned(), there }
    }

    fn loaded() -> Look {
        Look::Loaded(Arc::default(), Difference::default())
    }

    fn told(report: Option<&Report>) -> &'static str {
        match report {
            Some(Report::Loaded(..)) => "loaded",
            Some(Report::Failed(_)) => "failed",
            None => "",
        }
    }

    /// What is said of each look, and whether another is due.
    fn follow(looks: Vec<(Why, Look, bool)>) -> Vec<(&'static str, bool)> {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        let mut said = Vec::new();
        for (why, look, watched) in looks {
            let report = pace.judge(why, look, watched, now);
            said.push((told(report.as_ref()), pace.next.is_some()));
            now += AGAIN;
        }
        said
    }

    #[tokio::test]
    async fn what_was_finished_is_judged_at_once() {
        for why in [Why::Told, Why::Written] {
            assert_eq!(follow(vec![(why, loaded(), true)]), [("loaded", false)]);
            assert_eq!(follow(vec![(why, failed(true), true)]), [("failed", false)]);
        }
    }

    #[tokio::test]
    async fn a_failure_that_may_pass_counts_when_it_lasts() {
        let looks = vec![(Why::Passing, failed(true), true), (Why::Time, failed(true), true)];
        assert_eq!(follow(looks), [("", true), ("failed", false)]);
        let looks = vec![(Why::Passing, failed(true), true), (Why::Written, loaded(), true)];
        assert_eq!(follow(looks), [("", true), ("loaded", false)]);
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_looked_for_again_and_again() {
        let again = || (Why::Time, failed(false), true);
        let looks = vec![(Why::Told, failed(false), true), again(), again(), again()];
        assert_eq!(follow(looks), [("failed", true), ("", true), ("", true), ("", true)]);
    }

    #[tokio::test]
    async fn what_cannot_be_watched_is_looked_at_again_and_again() {
        let looks =
            vec![(Why::Told, loaded(), false), (Why::Time, Look::Same, false), (Why::Time, loaded(), true)];
        assert_eq!(follow(looks), [("loaded", true), ("", true), ("loaded", false)]);
    }

    #[tokio::test]
    async fn more_news_do_not_put_a_look_off() {
        let mut pace = Pace::default();
        let now = Instant::now();
        pace.judge(Why::Passing, failed(true), true, now);
        pace.judge(Why::Passing, failed(true), true, now + AGAIN / 2);
        assert_eq!(pace.next, Some(now + AGAIN));
    }
}

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use overlay_core::property::Assignment;

use super::{Limits, Line, Outcome, check};
use crate::plugins::program::tests::script::{answering, python, write};
use crate::plugins::program::trust::tests::Rooted;

/// Long enough for a good program on a busy machine.
const PATIENT: Limits = Limits {
    describe: Duration::from_secs(60),
    ready: Duration::from_secs(60),
    answer: Duration::from_secs(60),
    end: Duration::from_secs(60),
};

/// The lines of a program.
async fn lines(file: &Path, given: &[(&str, &str)], limits: Limits) -> (bool, Vec<Line>) {
    let given: Vec<_> = given.iter().map(|(name, value)| Assignment::new(*name, *value)).collect();
    let mut lines = Vec::new();
    let passed = check(file, &given, limits, &mut |line| lines.push(line.clone())).await;
    (passed, lines)
}

/// The failures of a script, one after the other.
async fn failures(text: &str, limits: Limits) -> Vec<String> {
    let rooted = Rooted::new();
    let file = write(&rooted.0, "x", text);
    let (passed, lines) = lines(&file, &[], limits).await;
    let failed = lines.iter().filter(|line| matches!(line.outcome, Outcome::Failed(_)));
    let failed: Vec<_> = failed.map(ToString::to_string).collect();
    assert_eq!(passed, failed.is_empty());
    failed
}

/// Whether a check fails for this reason.
fn has(failures: &[String], check: &str, reason: &str) -> bool {
    failures.iter().any(|line| line.starts_with(&format!("FAILED   {check}: ")) && line.contains(reason))
}

#[tokio::test]
async fn the_example_passes() {
    let rooted = Rooted::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/overlay-plugin-example.py");
    let text = fs::read_to_string(example).unwrap();
    assert!(text.lines().count() <= 60, "it is no small example any more");
    let file = write(&rooted.0, "example", &text);
    let table = rooted.0.join("table");
    fs::write(&table, "2:8:20:0:0:1 10.0.0.2:4789 10.8.0.1 # one\n\n2:8:20:0:0:3 [2001:db8::1]:4789\n")
        .unwrap();
    for name in ["table", "example/table"] {
        let (passed, lines) = lines(&file, &[(name, table.to_str().unwrap())], PATIENT).await;
        assert!(passed && lines.iter().all(|line| line.outcome == Outcome::Passed), "{lines:?}");
        assert_eq!(lines.len(), 16);
    }
    let (passed, lines) = lines(&file, &[], PATIENT).await;
    let last = lines.last().unwrap().to_string();
    assert!(!passed && last.contains("example/table"), "{last}");
}

#[test]
fn the_example_is_not_ready_before_it_has_a_table_and_keeps_it_when_there_is_none_any_more() {
    const ASK: &str = r#"{"ask":{"id":1,"target":{"mac":"2:8:20:0:0:1","source":"2:8:20:0:0:2"}}}"#;
    let rooted = Rooted::new();
    let table = rooted.0.join("table");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/overlay-plugin-example.py");
    let mut command = Command::new("python3");
    let mut child = command.arg(example).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut orders = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    writeln!(orders, r#"{{"start":{{"protocol":1,"properties":{{"table":"{}"}}}}}}"#, table.display())
        .unwrap();
    assert!(lines.next().unwrap().starts_with("{\"degrade\""));
    writeln!(orders, "{ASK}").unwrap();
    assert!(lines.find(|line| !line.starts_with("{\"degrade\"")).unwrap().contains("\"unknown\""));
    assert!(lines.next().unwrap().starts_with("{\"degrade\""), "it tries again by itself");
    // Whole at once: what is half written would be another failure.
    fs::write(rooted.0.join("new"), "2:8:20:0:0:1 10.0.0.2:4789\n").unwrap();
    fs::rename(rooted.0.join("new"), &table).unwrap();
    let ready = lines.find(|line| !line.starts_with("{\"degrade\"")).unwrap();
    assert_eq!(ready, r#"{"ready": {"sources": ["10.0.0.2"]}}"#);
    assert_eq!(
        lines.by_ref().take(2).collect::<Vec<_>>(),
        [r#"{"restore": {}}"#, r#"{"doubtful": {"all": true}}"#]
    );
    fs::remove_file(&table).unwrap();
    writeln!(orders, "{{\"reload\":{{}}}}\n{ASK}").unwrap();
    let (degrade, answer) = (lines.next().unwrap(), lines.next().unwrap());
    assert!(degrade.starts_with("{\"degrade\"") && answer.contains("10.0.0.2:4789"), "{degrade} {answer}");
    drop(orders);
    assert!(child.wait().unwrap().success());
}

#[tokio::test]
async fn a_point_program_passes() {
    let body = "for order in orders:\n    \
                    if 'describe' in order: say('plugin', protocol=1, mode='point')\n    \
                    if 'start' in order: say('ready', sources=['10.0.0.2'], point='10.0.0.2:4789')";
    assert_eq!(failures(&python(body), PATIENT).await, [""; 0]);
}

#[tokio::test]
async fn a_dynamic_program_that_knows_nothing_passes() {
    assert_eq!(failures(&answering("say('answer', id=id, unknown=True)"), PATIENT).await, [""; 0]);
}

#[tokio::test]
async fn one_that_is_not_roots_alone_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let rooted = Rooted::new();
    let file = write(&rooted.0, "x", &answering("say('answer', id=id, unknown=True)"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o757)).unwrap();
    let (passed, lines) = lines(&file, &[], PATIENT).await;
    assert!(passed && matches!(&lines[0].outcome, Outcome::Warned(why) if why.contains("others than root")));
}

#[tokio::test]
async fn a_file_that_is_not_there_fails() {
    let (passed, lines) = lines(&PathBuf::from("/nonexistent"), &[], PATIENT).await;
    assert!(!passed && lines.len() == 1, "{lines:?}");
}

#[tokio::test]
async fn one_that_never_declares_itself_fails() {
    let short = Limits { describe: Duration::from_millis(300), ..PATIENT };
    let failed = failures(&python("for order in orders: pass"), short).await;
    assert!(has(&failed, "declares itself", "it has not declared itself within 0.3 s"), "{failed:?}");
}

#[tokio::test]
async fn one_that_dies_at_once_fails_with_its_last_words() {
    let failed = failures(&python("sys.exit('no licence')"), PATIENT).await;
    assert!(has(&failed, "declares itself", "it ended with exit status 1 (no licence)"), "{failed:?}");
}

#[tokio::test]
async fn one_that_declares_itself_otherwise_each_time_fails() {
    let body = "next(orders); say('plugin', protocol=1, mode='dynamic', \
                properties=[dict(name=f'p{time.time_ns()}', kind='int', doc='d')])";
    let failed = failures(&python(body), PATIENT).await;
    assert!(has(&failed, "declares itself in the same way again", "another one"), "{failed:?}");
}

#[tokio::test]
async fn one_that_never_answers_fails_each_question() {
    let moment = Duration::from_millis(300);
    let short = Limits { answer: moment, end: moment, ..PATIENT };
    let failed = failures(&answering("pass"), short).await;
    let check = "answers a question for a destination once";
    assert!(has(&failed, check, "a question was not answered within 0.3 s"), "{failed:?}");
    assert!(failed.len() >= 9, "{failed:?}");
}

#[tokio::test]
async fn one_that_answers_twice_fails() {
    let twice = "say('answer', id=id, unknown=True); say('answer', id=id, unknown=True)";
    let failed = failures(&answering(twice), PATIENT).await;
    let check = "answers a question for a destination once";
    assert!(has(&failed, check, "question 1 has been answered before"), "{failed:?}");
}

#[tokio::test]
async fn one_that_answers_in_another_kind_fails() {
    let failed = failures(&answering("say('answer', id=id, ends=['10.0.0.2:4789'])"), PATIENT).await;
    assert!(has(&failed, "answers questions for DHCP servers once", "not one of 'mac'"), "{failed:?}");
    let unknown = "does not know the answer to a question of an unknown kind";
    assert!(has(&failed, unknown, "not one of"), "{failed:?}");
}

#[tokio::test]
async fn one_that_writes_garbage_fails() {
    let failed = failures(&answering("print('hello\\x1b', flush=True)"), PATIENT).await;
    let check = "answers a question for a destination once";
    assert!(has(&failed, check, "it wrote hello\\u{1b}: expected value"), "{failed:?}");
}

#[tokio::test]
async fn one_that_writes_an_endless_line_fails() {
    let failed = failures(&answering("while True: sys.stdout.write('a' * 65536)"), PATIENT).await;
    let check = "answers a question for a destination once";
    assert!(has(&failed, check, "a line is longer than 1048576 octets"), "{failed:?}");
}

#[tokio::test]
async fn one_that_goes_on_after_its_input_fails() {
    let text = answering("say('answer', id=id, unknown=True)") + "time.sleep(1000)\n";
    let short = Limits { end: Duration::from_millis(300), ..PATIENT };
    let failed = failures(&text, short).await;
    assert!(has(&failed, "ends when its input ends", "it did not end within 0.3 s"), "{failed:?}");
}

#[tokio::test]
async fn one_that_goes_on_after_its_output_fails() {
    let body =
        "try: say('answer', id=id, unknown=True)\n        except OSError: os.close(2); time.sleep(1000)";
    let short = Limits { end: Duration::from_millis(300), ..PATIENT };
    let failed = failures(&answering(body), short).await;
    assert!(has(&failed, "ends when its output is closed", "it did not end"), "{failed:?}");
}

#[tokio::test]
async fn one_that_leaves_a_child_behind_in_its_place_fails() {
    let answering = answering("say('answer', id=id, unknown=True)");
    let text = answering.replace(
        "orders = ",
        "parent = os.getpid()\n\
         if os.fork() != 0: os._exit(0)\n\
         while os.getppid() == parent: pass\n\
         orders = ",
    );
    let failed = failures(&text, PATIENT).await;
    assert!(has(&failed, "becomes ready", "it ended with exit status 0"), "{failed:?}");
}

#[tokio::test]
async fn a_point_program_without_a_legal_destination_fails() {
    for point in ["", ", point='10.0.0.2:0'", ", point='224.0.0.1:4789'"] {
        let body = format!(
            "for order in orders:\n    \
                 if 'describe' in order: say('plugin', protocol=1, mode='point')\n    \
                 if 'start' in order: say('ready', sources='any'{point})"
        );
        let failed = failures(&python(&body), PATIENT).await;
        assert!(has(&failed, "becomes ready", "it wrote "), "{failed:?}");
    }
}

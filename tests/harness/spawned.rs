use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::{Namespace, wait_until};

/// A program of others' that runs in a namespace beside a test; it ends with this value.
#[derive(Debug)]
pub struct Spawned {
    child: Child,
    name: String,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Spawned {
    /// Starts a program, which must stay in the foreground.
    ///
    /// # Panics
    /// The system refuses.
    #[track_caller]
    pub fn start(namespace: &Namespace, words: &[&str]) -> Self {
        let mut command = namespace.daemon_command(words[0].as_ref());
        command.args(&words[1..]).env("PATH", crate::command::path());
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap_or_else(|error| panic!("cannot run {}: {error}", words[0]));
        let lines = Arc::default();
        collect(child.stdout.take().expect("piped"), Arc::clone(&lines));
        collect(child.stderr.take().expect("piped"), Arc::clone(&lines));
        Self { child, name: words[0].to_owned(), lines }
    }

    /// What it has written so far to its standard output and error.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has written a line that contains `text`, and returns that.
    ///
    /// # Panics
    /// It does not within `limit`.
    #[track_caller]
    pub fn wait_for(&self, limit: Duration, text: &str) -> String {
        wait_until(limit, &format!("{} says '{text}'", self.name), || {
            let lines = self.lines();
            let found = lines.iter().find(|line| line.contains(text)).cloned();
            found.ok_or_else(|| lines.join("\n"))
        })
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Takes in lines on a thread that ends with the program.
fn collect(from: impl std::io::Read + Send + 'static, lines: Arc<Mutex<Vec<String>>>) {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
}

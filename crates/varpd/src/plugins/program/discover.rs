//! Finding programs in the plugin directories, and having each declare itself.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use overlay_core::protocol::LineBuffer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Program;
use super::declaration;
use super::launch::{GRACE, Guard, Launch, LaunchError, Running};
use super::log::Log;
use super::message::{self, Declaration, LINE_MAX, Order, Said, VERSION};
use super::trust;
use crate::plugins::{PLUGINS, Plugin};

/// How long a program may take to declare itself.
pub(crate) const LIMIT: Duration = Duration::from_secs(3);

/// Octets that a program may write while it declares itself.
const OUTPUT_MAX: usize = 2 * LINE_MAX;

/// Programs that declare themselves at a time.
const AT_A_TIME: usize = 32;

/// Why a program is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DescribeError {
    /// It does not run.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// It cannot be spoken with.
    #[error("it cannot be spoken with: {0}")]
    Io(#[from] io::Error),
    /// It said nothing of the kind for too long.
    #[error("it has not declared itself within {} s", .0.as_secs_f64())]
    Silent(Duration),
    /// It ended its output first.
    #[error("it did not declare itself: {0}")]
    Ended(String),
    /// It said something else, and too much of it.
    #[error("it wrote more than {OUTPUT_MAX} octets and did not declare itself")]
    Talkative,
    /// What it said is not legal.
    #[error("{0}")]
    Illegal(String),
}

/// The programs in `directories`. Of those of one name the first is taken, and none that is called like a plugin of varpd.
/// What is not used is logged, with the reason.
pub async fn discover(directories: &[PathBuf]) -> Vec<Arc<dyn Plugin>> {
    let mut found: Vec<Arc<dyn Plugin>> = Vec::new();
    let mut pending = candidates(directories).into_iter().peekable();
    while pending.peek().is_some() {
        let mut under_way = JoinSet::new();
        for (index, (name, launch)) in pending.by_ref().take(AT_A_TIME).enumerate() {
            under_way.spawn(async move { (index, program(name, launch).await) });
        }
        let mut described = under_way.join_all().await;
        described.sort_by_key(|(index, _)| *index);
        for program in described.into_iter().filter_map(|(_, program)| program) {
            found.push(Arc::new(program));
        }
    }
    found
}

/// The files that may be plugins, with their names.
fn candidates(directories: &[PathBuf]) -> Vec<(String, Launch)> {
    let mut taken: BTreeSet<String> = PLUGINS.iter().map(|plugin| plugin.name().to_owned()).collect();
    let mut candidates = Vec::new();
    for directory in directories {
        for (name, file) in executables(directory) {
            if let Err(reason) = admit(&name, &file, &mut taken) {
                tracing::warn!("{} is no search plugin: {reason}", file.display());
            } else {
                candidates.push((name, Launch::new(file, Guard::RootOnly)));
            }
        }
    }
    candidates
}

fn admit(name: &str, file: &Path, taken: &mut BTreeSet<String>) -> Result<(), String> {
    if !declaration::is_name(name) {
        let rule = "a lower-case letter, then lower-case letters, digits and underscores";
        return Err(format!("its name is not made of {rule}, {} at most", declaration::NAME_MAX));
    }
    trust::check(file).map_err(|distrust| distrust.to_string())?;
    if !taken.insert(name.to_owned()) {
        return Err(format!("there is a search plugin '{name}' already"));
    }
    Ok(())
}

/// The executable files of a directory that only root can write to, by name.
fn executables(directory: &Path) -> Vec<(String, PathBuf)> {
    let listed = match trust::check(directory) {
        Ok(real) => fs::read_dir(real),
        Err(trust::Distrust::Unseen { error, .. }) => Err(error),
        Err(distrust) => {
            tracing::warn!("plugin directory {} is not used: {distrust}", directory.display());
            return Vec::new();
        }
    };
    let entries = match listed {
        Ok(entries) => entries.flatten(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            tracing::warn!("plugin directory {} cannot be read: {error}", directory.display());
            return Vec::new();
        }
    };
    let executable = |path: &Path| {
        fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    let named = entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()));
    let mut files: Vec<_> = named.filter(|(_, path)| executable(path)).collect();
    files.sort();
    files
}

async fn program(name: String, launch: Launch) -> Option<Program> {
    let label = format!("search plugin {name}").into();
    let described = describe(&launch, &label, LIMIT)
        .await
        .and_then(|declaration| declaration::check(declaration, &name).map_err(DescribeError::Illegal));
    match described {
        Ok((mode, properties)) => {
            tracing::info!("search plugin {name} is {}", launch.file().display());
            Some(Program::new(name, mode, properties, launch))
        }
        Err(error) => {
            tracing::warn!("{} is not used as a search plugin: {error}", launch.file().display());
            None
        }
    }
}

/// Has a program declare itself, and end. What it writes to its standard error is logged after `label`.
///
/// # Errors
/// It does not, or not in time.
pub(crate) async fn describe(
    launch: &Launch,
    label: &Arc<str>,
    limit: Duration,
) -> Result<Declaration, DescribeError> {
    let mut running = launch.start()?;
    let mut log = Log::new(running.stderr.take(), label);
    let declared = tokio::select! {
        declared = timeout(limit, declare(&mut running)) => declared.unwrap_or(Err(DescribeError::Silent(limit))),
        never = log.keep() => match never {},
    };
    drop((running.stdin.take(), running.stdout.take()));
    let how = match timeout(GRACE, running.ended()).await {
        Ok(how) => how,
        Err(_) => {
            running.killed().await;
            "it closed its output".to_owned()
        }
    };
    let how = log.with_last_words(how).await;
    declared.map_err(|error| match error {
        DescribeError::Ended(_) => DescribeError::Ended(how),
        error => error,
    })
}

async fn declare(running: &mut Running) -> Result<Declaration, DescribeError> {
    let (Some(stdin), Some(stdout)) = (&mut running.stdin, &mut running.stdout) else {
        return Err(DescribeError::Ended(String::new()));
    };
    // Whether it reads this or not, what counts is what it says.
    let _ = stdin.write_all(&Order::Describe { protocol: VERSION }.line()).await;
    let mut input = LineBuffer::new(LINE_MAX);
    let mut piece = vec![0; 4096];
    let mut octets = 0;
    while octets < OUTPUT_MAX {
        let count = stdout.read(&mut piece).await?;
        if count == 0 {
            return Err(DescribeError::Ended(String::new()));
        }
        octets += count;
        input.push(&piece[..count]);
        while let Some(line) = input.next_line().map_err(|error| DescribeError::Illegal(error.to_string()))? {
            match message::read(line).map_err(DescribeError::Illegal)? {
                Some(Said::Plugin(declaration)) => return Ok(declaration),
                Some(_) => return Err(DescribeError::Illegal("it says something else first".to_owned())),
                None => {}
            }
        }
    }
    Err(DescribeError::Talkative)
}

//! Away from root: varpd needs no right of root's once it has its place, and plugins bring it octets from anywhere.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::libc::{O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK};
use nix::sys::prctl::set_no_new_privs;
use nix::unistd::{Gid, Group, Uid, User, geteuid, setgroups, setresgid, setresuid};

/// The user and the group that varpd is when root starts it, as in illumos.
const NAME: &str = "netadm";

/// Why root's rights could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// The system refused a step.
    #[error("cannot become user {NAME}: {0}")]
    System(#[from] nix::Error),
    /// A directory of records cannot be handed over.
    #[error("cannot give {} to user {NAME}: {error}", path.display())]
    HandOver {
        /// Which, or a file in it.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What is left cannot be seen.
    #[error("cannot see whether a right of root's is left: /proc/self/status: {0}")]
    Unseen(io::Error),
    /// Some right is left though every step went well.
    #[error("cannot become user {NAME}: {0} of it is still root's")]
    Left(&'static str),
}

/// Makes this process, if it is root's, one of the user and group `netadm`, without other groups and capabilities, for
/// ever. `records` are made that user's, with the files in them. Call it before there is a second thread: the rights
/// of each are its own.
///
/// # Errors
/// Something refused; the process may have lost a part of its rights and is to end.
pub fn drop_root(records: &[PathBuf]) -> Result<(), PrivilegeError> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let (Some(user), Some(group)) = (User::from_name(NAME)?, Group::from_name(NAME)?) else {
        tracing::warn!(
            "going on as root: there is no user and group {NAME} (useradd --system --user-group {NAME})"
        );
        return Ok(());
    };
    for directory in records {
        hand_over(directory, user.uid, group.gid)?;
    }
    become_user(user.uid, group.gid)?;
    check(&fs::read_to_string("/proc/self/status").map_err(PrivilegeError::Unseen)?, user.uid, group.gid)
}

/// Leaving user 0 takes all capabilities away (capabilities(7)); `no_new_privs` keeps executed files from giving any.
fn become_user(user: Uid, group: Gid) -> nix::Result<()> {
    set_no_new_privs()?;
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)
}

/// Looks in the text of proc_pid_status(5) for what should have gone: securebits can keep capabilities.
fn check(status: &str, user: Uid, group: Gid) -> Result<(), PrivilegeError> {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let only = |name, id: u32| {
        field(name).is_some_and(|ids| ids.split_whitespace().all(|other| other.parse() == Ok(id)))
    };
    let none = |name| field(name).is_some_and(|set| set.trim().bytes().all(|digit| digit == b'0'));
    let left = [
        (only("Uid", user.as_raw()), "the user"),
        (only("Gid", group.as_raw()), "the group"),
        (field("Groups").is_some_and(|ids| ids.trim().is_empty()), "another group"),
        (["CapPrm", "CapEff", "CapAmb"].into_iter().all(none), "a capability"),
    ];
    left.into_iter().find(|(gone, _)| !gone).map_or(Ok(()), |(_, what)| Err(PrivilegeError::Left(what)))
}

/// Gives a directory and the files in it to a user. Whoever had the directory before may have put anything there: a
/// file is handed over only if it is a plain one with one name.
fn hand_over(directory: &Path, user: Uid, group: Gid) -> Result<(), PrivilegeError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| PrivilegeError::HandOver { path: path.clone(), error }
    };
    let give = |file: &File| match file.metadata() {
        // On a disk that has become read-only this is all that works.
        Ok(found) if (found.uid(), found.gid()) == (user.as_raw(), group.as_raw()) => Ok(()),
        _ => fchown(file, Some(user.as_raw()), Some(group.as_raw())),
    };
    let opened = open(directory, O_DIRECTORY).map_err(failed(directory))?;
    for entry in fs::read_dir(directory).map_err(failed(directory))? {
        let path = entry.map_err(failed(directory))?.path();
        let Some(file) = open(&path, O_NONBLOCK).ok().filter(is_plain) else {
            tracing::warn!("{} is no plain file and stays as it is", path.display());
            continue;
        };
        give(&file).map_err(failed(&path))?;
    }
    give(&opened).map_err(failed(directory))
}

/// Opens what has this very name: no link is followed.
fn open(path: &Path, flags: i32) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(flags | O_NOFOLLOW).open(path)
}

fn is_plain(file: &File) -> bool {
    file.metadata().is_ok_and(|found| found.is_file() && found.nlink() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use std::os::unix::fs::symlink;

    /// The user of this test, who may hand things over to itself and as root to another.
    fn receiver() -> (Uid, Gid) {
        let other = if geteuid().is_root() { 12_345 } else { geteuid().as_raw() };
        (Uid::from_raw(other), Gid::from_raw(nix::unistd::getegid().as_raw()))
    }

    fn owner(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().uid()
    }

    #[test]
    fn a_directory_is_handed_over_with_its_plain_files_only() {
        let scratch = Scratch::new();
        let (run, (user, group)) = (scratch.paths().run, receiver());
        let (dir, outside) = (run.join("records"), run.join("outside"));
        fs::create_dir(&dir).unwrap();
        for path in [&outside, &dir.join("1.json")] {
            fs::write(path, "{}").unwrap();
        }
        symlink(&outside, dir.join("2.json")).unwrap();
        fs::hard_link(&outside, dir.join("3.json")).unwrap();
        hand_over(&dir, user, group).unwrap();
        for path in [&dir, &dir.join("1.json")] {
            assert_eq!(owner(path), user.as_raw(), "{}", path.display());
        }
        for path in [&outside, &dir.join("2.json")] {
            assert_eq!(owner(path), geteuid().as_raw(), "{}", path.display());
        }
    }

    #[test]
    fn a_link_in_place_of_a_directory_is_refused() {
        let scratch = Scratch::new();
        let (run, (user, group)) = (scratch.paths().run, receiver());
        symlink("/", run.join("records")).unwrap();
        let error = hand_over(&run.join("records"), user, group).unwrap_err().to_string();
        assert!(error.starts_with("cannot give ") && error.contains("/records to user netadm: "), "{error}");
    }

    #[test]
    fn what_is_left_of_root_is_seen() {
        let status = |user: &str, group: &str, groups: &str, set: &str| {
            format!(
                "Name:\tvarpd\nUid:\t7\t7\t{user}\t7\nGid:\t8\t8\t8\t{group}\nGroups:\t{groups} \n\
                 CapPrm:\t{set}\nCapEff:\t0\nCapAmb:\t00\n"
            )
        };
        let left = |status: &str| match check(status, Uid::from_raw(7), Gid::from_raw(8)) {
            Err(PrivilegeError::Left(what)) => what,
            Err(other) => panic!("{other}"),
            Ok(()) => "nothing",
        };
        assert_eq!(left(&status("7", "8", "", "0000")), "nothing");
        assert_eq!(left(&status("0", "8", "", "0000")), "the user");
        assert_eq!(left(&status("7", "0", "", "0000")), "the group");
        assert_eq!(left(&status("7", "8", "0", "0000")), "another group");
        assert_eq!(left(&status("7", "8", "", "0400")), "a capability");
        assert_eq!(left(""), "the user");
    }
}

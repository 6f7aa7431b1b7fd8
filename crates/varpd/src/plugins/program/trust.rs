//! Which files varpd runs: those that nobody but root can have put there.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The bits by which a group and others may write.
const WRITABLE: u32 = 0o022;

/// Why a file or a directory is not trusted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Distrust {
    /// It cannot be looked at.
    #[error("cannot look at {}: {error}", path.display())]
    Unseen {
        /// The path.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It belongs to somebody else.
    #[error("{} belongs to user {owner}, not to root ('chown root' it)", path.display())]
    Owner {
        /// The path.
        path: PathBuf,
        /// The user's number.
        owner: u32,
    },
    /// Others can write to it.
    #[error("{} can be written to by others than root (keep plugins where only root can write, or 'chmod go-w' it)", path.display())]
    Writable {
        /// The path.
        path: PathBuf,
    },
}

/// The real path of a file or directory that belongs to root, with all directories above it, and that nobody
/// else can write to. A sticky directory does not pass: what is there today was not put there by root alone.
///
/// # Errors
/// The first on the way that is not so.
pub(crate) fn check(path: &Path) -> Result<PathBuf, Distrust> {
    let real = fs::canonicalize(path).map_err(|error| unseen(path, error))?;
    for part in real.ancestors() {
        let metadata = fs::symlink_metadata(part).map_err(|error| unseen(part, error))?;
        check_one(part, &metadata)?;
    }
    Ok(real)
}

fn check_one(path: &Path, metadata: &Metadata) -> Result<(), Distrust> {
    let path = || path.to_owned();
    if metadata.uid() != 0 {
        return Err(Distrust::Owner { path: path(), owner: metadata.uid() });
    }
    // An access list that lets others write shows in the group's bits, which are its mask (acl(5)).
    if metadata.permissions().mode() & WRITABLE != 0 {
        return Err(Distrust::Writable { path: path() });
    }
    Ok(())
}

fn unseen(path: &Path, error: io::Error) -> Distrust {
    Distrust::Unseen { path: path.to_owned(), error }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::os::unix::fs::{chown, symlink};
    use std::process;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A directory that only root can write to, as are those above it; removed with its test, which runs as root.
    pub(crate) struct Rooted(pub(crate) PathBuf);

    impl Rooted {
        pub(crate) fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name = format!("overlay-test-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let path = Path::new("/run").join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            Self(path)
        }
    }

    impl Drop for Rooted {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn file(directory: &Path, mode: u32) -> PathBuf {
        let path = directory.join("file");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn what_only_root_can_write_is_trusted_under_its_real_path() {
        let rooted = Rooted::new();
        let path = file(&rooted.0, 0o755);
        symlink(&path, rooted.0.join("link")).unwrap();
        assert_eq!(check(&rooted.0.join("link")).unwrap(), path);
    }

    #[test]
    fn what_a_group_or_others_can_write_is_not() {
        let rooted = Rooted::new();
        for mode in [0o775, 0o757, 0o1757] {
            assert!(matches!(check(&file(&rooted.0, mode)), Err(Distrust::Writable { .. })), "{mode:o}");
        }
    }

    #[test]
    fn what_somebody_else_owns_is_not() {
        let rooted = Rooted::new();
        let path = file(&rooted.0, 0o755);
        chown(&path, Some(65534), None).unwrap();
        let said = check(&path).unwrap_err().to_string();
        let expected = format!("{} belongs to user 65534, not to root ('chown root' it)", path.display());
        assert_eq!(said, expected);
    }

    #[test]
    fn a_directory_above_that_others_can_write_to_is_the_one_that_is_named() {
        let rooted = Rooted::new();
        let middle = rooted.0.join("middle");
        fs::create_dir(&middle).unwrap();
        fs::set_permissions(&middle, fs::Permissions::from_mode(0o1777)).unwrap();
        let path = file(&middle, 0o755);
        assert!(matches!(check(&path), Err(Distrust::Writable { path }) if path == middle));
    }

    #[test]
    fn a_link_to_what_is_not_trusted_is_not_either() {
        let rooted = Rooted::new();
        let target = file(&rooted.0, 0o777);
        let link = rooted.0.join("link");
        symlink(&target, &link).unwrap();
        assert!(check(&link).is_err());
        assert!(matches!(check(&rooted.0.join("missing")), Err(Distrust::Unseen { .. })));
    }
}

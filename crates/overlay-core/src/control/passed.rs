use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::sys::socket::sockopt::{AcceptConn, SockType};
use nix::sys::socket::{SockType as Type, getsockopt};

use crate::sys;

/// The socket at `expected` that a service manager listens on and has passed to this process; none when it has passed
/// nothing. Call it before the process opens anything.
///
/// # Errors
/// What is wrong with what it has passed.
pub(super) fn passed_listener(expected: &Path) -> Result<Option<UnixListener>, String> {
    let passed = sys::passed_descriptors().map_err(|error| format!("LISTEN_FDS: {error}"))?;
    match <[OwnedFd; 1]>::try_from(passed) {
        Ok([descriptor]) => listener(descriptor, expected).map(Some),
        Err(passed) if passed.is_empty() => Ok(None),
        Err(passed) => Err(format!("there are {} descriptors, and one is wanted", passed.len())),
    }
}

fn listener(descriptor: OwnedFd, expected: &Path) -> Result<UnixListener, String> {
    let kind = getsockopt(&descriptor, SockType).map_err(|_| "it is no socket".to_owned())?;
    let listens = getsockopt(&descriptor, AcceptConn).unwrap_or(false);
    let listener = UnixListener::from(descriptor);
    let bound = listener.local_addr().ok().and_then(|address| address.as_pathname().map(PathBuf::from));
    match bound {
        None => Err("it is no Unix socket with a path".to_owned()),
        Some(_) if kind != Type::Stream => Err("it is no stream socket".to_owned()),
        Some(bound) if !is_same(&bound, expected) => Err(format!("it is {}", bound.display())),
        Some(_) if !listens => Err("nobody listens on it".to_owned()),
        Some(_) => match listener.set_nonblocking(true) {
            Ok(()) => Ok(listener),
            Err(error) => Err(error.to_string()),
        },
    }
}

/// Whether two paths lead to one file.
fn is_same(one: &Path, other: &Path) -> bool {
    let file = |path| fs::symlink_metadata(path).map(|found| (found.dev(), found.ino())).ok();
    one == other || (file(one).is_some() && file(one) == file(other))
}

#[cfg(test)]
mod tests {
    use super::super::store::tests::Scratch;
    use super::*;
    use nix::sys::socket::{AddressFamily, SockFlag, UnixAddr, bind, socket};
    use std::fs::File;
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    fn problem(descriptor: impl Into<OwnedFd>, expected: &Path) -> String {
        listener(descriptor.into(), expected).expect_err("a wrong descriptor")
    }

    #[test]
    fn a_listening_socket_at_the_path_is_taken_by_whatever_name() {
        let scratch = Scratch::new();
        let path = scratch.path.join("a.sock");
        let passed = UnixListener::bind(&path).unwrap();
        let other_name = scratch.path.join(".").join("a.sock");
        let taken = listener(passed.into(), &other_name).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        assert!(taken.accept().is_ok());
        assert!(taken.accept().is_err(), "it does not block");
    }

    #[test]
    fn anything_else_is_refused_with_what_it_is() {
        let scratch = Scratch::new();
        let (path, other) = (scratch.path.join("a.sock"), scratch.path.join("b.sock"));
        let elsewhere = UnixListener::bind(&other).unwrap();
        assert_eq!(problem(elsewhere, &path), format!("it is {}", other.display()));
        let datagrams = UnixDatagram::bind(&path).unwrap();
        assert_eq!(problem(datagrams, &path), "it is no stream socket");
        assert_eq!(problem(File::open("/dev/null").unwrap(), &path), "it is no socket");
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(problem(tcp, &path), "it is no Unix socket with a path");
        fs::remove_file(&path).unwrap();
        let deaf = socket(AddressFamily::Unix, Type::Stream, SockFlag::empty(), None).unwrap();
        bind(deaf.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        assert_eq!(problem(deaf, &path), "nobody listens on it");
    }
}

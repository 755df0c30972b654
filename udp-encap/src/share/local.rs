//! Where the processes of one user find each other: names of local sockets.
//!
//! Every process listens on a **slot**, the lowest free of 256 numbered names: binding a name is exclusive, so the system itself
//! hands them out. The reader also listens on the **base** name, which newcomers try first. Names of slots matter when the
//! reader is frozen, because then its base name answers nothing and nobody else can have it.
//!
//! On Linux the names are abstract: one set for each network namespace, gone with the process. Elsewhere, or if a directory is
//! configured, they are paths in a directory that only the user may enter; a lock tells a living name from a left-over.
#![allow(clippy::disallowed_types, reason = "edge: sockets between processes of one host")]

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use socket2::{Domain, SockAddr, Socket, Type};

use super::message::MAX_SLOTS;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// The names of one encapsulation port.
#[derive(Clone, Debug)]
pub(super) enum Names {
    /// Abstract names with this prefix.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Abstract(String),
    /// Paths with this prefix.
    Directory(PathBuf),
}

/// A bound name.
#[derive(Debug)]
pub(super) struct Listener {
    socket: UnixListener,
    /// A path to remove, and the lock that makes it ours.
    path: Option<(PathBuf, fs::File)>,
}

/// The base name or a slot's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Base,
    Slot(u16),
}

impl Names {
    /// The names for a UDP port, in the way of the system or in the given directory.
    pub(super) fn new(namespace: &str, port: u16, directory: Option<PathBuf>) -> io::Result<Self> {
        let uid = rustix::process::geteuid().as_raw();
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if directory.is_none() {
            return Ok(Self::Abstract(format!("{namespace}/{port}/{uid}")));
        }
        let directory = directory.unwrap_or_else(|| std::env::temp_dir().join(format!("{namespace}-{uid}")));
        match fs::DirBuilder::new().mode(0o700).create(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let meta = fs::symlink_metadata(&directory)?;
        if !meta.is_dir() || meta.uid() != uid || meta.mode() & 0o077 != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("{} must be a directory of our own that nobody else may enter", directory.display()),
            ));
        }
        Ok(Self::Directory(directory.join(port.to_string())))
    }

    fn path(prefix: &std::path::Path, name: Name) -> PathBuf {
        let mut path = prefix.as_os_str().to_owned();
        match name {
            Name::Base => {}
            Name::Slot(slot) => path.push(format!(".{slot}")),
        }
        path.into()
    }

    fn address(&self, name: Name) -> io::Result<SockAddr> {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Abstract(prefix) => SockAddr::unix(match name {
                Name::Base => format!("\0{prefix}"),
                Name::Slot(slot) => format!("\0{prefix}/{slot}"),
            }),
            Self::Directory(prefix) => SockAddr::unix(Self::path(prefix, name)),
        }
    }

    /// Binds a name and listens.
    ///
    /// Errors: `AddrInUse` while another process has it.
    pub(super) fn listen(&self, name: Name) -> io::Result<Listener> {
        let path = match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Abstract(_) => None,
            Self::Directory(prefix) => {
                let path = Self::path(prefix, name);
                let lock = lock(&path.with_added_extension("lock"))?;
                // The lock is ours, so the name is a dead process's.
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                Some((path, lock))
            }
        };
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&self.address(name)?)?;
        socket.listen(BACKLOG)?;
        Ok(Listener { socket: UnixListener::from(std::os::fd::OwnedFd::from(socket)), path })
    }

    /// Binds the lowest free slot.
    pub(super) fn listen_slot(&self) -> io::Result<(u16, Listener)> {
        for slot in (0u16..).take(MAX_SLOTS) {
            match self.listen(Name::Slot(slot)) {
                Ok(listener) => return Ok((slot, listener)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "too many processes on one encapsulation port"))
    }

    /// Connects without waiting; the other end must be of the same user.
    ///
    /// Errors: `ConnectionRefused` or `NotFound` if nobody listens, `WouldBlock` if its queue is full (it is alive but does
    /// not accept), `PermissionDenied` for another user's process.
    pub(super) fn connect(&self, name: Name) -> io::Result<UnixStream> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&self.address(name)?)?;
        let stream = UnixStream::from(std::os::fd::OwnedFd::from(socket));
        same_user(stream.as_fd())?;
        Ok(stream)
    }
}

/// Whether a failed connect means that the process behind the name is gone.
pub(super) fn nobody_there(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
}

impl Listener {
    /// Takes the next connection, if one waits. Those of other users are closed.
    pub(super) fn accept(&self) -> Option<UnixStream> {
        loop {
            let stream = match self.socket.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    if error.kind() != io::ErrorKind::WouldBlock {
                        tracing::warn!(%error, "cannot accept from the local socket");
                    }
                    return None;
                }
            };
            match same_user(stream.as_fd()) {
                Ok(()) => return Some(stream),
                Err(error) => tracing::warn!(%error, "local connection refused"),
            }
        }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some((path, _lock)) = &self.path {
            // The lock is still held here. A left-over would be removed by the next one, too.
            let _ = fs::remove_file(path);
        }
    }
}

/// Takes an exclusive lock that lives as long as the file is open.
fn lock(path: &std::path::Path) -> io::Result<fs::File> {
    let file = fs::File::options().create(true).truncate(false).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(io::ErrorKind::AddrInUse.into()),
        // Solaris has locks of processes only, which serves as well but between two ports of one process.
        Err(fs::TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            let operation = rustix::fs::FlockOperation::NonBlockingLockExclusive;
            match rustix::fs::fcntl_lock(&file, operation) {
                Ok(()) => Ok(file),
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => Err(io::ErrorKind::AddrInUse.into()),
                Err(error) => Err(error.into()),
            }
        }
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Refuses a peer of another user: an abstract name can be bound by anybody.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn same_user(fd: BorrowedFd<'_>) -> io::Result<()> {
    let peer = rustix::net::sockopt::socket_peercred(fd)?;
    if peer.uid == rustix::process::geteuid() {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("process of user {}", peer.uid.as_raw())))
    }
}

/// Elsewhere the directory lets nobody else in.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn same_user(_: BorrowedFd<'_>) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &Names) {
        let (first, one) = names.listen_slot().unwrap();
        let (second, _two) = names.listen_slot().unwrap();
        assert_eq!((first, second), (0, 1));
        let taken = names.listen(Name::Slot(0)).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        assert!(one.accept().is_none());
        let mut there = names.connect(Name::Slot(0)).unwrap();
        let mut here = one.accept().unwrap();
        io::Write::write_all(&mut there, b"hi").unwrap();
        let mut got = [0; 2];
        io::Read::read_exact(&mut here, &mut got).unwrap();
        assert_eq!(&got, b"hi");
        drop(one);
        assert!(nobody_there(&names.connect(Name::Slot(0)).unwrap_err()));
        assert!(nobody_there(&names.connect(Name::Base).unwrap_err()));
        assert_eq!(names.listen_slot().unwrap().0, 0, "free again");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn abstract_names() {
        check(&Names::new(&format!("udp-encap-test-{}", std::process::id()), 1, None).unwrap());
    }

    #[test]
    fn names_in_a_directory() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("d");
        check(&Names::new("x", 9899, Some(directory.clone())).unwrap());
        // A socket file that a killed process left is no obstacle.
        drop(UnixListener::bind(directory.join("9899.0")).unwrap());
        check(&Names::new("x", 9899, Some(directory)).unwrap());
    }

    #[test]
    fn an_open_directory_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("d");
        fs::DirBuilder::new().mode(0o755).create(&directory).unwrap();
        let error = Names::new("x", 9899, Some(directory)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
}

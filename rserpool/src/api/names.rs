//! Looking up the names of registrars, which the operating system does in its own time: in a thread, so that nothing waits.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;

use sctp_user::socket::Handle;

use super::error::Error;
use super::host::Host;
use crate::node::pool::LookUpHook;

/// Starts the thread that serves the node's look-ups. It ends when the node has stopped.
pub(super) fn serve(handle: &Handle<Host>) -> Result<(), Error> {
    // At most one look-up of each name is under way.
    let (asked, names) = mpsc::channel::<String>();
    let hook = LookUpHook(Box::new(move |name| {
        // Nobody listens only after the thread has ended with the runtime.
        let _ = asked.send(name);
    }));
    let node = handle.clone();
    let body = move || {
        for name in names {
            let addrs = look_up(&name);
            let told = node.with(|host, now| {
                if let Some(node) = host.node() {
                    node.looked_up(now, &name, addrs);
                }
            });
            if told.is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("registrar names".into()).spawn(body)?;
    handle.with(|host, _| {
        if let Some(node) = host.node() {
            node.on_lookup(hook);
        }
    })?;
    Ok(())
}

/// All addresses of `host:port`; none if there is no such host.
fn look_up(name: &str) -> Vec<SocketAddr> {
    match name.to_socket_addrs() {
        Ok(addrs) => addrs.collect(),
        Err(error) => {
            tracing::warn!(name, %error, "the registrar's name cannot be looked up");
            Vec::new()
        }
    }
}

//! A client that knows several addresses of its server: `multihomed_client ADDRESS:PORT...` sends lines and prints what comes
//! back, and what happens to the paths. `docs/sctp-user.md` explains it.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sctp_user::socket::{Notification, Received, Runtime, SctpSocket, SndInfo, SocketNode};
use sctp_user::{AssocConfig, PeerAddr};

fn main() -> Result<(), Box<dyn Error>> {
    let mut server: Vec<PeerAddr> = Vec::new();
    for address in std::env::args().skip(1) {
        server.push(address.parse::<SocketAddr>()?.into());
    }

    let runtime = Runtime::builder().fallback_to_ephemeral(true).build()?;
    let node = SocketNode::new(runtime.stack_config())?;
    let handle = runtime.spawn(node)?;

    let socket = SctpSocket::bind(&handle, 0)?;
    let timers = AssocConfig::signalling();
    let id = socket.connect_with(&server, Some(Arc::new(timers)))?;
    println!("connected to {:?}", socket.peer_addrs(id)?);

    for line in io::stdin().lines() {
        socket.send(id, line?.as_bytes(), &SndInfo::default())?;
        loop {
            match socket.recv()? {
                Received::Message(_, echo) => {
                    println!("echo: {}", String::from_utf8_lossy(&echo));
                    break;
                }
                Received::Notification(Notification::PathState { addr, change, .. }) => println!("path {addr}: {change:?}"),
                Received::Notification(Notification::CommLost { reason, .. }) => return Err(format!("{reason:?}").into()),
                Received::Notification(_) => {}
            }
        }
    }
    socket.close(Duration::from_secs(10))?;
    Ok(())
}

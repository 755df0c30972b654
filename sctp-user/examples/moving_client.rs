//! A client whose host may change its addresses: `moving_client ADDRESS:PORT` sends lines and prints what comes back, and which of
//! its addresses the server knows. `docs/sctp-user.md` explains it.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sctp_user::AssocConfig;
use sctp_user::socket::{Notification, Received, Runtime, SctpSocket, SndInfo, SocketNode};

fn main() -> Result<(), Box<dyn Error>> {
    let server: SocketAddr = std::env::args().nth(1).ok_or("which server?")?.parse()?;

    let runtime = Runtime::builder().fallback_to_ephemeral(true).build()?;
    let node = SocketNode::new(runtime.stack_config())?;
    let handle = runtime.spawn(node)?;

    let socket = SctpSocket::bind(&handle, 0)?;
    let timers = AssocConfig::signalling();
    let id = socket.connect_with(&[server.into()], Some(Arc::new(timers)))?;

    let mut known = Vec::new();
    for line in io::stdin().lines() {
        socket.send(id, line?.as_bytes(), &SndInfo::default())?;
        loop {
            match socket.recv()? {
                Received::Message(_, echo) => {
                    println!("echo: {}", String::from_utf8_lossy(&echo));
                    break;
                }
                Received::Notification(Notification::CommLost { reason, .. }) => return Err(format!("{reason:?}").into()),
                Received::Notification(_) => {}
            }
        }
        let ours = socket.local_addrs(id)?;
        if ours != known {
            println!("the server knows us as {ours:?}");
            known = ours;
        }
    }
    socket.close(Duration::from_secs(10))?;
    Ok(())
}

//! A client for readings that nobody wants late: `fresh_readings ADDRESS:PORT` sends lines that live for 200 ms, and prints what comes back
//! and what was given up. `docs/sctp-user.md` explains it.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use sctp_user::Reliability;
use sctp_user::socket::{Notification, Received, Runtime, SctpSocket, SndInfo, SocketNode};

fn main() -> Result<(), Box<dyn Error>> {
    let server: SocketAddr = std::env::args().nth(1).ok_or("which server?")?.parse()?;

    let runtime = Runtime::builder().fallback_to_ephemeral(true).build()?;
    let node = SocketNode::new(runtime.stack_config())?;
    let handle = runtime.spawn(node)?;

    let socket = SctpSocket::bind(&handle, 0)?;
    let id = socket.connect(server)?;
    let fresh = SndInfo::default().reliability(Reliability::Lifetime(Duration::from_millis(200)));

    for line in io::stdin().lines() {
        socket.send(id, line?.as_bytes(), &fresh)?;
        loop {
            match socket.recv()? {
                Received::Message(_, echo) => {
                    println!("{}: came back", String::from_utf8_lossy(&echo));
                    break;
                }
                Received::Notification(Notification::SendFailed { message, .. }) => {
                    println!("{}: too old", String::from_utf8_lossy(&message.payload));
                    break;
                }
                Received::Notification(Notification::CommLost { reason, .. }) => return Err(format!("{reason:?}").into()),
                Received::Notification(_) => {}
            }
        }
    }
    socket.close(Duration::from_secs(10))?;
    Ok(())
}

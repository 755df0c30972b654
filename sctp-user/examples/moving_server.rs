//! The echo server for clients whose hosts may change their addresses. `docs/sctp-user.md` explains it.

use std::error::Error;
use std::sync::Arc;

use sctp_user::socket::{Received, Runtime, SctpSocket, SndInfo, SocketNode};
use sctp_user::{AssocConfig, EndpointConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::builder().build()?;
    let node = SocketNode::new(runtime.stack_config())?;
    let handle = runtime.spawn(node)?;

    let mut cfg = AssocConfig::rfc();
    cfg.auth = true;
    cfg.add_ip = true;
    let socket = SctpSocket::bind_with(&handle, EndpointConfig::with(7, Arc::new(cfg)))?;
    socket.listen(16)?;
    println!("listening on SCTP port {}", socket.local_port()?);
    loop {
        match socket.recv()? {
            Received::Message(info, message) => {
                let reply = SndInfo::stream(info.sid).ppid(info.ppid);
                if let Err(err) = socket.send_bytes(info.assoc, message, &reply) {
                    println!("association {}: {err}", info.assoc.get());
                }
            }
            Received::Notification(note) => println!("{note:?}"),
        }
    }
}

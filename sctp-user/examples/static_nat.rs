//! A server behind a NAT that maps an address of the outside to it: `static_nat OUTSIDE-ADDRESS`. It answers each message with
//! where it came from. `docs/sctp-user.md` explains it.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;

use sctp_user::socket::{Runtime, SctpListener, SndInfo, SocketNode};
use sctp_user::{AssocConfig, EndpointConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let outside: IpAddr = std::env::args().nth(1).ok_or("which address do others see?")?.parse()?;

    let runtime = Runtime::builder().build()?;
    let node = SocketNode::new(runtime.stack_config())?;
    let handle = runtime.spawn(node)?;

    let mut cfg = AssocConfig::rfc();
    cfg.advertise = Some(Arc::new([outside]));
    let listener = SctpListener::bind_with(&handle, EndpointConfig::with(7, Arc::new(cfg)), 16)?;
    println!("listening on SCTP port {}", listener.local_port()?);
    loop {
        let (stream, peer) = listener.accept()?;
        println!("{peer} is here");
        while let Ok(Some((info, message))) = stream.recv() {
            let reply = format!("{peer} said {}", String::from_utf8_lossy(&message));
            stream.send(reply.as_bytes(), &SndInfo::stream(info.sid))?;
        }
    }
}

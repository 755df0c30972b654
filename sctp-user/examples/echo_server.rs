//! An echo server: sends each message back, on its stream. `docs/sctp-user.md` explains it.

use std::error::Error;
use std::time::Duration;

use sctp_user::socket::{Received, Runtime, SctpSocket, SndInfo, SocketNode};

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::builder().build()?;
    let node = SocketNode::new(runtime.stack_config())?;
    let handle = runtime.spawn(node)?;

    let socket = SctpSocket::bind(&handle, 7)?;
    socket.set_write_timeout(Some(Duration::from_secs(1)))?;
    socket.listen(16)?;
    println!("listening on SCTP port {}", socket.local_port()?);
    loop {
        match socket.recv()? {
            Received::Message(info, message) => {
                let reply = SndInfo::stream(info.sid).ppid(info.ppid);
                if let Err(err) = socket.send_bytes(info.assoc, message, &reply) {
                    println!("association {}: {err}", info.assoc.get());
                    drop(socket.abort(info.assoc, b"you do not read"));
                }
            }
            Received::Notification(note) => println!("{note:?}"),
        }
    }
}

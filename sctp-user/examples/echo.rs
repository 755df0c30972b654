//! An echo server and its client over SCTP in UDP.
//!
//! `cargo run --example echo -- server [SCTP port]`, and in another terminal `cargo run --example echo -- ADDRESS:PORT`.
//! Both share UDP port 9899 if one user runs them on one host; another one is chosen by the environment's SCTP_UDP_PORT.
#![allow(clippy::disallowed_methods, reason = "edge: a program")]

use std::error::Error;
use std::io::{self, BufRead as _};
use std::net::SocketAddr;
use std::time::Duration;

use sctp_user::socket::{Handle, Received, Runtime, SctpSocket, SctpStream, SndInfo, SocketNode};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (Some("server"), port) => serve(port.map_or(Ok(7), |p| p.parse())?),
        (Some(address), None) => talk(address.parse()?),
        _ => Err("usage: echo server [PORT] | echo ADDRESS:PORT".into()),
    }
}

fn host(client: bool) -> Result<Handle<SocketNode>, Box<dyn Error>> {
    let mut builder = Runtime::builder().fallback_to_ephemeral(client);
    if let Ok(port) = std::env::var("SCTP_UDP_PORT") {
        builder = builder.udp_port(port.parse()?);
    }
    let runtime = builder.build()?;
    let node = SocketNode::new(runtime.stack_config())?;
    Ok(runtime.spawn(node)?)
}

fn serve(port: u16) -> Result<(), Box<dyn Error>> {
    let handle = host(false)?;
    let socket = SctpSocket::bind(&handle, port)?;
    socket.listen(16)?;
    println!("SCTP port {} over UDP port {}", socket.local_port()?, handle.udp_port()?);
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

fn talk(server: SocketAddr) -> Result<(), Box<dyn Error>> {
    let handle = host(true)?;
    let stream = SctpStream::connect_timeout(&handle, server, Duration::from_secs(5))?;
    println!("connected to {:?}", stream.peer_addrs()?);
    for line in io::stdin().lock().lines() {
        let line = line?;
        if line.is_empty() {
            continue;
        }
        stream.send(line.as_bytes(), &SndInfo::default())?;
        let Some((info, message)) = stream.recv()? else { return Err("the server closed the association".into()) };
        println!("stream {}: {}", info.sid, String::from_utf8_lossy(&message));
    }
    stream.close(Duration::from_secs(5))?;
    Ok(())
}

//! An echo server and its client in tasks of tokio, in one program.
//!
//! `cargo run --example tokio_echo --features tokio`. The futures need no tokio and run in any executor; the feature adds
//! `AsyncRead` and `AsyncWrite`.
#![allow(clippy::disallowed_methods, reason = "edge: a program")]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use sctp_user::socket::{Handle, Runtime, SctpListener, SctpStream, SndInfo, SocketNode};
use sctp_user::{Channel, EndpointConfig, PeerAddr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn main() -> Result<(), Box<dyn Error>> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    tokio.block_on(async {
        let (server, client) = (host()?, host()?);
        let listener = SctpListener::bind(&server, 0, 5)?;
        let channel = Channel::Udp { local: client.udp_port()?, remote: server.udp_port()? };
        let peer = PeerAddr { addr: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listener.local_port()?), channel: Some(channel) };
        let service = tokio::spawn(serve(listener));

        // Messages, with a limit of time: a future that is dropped has sent and received nothing.
        let peers = [peer];
        let connecting = SctpStream::connect_async(&client, &peers, EndpointConfig::new(0));
        let stream = tokio::time::timeout(Duration::from_secs(5), connecting).await??;
        stream.send_async("hello".into(), &SndInfo::stream(3)).await?;
        let (info, message) = stream.recv_async().await?.ok_or("closed")?;
        println!("{} on stream {}", String::from_utf8_lossy(&message), info.sid);

        // Bytes.
        let mut stream = stream;
        stream.write_all(b"bytes without boundaries").await?;
        let mut back = [0; 24];
        stream.read_exact(&mut back).await?;
        println!("{}", String::from_utf8_lossy(&back));
        stream.close_async().await?;
        println!("{} messages echoed", service.await??);
        Ok(())
    })
}

fn host() -> Result<Handle<SocketNode>, Box<dyn Error>> {
    let runtime = Runtime::builder().private_udp().build()?;
    let node = SocketNode::new(runtime.stack_config())?;
    Ok(runtime.spawn(node)?)
}

/// Echoes what one client sends, and counts it.
async fn serve(listener: SctpListener) -> std::io::Result<usize> {
    let (stream, _) = listener.accept_async().await?;
    let mut count = 0;
    while let Some((info, message)) = stream.recv_async().await? {
        stream.send_async(message, &SndInfo::stream(info.sid).ppid(info.ppid)).await?;
        count += 1;
    }
    stream.close_async().await?;
    Ok(count)
}

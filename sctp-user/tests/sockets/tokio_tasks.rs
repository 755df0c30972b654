//! The feature `tokio`.

use std::time::Duration;

use sctp_user::socket::option::DefaultSndInfo;
use sctp_user::socket::{SctpStream, SndInfo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::common::{PATIENCE, V4};
use crate::{pair, pattern};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

/// Bytes both ways at the same time, through halves of a stream.
#[test]
fn bytes_go_both_ways() {
    let (client, server) = pair(V4);
    let sent = pattern(5, 3_000_000);
    let expected = sent.clone();
    runtime().block_on(async move {
        let echo = tokio::spawn(async move {
            let (mut from, mut to) = tokio::io::split(server);
            tokio::io::copy(&mut from, &mut to).await.unwrap()
        });
        let (mut from, mut to) = tokio::io::split(client);
        let writer = tokio::spawn(async move {
            to.write_all(&sent).await.unwrap();
            to
        });
        let mut got = vec![0; expected.len()];
        from.read_exact(&mut got).await.unwrap();
        assert!(got == expected);
        let mut client: SctpStream = from.unsplit(writer.await.unwrap());
        client.shutdown().unwrap();
        assert_eq!(echo.await.unwrap(), 3_000_000);
        assert_eq!(client.read(&mut [0; 10]).await.unwrap(), 0, "the end");
    });
}

#[test]
fn a_time_out_loses_nothing() {
    let (mut client, server) = pair(V4);
    runtime().block_on(async {
        let waited = tokio::time::timeout(Duration::from_millis(20), server.recv_async()).await;
        assert!(waited.is_err(), "nothing is there");
        client.set_option((), &DefaultSndInfo(SndInfo::stream(4))).unwrap();
        client.write_all(b"late").await.unwrap();
        let (info, message) = tokio::time::timeout(PATIENCE, server.recv_async()).await.unwrap().unwrap().unwrap();
        assert_eq!((info.sid.0, &message[..]), (4, &b"late"[..]));
    });
}

//! Sockets in tasks, run by the smallest executor there is.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::io::ErrorKind;
use std::sync::Arc;
use std::task::Wake;
use std::thread::{self, Thread};
use std::time::Instant;

use bytes::Bytes;
use sctp_user::socket::{Notification, Received, SctpListener, SctpSocket, SctpStream, SndInfo};
use sctp_user::{Channel, EndpointConfig, PeerAddr};

use crate::common::{PATIENCE, V4, address, host};
use crate::pair;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls until the future is ready; nothing but its waker has it polled again.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    let until = Instant::now() + PATIENCE;
    loop {
        if let Poll::Ready(out) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return out;
        }
        thread::park_timeout(until.saturating_duration_since(Instant::now()));
        assert!(Instant::now() < until, "nobody woke the task");
    }
}

/// Polls once with a waker that does nothing, and drops the future: a task that was cancelled.
fn poll_and_drop<T>(future: impl Future<Output = T>) -> bool {
    pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn an_echo_between_tasks() {
    let (client, server) = (host(), host());
    let listener = block_on(SctpListener::bind_async(&server, EndpointConfig::new(0), 5)).unwrap();
    let to = address(&client, &server, V4, listener.local_port().unwrap());
    let echo = thread::spawn(move || {
        block_on(async {
            let (stream, _) = listener.accept_async().await.unwrap();
            while let Some((info, message)) = stream.recv_async().await.unwrap() {
                stream.send_async(message, &SndInfo::stream(info.sid)).await.unwrap();
            }
            stream.close_async().await
        })
    });
    block_on(async {
        let stream = SctpStream::connect_async(&client, &[to], EndpointConfig::new(0)).await.unwrap();
        for n in 0..100u8 {
            stream.send_async(Bytes::from(vec![n; 2_000]), &SndInfo::stream(u16::from(n % 10))).await.unwrap();
            let (info, message) = stream.recv_async().await.unwrap().unwrap();
            assert_eq!((message, info.sid.0), (Bytes::from(vec![n; 2_000]), u16::from(n % 10)));
        }
        stream.close_async().await.unwrap();
    });
    echo.join().unwrap().unwrap();
}

/// More than both buffers hold: the sender waits for room, again and again.
#[test]
fn a_task_that_sends_waits_for_room() {
    let (client, server) = pair(V4);
    let reader = thread::spawn(move || {
        block_on(async {
            let mut total = 0;
            while let Some((_, message)) = server.recv_async().await.unwrap() {
                total += message.len();
            }
            total
        })
    });
    block_on(async {
        for _ in 0..100 {
            client.send_async(Bytes::from(vec![1; 100_000]), &SndInfo::default()).await.unwrap();
        }
        client.close_async().await.unwrap();
    });
    assert_eq!(reader.join().unwrap(), 10_000_000);
}

/// A future that is dropped has neither taken a message nor sent one.
#[test]
fn cancelled_tasks_lose_nothing() {
    let (client, server) = pair(V4);
    assert!(!poll_and_drop(server.recv_async()), "nothing is there");
    for n in 0..10u8 {
        client.send(&[n], &SndInfo::default()).unwrap();
        assert_eq!(block_on(server.recv_async()).unwrap().unwrap().1[..], [n]);
        assert!(!poll_and_drop(server.recv_async()));
    }
    // A full buffer: what was not taken was not sent.
    let message = Bytes::from(vec![7; 50_000]);
    let mut taken = 0;
    while poll_and_drop(client.send_async(message.clone(), &SndInfo::default())) {
        taken += 1;
        assert!(taken < 1_000, "the send buffer is bounded");
    }
    let closing = thread::spawn(move || block_on(client.close_async()));
    let mut got = 0;
    while let Some((info, _)) = block_on(server.recv_async()).unwrap() {
        got += usize::from(!info.more);
    }
    assert_eq!(got, taken);
    closing.join().unwrap().unwrap();
}

#[test]
fn a_one_to_many_socket_in_tasks() {
    let (a, b) = (host(), host());
    let (from, to) = (SctpSocket::bind(&a, 0).unwrap(), SctpSocket::bind(&b, 0).unwrap());
    to.listen(1).unwrap();
    let peer = address(&a, &b, V4, to.local_port().unwrap());
    // A connect that is given up leaves no association behind.
    let silent = std::net::UdpSocket::bind((V4, 0)).unwrap();
    let channel = Channel::Udp { local: a.udp_port().unwrap(), remote: silent.local_addr().unwrap().port() };
    let nobody = PeerAddr { addr: std::net::SocketAddr::new(V4, 9), channel: Some(channel) };
    assert!(!poll_and_drop(from.connect_async(&[nobody], None)));
    assert_eq!(from.find(nobody.addr).unwrap(), None);
    let id = block_on(from.connect_async(&[peer], None)).unwrap();
    block_on(from.send_async(id, Bytes::from_static(b"hello"), &SndInfo::default())).unwrap();
    let message = block_on(async {
        loop {
            match to.recv_async().await.unwrap() {
                Received::Message(_, message) => break message,
                Received::Notification(_) => {}
            }
        }
    });
    assert_eq!(message, "hello");
    block_on(from.close_async()).unwrap();
    block_on(async { while !matches!(to.recv_async().await.unwrap(), Received::Notification(Notification::CommLost { .. })) {} });
}

#[test]
fn ports_are_claimed_by_tasks() {
    let host = host();
    let socket = block_on(SctpSocket::bind_async(&host, EndpointConfig::new(4_000))).unwrap();
    assert_eq!(socket.local_port().unwrap(), 4_000);
    let taken = block_on(SctpSocket::bind_async(&host, EndpointConfig::new(4_000))).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    drop(socket);
    assert_eq!(block_on(host.claim_port_async(4_001)).unwrap(), 4_001);
}

#[test]
fn a_refused_connect_wakes_its_task() {
    let (client, server) = (host(), host());
    let to = address(&client, &server, V4, 9);
    let refused = block_on(SctpStream::connect_async(&client, &[to], EndpointConfig::new(0))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

/// Several tasks may wait for one socket; each message goes to one of them.
#[test]
fn tasks_share_a_stream() {
    let (client, server) = pair(V4);
    let server = Arc::new(server);
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let server = Arc::clone(&server);
            thread::spawn(move || {
                block_on(async {
                    let mut count = 0;
                    while server.recv_async().await.unwrap().is_some() {
                        count += 1;
                    }
                    count
                })
            })
        })
        .collect();
    for n in 0..1_000u32 {
        client.send(&n.to_be_bytes(), &SndInfo::default()).unwrap();
    }
    client.close(PATIENCE).unwrap();
    assert_eq!(readers.into_iter().map(|r| r.join().unwrap()).sum::<u32>(), 1_000);
}

//! Who polls: callers that wait lead in place of the runtime's thread, and nothing is left lying when they do not.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use sctp_user::socket::{Driven, Handle, Runtime, SctpListener, SctpStream, SndInfo, SocketNode};
use sctp_user::{AssocConfig, Channel, EndpointConfig, PeerAddr};

use crate::common::{PATIENCE, V4, address, host};
use crate::tasks::block_on;
use crate::{echo, pair};

/// Connected pairs, all on the same two hosts.
fn pairs(client: &Handle<SocketNode>, server: &Handle<SocketNode>, count: usize) -> Vec<(SctpStream, SctpStream)> {
    let listener = SctpListener::bind(server, 0, 5).unwrap();
    listener.set_read_timeout(Some(PATIENCE)).unwrap();
    let to = address(client, server, V4, listener.local_port().unwrap());
    let connect = || {
        let here = SctpStream::connect_timeout(client, to, PATIENCE).unwrap();
        let (there, _) = listener.accept().unwrap();
        for end in [&here, &there] {
            end.set_read_timeout(Some(PATIENCE)).unwrap();
            end.set_write_timeout(Some(PATIENCE)).unwrap();
        }
        (here, there)
    };
    (0..count).map(|_| connect()).collect()
}

fn ping(stream: &SctpStream, rounds: usize) {
    for n in 0..rounds {
        let message = Bytes::from(n.to_be_bytes().to_vec());
        stream.send_bytes(message.clone(), &SndInfo::default()).unwrap();
        assert_eq!(stream.recv().unwrap().unwrap().1, message);
    }
}

fn answer(stream: &SctpStream, rounds: usize) {
    for _ in 0..rounds {
        let (_, message) = stream.recv().unwrap().unwrap();
        stream.send_bytes(message, &SndInfo::default()).unwrap();
    }
}

/// On both hosts, threads that wait take turns: one leads, the others are woken by it.
#[test]
fn many_callers_on_one_runtime() {
    let (client, server) = (host(), host());
    let (ends, echoes): (Vec<_>, Vec<_>) = pairs(&client, &server, 6).into_iter().map(|(here, there)| (here, echo(there))).unzip();
    let pingers: Vec<_> = ends
        .into_iter()
        .enumerate()
        .map(|(i, stream)| {
            thread::spawn(move || {
                ping(&stream, 100 + 50 * i);
                stream.close(PATIENCE).unwrap();
            })
        })
        .collect();
    pingers.into_iter().for_each(|pinger| pinger.join().unwrap());
    let counts: Vec<_> = echoes.into_iter().map(|echo| echo.join().unwrap()).collect();
    assert_eq!(counts, [100, 150, 200, 250, 300, 350]);
}

/// A caller that has led and does not come back: what comes then is received, answered and acknowledged all the same.
#[test]
fn a_caller_that_goes_away_leaves_its_packets_to_the_thread() {
    let (client, server) = pair(V4);
    for round in 0..5u8 {
        for n in 0..20u8 {
            client.send(&[round, n], &SndInfo::default()).unwrap();
            assert_eq!(server.recv().unwrap().unwrap().1[..], [round, n]);
        }
        // The server has its last message, and its user does nothing more. The acknowledgement comes, and so does that of more.
        let acknowledged = |node: &mut SocketNode| node.stack_mut().assoc(client.id()).is_some_and(|a| a.status().buffered == 0);
        let wait = || client.handle().wait(Some(PATIENCE), |node, _| acknowledged(node).then_some(())).unwrap();
        assert_eq!(wait(), Some(()), "the last acknowledgement");
        client.send(&[0; 3000], &SndInfo::default()).unwrap();
        assert_eq!(wait(), Some(()), "of what came when nobody waited");
        assert_eq!(server.recv().unwrap().unwrap().1.len(), 3000);
    }
    let closing = thread::spawn(move || client.close(PATIENCE).unwrap());
    // Only the thread answers the SHUTDOWN.
    closing.join().unwrap();
    assert_eq!(server.recv().unwrap(), None);
}

/// Tasks and blocking callers on one runtime: the thread comes back for the tasks while a caller leads, and stays.
#[test]
fn tasks_begin_to_wait_while_a_caller_leads() {
    let (client, server) = (host(), host());
    let mut both = pairs(&client, &server, 2);
    let (task, task_peer) = both.pop().unwrap();
    let (blocked, blocked_peer) = both.pop().unwrap();
    // Its last message comes when the tasks are done.
    let waiting = thread::spawn(move || ping(&blocked, 51));
    answer(&blocked_peer, 50);
    let echo_task = echo(task_peer);
    block_on(async {
        for n in 0..50u8 {
            task.send_async(Bytes::from(vec![n; 10]), &SndInfo::default()).await.unwrap();
            assert_eq!(task.recv_async().await.unwrap().unwrap().1, vec![n; 10]);
        }
        task.close_async().await.unwrap();
    });
    assert_eq!(echo_task.join().unwrap(), 50);
    answer(&blocked_peer, 1);
    waiting.join().unwrap();
}

/// The last handle but the leader's goes; then the leader's, which ends the thread.
#[test]
fn a_runtime_ends_with_a_caller_that_has_led() {
    let (client, server) = pair(V4);
    let echo = echo(server);
    let (done, over) = mpsc::channel();
    thread::spawn(move || {
        ping(&client, 50);
        client.shutdown().unwrap();
        assert_eq!(client.recv().unwrap(), None);
        drop(client);
        done.send(()).unwrap();
    });
    over.recv_timeout(PATIENCE).unwrap();
    assert_eq!(echo.join().unwrap(), 50);
}

/// A panic inside the node reaches a caller that leads.
#[test]
fn a_leader_hears_of_a_panic() {
    let (client, server) = pair(V4);
    let handle = client.handle().clone();
    let (tell, told) = mpsc::channel();
    let waiting = thread::spawn(move || {
        ping(&client, 50);
        tell.send(()).unwrap();
        client.recv().unwrap_err().kind()
    });
    answer(&server, 50);
    told.recv_timeout(PATIENCE).unwrap();
    assert!(thread::spawn(move || handle.with(|_, _| panic!("on purpose"))).join().is_err());
    assert_eq!(waiting.join().unwrap(), ErrorKind::ConnectionAborted);
}

fn driven() -> (Driven<SocketNode>, Handle<SocketNode>) {
    let runtime = Runtime::builder().private_udp().build().unwrap();
    let node = SocketNode::new(runtime.stack_config()).unwrap();
    let driven = runtime.drive(node);
    let handle = driven.handle();
    (driven, handle)
}

/// A packet each way is all that a question and its answer take: the SACK of each rides with the next message.
#[test]
fn acknowledgements_ride_with_answers() {
    const ROUNDS: usize = 200;
    let ((_here, client), (_there, server)) = (driven(), driven());
    // Probes of the path MTU would be packets of their own.
    let config = |port| {
        let mut cfg = AssocConfig::rfc();
        cfg.pmtu_discovery = false;
        EndpointConfig::with(port, Arc::new(cfg))
    };
    let (ready, port) = mpsc::channel();
    let serving = server.clone();
    let answering = thread::spawn(move || {
        let listener = SctpListener::bind_with(&serving, config(0), 5).unwrap();
        ready.send(listener.local_port().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        echo(stream).join().unwrap()
    });
    let to = address(&client, &server, V4, port.recv().unwrap());
    let stream = SctpStream::connect_with(&client, &[to], config(0), Some(PATIENCE)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    ping(&stream, ROUNDS);
    let stats = client.with(|node, _| node.stack_mut().stats()).unwrap().assocs;
    // Apart from the handshake; and a busy machine may let a timer expire now and then.
    let few = 0..ROUNDS as u64 + 10;
    assert!(few.contains(&stats.out_sctp_packs) && few.contains(&stats.in_sctp_packs), "{stats:?}");
    stream.close(PATIENCE).unwrap();
    assert_eq!(answering.join().unwrap(), ROUNDS);
}

/// What a message that waits owes is sent when the program waits for the next one, answer or not.
#[test]
fn a_caller_that_waits_on_owes_nothing() {
    let ((_here, client), server) = (driven(), host());
    let (here, there) = pairs(&client, &server, 1).pop().unwrap();
    there.send(b"no answer is wanted", &SndInfo::default()).unwrap();
    assert!(here.recv().unwrap().is_some());
    here.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    assert_eq!(here.recv().unwrap_err().kind(), ErrorKind::WouldBlock);
    let acknowledged = |node: &mut SocketNode| node.stack_mut().assoc(there.id()).is_some_and(|a| a.status().buffered == 0);
    assert_eq!(server.wait(Some(PATIENCE), |node, _| acknowledged(node).then_some(())).unwrap(), Some(()));
}

/// A wire between two UDP ports of the loopback. It loses the next packet with DATA from the first one when told to, and tells how many gap
/// blocks each SACK of the other has.
struct Wire {
    port: u16,
    lose: Arc<AtomicBool>,
    gaps: mpsc::Receiver<u16>,
}

impl Wire {
    /// Runs until nobody has sent anything for a long time.
    fn between(first: u16, second: u16) -> Self {
        let socket = UdpSocket::bind((V4, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let lose = Arc::new(AtomicBool::new(false));
        let (tell, gaps) = mpsc::channel();
        let told = Arc::clone(&lose);
        thread::spawn(move || {
            let mut packet = [0; 65_536];
            while let Ok((len, from)) = socket.recv_from(&mut packet) {
                let packet = &packet[..len];
                let to = if from.port() == first { second } else { first };
                match packet[12] {
                    0 if to == second && told.swap(false, Ordering::Relaxed) => continue,
                    3 if to == first => drop(tell.send(u16::from_be_bytes([packet[24], packet[25]]))),
                    _ => {}
                }
                socket.send_to(packet, (V4, to)).unwrap();
            }
        });
        Self { port, lose, gaps }
    }
}

/// A gap is told at once, whether or not the user answers what came behind it.
#[test]
fn a_gap_does_not_wait_for_an_answer() {
    let (client, (_there, server)) = (host(), driven());
    let listener = SctpListener::bind(&server, 0, 5).unwrap();
    let port = listener.local_port().unwrap();
    let wire = Wire::between(client.udp_port().unwrap(), server.udp_port().unwrap());
    let (heard, hears) = mpsc::channel();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        while let Some((_, message)) = stream.recv().unwrap() {
            // Nothing more is called before this one is looked at.
            heard.send((message, thread::current())).unwrap();
            thread::park();
        }
    });
    let mut cfg = AssocConfig::rfc();
    (cfg.nagle, cfg.pmtu_discovery) = (false, false);
    let channel = Channel::Udp { local: client.udp_port().unwrap(), remote: wire.port };
    let to = PeerAddr { addr: SocketAddr::new(V4, port), channel: Some(channel) };
    let stream = SctpStream::connect_with(&client, &[to], EndpointConfig::with(0, Arc::new(cfg)), Some(PATIENCE)).unwrap();
    let mut unordered = SndInfo::default();
    unordered.unordered = true;
    wire.lose.store(true, Ordering::Relaxed);
    stream.send(b"lost", &unordered).unwrap();
    stream.send(b"kept", &unordered).unwrap();
    let (message, reader) = hears.recv_timeout(PATIENCE).unwrap();
    assert_eq!(message, "kept");
    // The reader of the runtime without a thread sleeps: what it owed would never come.
    assert_eq!(wire.gaps.recv_timeout(PATIENCE).unwrap(), 1, "the SACK of the gap");
    reader.unpark();
    assert_eq!(hears.recv_timeout(PATIENCE).unwrap().0, "lost", "sent again");
}

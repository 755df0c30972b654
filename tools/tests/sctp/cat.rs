//! `sctp cat` on loopback.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::common::{self, Background, text};
use crate::program::{LIMIT, Place, ends_well, listen, noise};

fn signal(program: &Background, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(program.child.id()).unwrap()).unwrap(), signal).unwrap();
}

/// Waits for two lines, in either order: the one comes by standard output, the other one by standard error.
fn expect_both(program: &mut Background, a: &str, b: &str) {
    let seen = |program: &Background, text: &str| program.seen.iter().any(|line| line.contains(text));
    while !(seen(program, a) && seen(program, b)) {
        program.expect("", LIMIT);
    }
}

#[test]
fn a_file_goes_to_the_one_who_listens() {
    let place = Place::new();
    let file = noise(5_000_000);
    place.write("file", &file);
    let (mut server, port) = listen(&place, "--receive-only --out copy");
    place.succeed(&format!("cat 127.0.0.1:{port} --in file"));
    ends_well(&mut server);
    assert!(place.read("copy") == file);
    assert!(server.seen.iter().any(|line| line.contains("received 5000000 bytes")), "{:#?}", server.seen);
}

#[test]
fn the_one_who_listens_may_send() {
    let place = Place::new();
    let file = noise(300_000);
    place.write("file", &file);
    let (mut server, port) = listen(&place, "--in file --message-size 1000");
    // Its standard input is at its end from the beginning, which is no reason to go.
    place.succeed(&format!("cat [::1]:{port} --out copy"));
    ends_well(&mut server);
    assert!(place.read("copy") == file);
}

#[test]
fn two_files_on_two_streams() {
    let place = Place::new();
    let (one, two) = (noise(200_000), b"short".to_vec());
    place.write("one", &one);
    place.write("two", &two);
    let (mut server, port) = listen(&place, "--receive-only --out 40=copy1 --out copy2");
    place.succeed(&format!("cat 127.0.0.1:{port} --in 40=one --in 3=two"));
    ends_well(&mut server);
    assert!(place.read("copy1") == one && place.read("copy2") == two);
}

#[test]
fn people_talk_line_by_line() {
    let place = Place::new();
    let (mut server, port) = listen(&place, "--show --lines --ppid 46");
    let mut client = place.spawn(&format!("cat 127.0.0.1:{port} --show --lines --ppid 47 --stream 5"));
    client.say("hello");
    expect_both(&mut server, "hello", "stream 5, number 0, ppid 47: 6 bytes");
    server.say("how do you do?");
    expect_both(&mut client, "how do you do?", "stream 0, number 0, ppid 46: 15 bytes");
    // The end of its input ends the association, and so the other side.
    drop(client.child.stdin.take());
    ends_well(&mut client);
    ends_well(&mut server);
}

#[test]
fn one_peer_after_the_other() {
    let place = Place::new();
    let (mut server, port) = listen(&place, "--keep-listening --out copy");
    place.write("a", b"first ");
    place.write("b", b"second");
    for file in ["a", "b"] {
        place.succeed(&format!("cat 127.0.0.1:{port} --in {file}"));
    }
    server.expect("received 6 bytes", LIMIT);
    server.expect("received 6 bytes", LIMIT);
    signal(&server, Signal::INT);
    ends_well(&mut server);
    assert_eq!(place.read("copy"), b"first second");
}

#[test]
fn what_was_not_sent_is_told() {
    let place = Place::new();
    let (mut server, port) = listen(&place, "--keep-open");
    let mut client = place.spawn(&format!("cat 127.0.0.1:{port} --keep-open"));
    client.say("hello");
    server.expect("hello", LIMIT);
    // Stopped by its user: the peer is told at once, and neither calls it a success.
    signal(&server, Signal::TERM);
    for program in [&mut server, &mut client] {
        let status = common::wait(&mut program.child, LIMIT).expect("it goes on");
        assert!(!status.success());
        program.rest();
    }
    assert!(client.seen.iter().any(|line| line.contains("sctp cat:") && line.contains("the association was lost")), "{:#?}", client.seen);
    assert!(server.seen.iter().any(|line| line.contains("stopped by a signal")), "{:#?}", server.seen);
}

#[test]
fn a_file_that_cannot_be_written_ends_both() {
    let place = Place::new();
    place.write("file", &noise(100_000));
    if !std::path::Path::new("/dev/full").exists() {
        return common::skip("needs /dev/full");
    }
    let (mut server, port) = listen(&place, "--receive-only --out /dev/full");
    let output = place.run(&format!("cat 127.0.0.1:{port} --in file --keep-open"));
    assert!(!output.status.success(), "{}", text(&output));
    let status = common::wait(&mut server.child, Duration::from_secs(20)).expect("it goes on");
    server.rest();
    assert!(!status.success() && server.seen.iter().any(|line| line.contains("cannot write to /dev/full")), "{:#?}", server.seen);
}

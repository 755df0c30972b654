//! The ping-pong service across both implementations: cookies, and failovers in both directions.

use registrar::report::Line;

use crate::scene::{LIMIT, OURS, Scene, identifier};

#[test]
fn its_ping_pong_client_uses_our_servers_at_its_registrar() {
    let Some(scene) = Scene::new("r1:11 pu:31") else { return };
    scene.registrar("r1", "r1", 11, "");
    let flags = ["--pingpong", "--registrar", "10.77.1.11"];
    let failing = [&flags[..], &["--failure-after", "5"]].concat();
    let servers: Vec<_> = (0..2).map(|_| scene.our_element(&failing)).collect();
    scene.start("c1", "pu", "pingpongclient", "-registrar=10.77.1.11:3863 -interval=200");
    // Each serves five replies of a session: fifteen are three sessions, and numbers go on from one to the next.
    scene.expect("c1", "(reply #15)");
    let log = scene.log("c1");
    assert!(!log.contains("gap"), "{log}");
    let served: Vec<_> = log.lines().filter(|line| line.contains("(reply #")).map(identifier).collect();
    for (_, element) in &servers {
        assert!(served.iter().filter(|id| *id == element).count() >= 5, "{element}: {log}");
    }
}

#[test]
fn our_ping_pong_client_uses_its_servers_at_our_registrar() {
    let Some(scene) = Scene::new("pe1:21 pe2:22") else { return };
    let mut registrar = scene.our_registrar(&[]);
    let options = format!("-pingpong -registrar={OURS}:3863");
    // One fails after ten replies, the other one goes on.
    scene.start("e1", "pe1", "rspserver", &format!("{options} -pppfailureafter=10"));
    let first = identifier(&registrar.expect("registered in", LIMIT));
    let mut user = scene.rsp(&["pingpong", "--interval", "100", "--count", "60", "--report"]);
    let reply = Line::parse(&user.expect("event=reply", LIMIT)).unwrap();
    assert_eq!(reply.get("element"), Some(&*first));
    scene.start("e2", "pe2", "rspserver", &options);
    let second = identifier(&registrar.expect("registered in", LIMIT));
    let summary = Line::parse(&user.expect("event=summary", LIMIT)).unwrap();
    let story = &user.seen;
    assert_eq!((summary.number("sent"), summary.number("gaps")), (Some(60), Some(0)), "{story:#?}");
    let last = story.iter().filter_map(|line| Line::parse(line)).rfind(|line| line.event() == "reply").unwrap();
    assert_eq!(last.get("element"), Some(&*second), "{story:#?}");
    // It took the first one's cookie: otherwise it would have begun with 1 again.
    assert_eq!(last.number("reply"), summary.number("answered"), "{story:#?}");
}

//! Handlespaces as the tools of either side list them.

use crate::scene::{LIMIT, OURS, Scene, identifier};

#[test]
fn our_dump_lists_the_handlespaces_of_its_registrars() {
    let Some(scene) = Scene::new("r1:11 r2:12 pe1:21") else { return };
    // Each response holds one element, so that the table comes in parts.
    scene.registrar("r1", "r1", 11, "-maxelementsperhtrequest=1");
    scene.registrar("r2", "r2", 12, "");
    scene.start("e1", "pe1", "rspserver", "-echo -registrar=10.77.1.11:3863 -policy=WeightedRoundRobin:7");
    scene.start("e2", "pe1", "rspserver", "-discard -registrar=10.77.1.12:3863 -policy=LeastUsedDegradation:0.5");
    let (_server, ours) = scene.our_element(&["--echo", "--registrar", "10.77.1.11", "--policy", "weighted-round-robin:2"]);
    let complete =
        |dump: &serde_json::Value| dump["owners"].as_array().unwrap().iter().map(|o| o["elements"].as_u64().unwrap()).sum::<u64>() == 3;
    let peers =
        |dump: &serde_json::Value| dump["peers"].as_array().unwrap().iter().map(|peer| peer["registrar"].clone()).collect::<Vec<_>>();
    let second = scene.dump_until("10.77.1.12", complete);
    let first = scene.dump_until("10.77.1.11", |dump| complete(dump) && peers(dump).contains(&second["registrar"]));
    let second = scene.dump_until("10.77.1.12", |dump| complete(dump) && peers(dump).contains(&first["registrar"]));
    assert_ne!(first["registrar"], second["registrar"]);
    assert_eq!((&first["owners"], &first["pools"]), (&second["owners"], &second["pools"]), "the registrars do not agree");
    for dump in [&first, &second] {
        // What a registrar says of its own elements is what comes out of what it lists.
        let own = dump["owners"].as_array().unwrap().iter().find(|owner| owner["registrar"] == dump["registrar"]).unwrap();
        assert_eq!(own["checksum"], dump["checksum"]);
    }
    let pools = first["pools"].as_array().unwrap();
    let pool = |name: &str| pools.iter().find(|pool| pool["handle"] == name).unwrap()["elements"].as_array().unwrap();
    let mine = pool("EchoPool").iter().find(|element| element["element"] == *ours).unwrap();
    assert_eq!((&mine["policy"]["values"]["weight"], &mine["user"]["addresses"][0]), (&2.into(), &OURS.into()));
    assert_eq!(mine["home"], first["registrar"]);
    let theirs = &pool("DiscardPool")[0];
    assert_eq!((&theirs["policy"]["name"], &theirs["asap"]["addresses"][0]), (&"LeastUsedDegradation".into(), &"10.77.1.21".into()));
    assert_eq!(theirs["home"], second["registrar"]);

    // The same as a table.
    let mut table = scene.rsp(&["dump", "10.77.1.11"]);
    table.expect(&ours, LIMIT);
    assert!(crate::common::wait(&mut table.child, LIMIT).unwrap().success());
}

#[test]
fn its_hsdump_lists_our_registrars_handlespace() {
    let Some(scene) = Scene::new("pe1:21 pu:31") else { return };
    let mut registrar = scene.our_registrar(&[]);
    let (_server, ours) = scene.our_element(&["--echo", "--registrar", OURS]);
    registrar.expect("registered in", LIMIT);
    scene.start("e1", "pe1", "rspserver", &format!("-discard -registrar={OURS}:3863 -policy=LeastUsedDegradation:0.5"));
    let theirs = identifier(&registrar.expect("registered in", LIMIT));
    // While it looks for a mentor, a registrar refuses requests for its table (RFC 5353 section 3.2.3).
    scene.dump_until(OURS, |dump| dump["pools"].as_array().is_some_and(|pools| pools.len() == 2));
    let dump = scene.sh(&format!("ip netns exec pu timeout 30 hsdump {OURS}:9901 -logcolor=off"));
    assert!(dump.contains("now having 2 pools, 2 PEs"), "{dump}");
    for (id, pool) in [(ours, "EchoPool"), (theirs, "DiscardPool")] {
        let line = format!("\"{pool}\" / ${}", &id[2..]);
        assert!(dump.contains(&line), "no {line} in {dump}");
    }
    assert!(dump.contains("Policy \"LeastUsedDegradation\""), "{dump}");
}

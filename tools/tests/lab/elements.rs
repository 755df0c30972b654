//! Its elements at our registrar, our elements at its registrar, and users of both kinds.

use crate::scene::{LIMIT, OURS, Scene, identifier};

#[test]
fn its_server_registers_at_our_registrar_and_its_terminal_uses_it() {
    let Some(scene) = Scene::new("pe1:21 pu:31") else { return };
    let mut registrar = scene.our_registrar(&[]);
    // The element is told where the registrar is, the user hears its announces.
    scene.start("e1", "pe1", "rspserver", &format!("-echo -registrar={OURS}:3863"));
    let element = identifier(&registrar.expect("registered in", LIMIT));
    assert_eq!(scene.terminal(""), element);
    scene.kill("e1", "INT");
    registrar.expect(&format!("PE {element}"), LIMIT);
}

#[test]
fn its_server_finds_our_registrar_by_announces_and_our_terminal_uses_it() {
    let Some(scene) = Scene::new("pe1:21") else { return };
    let mut registrar = scene.our_registrar(&[]);
    scene.start("e1", "pe1", "rspserver", "-echo");
    let element = identifier(&registrar.expect("registered in", LIMIT));
    let mut terminal = scene.rsp(&["terminal"]);
    terminal.expect("serves", LIMIT);
    terminal.say("to and fro");
    assert_eq!(identifier(&terminal.expect("> to and fro", LIMIT)), element);
}

#[test]
fn our_server_registers_at_its_registrar_and_its_terminal_uses_it() {
    let Some(scene) = Scene::new("r1:11 pu:31") else { return };
    scene.registrar("r1", "r1", 11, "");
    let (_server, element) = scene.our_element(&["--echo", "--registrar", "10.77.1.11"]);
    assert_eq!(scene.terminal("-registrar=10.77.1.11:3863"), element);
}

#[test]
fn our_server_finds_its_registrar_by_announces() {
    let Some(scene) = Scene::new("r1:11 pu:31") else { return };
    scene.registrar("r1", "r1", 11, "");
    // It announces itself only some seconds after its start.
    let (_server, element) = scene.our_element(&["--echo"]);
    assert_eq!(scene.terminal("-registrar=10.77.1.11:3863"), element);
}

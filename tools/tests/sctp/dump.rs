//! `sctp dump` of what `--pcap` wrote; Wireshark agrees.

use crate::common::{self, has, skip};
use crate::program::{LIMIT, Place, ends_well, listen};

#[test]
fn what_was_captured_is_shown() {
    let place = Place::new();
    place.write("file", b"hello");
    let (mut server, port) = listen(&place, "--receive-only --pcap server.pcapng");
    place.succeed(&format!("cat 127.0.0.1:{port} --in file --ppid 51 --pcap client.pcapng"));
    ends_well(&mut server);
    for file in ["client.pcapng", "server.pcapng"] {
        let lines = place.succeed(&format!("dump {file}"));
        // In the order of an association's life.
        let mut rest = lines.as_str();
        for chunk in ["INIT ", "INIT-ACK", "COOKIE-ECHO", "COOKIE-ACK", "DATA", "SACK", "SHUTDOWN ", "SHUTDOWN-ACK", "SHUTDOWN-COMPLETE"] {
            let at = rest.find(chunk.trim_end()).unwrap_or_else(|| panic!("no {chunk} in its place in\n{lines}"));
            rest = &rest[at..];
        }
        let udp = format!("(UDP {0} > {0})", place.udp);
        assert!(lines.lines().all(|line| line.contains(&udp)), "{lines}");
        let tree = place.succeed(&format!("dump --tree {file}"));
        assert!(tree.lines().count() > 2 * lines.lines().count(), "{tree}");
        // Nothing is found where nothing is looked for.
        assert_eq!(place.succeed(&format!("dump {file} --udp-port 1")), "");
    }
    if !has("tshark") {
        return skip("needs tshark");
    }
    let decode_as = format!("udp.port=={},sctp", place.udp);
    let words = ["tshark", "-r", "client.pcapng", "-d", &decode_as, "-o", "sctp.checksum:crc-32c", "-Y"];
    let find = |filter: &str| {
        let output = common::run(common::command(place.path(), &[&words[..], &[filter]].concat()), LIMIT);
        assert!(output.status.success(), "{}", common::text(&output));
        String::from_utf8(output.stdout).unwrap().lines().count()
    };
    assert_eq!(find("sctp"), place.succeed("dump client.pcapng").lines().count());
    assert_eq!(find(r#"sctp.checksum.status == "Good""#), find("sctp"));
    assert_eq!(find("sctp.data_payload_proto_id == 51"), 1);
    assert_eq!(find("_ws.malformed"), 0);
}

//! Compares the tables of rules, `docs/rfc*.md`, with the tests: each row names a test that carries its id, each id that a test
//! carries has its row.
//!
//! With the environment `CONFORMANCE=write` cells that are empty or name no such test are filled with a test that carries the row's id.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod options;
mod sources;
mod table;

use std::collections::BTreeMap;
use std::fs;

use sources::{all_tests, module, root, sources, tests};
use table::{Kind, Row, compare, compare_counts, counts, fill, rows};

/// Compares the table of one RFC with the tests whose doc comments have rows of this RFC.
#[track_caller]
fn check(rfc: u32) {
    let file = root().join(format!("docs/rfc{rfc}.md"));
    let sources = sources();
    let (tests, mut wrong) = all_tests(&sources, &format!("RFC {rfc} rows:"));
    assert!(tests.len() > 500, "the tests were not found");
    let mut document = fs::read_to_string(&file).unwrap();
    if std::env::var("CONFORMANCE").is_ok_and(|v| v == "write") {
        document = fill(&document, &tests);
        fs::write(&file, &document).unwrap();
    }
    let rows = rows(&document);
    wrong.extend(compare(&rows, &tests));
    wrong.extend(compare_counts(&rows, &counts(&document)));
    wrong.extend(options::missing(&document, &sources).into_iter().map(|option| format!("there is no option {option}")));
    let of = |kind| rows.iter().filter(|r| r.parts().1 == kind).count();
    let empty = rows.iter().filter(|r| r.shown.is_empty() || r.shown.starts_with("deviation:")).count();
    println!(
        "RFC {rfc}: {} rows: {} as written, {} deviations ({empty} of these without a test so far), {} do not apply, {} not in this version",
        rows.len(),
        of(Kind::Shown),
        of(Kind::Deviation),
        of(Kind::NotApplicable),
        of(Kind::NotInThisVersion),
    );
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn each_rule_of_sctp_has_its_test_and_each_test_its_rule() {
    check(9260);
}

#[test]
fn each_rule_of_authentication_has_its_test_and_each_test_its_rule() {
    check(4895);
}

#[test]
fn each_rule_of_add_ip_has_its_test_and_each_test_its_rule() {
    check(5061);
}

#[test]
fn each_rule_of_stream_reconfiguration_has_its_test_and_each_test_its_rule() {
    check(6525);
}

#[test]
fn each_rule_of_the_zero_checksum_has_its_test_and_each_test_its_rule() {
    check(9653);
}

#[test]
fn each_rule_of_padding_has_its_test_and_each_test_its_rule() {
    check(4820);
}

#[test]
fn each_rule_of_interleaving_has_its_test_and_each_test_its_rule() {
    check(8260);
}

#[test]
fn each_rule_of_asap_has_its_test_and_each_test_its_rule() {
    check(5352);
}

#[test]
fn each_rule_of_enrp_has_its_test_and_each_test_its_rule() {
    check(5353);
}

#[test]
fn each_rule_of_the_parameters_has_its_test_and_each_test_its_rule() {
    check(5354);
}

#[test]
fn each_rule_of_the_policies_has_its_test_and_each_test_its_rule() {
    check(5356);
}

#[test]
fn each_rule_of_partial_reliability_has_its_test_and_each_test_its_rule() {
    check(3758);
    check(7496);
}

fn row(id: &str, shown: &str) -> Row {
    Row {
        section: id.split_once('-').unwrap().0.to_owned(),
        id: id.to_owned(),
        key: "MUST".to_owned(),
        rule: "a rule of some length".to_owned(),
        shown: shown.to_owned(),
    }
}

#[test]
fn the_comparison_finds_what_is_wrong() {
    let tests = BTreeMap::from([("a::b".to_owned(), vec!["99.1-1".to_owned()]), ("a::c".to_owned(), Vec::new())]);
    let good = [row("99.1-1", "`a::b`"), row("99.1-2", "n/a: for a good reason"), row("99.1-3", "not in this version: for a good reason")];
    assert_eq!(compare(&good, &tests), [""; 0]);
    assert_eq!(compare(&[row("99.1-1", "`a::b` deviation: something else, `--option`")], &tests), [""; 0]);
    for (rows, complaint) in [
        (vec![row("99.1-1", "")], "the cell is empty"),
        (vec![row("99.1-1", "`a::c`")], "does not carry"),
        (vec![row("99.1-1", "`a::d`")], "there is no test"),
        (vec![row("99.1-1", "`a::b`"), row("99.1-2", "")], "no test shows it"),
        (vec![row("99.1-1", "`a::b`"), row("99.1-2", "n/a: no")], "without a reason"),
        (vec![row("99.1-1", "`a::b`"), row("99.1-2", "not in this version:")], "without a reason"),
        (vec![row("99.1-1", "n/a: but there is a test")], "and yet"),
        (vec![row("99.1-1", "`a::b` deviation: we do something else")], "names no option"),
        (vec![row("99.1-1", "`a::b`"), row("99.1-2", "deviation: something else, `--option`")], "no test shows it"),
        (vec![row("99.1-2", "n/a: for a good reason")], "which is no row"),
    ] {
        let found = compare(&rows, &tests);
        assert!(found.iter().any(|f| f.contains(complaint)), "{complaint}: {found:?}");
    }
    let many = BTreeMap::from([("a::b".to_owned(), vec!["99.1-1".to_owned(); 6])]);
    assert!(compare(&[row("99.1-1", "`a::b`")], &many).iter().any(|f| f.contains("more than 5")));
}

#[test]
fn the_options_of_deviations_exist() {
    let sources = sources();
    let document = fs::read_to_string(root().join("docs/deviations.md")).unwrap();
    assert_eq!(options::missing(&document, &sources), [""; 0]);
    let text =
        "`--max-hr-items 0`, `RegistrarConfig::max_items`, `--no-such-flag`, `RegistrarConfig::no_such_field`, `NoSuchType::id`, `--`";
    assert_eq!(options::missing(text, &sources), ["--no-such-flag", "RegistrarConfig::no_such_field", "NoSuchType::id"]);
}

#[test]
fn cells_are_filled() {
    let tests = BTreeMap::from([("a::b".to_owned(), ["9-1", "9-2", "9-3"].map(str::to_owned).to_vec())]);
    let before =
        "## 9 Title\n| 9-1 | MUST | a rule | |\n| 9-2 | MUST | a rule | deviation: else, `--x` |\n| 9-3 | MUST | a rule | n/a: why |\n";
    let after = "## 9 Title\n| 9-1 | MUST | a rule | `a::b` |\n| 9-2 | MUST | a rule | `a::b` deviation: else, `--x` |\n| 9-3 | MUST | a rule | n/a: why |\n";
    assert_eq!(fill(before, &tests), after);
    assert_eq!(fill(after, &tests), after);
}

#[test]
fn tests_are_found_with_their_ids() {
    let text = "/// What it shows.\n///\n/// RFC 9260 rows: 1.2-3, 4-5. And more. RFC 5352 rows: 7-7.\n#[test]\nfn one() {}\n\
        mod tests {\n    #[test]\n    #[ignore = \"slow\"]\n    fn two() {}\n}\nproptest! {\n    /// RFC 9260 rows: 6-7.\n    #[test]\n    fn three(x in 0..9) {}\n}\n\
        /// RFC 9260 rows: 8-9.\nfn none() {}\n";
    let ids = |s: &[&str]| s.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let (found, stray) = tests("m", text, "RFC 9260 rows:");
    assert_eq!(
        found,
        [("m::one".to_owned(), ids(&["1.2-3", "4-5"])), ("m::tests::two".to_owned(), ids(&[])), ("m::three".to_owned(), ids(&["6-7"]))]
    );
    assert_eq!(stray.len(), 1);
    let (found, stray) = tests("m", text, "RFC 5352 rows:");
    assert_eq!((&found[0].1, stray.len()), (&ids(&["7-7"]), 0));
    assert_eq!(module("sctp-user/src/stack/handshake_test.rs"), "sctp_user::stack::handshake_test");
    assert_eq!(module("tests/tests/sim/main.rs"), "sim");
    assert_eq!(module("tests/src/puppet/mod.rs"), "testbed::puppet");
    assert_eq!(module("udp-encap/src/lib.rs"), "udp_encap");
}

//! Compares `docs/rfc9260.md` with the tests: each row names a test that carries its id, each id that a test carries has its row.
//!
//! With the environment `CONFORMANCE=write` cells that are empty or name no such test are filled with a test that carries the row's id.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Sections whose rows need not be shown yet.
const OPEN: &[&str] = &[];

/// Key words of a rule.
const KEYS: &[&str] =
    &["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "SHALL", "SHALL NOT", "REQUIRED", "RECOMMENDED", "NOT RECOMMENDED", "should"];

/// Most rows of one test.
const MAX_IDS: usize = 5;

/// What stands before the ids in a test's doc comment.
const MARK: &str = "RFC 9260 rows:";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn document() -> String {
    fs::read_to_string(root().join("docs/rfc9260.md")).unwrap()
}

/// A row of the table of rules.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Row {
    section: String,
    id: String,
    key: String,
    rule: String,
    shown: String,
}

/// A row of the table of counts: section, key words, rows, difference.
type Count = (String, usize, usize, String);

fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

fn rows(document: &str) -> Vec<Row> {
    let mut section = String::new();
    let mut out = Vec::new();
    for line in document.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.split(' ').next().unwrap().to_owned();
        }
        let Some(cells) = cells(line) else { continue };
        if let [id, key, rule, shown] = cells[..]
            && is_id(id)
        {
            let [id, key, rule, shown] = [id, key, rule, shown].map(str::to_owned);
            out.push(Row { section: section.clone(), id, key, rule, shown });
        }
    }
    out
}

fn counts(document: &str) -> Vec<Count> {
    let (_, table) = document.split_once("## Rows per section").unwrap();
    let parse = |line: &str| {
        let cells = cells(line)?;
        let [section, words, rows, difference] = cells[..] else { return None };
        Some((section.to_owned(), words.parse().ok()?, rows.parse().ok()?, difference.to_owned()))
    };
    table.lines().filter_map(parse).collect()
}

/// Whether this is an id such as `5.2.4-3`.
fn is_id(s: &str) -> bool {
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    s.split_once('-').is_some_and(|(section, n)| number(n) && section.split('.').all(number))
}

/// The ids behind each [`MARK`] of a doc comment.
fn ids(doc: &str) -> Vec<String> {
    let mut out = Vec::new();
    for list in doc.split(MARK).skip(1) {
        for word in list.split_whitespace() {
            let id = word.trim_end_matches([',', '.', ';']);
            if !is_id(id) {
                break;
            }
            out.push(id.to_owned());
            if !word.ends_with(',') {
                break;
            }
        }
    }
    out
}

/// All Rust files as (path from the root, text).
fn sources() -> BTreeMap<String, String> {
    fn walk(dir: &Path, root: &Path, out: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    walk(&path, root, out);
                }
            } else if name.ends_with(".rs") {
                let relative = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                out.insert(relative, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut out = BTreeMap::new();
    walk(&root(), &root(), &mut out);
    out
}

/// The module that a file is, by its place: `sctp-user/src/stack/ladder_test.rs` is `sctp_user::stack::ladder_test`.
fn module(path: &str) -> String {
    let mut parts: Vec<_> = path.trim_end_matches(".rs").split('/').collect();
    if matches!(parts.last(), Some(&("mod" | "lib" | "main"))) {
        parts.pop();
    }
    let name = |dir: &str| if dir == "tests" { "testbed".to_owned() } else { dir.replace('-', "_") };
    match parts.iter().rposition(|p| *p == "src" || *p == "tests") {
        // A test binary is a crate of its own.
        Some(at) if parts[at] == "tests" => parts[at + 1..].join("::"),
        Some(at) => [vec![name(parts[at - 1])], parts[at + 1..].iter().map(|p| (*p).to_owned()).collect()].concat().join("::"),
        None => parts.join("::"),
    }
}

/// Modules whose file is told by `#[path]`: file to module.
fn placed(sources: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (path, text) in sources {
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        for (_, rest) in text.split("#[path = \"").skip(1).map(|s| ("", s)) {
            let Some((file, rest)) = rest.split_once('"') else { continue };
            let Some((_, rest)) = rest.split_once("mod ") else { continue };
            let Some((name, _)) = rest.split_once(';') else { continue };
            out.insert(format!("{dir}/{file}"), format!("{}::{name}", module(path)));
        }
    }
    out
}

/// A test and the ids that it carries.
type Test = (String, Vec<String>);

/// The tests of a file whose module is `at`, and complaints about ids that hang on no test.
fn tests(at: &str, text: &str) -> (Vec<Test>, Vec<String>) {
    let (mut out, mut stray) = (Vec::new(), Vec::new());
    let (mut doc, mut test) = (String::new(), false);
    let mut modules: Vec<(usize, &str)> = Vec::new();
    for line in text.lines() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        if let Some(words) = code.strip_prefix("///") {
            doc.push_str(words);
            doc.push(' ');
        } else if code.starts_with("#[") {
            test |= code.starts_with("#[test]");
        } else if !code.is_empty() && !code.starts_with("//") {
            let item = code.trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            if let Some(name) = item.strip_prefix("mod ").and_then(|m| m.strip_suffix(" {")) {
                modules.push((indent, name));
            } else if code == "}" && modules.last().is_some_and(|(at, _)| *at == indent) {
                modules.pop();
            }
            let path = |name: &str| {
                let inner = modules.iter().map(|(_, m)| *m);
                core::iter::once(at).chain(inner).chain([name]).collect::<Vec<_>>().join("::")
            };
            let name = item.trim_start_matches("async ").strip_prefix("fn ").and_then(|f| f.split(['(', '<']).next());
            match name {
                Some(name) if test => out.push((path(name), ids(&doc))),
                _ if !ids(&doc).is_empty() => stray.push(format!("{at}: {}", code.chars().take(60).collect::<String>())),
                _ => {}
            }
            doc.clear();
            test = false;
        }
    }
    (out, stray)
}

fn all_tests() -> (BTreeMap<String, Vec<String>>, Vec<String>) {
    let sources = sources();
    let placed = placed(&sources);
    let (mut out, mut complaints) = (BTreeMap::new(), Vec::new());
    for (path, text) in &sources {
        let at = placed.get(path).cloned().unwrap_or_else(|| module(path));
        let (found, stray) = tests(&at, text);
        complaints.extend(stray.into_iter().map(|s| format!("ids that hang on no test: {s}")));
        out.extend(found);
    }
    (out, complaints)
}

fn is_open(section: &str) -> bool {
    OPEN.iter().any(|open| section == *open || section.starts_with(&format!("{open}.")))
}

/// The cell with the tests of a row: paths in backquotes.
fn shown_by(cell: &str) -> Vec<&str> {
    cell.split(',').map(|p| p.trim().trim_matches('`')).filter(|p| !p.is_empty()).collect()
}

/// Compares rows and tests; answers what does not fit.
fn compare(rows: &[Row], tests: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut out = Vec::new();
    let known: BTreeSet<_> = rows.iter().map(|r| r.id.as_str()).collect();
    for (test, ids) in tests {
        if ids.len() > MAX_IDS {
            out.push(format!("{test} carries {} ids, more than {MAX_IDS}", ids.len()));
        }
        out.extend(ids.iter().filter(|id| !known.contains(id.as_str())).map(|id| format!("{test} carries {id}, which is no row")));
    }
    for row in rows {
        let Row { section, id, key, rule, shown } = row;
        let carriers: Vec<_> = tests.iter().filter(|(_, ids)| ids.contains(id)).map(|(t, _)| t.as_str()).collect();
        if !KEYS.contains(&key.as_str()) || !id.starts_with(&format!("{section}-")) {
            out.push(format!("{id}: key {key:?}, section {section:?}"));
        }
        if rule.len() < 10
            || format!("{rule} {shown}").to_lowercase().split(|c: char| !c.is_alphabetic()).any(|w| w == "todo" || w == "tbd")
        {
            out.push(format!("{id}: the rule is not told: {rule:?}"));
        }
        if let Some(reason) = shown.strip_prefix("n/a:") {
            if reason.trim().len() < 10 {
                out.push(format!("{id}: n/a without a reason"));
            }
            out.extend(carriers.iter().map(|t| format!("{id}: n/a, and yet {t} shows it")));
        } else if shown.is_empty() {
            if !is_open(section) {
                out.push(match carriers.first() {
                    Some(test) => format!("{id}: the cell is empty, and yet {test} shows it: run with CONFORMANCE=write"),
                    None => format!("{id}: no test shows it"),
                });
            }
        } else {
            for named in shown_by(shown) {
                match tests.get(named) {
                    None => out.push(format!("{id}: there is no test {named}")),
                    Some(ids) if !ids.contains(id) => out.push(format!("{id}: {named} does not carry the id")),
                    Some(_) => {}
                }
            }
        }
    }
    out
}

/// Compares the rows with the table of counts; answers what does not fit.
fn compare_counts(rows: &[Row], counts: &[Count]) -> Vec<String> {
    let mut out = Vec::new();
    let mut per: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        let n = per.entry(&row.section).or_default();
        *n += 1;
        if row.id != format!("{}-{n}", row.section) {
            out.push(format!("{} is row {n} of section {}", row.id, row.section));
        }
    }
    let (mut words, mut told) = (0, 0);
    for (section, w, n, difference) in counts.iter().filter(|c| c.0 != "all") {
        words += w;
        told += n;
        let found = per.remove(section.as_str()).unwrap_or(0);
        if found != *n {
            out.push(format!("section {section} has {found} rows, {n} are told"));
        }
        if w != n && difference.is_empty() {
            out.push(format!("section {section}: {w} key words, {n} rows, and no word why"));
        }
    }
    out.extend(per.keys().map(|s| format!("section {s} is not counted")));
    if !counts.iter().any(|c| c.0 == "all" && (c.1, c.2) == (words, told)) {
        out.push(format!("the sums are {words} key words and {told} rows"));
    }
    out
}

/// Fills cells that are empty or name no test that carries the id with the first test that does; answers the new document.
fn fill(document: &str, tests: &BTreeMap<String, Vec<String>>) -> String {
    let fill = |line: &str| {
        let Some([id, key, rule, shown]) = cells(line).and_then(|c| <[&str; 4]>::try_from(c).ok()).filter(|c| is_id(c[0])) else {
            return line.to_owned();
        };
        let carries = |test: &str| tests.get(test).is_some_and(|ids| ids.iter().any(|i| i == id));
        if shown.starts_with("n/a:") || !shown.is_empty() && shown_by(shown).into_iter().all(carries) {
            return line.to_owned();
        }
        let test = tests.keys().find(|test| carries(test)).map_or_else(String::new, |test| format!("`{test}` "));
        format!("| {id} | {key} | {rule} | {test}|")
    };
    document.lines().map(fill).collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn each_rule_has_its_test_and_each_test_its_rule() {
    let (tests, mut wrong) = all_tests();
    assert!(tests.len() > 500, "the tests were not found");
    let mut document = document();
    if std::env::var("CONFORMANCE").is_ok_and(|v| v == "write") {
        document = fill(&document, &tests);
        fs::write(root().join("docs/rfc9260.md"), &document).unwrap();
    }
    let rows = rows(&document);
    wrong.extend(compare(&rows, &tests));
    wrong.extend(compare_counts(&rows, &counts(&document)));
    let empty = rows.iter().filter(|r| r.shown.is_empty()).count();
    println!("{} rows, {} of them without a test so far", rows.len(), empty);
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_comparison_finds_what_is_wrong() {
    let row = |id: &str, shown: &str| Row {
        section: id.split_once('-').unwrap().0.to_owned(),
        id: id.to_owned(),
        key: "MUST".to_owned(),
        rule: "a rule of some length".to_owned(),
        shown: shown.to_owned(),
    };
    let tests = BTreeMap::from([("a::b".to_owned(), vec!["99.1-1".to_owned()]), ("a::c".to_owned(), Vec::new())]);
    assert!(compare(&[row("99.1-1", "`a::b`")], &tests).is_empty());
    for (rows, complaint) in [
        (vec![row("99.1-1", "")], "the cell is empty"),
        (vec![row("99.1-1", "`a::c`")], "does not carry"),
        (vec![row("99.1-1", "`a::d`")], "there is no test"),
        (vec![row("99.1-1", "`a::b`"), row("99.1-2", "")], "no test shows it"),
        (vec![row("99.1-1", "`a::b`"), row("99.1-2", "n/a: no")], "without a reason"),
        (vec![row("99.1-1", "n/a: but there is a test")], "and yet"),
        (vec![row("99.1-2", "n/a: for a good reason")], "which is no row"),
    ] {
        let found = compare(&rows, &tests);
        assert!(found.iter().any(|f| f.contains(complaint)), "{complaint}: {found:?}");
    }
    let many = BTreeMap::from([("a::b".to_owned(), vec!["99.1-1".to_owned(); 6])]);
    assert!(compare(&[row("99.1-1", "`a::b`")], &many).iter().any(|f| f.contains("more than 5")));
}

#[test]
fn tests_are_found_with_their_ids() {
    let text = "/// What it shows.\n///\n/// RFC 9260 rows: 1.2-3, 4-5. And more.\n#[test]\nfn one() {}\n\
        mod tests {\n    #[test]\n    #[ignore = \"slow\"]\n    fn two() {}\n}\nproptest! {\n    /// RFC 9260 rows: 6-7.\n    #[test]\n    fn three(x in 0..9) {}\n}\n\
        /// RFC 9260 rows: 8-9.\nfn none() {}\n";
    let (found, stray) = tests("m", text);
    let ids = |s: &[&str]| s.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        found,
        [("m::one".to_owned(), ids(&["1.2-3", "4-5"])), ("m::tests::two".to_owned(), ids(&[])), ("m::three".to_owned(), ids(&["6-7"]))]
    );
    assert_eq!(stray.len(), 1);
    assert_eq!(module("sctp-user/src/stack/ladder_test.rs"), "sctp_user::stack::ladder_test");
    assert_eq!(module("tests/tests/sim/main.rs"), "sim");
    assert_eq!(module("tests/src/puppet/mod.rs"), "testbed::puppet");
    assert_eq!(module("udp-encap/src/lib.rs"), "udp_encap");
}

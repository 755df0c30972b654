//! What the tests of the workspace say of themselves: the rows that their doc comments name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::table::is_id;

/// The tests of the workspace by their module paths, each with the ids that it carries behind a mark.
pub(crate) type Tests = BTreeMap<String, Vec<String>>;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The ids behind each mark of a doc comment.
fn ids(doc: &str, mark: &str) -> Vec<String> {
    let mut out = Vec::new();
    for list in doc.split(mark).skip(1) {
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
pub(crate) fn sources() -> BTreeMap<String, String> {
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

/// The module that a file is, by its place: `sctp-user/src/stack/handshake_test.rs` is `sctp_user::stack::handshake_test`.
pub(crate) fn module(path: &str) -> String {
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
pub(crate) fn tests(at: &str, text: &str, mark: &str) -> (Vec<Test>, Vec<String>) {
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
                Some(name) if test => out.push((path(name), ids(&doc, mark))),
                _ if !ids(&doc, mark).is_empty() => stray.push(format!("{at}: {}", code.chars().take(60).collect::<String>())),
                _ => {}
            }
            doc.clear();
            test = false;
        }
    }
    (out, stray)
}

/// The tests of all sources with the ids behind `mark`, and complaints about ids that hang on no test.
pub(crate) fn all_tests(sources: &BTreeMap<String, String>, mark: &str) -> (Tests, Vec<String>) {
    let placed = placed(sources);
    let (mut out, mut complaints) = (BTreeMap::new(), Vec::new());
    for (path, text) in sources {
        let at = placed.get(path).cloned().unwrap_or_else(|| module(path));
        let (found, stray) = tests(&at, text, mark);
        complaints.extend(stray.into_iter().map(|s| format!("ids that hang on no test: {s}")));
        out.extend(found);
    }
    (out, complaints)
}

//! A document with the rules of an RFC, row by row, and what may be wrong with it.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::Tests;

/// Key words of a rule.
const KEYS: &[&str] =
    &["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "SHALL", "SHALL NOT", "REQUIRED", "RECOMMENDED", "NOT RECOMMENDED", "should"];

/// Most rows of one test.
const MAX_IDS: usize = 5;

/// Fewest characters of a reason.
const MIN_REASON: usize = 10;

/// A row of the table of rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    pub(crate) section: String,
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) rule: String,
    pub(crate) shown: String,
}

/// What the last cell of a row says, besides the tests that it names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Tests show the rule.
    Shown,
    /// The rule does not apply to us.
    NotApplicable,
    /// What the rule is about is not built yet.
    NotInThisVersion,
    /// Something else is done by default, which tests show.
    Deviation,
}

impl Row {
    /// The tests that the cell names, what kind of row it is, and the reason behind.
    pub(crate) fn parts(&self) -> (Vec<&str>, Kind, &str) {
        for (word, kind) in
            [("n/a:", Kind::NotApplicable), ("not in this version:", Kind::NotInThisVersion), ("deviation:", Kind::Deviation)]
        {
            if let Some((tests, reason)) = self.shown.split_once(word) {
                return (paths(tests), kind, reason.trim());
            }
        }
        (paths(&self.shown), Kind::Shown, "")
    }
}

/// Module paths in backquotes, with commas between them.
fn paths(cell: &str) -> Vec<&str> {
    cell.split(',').map(|p| p.trim().trim_matches('`')).filter(|p| !p.is_empty()).collect()
}

/// A row of the table of counts: section, key words, rows, difference.
pub(crate) type Count = (String, usize, usize, String);

/// Whether this is an id such as `5.2.4-3`.
pub(crate) fn is_id(s: &str) -> bool {
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    s.split_once('-').is_some_and(|(section, n)| number(n) && section.split('.').all(number))
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

pub(crate) fn rows(document: &str) -> Vec<Row> {
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

pub(crate) fn counts(document: &str) -> Vec<Count> {
    let (_, table) = document.split_once("## Rows per section").unwrap();
    let parse = |line: &str| {
        let cells = cells(line)?;
        let [section, words, rows, difference] = cells[..] else { return None };
        Some((section.to_owned(), words.parse().ok()?, rows.parse().ok()?, difference.to_owned()))
    };
    table.lines().filter_map(parse).collect()
}

/// Compares rows and tests; answers what does not fit.
pub(crate) fn compare(rows: &[Row], tests: &Tests) -> Vec<String> {
    let mut out = Vec::new();
    let known: BTreeSet<_> = rows.iter().map(|r| r.id.as_str()).collect();
    for (test, ids) in tests {
        if ids.len() > MAX_IDS {
            out.push(format!("{test} carries {} ids, more than {MAX_IDS}", ids.len()));
        }
        out.extend(ids.iter().filter(|id| !known.contains(id.as_str())).map(|id| format!("{test} carries {id}, which is no row")));
    }
    for row in rows {
        out.extend(compare_row(row, tests));
    }
    out
}

fn compare_row(row: &Row, tests: &Tests) -> Vec<String> {
    let Row { section, id, key, rule, shown } = row;
    let mut out = Vec::new();
    let first = tests.iter().find(|(_, ids)| ids.contains(id)).map(|(t, _)| t.as_str());
    if !KEYS.contains(&key.as_str()) || !id.starts_with(&format!("{section}-")) {
        out.push(format!("{id}: key {key:?}, section {section:?}"));
    }
    let words = format!("{rule} {shown}").to_lowercase();
    if rule.len() < MIN_REASON || words.split(|c: char| !c.is_alphabetic()).any(|w| w == "todo" || w == "tbd") {
        out.push(format!("{id}: the rule is not told: {rule:?}"));
    }
    let (named, kind, reason) = row.parts();
    if kind != Kind::Shown && reason.len() < MIN_REASON {
        out.push(format!("{id}: {kind:?} without a reason"));
    }
    match kind {
        Kind::NotApplicable | Kind::NotInThisVersion => out.extend(first.map(|t| format!("{id}: {kind:?}, and yet {t} shows it"))),
        Kind::Deviation if !reason.contains('`') && !reason.contains("no option") => {
            out.push(format!("{id}: the deviation names no option, and does not say why there is none"));
        }
        Kind::Shown | Kind::Deviation => {}
    }
    if named.is_empty() && matches!(kind, Kind::Shown | Kind::Deviation) {
        out.push(match first {
            Some(test) => format!("{id}: the cell is empty, and yet {test} shows it: run with CONFORMANCE=write"),
            None => format!("{id}: no test shows it"),
        });
    }
    for named in named {
        match tests.get(named) {
            None => out.push(format!("{id}: there is no test {named}")),
            Some(ids) if !ids.contains(id) => out.push(format!("{id}: {named} does not carry the id")),
            Some(_) => {}
        }
    }
    out
}

/// Compares the rows with the table of counts; answers what does not fit.
pub(crate) fn compare_counts(rows: &[Row], counts: &[Count]) -> Vec<String> {
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

/// Fills cells that name no test, or one that does not carry the id, with the first test that does; answers the new document.
pub(crate) fn fill(document: &str, tests: &Tests) -> String {
    let fill = |line: &str| {
        let Some([id, key, rule, shown]) = cells(line).and_then(|c| <[&str; 4]>::try_from(c).ok()).filter(|c| is_id(c[0])) else {
            return line.to_owned();
        };
        let row = Row { section: String::new(), id: id.to_owned(), key: String::new(), rule: String::new(), shown: shown.to_owned() };
        let (named, kind, reason) = row.parts();
        let carries = |test: &str| tests.get(test).is_some_and(|ids| ids.iter().any(|i| i == id));
        let filled = !named.is_empty() && named.into_iter().all(carries);
        if filled || matches!(kind, Kind::NotApplicable | Kind::NotInThisVersion) {
            return line.to_owned();
        }
        let test = tests.keys().find(|test| carries(test)).map_or_else(String::new, |test| format!("`{test}` "));
        let reason = if kind == Kind::Deviation { format!("deviation: {reason} ") } else { String::new() };
        format!("| {id} | {key} | {rule} | {test}{reason}|")
    };
    document.lines().map(fill).collect::<Vec<_>>().join("\n") + "\n"
}

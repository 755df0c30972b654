//! Whether the options that a document names exist.

use std::collections::BTreeMap;

/// What of the backquoted `--flags` and `Type::fields` in a text is found nowhere in the sources.
pub(crate) fn missing(text: &str, sources: &BTreeMap<String, String>) -> Vec<String> {
    let named = text.split('`').skip(1).step_by(2);
    let options = named.filter_map(|word| word.split(' ').next()).filter(|word| word.starts_with("--") || is_member(word));
    options.filter(|option| !exists(option, sources)).map(str::to_owned).collect()
}

fn is_member(word: &str) -> bool {
    word.split_once("::").is_some_and(|(ty, _)| ty.starts_with(|c: char| c.is_ascii_uppercase()))
}

fn exists(option: &str, sources: &BTreeMap<String, String>) -> bool {
    if let Some(flag) = option.strip_prefix("--") {
        // The programs' flags are named after the fields that hold them, unless it says otherwise.
        let (field, name) = (format!(" {}:", flag.replace('-', "_")), format!("\"{flag}\""));
        let of_programs = sources.iter().filter(|(path, _)| ["registrar/src/", "tools/src/"].iter().any(|dir| path.starts_with(dir)));
        return of_programs.into_iter().any(|(_, text)| text.contains(&field) || text.contains(&name));
    }
    let Some((ty, member)) = option.split_once("::") else { return false };
    let member = member.trim_end_matches("()");
    let declares = |text: &str| {
        [" ", "<", ";", "("].iter().any(|end| text.contains(&format!("struct {ty}{end}")) || text.contains(&format!("enum {ty}{end}")))
    };
    let has = |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == member);
    sources.values().any(|text| declares(text) && has(text))
}

//! Flags from a file: a TOML table whose keys are the flags' names. What is given on the command line wins.

use std::ffi::OsString;
use std::ops::Deref;
use std::path::Path;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use toml::{Table, Value};

use super::options::Flags;

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The flags of the registrar, with those of the file that `--config` names.
#[derive(Clone, Debug)]
pub struct Options(Flags);

impl Deref for Options {
    type Target = Flags;

    fn deref(&self) -> &Flags {
        &self.0
    }
}

impl Args for Options {
    fn augment_args(cmd: Command) -> Command {
        Flags::augment_args(cmd)
    }

    fn augment_args_for_update(cmd: Command) -> Command {
        Flags::augment_args_for_update(cmd)
    }
}

impl FromArgMatches for Options {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let flags = Flags::from_arg_matches(matches)?;
        match &flags.config {
            Some(path) => with_file(matches, path).map(Self),
            None => Ok(Self(flags)),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

/// The flags that a command line would give that has those of the file in front of it.
fn with_file(given: &ArgMatches, path: &Path) -> Result<Flags, clap::Error> {
    let error = |what: String| clap::Error::raw(ErrorKind::ValueValidation, format!("{}: {what}", path.display()));
    let table = read(path).map_err(error)?;
    let mut known = Flags::augment_args(Command::new("registrar").no_binary_name(true));
    known.build();
    let mut args: Vec<OsString> = Vec::new();
    for (key, value) in &table {
        let flag = known.get_arguments().find(|a| a.get_long() == Some(key) && is_for_files(a));
        let Some(flag) = flag else { return Err(error(format!("there is no flag \"{key}\": keys are the flags' names (try --help)"))) };
        let words = words(flag, key, value).map_err(error)?;
        // One by one, so that an error can tell which it is.
        Flags::augment_args(Command::new("registrar").no_binary_name(true))
            .try_get_matches_from(&words)
            .map_err(|e| error(format!("{key}: {}", super::one_line(&e))))?;
        if !is_given(given, flag) {
            args.extend(words.into_iter().map(OsString::from));
        }
    }
    for flag in known.get_arguments().filter(|a| is_given(given, a)) {
        args.extend(as_given(given, flag));
    }
    let matches = Flags::augment_args(Command::new("registrar").no_binary_name(true))
        .try_get_matches_from(args)
        .map_err(|e| error(super::one_line(&e)))?;
    Flags::from_arg_matches(&matches)
}

fn read(path: &Path) -> Result<Table, String> {
    let size = std::fs::metadata(path).map_err(|e| format!("cannot be read: {e}"))?.len();
    if size > MAX_FILE {
        return Err(format!("larger than {MAX_FILE} bytes: this is no list of flags"));
    }
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot be read: {e}"))?;
    text.parse::<Table>().map_err(|e| {
        let line = e.span().and_then(|s| text.get(..s.start)).map_or(1, |before| before.matches('\n').count() + 1);
        format!("line {line}: {}: give `flag = value` (TOML)", e.message().replace('\n', ", "))
    })
}

/// Whether a flag can stand in a file: not one that names a file of flags, or that only other programs give.
fn is_for_files(flag: &Arg) -> bool {
    !flag.is_hide_set() && !matches!(flag.get_id().as_str(), "config" | "help" | "version")
}

fn is_given(matches: &ArgMatches, flag: &Arg) -> bool {
    let id = flag.get_id().as_str();
    // The file is not asked for another time.
    let source = matches.try_contains_id(id).ok().and_then(|_| matches.value_source(id));
    id != "config" && matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

/// A key with its value as words of a command line.
fn words(flag: &Arg, key: &str, value: &Value) -> Result<Vec<String>, String> {
    let with = |v: &Value| match v {
        Value::String(s) => Ok(format!("--{key}={s}")),
        Value::Integer(n) => Ok(format!("--{key}={n}")),
        Value::Boolean(on) => Ok(format!("--{key}={}", if *on { "on" } else { "off" })),
        _ => Err(format!("{key}: give a text, a number, true or false, or a list of these")),
    };
    match (value, flag.get_action()) {
        (Value::Boolean(on), ArgAction::SetTrue) => Ok(on.then(|| format!("--{key}")).into_iter().collect()),
        (_, ArgAction::SetTrue) => Err(format!("{key}: give true or false")),
        (Value::Array(values), ArgAction::Append) => values.iter().map(with).collect(),
        (Value::Array(_), _) => Err(format!("{key}: give one value")),
        (value, _) => Ok(vec![with(value)?]),
    }
}

/// A flag as it was given.
fn as_given(matches: &ArgMatches, flag: &Arg) -> Vec<OsString> {
    let name = format!("--{}", flag.get_long().unwrap_or_default());
    if matches!(flag.get_action(), ArgAction::SetTrue) {
        return vec![name.into()];
    }
    let values = matches.get_raw(flag.get_id().as_str()).into_iter().flatten();
    let word = |value: &std::ffi::OsStr| {
        let mut word = OsString::from(format!("{name}="));
        word.push(value);
        word
    };
    values.map(word).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use clap::Parser;

    use super::super::Cli;
    use super::*;

    /// The options of a command line with a file of this content.
    fn options(content: &str, args: &[&str]) -> Result<Options, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        let name = file.path().to_str().unwrap();
        let args = ["registrar", "--config", name].into_iter().chain(args.iter().copied());
        Cli::try_parse_from(args).map(|cli| cli.options).map_err(|e| super::super::one_line(&e).replace(name, "FILE"))
    }

    #[test]
    fn a_file_gives_flags_and_the_command_line_wins() {
        let content = "
            # one of each kind
            max-handle = 64
            identifier = \"0xbeef\"
            remove-on-loss = true
            count-padding = false
            keepalive-pe-id = \"off\"
            pe-id-check = false
            keep-alive-interval = 700
            allow-user = [\"10.0.0.0/8\", \"::1\"]
            allow-element = \"Echo*@10.1.0.0/16\"
            announce = [\"iana\", \"239.0.0.50:3863\"]
            resolution-rate = \"10/20\"
            peer-prefix = \"24,56\"
        ";
        let o = options(content, &["--keep-alive-interval", "900", "--allow-user=192.0.2.0/24"]).unwrap();
        assert_eq!((o.elements.max_handle, o.identifier), (64, Some(0xbeef)));
        assert!(o.elements.remove_on_loss && !o.elements.count_padding);
        assert!(!o.elements.keepalive_pe_id.is_on() && !o.elements.pe_id_check.is_on());
        assert_eq!(o.elements.keep_alive_interval, Duration::from_millis(900), "given here");
        assert_eq!(o.access.allow_user, ["192.0.2.0/24".parse().unwrap()], "a list given here replaces the file's");
        assert_eq!(o.access.allow_element.len(), 1);
        assert_eq!(o.announces.groups().count(), 3);
        assert_eq!(o.limits.peer_prefix, Some((24, 56)));
        assert_eq!(options("", &["--loopback-only"]).map(|o| o.announces.loopback_only), Ok(true));
        let o = options("interface = [\"192.0.2.1\", \"192.0.2.2\"]", &["--max-hr-items", "0"]).unwrap();
        assert_eq!((o.announces.interface.len(), o.elements.max_hr_items), (2, 0));
    }

    #[test]
    fn errors_name_the_file_the_key_and_the_remedy() {
        for (content, args, parts) in [
            ("max-handel = 3", &[][..], &["FILE: there is no flag \"max-handel\"", "--help"][..]),
            ("config = \"x\"", &[], &["no flag \"config\""]),
            ("report = true", &[], &["no flag \"report\""]),
            ("[allow]\nuser = 1", &[], &["no flag \"allow\""]),
            ("\nmax-handle = ", &[], &["FILE: line 2: ", "TOML"]),
            ("max-handle = 2000", &[], &["FILE: max-handle: ", "2000", "1..=1024"]),
            ("max-handle = [1, 2]", &[], &["FILE: max-handle: give one value"]),
            ("max-handle = 1.5", &[], &["FILE: max-handle: give a text, a number"]),
            ("remove-on-loss = 1", &[], &["FILE: remove-on-loss: give true or false"]),
            ("allow-user = [\"10.0.0.0/99\"]", &[], &["FILE: allow-user: ", "prefix length"]),
            ("allow-element = [\"@10.0.0.0/8\"]", &[], &["FILE: allow-element: ", "Echo*@10.0.0.0/8"]),
            ("interface = \"192.0.2.1\"", &["--loopback-only"], &["FILE: ", "cannot be used with"]),
        ] {
            let line = options(content, args).unwrap_err();
            assert!(parts.iter().all(|p| line.contains(p)) && !line.contains('\n'), "{content}: {line}");
        }
        let line = Cli::try_parse_from(["registrar", "--config", "/nonexistent/file"]).unwrap_err();
        assert!(line.to_string().contains("/nonexistent/file: cannot be read"), "{line}");
    }
}

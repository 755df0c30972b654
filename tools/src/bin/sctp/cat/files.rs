//! Which stream reads or writes which file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A file of the command line, with or without its stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct StreamFile {
    pub(super) stream: Option<u16>,
    path: PathBuf,
}

impl StreamFile {
    /// Reads `FILE` or `STREAM=FILE`. A file whose name looks like that is written `./3=x`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (stream, path) = match text.split_once('=') {
            Some((number, path)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
                (Some(number.parse().map_err(|_| "a stream is a number from 0 to 65535")?), path)
            }
            _ => (None, text),
        };
        if path.is_empty() { Err("give FILE or STREAM=FILE".into()) } else { Ok(Self { stream, path: path.into() }) }
    }
}

fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Something to be sent on one stream.
pub(super) struct Input {
    pub(super) stream: u16,
    pub(super) name: String,
    pub(super) reader: Box<dyn Read + Send>,
}

/// All that is to be sent.
pub(super) struct Inputs {
    pub(super) all: Vec<Input>,
    total: Option<u64>,
}

impl Inputs {
    /// Nothing to send.
    pub(super) fn none() -> Self {
        Self { all: Vec::new(), total: None }
    }

    /// Opens the files; without any it is standard input. Those that name no stream get `stream`.
    pub(super) fn open(files: &[StreamFile], stream: u16) -> Result<Self> {
        let standard = [StreamFile { stream: None, path: "-".into() }];
        let files = if files.is_empty() { &standard[..] } else { files };
        let mut inputs = Self { all: Vec::new(), total: Some(0) };
        for file in files {
            let stream = file.stream.unwrap_or(stream);
            if inputs.all.iter().any(|other| other.stream == stream) {
                bail!("two files for stream {stream}: give each a stream of its own, like --in 1=FILE");
            }
            let (reader, size) = open(&file.path)?;
            inputs.total = inputs.total.zip(size).map(|(a, b)| a.saturating_add(b));
            inputs.all.push(Input { stream, name: name(&file.path, "standard input"), reader });
        }
        Ok(inputs)
    }

    /// All their bytes, if that is known beforehand.
    pub(super) fn total(&self) -> Option<u64> {
        self.total
    }
}

fn open(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>)> {
    if is_standard(path) {
        return Ok((Box::new(io::stdin()), None));
    }
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len());
    Ok((Box::new(file), size))
}

fn name(path: &Path, standard: &str) -> String {
    if is_standard(path) { standard.into() } else { path.display().to_string() }
}

/// Where what is received goes.
struct Output {
    name: String,
    writer: Box<dyn Write>,
}

impl Output {
    fn create(path: &Path) -> Result<Self> {
        let writer: Box<dyn Write> = if is_standard(path) {
            Box::new(io::stdout())
        } else {
            Box::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?)
        };
        Ok(Self { name: name(path, "standard output"), writer })
    }
}

/// All places for what is received.
pub(super) struct Outputs {
    of_stream: BTreeMap<u16, Output>,
    others: Output,
}

impl Outputs {
    /// Creates the files.
    pub(super) fn create(files: &[StreamFile]) -> Result<Self> {
        let mut of_stream = BTreeMap::new();
        let mut others = None;
        for file in files {
            let output = Output::create(&file.path)?;
            let taken = match file.stream {
                Some(stream) => of_stream.insert(stream, output).is_some(),
                None => others.replace(output).is_some(),
            };
            if taken {
                bail!(
                    "two files for {}: give each --out a stream of its own",
                    file.stream.map_or("all streams".into(), |n| format!("stream {n}"))
                );
            }
        }
        Ok(Self { of_stream, others: others.map_or_else(|| Output::create(Path::new("-")), Ok)? })
    }

    /// Writes what came on `stream`; a human who watches sees it at once.
    pub(super) fn write(&mut self, stream: u16, bytes: &[u8]) -> Result<()> {
        let output = self.of_stream.get_mut(&stream).unwrap_or(&mut self.others);
        let done = output.writer.write_all(bytes).and_then(|()| output.writer.flush());
        done.with_context(|| format!("cannot write to {}", output.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_with_and_without_a_stream() {
        let file = |stream, path: &str| Ok(StreamFile { stream, path: path.into() });
        assert_eq!(StreamFile::parse("a.txt"), file(None, "a.txt"));
        assert_eq!(StreamFile::parse("3=a=b"), file(Some(3), "a=b"));
        assert_eq!(StreamFile::parse("-"), file(None, "-"));
        assert_eq!(StreamFile::parse("x=y"), file(None, "x=y"));
        assert_eq!(StreamFile::parse("./3=x"), file(None, "./3=x"));
        for bad in ["", "3=", "65536=x"] {
            assert!(StreamFile::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn streams_keep_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let file = |stream, name: &str| StreamFile { stream, path: path(name) };
        let mut outputs = Outputs::create(&[file(Some(1), "one"), file(None, "rest")]).unwrap();
        outputs.write(1, b"for one").unwrap();
        outputs.write(0, b"for the ").unwrap();
        outputs.write(9, b"rest").unwrap();
        assert_eq!(std::fs::read(path("one")).unwrap(), b"for one");
        assert_eq!(std::fs::read(path("rest")).unwrap(), b"for the rest");
        assert!(Outputs::create(&[file(Some(1), "a"), file(Some(1), "b")]).is_err());
        assert!(Outputs::create(&[file(None, "a"), file(None, "b")]).is_err());

        let inputs = Inputs::open(&[file(Some(2), "one"), file(None, "rest")], 0).unwrap();
        assert_eq!(inputs.total(), Some(19));
        assert_eq!(inputs.all.iter().map(|input| input.stream).collect::<Vec<_>>(), [2, 0]);
        assert!(Inputs::open(&[file(Some(0), "one"), file(None, "rest")], 0).is_err());
        assert!(Inputs::open(&[file(None, "missing")], 0).is_err());
    }
}

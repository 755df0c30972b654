//! Merging the captures of several processes into one file that Wireshark opens.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcap_file::PcapError;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::{Block, PcapNgBlock, PcapNgReader, PcapNgWriter};
use thiserror::Error;

/// Type of the block that every pcapng file begins with; it reads the same in both byte orders.
const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// Resolution of our time stamps: 10^-9 s.
const NANOSECONDS: u8 = 9;
/// Resolution of a file that names none: 10^-6 s.
const MICROSECONDS: u8 = 6;

/// Why captures could not be merged.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MergeError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is not pcapng, or of a kind that we do not write.
    #[error("{}: {what}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// A capture to be merged.
#[derive(Clone, Debug)]
pub struct Source {
    /// Name that its interfaces get.
    pub name: String,
    /// The pcapng file. One that does not exist or is empty counts as "nothing captured".
    pub path: PathBuf,
}

/// Writes the packets of all `sources` to `out` in the order of their time stamps, and says how many they are.
///
/// A file may break off in the middle of a block, as that of a killed process does: what is whole is taken.
///
/// # Errors
/// [`MergeError`].
pub fn merge(sources: &[Source], out: &Path) -> Result<usize, MergeError> {
    let mut all = Capture::default();
    for source in sources {
        all.read(source)?;
    }
    all.packets.sort_by_key(|p| p.timestamp);
    let io_error = |source| MergeError::Io { path: out.to_path_buf(), source };
    let file = BufWriter::new(File::create(out).map_err(io_error)?);
    all.write(file).map_err(|err| MergeError::at(out, err))
}

#[derive(Default)]
struct Capture {
    interfaces: Vec<InterfaceDescriptionBlock<'static>>,
    packets: Vec<EnhancedPacketBlock<'static>>,
}

impl Capture {
    fn read(&mut self, source: &Source) -> Result<(), MergeError> {
        let at = |err| MergeError::at(&source.path, err);
        let file = match fs::read(&source.path) {
            Ok(file) => file,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(err) => return Err(at(PcapError::IoError(err))),
        };
        // The parser takes any other file for a block that is not all there yet.
        if file.iter().zip(SECTION_HEADER).any(|(a, b)| *a != b) {
            return Err(at(PcapError::InvalidField("not a pcapng file")));
        }
        let mut reader = match PcapNgReader::new(file.as_slice()) {
            Ok(reader) => reader,
            Err(err) if broke_off(&err) => return Ok(()),
            Err(err) => return Err(at(err)),
        };
        self.read_blocks(&source.name, &mut reader).map_err(at)
    }

    fn read_blocks(&mut self, name: &str, reader: &mut PcapNgReader<impl Read>) -> Result<(), PcapError> {
        let first = self.interfaces.len();
        let mut resolutions = Vec::new();
        while let Some(block) = reader.next_block() {
            match block {
                Ok(Block::InterfaceDescription(interface)) => {
                    resolutions.push(resolution(&interface));
                    self.interfaces.push(described(&interface, name));
                }
                Ok(Block::EnhancedPacket(packet)) => {
                    let index = usize::try_from(packet.interface_id).unwrap_or(usize::MAX);
                    let resolution = *resolutions.get(index).ok_or(PcapError::InvalidInterfaceId(packet.interface_id))?;
                    let interface_id = u32::try_from(first + index).map_err(|_| PcapError::InvalidField("too many interfaces"))?;
                    let timestamp = nanoseconds(packet.timestamp, resolution)?;
                    self.packets.push(EnhancedPacketBlock { interface_id, timestamp, ..packet }.into_owned());
                }
                Ok(_) => {}
                Err(err) if broke_off(&err) => break,
                Err(err) => return Err(err),
            }
        }
        Ok(())
    }

    fn write(&self, out: impl Write) -> Result<usize, PcapError> {
        let mut writer = PcapNgWriter::new(out)?;
        for interface in &self.interfaces {
            writer.write_block(&interface.clone().into_block())?;
        }
        for packet in &self.packets {
            writer.write_block(&packet.clone().into_block())?;
        }
        writer.get_mut().flush().map_err(PcapError::IoError)?;
        Ok(self.packets.len())
    }
}

impl MergeError {
    fn at(path: &Path, err: PcapError) -> Self {
        let path = path.to_path_buf();
        match err {
            PcapError::IoError(source) => Self::Io { path, source },
            other => Self::Format { path, what: other.to_string() },
        }
    }
}

pub(crate) fn broke_off(err: &PcapError) -> bool {
    match err {
        PcapError::IncompleteBuffer => true,
        PcapError::IoError(err) => err.kind() == io::ErrorKind::UnexpectedEof,
        _ => false,
    }
}

/// Decimal digits of the time stamps, or a power of two with the highest bit set.
pub(crate) fn resolution(interface: &InterfaceDescriptionBlock<'_>) -> u8 {
    let find = |option: &InterfaceDescriptionOption<'_>| match option {
        InterfaceDescriptionOption::IfTsResol(digits) => Some(*digits),
        _ => None,
    };
    interface.options.iter().find_map(find).unwrap_or(MICROSECONDS)
}

/// The reader takes every time stamp for nanoseconds, whatever its resolution.
pub(crate) fn nanoseconds(raw: Duration, resolution: u8) -> Result<Duration, PcapError> {
    let missing = NANOSECONDS.checked_sub(resolution).ok_or(PcapError::InvalidField("time stamps finer than nanoseconds"))?;
    raw.checked_mul(10_u32.pow(u32::from(missing))).ok_or(PcapError::InvalidField("time stamp out of range"))
}

fn described(interface: &InterfaceDescriptionBlock<'_>, name: &str) -> InterfaceDescriptionBlock<'static> {
    let options = vec![InterfaceDescriptionOption::IfName(Cow::Owned(name.to_owned())), InterfaceDescriptionOption::IfTsResol(NANOSECONDS)];
    InterfaceDescriptionBlock { linktype: interface.linktype, snaplen: interface.snaplen, options }
}

#[cfg(test)]
mod tests {
    use pcap_file::DataLink;

    use super::*;

    /// A capture of packets (time in units of the resolution, content).
    fn capture(resolution: Option<u8>, packets: &[(u64, &[u8])]) -> Vec<u8> {
        let mut writer = PcapNgWriter::new(Vec::new()).unwrap();
        let options = resolution.map(InterfaceDescriptionOption::IfTsResol).into_iter().collect();
        writer.write_block(&InterfaceDescriptionBlock { linktype: DataLink::RAW, snaplen: 0, options }.into_block()).unwrap();
        for &(time, data) in packets {
            let packet = EnhancedPacketBlock {
                interface_id: 0,
                timestamp: Duration::from_nanos(time),
                original_len: u32::try_from(data.len()).unwrap(),
                data: Cow::Borrowed(data),
                options: Vec::new(),
            };
            writer.write_block(&packet.into_block()).unwrap();
        }
        writer.into_inner()
    }

    fn merged(files: &[&[u8]]) -> Result<Vec<(u64, String, Vec<u8>)>, MergeError> {
        let dir = tempfile::tempdir().unwrap();
        let mut sources = vec![Source { name: "nothing".into(), path: dir.path().join("missing") }];
        for (index, bytes) in files.iter().enumerate() {
            let path = dir.path().join(index.to_string());
            fs::write(&path, bytes).unwrap();
            sources.push(Source { name: format!("file {index}"), path });
        }
        let out = dir.path().join("out.pcapng");
        let count = merge(&sources, &out)?;
        let mut reader = PcapNgReader::new(File::open(&out).unwrap()).unwrap();
        let (mut names, mut packets) = (Vec::new(), Vec::new());
        while let Some(block) = reader.next_block() {
            match block.unwrap() {
                Block::InterfaceDescription(i) => match &i.options[0] {
                    InterfaceDescriptionOption::IfName(name) => names.push(name.to_string()),
                    other => panic!("{other:?}"),
                },
                Block::EnhancedPacket(p) => {
                    let nanos = u64::try_from(p.timestamp.as_nanos()).unwrap();
                    packets.push((nanos, names[p.interface_id as usize].clone(), p.data.to_vec()));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(count, packets.len());
        Ok(packets)
    }

    #[test]
    fn packets_come_out_in_order_of_time_whatever_the_resolution() {
        let a = capture(Some(9), &[(1_000, b"a1"), (9_000, b"a2")]);
        let b = capture(None, &[(5, b"b1"), (8, b"b2")]);
        let expected = [(1_000, 0, "a1"), (5_000, 1, "b1"), (8_000, 1, "b2"), (9_000, 0, "a2")];
        let expected = expected.map(|(time, file, data)| (time, format!("file {file}"), data.as_bytes().to_vec()));
        assert_eq!(merged(&[&a, &b]).unwrap(), expected);
    }

    #[test]
    fn a_file_may_break_off_anywhere() {
        let whole = capture(Some(9), &[(1, b"first"), (2, b"second")]);
        let mut most = 0;
        for len in 0..=whole.len() {
            let packets = merged(&[&whole[..len]]).unwrap();
            assert!(packets.len() >= most);
            most = packets.len();
        }
        assert_eq!(most, 2);
    }

    #[test]
    fn a_file_of_another_kind_is_refused_with_its_name() {
        let err = merged(&[b"this is not a capture at all"]).unwrap_err();
        assert!(matches!(err, MergeError::Format { .. }), "{err}");
        assert!(merged(&[&capture(Some(12), &[(1, b"x")])]).is_err());
    }
}

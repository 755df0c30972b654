//! The Pool Member Selection Policy parameter: RFC 5356 and the policies of RSPLIB's own.

use core::fmt;

use sctp_user::wire::cursor::Reader;

use super::param::{ParamWriter, kind};

/// Declares the policies once: variant, number on the wire, name, fields in their order on the wire.
macro_rules! policies {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal { $($field:ident),* };)+) => {
        /// A pool's policy with an element's values for it.
        ///
        /// Loads, load degradations and DPFs (delay penalty factors) are fractions of `0xffff_ffff` = 100 %; weights and
        /// priorities are plain numbers; distances are milliseconds.
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "the fields' units are given at the enum")]
        pub enum PolicyParam {
            $($(#[$doc])* $variant { $($field: u32),* },)+
            /// A policy without a codec here: its number and its values as they came.
            Other { number: u32, values: Vec<u8> },
        }

        impl PolicyParam {
            /// The number on the wire.
            #[must_use]
            pub const fn number(&self) -> u32 {
                match self {
                    $(Self::$variant { .. } => $number,)+
                    Self::Other { number, .. } => *number,
                }
            }

            /// The name, as in RSPLIB's options; "unknown" for a policy without a codec.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $name,)+
                    Self::Other { .. } => "unknown",
                }
            }

            /// Whether the policy of this number has a codec here.
            pub(crate) const fn is_known(number: u32) -> bool {
                matches!(number, $($number)|+)
            }

            /// The policy of this number with its values, as many as it has; the rest is not looked at. `None` if it has
            /// no codec, or if values are missing.
            pub(crate) fn from_values(number: u32, mut r: Reader<'_>) -> Option<Self> {
                Some(match number {
                    $($number => Self::$variant { $($field: r.u32()?),* },)+
                    _ => return None,
                })
            }

            fn encode_values(&self, w: &mut ParamWriter<'_>) {
                match self {
                    $(Self::$variant { $($field),* } => { $(w.u32(*$field);)* })+
                    Self::Other { values, .. } => w.bytes(values),
                }
            }

            /// The values, filled up with zeros; `None` for a policy without a codec.
            pub(crate) const fn words(&self) -> Option<[u32; 4]> {
                match self {
                    $(Self::$variant { $($field),* } => Some(four(&[$(*$field),*])),)+
                    Self::Other { .. } => None,
                }
            }

            /// What [`PolicyParam::words`] was made of.
            pub(crate) fn from_words(number: u32, words: [u32; 4]) -> Option<Self> {
                let mut left = words.into_iter();
                Some(match number {
                    $($number => Self::$variant { $($field: left.next()?),* },)+
                    _ => return None,
                })
            }

            /// The length of the values in bytes.
            fn values_len(&self) -> usize {
                match self {
                    $(Self::$variant { .. } => { let names: &[&str] = &[$(stringify!($field)),*]; 4 * names.len() })+
                    Self::Other { values, .. } => values.len(),
                }
            }

            /// The values with their names, in their order on the wire.
            #[must_use]
            pub fn values(&self) -> Vec<(&'static str, u32)> {
                match self {
                    $(Self::$variant { $($field),* } => vec![$((stringify!($field), *$field)),*],)+
                    Self::Other { .. } => Vec::new(),
                }
            }

            /// The policy called `name` (case is ignored) with `values` in their order on the wire; `None` if there is
            /// none of that name or the number of values does not fit.
            #[must_use]
            pub fn from_name(name: &str, values: &[u32]) -> Option<Self> {
                let mut left = values.iter().copied();
                let policy = match name {
                    $(n if n.eq_ignore_ascii_case($name) => Self::$variant { $($field: left.next()?),* },)+
                    _ => return None,
                };
                left.next().is_none().then_some(policy)
            }

            /// All names.
            pub const NAMES: &'static [&'static str] = &[$($name),+];
        }
    };
}

policies! {
    /// In turn (RFC 5356 section 4.1).
    RoundRobin = 0x0000_0001, "RoundRobin" {};
    /// In turn, by weight (section 4.2).
    WeightedRoundRobin = 0x0000_0002, "WeightedRoundRobin" { weight };
    /// At random (section 4.3).
    Random = 0x0000_0003, "Random" {};
    /// At random, by weight (section 4.4).
    WeightedRandom = 0x0000_0004, "WeightedRandom" { weight };
    /// The highest priority (section 4.5).
    Priority = 0x0000_0005, "Priority" { priority };
    /// The lowest load (section 5.1).
    LeastUsed = 0x4000_0001, "LeastUsed" { load };
    /// The lowest load, raised by each selection until the next registration (section 5.2).
    LeastUsedDegradation = 0x4000_0002, "LeastUsedDegradation" { load, degradation };
    /// The lowest load after one more request (section 5.3).
    PriorityLeastUsed = 0x4000_0003, "PriorityLeastUsed" { load, degradation };
    /// At random, weighted by what is free (section 5.4).
    RandomizedLeastUsed = 0x4000_0004, "RandomizedLeastUsed" { load };
    /// RSPLIB: at random, weighted by what is free after one more request.
    RandomizedPriorityLeastUsed = 0xb000_1001, "RandomizedPriorityLeastUsed" { load, degradation };
    /// RSPLIB: at random, weighted by what is free after the requests so far.
    RandomizedLeastUsedDegradation = 0xb000_1002, "RandomizedLeastUsedDegradation" { load, degradation };
    /// RSPLIB: `PriorityLeastUsed` with the degradation of `LeastUsedDegradation`.
    PriorityLeastUsedDegradation = 0xb000_1003, "PriorityLeastUsedDegradation" { load, degradation };
    /// RSPLIB: the randomised form of it.
    RandomizedPriorityLeastUsedDegradation = 0xb000_1004, "RandomizedPriorityLeastUsedDegradation" { load, degradation };
    /// draft-dreibholz-rserpool-delay: `WeightedRandom`, less likely with distance.
    WeightedRandomDpf = 0xb000_2001, "WeightedRandomDPF" { weight, weight_dpf, distance };
    /// draft-dreibholz-rserpool-delay: `LeastUsed`, with distance as load.
    LeastUsedDpf = 0xb000_2002, "LeastUsedDPF" { load, load_dpf, distance };
    /// draft-dreibholz-rserpool-delay: `LeastUsedDegradation`, with distance as load.
    LeastUsedDegradationDpf = 0xb000_2003, "LeastUsedDegradationDPF" { load, degradation, load_dpf, distance };
    /// RSPLIB: `PriorityLeastUsed`, with distance as load. RSPLIB selects by it, but has no codec: the layout is ours,
    /// and not for RSPLIB, which refuses it.
    PriorityLeastUsedDpf = 0xb000_2004, "PriorityLeastUsedDPF" { load, degradation, load_dpf, distance };
    /// RSPLIB: `PriorityLeastUsedDegradation`, with distance as load. Not for RSPLIB either.
    PriorityLeastUsedDegradationDpf = 0xb000_2005, "PriorityLeastUsedDegradationDPF" { load, degradation, load_dpf, distance };
}

const fn four(values: &[u32]) -> [u32; 4] {
    match *values {
        [] => [0; 4],
        [a] => [a, 0, 0, 0],
        [a, b] => [a, b, 0, 0],
        [a, b, c] => [a, b, c, 0],
        [a, b, c, d, ..] => [a, b, c, d],
    }
}

impl PolicyParam {
    pub(crate) fn encode(&self, w: &mut ParamWriter<'_>) {
        w.param(kind::POLICY, |w| {
            w.u32(self.number());
            self.encode_values(w);
        });
    }

    /// The length of the parameter on the wire, in bytes, without padding.
    pub(crate) fn raw_len(&self) -> usize {
        8 + self.values_len()
    }

    /// Whether RSPLIB understands the parameter. Of an unknown policy nothing is known, so it is assumed.
    #[must_use]
    pub const fn for_rsplib(&self) -> bool {
        !matches!(self, Self::PriorityLeastUsedDpf { .. } | Self::PriorityLeastUsedDegradationDpf { .. })
    }

    /// The parameter alone, as the data of an error cause (RFC 5354 section 3.12.6).
    #[must_use]
    pub fn to_param(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut ParamWriter::new(&mut out));
        out
    }

    /// The distance of the element in milliseconds, in the delay-aware policies: registrars set it.
    pub const fn distance_mut(&mut self) -> Option<&mut u32> {
        match self {
            Self::WeightedRandomDpf { distance, .. }
            | Self::LeastUsedDpf { distance, .. }
            | Self::LeastUsedDegradationDpf { distance, .. }
            | Self::PriorityLeastUsedDpf { distance, .. }
            | Self::PriorityLeastUsedDegradationDpf { distance, .. } => Some(distance),
            _ => None,
        }
    }

    /// The load, if the policy has one: a fraction of `0xffff_ffff`.
    #[must_use]
    pub const fn load(&self) -> Option<u32> {
        match self {
            Self::LeastUsed { load }
            | Self::LeastUsedDegradation { load, .. }
            | Self::PriorityLeastUsed { load, .. }
            | Self::RandomizedLeastUsed { load }
            | Self::RandomizedPriorityLeastUsed { load, .. }
            | Self::RandomizedLeastUsedDegradation { load, .. }
            | Self::PriorityLeastUsedDegradation { load, .. }
            | Self::RandomizedPriorityLeastUsedDegradation { load, .. }
            | Self::LeastUsedDpf { load, .. }
            | Self::LeastUsedDegradationDpf { load, .. }
            | Self::PriorityLeastUsedDpf { load, .. }
            | Self::PriorityLeastUsedDegradationDpf { load, .. } => Some(*load),
            _ => None,
        }
    }
}

impl fmt::Display for PolicyParam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Other { number, .. } = self {
            return write!(f, "policy 0x{number:08x}");
        }
        f.write_str(self.name())?;
        for (i, (name, value)) in self.values().into_iter().enumerate() {
            f.write_str(if i == 0 { "(" } else { ", " })?;
            match name {
                "load" | "degradation" | "load_dpf" | "weight_dpf" => {
                    let hundredths = (u64::from(value) * 10_000 + u64::from(u32::MAX) / 2) / u64::from(u32::MAX);
                    write!(f, "{name} {}.{:02}%", hundredths / 100, hundredths % 100)?;
                }
                "distance" => write!(f, "{name} {value}ms")?,
                _ => write!(f, "{name} {value}")?,
            }
        }
        if self.values().is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_name() {
        assert_eq!(PolicyParam::from_name("weightedroundrobin", &[7]), Some(PolicyParam::WeightedRoundRobin { weight: 7 }));
        assert_eq!(PolicyParam::from_name("WeightedRoundRobin", &[]), None);
        assert_eq!(PolicyParam::from_name("RoundRobin", &[1]), None);
        assert_eq!(PolicyParam::from_name("Fastest", &[]), None);
    }

    #[test]
    fn display() {
        assert_eq!(PolicyParam::RoundRobin {}.to_string(), "RoundRobin");
        let p = PolicyParam::LeastUsedDpf { load: u32::MAX / 2, load_dpf: u32::MAX, distance: 30 };
        assert_eq!(p.to_string(), "LeastUsedDPF(load 50.00%, load_dpf 100.00%, distance 30ms)");
    }
}

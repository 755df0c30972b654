//! Random numbers as a parameter: injected by the runtime or by the simulator's seed.

use core::fmt;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// A source of random bytes.
///
/// Draws that end up on the wire in clear (`public`) are kept apart from draws that must stay unknown
/// (`secret`), so that an observer of the former learns nothing about the latter.
pub trait Entropy: Send + fmt::Debug {
    /// Fills `out` with bytes that peers may see: verification tags, initial TSNs, ephemeral ports, jitter.
    fn fill_public(&mut self, out: &mut [u8]);

    /// Fills `out` with bytes that nobody else may ever see: the keys of cookies.
    fn fill_secret(&mut self, out: &mut [u8]);

    /// A public 32-bit draw.
    fn u32(&mut self) -> u32 {
        let mut b = [0; 4];
        self.fill_public(&mut b);
        u32::from_be_bytes(b)
    }

    /// A public 64-bit draw.
    fn u64(&mut self) -> u64 {
        let mut b = [0; 8];
        self.fill_public(&mut b);
        u64::from_be_bytes(b)
    }

    /// A public draw below `n`; zero if `n` is zero. The bias is below `n / 2^64`.
    fn below(&mut self, n: u64) -> u64 {
        let wide = u128::from(self.u64()) * u128::from(n);
        u64::try_from(wide >> 64).unwrap_or(0)
    }
}

/// Reproducible randomness from a seed: for the simulator and for tests. Not for production.
pub struct SeededEntropy {
    public: ChaCha12Rng,
    secret: ChaCha12Rng,
}

impl SeededEntropy {
    /// The generator of `seed`: equal seeds give equal draws.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { public: ChaCha12Rng::seed_from_u64(seed), secret: ChaCha12Rng::seed_from_u64(seed ^ 0x5ec2_e75e_ed00_0000) }
    }
}

impl fmt::Debug for SeededEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeededEntropy")
    }
}

impl Entropy for SeededEntropy {
    fn fill_public(&mut self, out: &mut [u8]) {
        self.public.fill_bytes(out);
    }

    fn fill_secret(&mut self, out: &mut [u8]) {
        self.secret.fill_bytes(out);
    }
}

#[cfg(feature = "os-entropy")]
mod os {
    #![allow(clippy::disallowed_methods, reason = "edge: the one place that asks the operating system for randomness")]

    use core::fmt;

    use rand_chacha::ChaCha12Rng;
    use rand_core::{Rng as _, SeedableRng as _};

    use super::Entropy;

    /// Randomness of the operating system: secrets straight from it, public draws from generators that it seeds.
    pub struct OsEntropy {
        public: ChaCha12Rng,
    }

    impl OsEntropy {
        /// Asks the operating system for a seed.
        ///
        /// # Errors
        /// The operating system has no randomness to give.
        pub fn new() -> std::io::Result<Self> {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).map_err(std::io::Error::other)?;
            Ok(Self { public: ChaCha12Rng::from_seed(seed) })
        }
    }

    impl fmt::Debug for OsEntropy {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("OsEntropy")
        }
    }

    impl Entropy for OsEntropy {
        fn fill_public(&mut self, out: &mut [u8]) {
            self.public.fill_bytes(out);
        }

        fn fill_secret(&mut self, out: &mut [u8]) {
            // A source that worked at start and fails later would leave cookies forgeable: nothing sane can go on.
            if let Err(e) = getrandom::fill(out) {
                panic!("the operating system's randomness failed: {e}");
            }
        }
    }
}

#[cfg(feature = "os-entropy")]
pub use os::OsEntropy;

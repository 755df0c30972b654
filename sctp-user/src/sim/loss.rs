//! Chances, and the models of packet loss.

use crate::entropy::Entropy;

/// A probability in millionths.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Chance(u32);

impl Chance {
    /// It never happens; no random number is drawn.
    pub const NEVER: Self = Self(0);
    /// It always happens.
    pub const ALWAYS: Self = Self(1_000_000);

    /// `n` per cent; more than 100 count as 100.
    #[must_use]
    pub const fn percent(n: u32) -> Self {
        Self::ppm(n.saturating_mul(10_000))
    }

    /// `n` per million; more than a million count as always.
    #[must_use]
    pub const fn ppm(n: u32) -> Self {
        if n > 1_000_000 { Self::ALWAYS } else { Self(n) }
    }

    /// Throws the dice.
    pub fn draw(self, rng: &mut dyn Entropy) -> bool {
        self.0 > 0 && rng.below(1_000_000) < u64::from(self.0)
    }
}

/// How a link loses packets.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Loss {
    /// Not at all.
    #[default]
    None,
    /// Each packet by itself.
    Uniform(Chance),
    /// Gilbert-Elliott: a good and a bad state, so that losses come in bursts.
    Bursts {
        /// Chance of going from good to bad, drawn before each packet.
        enter: Chance,
        /// Chance of going from bad to good, drawn before each packet: its inverse is the mean length of a burst.
        leave: Chance,
        /// Loss in the good state.
        good: Chance,
        /// Loss in the bad state.
        bad: Chance,
    },
}

impl Loss {
    /// Uniform loss of `n` per cent.
    #[must_use]
    pub const fn percent(n: u32) -> Self {
        Self::Uniform(Chance::percent(n))
    }
}

/// The state of a loss model.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct LossState {
    bad: bool,
}

impl LossState {
    /// Whether the next packet is lost.
    pub(super) fn draw(&mut self, loss: Loss, rng: &mut dyn Entropy) -> bool {
        match loss {
            Loss::None => false,
            Loss::Uniform(p) => p.draw(rng),
            Loss::Bursts { enter, leave, good, bad } => {
                let change = if self.bad { leave } else { enter };
                self.bad ^= change.draw(rng);
                if self.bad { bad.draw(rng) } else { good.draw(rng) }
            }
        }
    }
}

//! The policies once more, as simple as can be, for the model of the handlespace: all is computed from the values anew.

use crate::wire::PolicyParam;

/// Values of a policy made of a small number, so that ties and changes are frequent.
pub(super) fn values(number: u32, small: u32) -> PolicyParam {
    PolicyParam::from_words(number, [small, small + 1, 2, small]).unwrap()
}

pub(super) fn is_random(number: u32) -> bool {
    matches!(number, 3 | 4 | 0x4000_0004 | 0xb000_1001 | 0xb000_1002 | 0xb000_1004 | 0xb000_2001)
}

/// The place of an element: less is better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Rank {
    first: u64,
    second: u64,
    turn: u64,
    number: u32,
    words: [u32; 4],
    /// How often it was used since it registered.
    used: u64,
}

impl Rank {
    pub(super) fn new(values: &PolicyParam, turn: u64, best: Option<Self>) -> Self {
        let (number, words) = (values.number(), values.words().unwrap());
        let mut rank = Self { first: 0, second: 0, turn, number, words, used: 0 };
        rank.first = best.filter(|_| number == 2).map_or(0, |b| b.first);
        rank.second = u64::MAX - rank.weight();
        rank.place();
        rank
    }

    fn place(&mut self) {
        let [a, b, c, d] = self.words.map(u64::from);
        let load = match self.number {
            5 => u64::from(u32::MAX) - a,
            0x4000_0001 => a,
            0x4000_0002 => a + self.used * b,
            0x4000_0003 => a + b,
            0xb000_1003 => a + b + self.used * b,
            0xb000_2002 => a + b * c,
            0xb000_2003 => a + c * d + self.used * b,
            0xb000_2004 => a + b + c * d,
            0xb000_2005 => a + b + c * d + self.used * b,
            _ => return,
        };
        (self.first, self.second) = (load, 0);
    }

    pub(super) fn weight(&self) -> u64 {
        match (self.number, self.words) {
            (2, [weight, ..]) => u64::from(weight.max(1)),
            (4 | 0xb000_2001, [weight, ..]) => u64::from(weight),
            _ => 1,
        }
    }

    pub(super) fn renew(&mut self, values: &PolicyParam) {
        self.words = values.words().unwrap();
        self.used = 0;
        if self.number == 2 {
            self.second = self.second.max(u64::MAX - self.weight());
        }
        self.place();
    }

    pub(super) fn used(&mut self, turn: u64) {
        self.turn = turn;
        self.used += 1;
        if self.number == 2 {
            let left = u64::MAX - self.second - 1;
            (self.first, self.second) = if left > 0 { (self.first, u64::MAX - left) } else { (self.first + 1, u64::MAX - self.weight()) };
        }
        self.place();
    }
}

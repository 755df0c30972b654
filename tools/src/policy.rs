//! Pool policies as options have them: `round-robin`, `weighted-round-robin:3`, or as RSPLIB writes them, `LeastUsedDegradation:0.25`.

use rserpool::wire::PolicyParam;

/// What is in the policy but not in the option: the element's load, which it knows itself, and its distance, which its
/// registrar measures.
const NOT_GIVEN: [&str; 2] = ["load", "distance"];
/// Values that are plain numbers; all others are fractions of one.
const NUMBERS: [&str; 2] = ["weight", "priority"];
/// Most values that any policy has.
const MAX_VALUES: usize = 8;

/// The policy that an element asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyChoice {
    name: String,
    /// All values, the load zero.
    values: Vec<(&'static str, u32)>,
}

impl PolicyChoice {
    /// Reads `NAME[:VALUE...]`; dashes in the name and its case do not matter.
    ///
    /// # Errors
    /// One line: there is no such policy, or its values are others.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split(':');
        let name = words.next().unwrap_or_default().replace('-', "");
        let policy = (0..=MAX_VALUES).find_map(|n| PolicyParam::from_name(&name, &vec![0; n]));
        let Some(policy) = policy else {
            return Err(format!("there is no such policy: choose one of {}", names().join(", ")));
        };
        let mut values = policy.values();
        let wanted: Vec<_> = values.iter().map(|(name, _)| *name).filter(|name| !NOT_GIVEN.contains(name)).collect();
        let usage = || {
            let values: String = wanted.iter().map(|name| format!(":{name}")).collect();
            format!("write {}{values}, with weights and priorities as whole numbers, all else from 0 to 1", policy.name())
        };
        for (name, value) in values.iter_mut().filter(|(name, _)| wanted.contains(name)) {
            let word = words.next().ok_or_else(usage)?;
            let number = if NUMBERS.contains(name) { word.parse().ok() } else { fraction(word) };
            *value = number.ok_or_else(usage)?;
        }
        if words.next().is_some() {
            return Err(usage());
        }
        Ok(Self { name: policy.name().to_owned(), values })
    }

    /// Whether the load of the element counts, so that it registers again when that changes.
    #[must_use]
    pub fn follows_load(&self) -> bool {
        self.values.iter().any(|(name, _)| *name == "load")
    }

    /// The policy for an element whose load is `load` (0xffffffff is 100 %).
    #[must_use]
    pub fn with_load(&self, load: u32) -> PolicyParam {
        let values: Vec<_> = self.values.iter().map(|(name, value)| if *name == "load" { load } else { *value }).collect();
        // The name and the number of values are those of a policy: `parse` has seen to it.
        PolicyParam::from_name(&self.name, &values).unwrap_or(PolicyParam::RoundRobin {})
    }
}

/// All names, in the way of our options.
fn names() -> Vec<String> {
    let dashed = |name: &str| {
        let before_upper = |(at, c): (usize, char)| {
            let follows_lower = at > 0 && name.as_bytes().get(at - 1).is_some_and(u8::is_ascii_lowercase);
            [(c.is_uppercase() && follows_lower).then_some('-'), Some(c.to_ascii_lowercase())]
        };
        name.char_indices().flat_map(before_upper).flatten().collect()
    };
    PolicyParam::NAMES.iter().copied().map(dashed).collect()
}

/// A fraction from 0 to 1, of 0xffffffff.
fn fraction(text: &str) -> Option<u32> {
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    let digits = digits.trim_end_matches('0');
    // Ten digits are more than 32 bits can tell.
    if digits.len() > 10 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let scale = 10_u64.pow(u32::try_from(digits.len()).ok()?);
    let part = if digits.is_empty() { 0 } else { digits.parse::<u64>().ok()? };
    let value = whole.parse::<u64>().ok()?.checked_mul(scale)?.checked_add(part)?;
    if value > scale {
        return None;
    }
    u32::try_from(u128::from(u32::MAX) * u128::from(value) / u128::from(scale)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> PolicyParam {
        PolicyChoice::parse(text).unwrap().with_load(77)
    }

    #[test]
    fn names_and_values() {
        assert_eq!(policy("round-robin"), PolicyParam::RoundRobin {});
        assert_eq!(policy("WeightedRoundRobin:7"), PolicyParam::WeightedRoundRobin { weight: 7 });
        assert_eq!(policy("least-used"), PolicyParam::LeastUsed { load: 77 });
        let degradation = 0x3fff_ffff;
        assert_eq!(policy("least-used-degradation:0.25"), PolicyParam::LeastUsedDegradation { load: 77, degradation });
        let half = 0x7fff_ffff;
        assert_eq!(policy("weighted-random-dpf:5:0.5"), PolicyParam::WeightedRandomDpf { weight: 5, weight_dpf: half, distance: 0 });
        assert!(!PolicyChoice::parse("random").unwrap().follows_load());
        assert!(PolicyChoice::parse("randomized-least-used").unwrap().follows_load());
    }

    #[test]
    fn every_name_that_is_listed_is_read() {
        for name in names() {
            let read = ["", ":1", ":1:1", ":1:1:1"].into_iter().find_map(|values| PolicyChoice::parse(&format!("{name}{values}")).ok());
            assert!(read.is_some(), "{name}");
        }
        assert!(names().contains(&"weighted-round-robin".to_owned()), "{:?}", names());
    }

    #[test]
    fn mistakes_are_told_with_the_remedy() {
        assert!(PolicyChoice::parse("rr").unwrap_err().contains("weighted-round-robin"));
        for bad in ["weighted-round-robin", "WeightedRoundRobin:x", "WeightedRoundRobin:1:2", "priority:-1"] {
            let line = PolicyChoice::parse(bad).unwrap_err();
            assert!(line.starts_with("write ") && line.contains(':'), "{line}");
        }
        for bad in ["1.5", "2", "-0.1", "0.x", "", ".5x", "0.12345678901"] {
            assert_eq!(fraction(bad), None, "{bad}");
        }
        assert_eq!((fraction("1"), fraction("1.00"), fraction("0")), (Some(u32::MAX), Some(u32::MAX), Some(0)));
    }
}

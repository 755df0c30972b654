//! Distance: the policies of draft-dreibholz-rserpool-delay charge for it.

/// What a distance of so many milliseconds costs, as a fraction of `0xffff_ffff`: the delay penalty factor is the fraction
/// for one millisecond.
pub(super) fn penalty(distance: u32, factor: u32) -> u32 {
    distance.saturating_mul(factor)
}

/// A part of `weight`: so many `0xffff_ffff`ths of it, rounded.
pub(super) fn part(weight: u32, fraction: u32) -> u32 {
    let whole = u64::from(u32::MAX);
    let rounded = (u64::from(weight) * u64::from(fraction)).saturating_add(whole / 2) / whole;
    u32::try_from(rounded).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalties_and_parts_saturate() {
        assert_eq!(penalty(100, 1000), 100_000);
        assert_eq!(penalty(0, u32::MAX), 0);
        assert_eq!(penalty(u32::MAX, u32::MAX), u32::MAX);
        assert_eq!(penalty(2, u32::MAX / 2 + 1), u32::MAX);
        assert_eq!(part(100, u32::MAX / 2), 50);
        assert_eq!(part(u32::MAX, u32::MAX), u32::MAX);
        assert_eq!(part(3, 0), 0);
    }
}

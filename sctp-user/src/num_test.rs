use core::cmp::Ordering;

use proptest::prelude::*;

use super::{Ssn, Tsn};

#[test]
fn numbers_wrap_around() {
    assert_eq!(Tsn(u32::MAX).next(), Tsn(0));
    assert_eq!(Tsn(0).prev(), Tsn(u32::MAX));
    assert_eq!(Tsn(u32::MAX - 1).plus(3), Tsn(1));
    assert_eq!(Tsn(1).since(Tsn(u32::MAX)), 2);
    assert_eq!(Tsn(1).distance(Tsn(u32::MAX)), 2);
    assert_eq!(Tsn(u32::MAX).distance(Tsn(1)), -2);
    assert_eq!(Ssn(u16::MAX).next(), Ssn(0));
    assert_eq!(Ssn(0).prev(), Ssn(u16::MAX));
    assert_eq!(Ssn(2).since(Ssn(u16::MAX)), 3);
}

#[test]
fn order_holds_across_the_wrap() {
    for (early, late) in [(0, 1), (u32::MAX, 0), (u32::MAX - 5, 5), (0x7fff_ffff, 0x8000_0000), (1, 0x8000_0000), (0x8000_0001, 0)] {
        let (early, late) = (Tsn(early), Tsn(late));
        assert!(early.before(late) && late.after(early), "{early} {late}");
        assert!(!late.before(early) && !early.after(late), "{early} {late}");
        assert!(early.at_or_before(late) && !late.at_or_before(early));
        assert_eq!(early.serial_cmp(late), Ordering::Less);
        assert_eq!(late.serial_cmp(early), Ordering::Greater);
    }
    assert!(Ssn(u16::MAX).before(Ssn(0)) && Ssn(0).after(Ssn(u16::MAX)));
    assert!(Ssn(0x7fff).after(Ssn(0)) && Ssn(0x8001).before(Ssn(0)));
}

#[test]
fn a_number_is_neither_before_nor_after_itself() {
    for n in [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        let n = Tsn(n);
        assert!(!n.before(n) && !n.after(n) && n.at_or_before(n));
        assert_eq!(n.serial_cmp(n), Ordering::Equal);
    }
}

/// RFC 1982 leaves the order of numbers half the circle apart undefined. Here neither is after the other, so that nothing
/// is taken for progress on account of such a number.
#[test]
fn half_the_circle_apart_is_never_after() {
    for n in [0_u32, 7, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        let (a, b) = (Tsn(n), Tsn(n.wrapping_add(0x8000_0000)));
        assert!(!a.after(b) && !b.after(a), "{a} {b}");
    }
    assert!(!Ssn(3).after(Ssn(0x8003)) && !Ssn(0x8003).after(Ssn(3)));
}

proptest! {
    /// The ranges hold each number once, in serial order, and no other.
    #[test]
    fn the_numbers_from_one_up_to_another_are_at_most_two_ranges(start: u16, n in 0_u16..600) {
        let (first, last) = (Ssn(start), Ssn(start).plus(n));
        let numbers: Vec<_> = first.up_to(last).flatten().map(Ssn).collect();
        let expected: Vec<_> = (0..=n).map(|at| first.plus(at)).collect();
        prop_assert_eq!(numbers, expected);
        prop_assert!(first.up_to(last).count() <= 2);
    }

    #[test]
    fn what_is_added_comes_after(start: u32, n in 1_u32..0x8000_0000) {
        let (a, b) = (Tsn(start), Tsn(start).plus(n));
        prop_assert!(a.before(b) && b.after(a));
        prop_assert_eq!(b.since(a), n);
        prop_assert_eq!(i64::from(b.distance(a)), i64::from(n));
        prop_assert_eq!(i64::from(a.distance(b)), -i64::from(n));
    }

    #[test]
    fn next_and_prev_are_inverse(n: u32, m: u16) {
        prop_assert_eq!(Tsn(n).next().prev(), Tsn(n));
        prop_assert_eq!(Ssn(m).prev().next(), Ssn(m));
        prop_assert!(Tsn(n).before(Tsn(n).next()) && Ssn(m).before(Ssn(m).next()));
    }

    #[test]
    fn order_does_not_depend_on_the_origin(a: u32, d in 1_u32..0x8000_0000, shift: u32) {
        let (x, y) = (Tsn(a), Tsn(a.wrapping_add(d)));
        prop_assert_eq!(x.serial_cmp(y), x.plus(shift).serial_cmp(y.plus(shift)));
    }
}

//! The order of names in tables and lists.

use std::cmp::Ordering;

/// By letters, and by number where both have digits: case 2 stands before case 10.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (Some(first), Some(second)) = (a.chars().next(), b.chars().next()) else { return a.len().cmp(&b.len()) };
        let order = if first.is_ascii_digit() && second.is_ascii_digit() {
            let (left, right) = (&a[..digits(a)], &b[..digits(b)]);
            let (short, long) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
            (a, b) = (&a[left.len()..], &b[right.len()..]);
            short.len().cmp(&long.len()).then_with(|| short.cmp(long))
        } else {
            (a, b) = (&a[first.len_utf8()..], &b[second.len_utf8()..]);
            first.cmp(&second)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count() {
        let mut names = ["liver_10", "liver_9", "liver_2", "brain_7", "liver_009", "liver"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["brain_7", "liver", "liver_2", "liver_9", "liver_009", "liver_10"]);
    }
}

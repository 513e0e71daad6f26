//! Along which axes a volume may be mirrored without its labels changing their meaning.

use super::fingerprint::Class;

/// Words for the two ends of an axis of D,H,W, which run towards superior, anterior and right.
const ENDS: [(usize, &str, &str); 7] = [
    (0, "superior", "inferior"),
    (0, "upper", "lower"),
    (1, "anterior", "posterior"),
    (2, "left", "right"),
    (2, "lh", "rh"),
    (2, "l", "r"),
    (2, "lt", "rt"),
];

/// Shorter words count only where they stand alone: `kidney_l`, but not `liver`.
const LEAST_PART: usize = 4;

/// For each axis of D,H,W two classes whose names differ in its ends alone: a mirrored volume would show the one where the other is.
pub fn opposites(classes: &[Class]) -> [Option<[&str; 2]>; 3] {
    let mut found = [None; 3];
    for (axis, one_end, other_end) in ENDS {
        for one in classes {
            let swapped = words(&one.name, |word| match word == one_end || one_end.len() >= LEAST_PART {
                true => word.replace(one_end, other_end),
                false => word.to_owned(),
            });
            let is_opposite = |other: &&Class| one.value != other.value && words(&other.name, str::to_owned) == swapped;
            if words(&one.name, str::to_owned) != swapped && found[axis].is_none() {
                found[axis] = classes.iter().find(is_opposite).map(|other| [one.name.as_str(), other.name.as_str()]);
            }
        }
    }
    found
}

/// The words of a name in small letters, each changed.
fn words(name: &str, change: impl Fn(&str) -> String) -> Vec<String> {
    let name = name.to_lowercase();
    name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str]) -> [bool; 3] {
        let class = |(value, name): (u32, &&str)| Class { value, name: (*name).to_owned(), cases: 1, mean_ml: 1.0 };
        let classes: Vec<Class> = (1..).zip(names).map(class).collect();
        opposites(&classes).map(|pair| pair.is_some())
    }

    #[test]
    fn names_that_differ_in_the_ends_of_an_axis_forbid_mirroring_along_it() {
        for pair in [["Left kidney", "right_kidney"], ["kidney_l", "kidney_r"], ["LeftLung", "RightLung"], ["lh cortex", "rh cortex"]] {
            assert_eq!(found(&["liver", pair[1], pair[0]]), [false, false, true], "{pair:?}");
        }
        assert_eq!(found(&["Anterior", "Posterior"]), [false, true, false]);
        assert_eq!(found(&["upper lobe", "lower lobe", "lobe left upper", "lobe right upper"]), [true, false, true]);
    }

    #[test]
    fn one_end_alone_and_words_that_only_hold_its_letters_forbid_nothing() {
        assert_eq!(found(&["left atrium", "right ventricle", "liver", "river", "spleen"]), [false; 3]);
    }
}

//! What one stroke changed, as runs of voxels: small enough to keep fifty of them, and the bytes that the journal keeps.

use std::ops::Range;

/// What is painted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaintLabel {
    /// Its class index in the open map.
    pub class: u8,
    /// Its label value in files.
    pub value: u16,
}

impl PaintLabel {
    /// What an eraser leaves.
    pub const BACKGROUND: Self = Self { class: 0, value: 0 };
}

/// Neighbouring voxels in memory that had one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) span: Range<usize>,
    pub(super) before: u8,
}

/// The voxels that one stroke or one fill changed, all to one label, with what they were before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What they became.
    pub after: PaintLabel,
    /// For each run: voxels since the end of the run before and its length, both as LEB128, and its class before.
    bytes: Vec<u8>,
}

impl Step {
    /// Of runs in any order that do not overlap; none without any.
    pub(super) fn new(after: PaintLabel, mut runs: Vec<Run>) -> Option<Self> {
        runs.sort_unstable_by_key(|run| run.span.start);
        let mut bytes = Vec::with_capacity(runs.len() * 4);
        let mut end = 0;
        for run in joined(runs) {
            put(&mut bytes, run.span.start - end);
            put(&mut bytes, run.span.len());
            bytes.push(run.before);
            end = run.span.end;
        }
        bytes.shrink_to_fit();
        (!bytes.is_empty()).then_some(Self { after, bytes })
    }

    /// From the bytes of [`Self::bytes`]; none where they are no such runs within `voxels` voxels.
    pub(super) fn from_bytes(after: PaintLabel, bytes: Vec<u8>, voxels: usize) -> Option<Self> {
        let mut rest = bytes.as_slice();
        let mut end = 0_usize;
        while !rest.is_empty() {
            let (gap, length) = (take(&mut rest)?, take(&mut rest)?);
            rest = rest.get(1..)?;
            end = end.checked_add(gap)?.checked_add(length).filter(|&end| length > 0 && end <= voxels)?;
        }
        (!bytes.is_empty()).then_some(Self { after, bytes })
    }

    /// How the runs are kept.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its runs in memory order.
    pub(super) fn runs(&self) -> impl Iterator<Item = Run> {
        let mut rest = self.bytes.as_slice();
        let mut end = 0;
        std::iter::from_fn(move || {
            let start = end + take(&mut rest)?;
            end = start + take(&mut rest)?;
            let before = rest.split_off_first()?;
            Some(Run { span: start..end, before: *before })
        })
    }

    /// Voxels that it changed.
    pub fn voxels(&self) -> usize {
        self.runs().map(|run| run.span.len()).sum()
    }
}

/// Runs that touch and had one class before as one.
fn joined(runs: Vec<Run>) -> impl Iterator<Item = Run> {
    let mut runs = runs.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut run = runs.next()?;
        while let Some(next) = runs.next_if(|next| next.span.start == run.span.end && next.before == run.before) {
            run.span.end = next.span.end;
        }
        Some(run)
    })
}

/// Appends a number as LEB128: seven bits a byte, the lowest first.
pub(super) fn put(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes such a number off the front; none where the bytes end within it or it is beyond any count.
pub(super) fn take(bytes: &mut &[u8]) -> Option<usize> {
    let (mut number, mut shift) = (0_u64, 0);
    loop {
        let byte = *bytes.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(number).ok();
        }
        shift += 7;
        if shift > 56 {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(span: Range<usize>, before: u8) -> Run {
        Run { span, before }
    }

    #[test]
    fn runs_are_sorted_joined_and_kept_in_few_bytes() {
        let after = PaintLabel { class: 3, value: 300 };
        let step = Step::new(after, vec![run(500..600, 1), run(2..5, 0), run(5..9, 0), run(9..10, 2)]).expect("runs");
        assert_eq!(step.runs().collect::<Vec<_>>(), [run(2..9, 0), run(9..10, 2), run(500..600, 1)]);
        assert_eq!((step.voxels(), step.bytes().len()), (108, 10));
        assert_eq!(Step::from_bytes(after, step.bytes().to_vec(), 600), Some(step.clone()));
        assert_eq!(Step::from_bytes(after, step.bytes().to_vec(), 599), None, "beyond the volume");
        let cut = step.bytes()[..9].to_vec();
        assert_eq!(Step::from_bytes(after, cut, 600), None, "cut short");
        assert_eq!(Step::new(after, Vec::new()), None);
    }

    #[test]
    fn numbers_of_any_size_come_back() {
        for number in [0, 1, 127, 128, 16_383, 16_384, 78_643_200, usize::from(u16::MAX), 1 << 40] {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            let mut rest = bytes.as_slice();
            assert_eq!((take(&mut rest), rest.len()), (Some(number), 0));
        }
        assert_eq!(take(&mut [0xff; 12].as_slice()), None);
        assert_eq!(take(&mut [0x80].as_slice()), None);
    }
}

//! From bits to numbers (T.87, annex A).

use super::bits::{Bits, Cause, damaged};

/// Orders of the codes for run lengths [J].
const RUN_ORDERS: [u32; 32] = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// Contexts of single numbers: those of three levels from -4 to 4, less the ones that differ by the sign alone.
const CONTEXTS: usize = 365;

/// How numbers are coded.
pub(super) struct Coding {
    /// Largest value [MAXVAL].
    max: i32,
    /// Largest error.
    near: i32,
    thresholds: [i32; 3],
    /// Numbers after which what is known of a context counts half.
    reset: u32,
    /// Count of different errors.
    range: i32,
    /// Bits of an error written plainly [qbpp].
    plain: u32,
    /// Bits of the longest code [LIMIT].
    limit: u32,
}

impl Coding {
    pub fn new(max: i32, near: i32, thresholds: [i32; 3], reset: u32) -> Self {
        let bits_of = |values: i32| (values as u32).next_power_of_two().trailing_zeros();
        let range = (max + 2 * near) / (2 * near + 1) + 1;
        let bits = bits_of(max + 1).max(2);
        Self { max, near, thresholds, reset, range, plain: bits_of(range), limit: 2 * (bits + bits.max(8)) }
    }

    /// Level of a difference of neighbours: -4 to 4.
    fn level(&self, difference: i32) -> i32 {
        let size = difference.abs();
        let [t1, t2, t3] = self.thresholds;
        let level = if size <= self.near {
            0
        } else if size < t1 {
            1
        } else if size < t2 {
            2
        } else if size < t3 {
            3
        } else {
            4
        };
        level * difference.signum()
    }

    /// The value so many steps from the predicted one.
    fn value(&self, predicted: i32, error: i32) -> i32 {
        let step = 2 * self.near + 1;
        let value = predicted + error * step;
        let turn = self.range * step;
        let value = if value < -self.near {
            value + turn
        } else if value > self.max + self.near {
            value - turn
        } else {
            value
        };
        value.clamp(0, self.max)
    }
}

/// What is known of the errors in one context.
#[derive(Clone, Copy)]
struct Context {
    /// Sum of their sizes [A].
    size: u32,
    /// How many they are [N].
    count: u32,
    /// Sum of what the correction leaves [B]; of ends of runs: how many are negative [Nn].
    bias: i32,
    /// What is added to predictions [C].
    correction: i32,
}

impl Context {
    /// Counts what is known half, after `reset` numbers, and one number more.
    fn age(&mut self, reset: u32) {
        if self.count == reset {
            self.size >>= 1;
            self.count >>= 1;
            self.bias >>= 1;
        }
        self.count += 1;
    }

    /// Order of the Golomb code for errors of that total size [k].
    fn order(&self, size: u32) -> u32 {
        (0..).find(|&k| u64::from(self.count) << k >= u64::from(size)).unwrap_or(0)
    }
}

/// Lines that are decoded from a fresh start.
pub(super) struct Scan<'a, 'b> {
    coding: &'a Coding,
    bits: &'a mut Bits<'b>,
    contexts: [Context; CONTEXTS],
    /// Of numbers that end runs: beside a different number above, and an equal one.
    ends: [Context; 2],
    run_index: usize,
}

impl<'a, 'b> Scan<'a, 'b> {
    pub fn new(coding: &'a Coding, bits: &'a mut Bits<'b>) -> Self {
        let fresh = Context { size: ((coding.range as u32 + 32) / 64).max(2), count: 1, bias: 0, correction: 0 };
        Self { coding, bits, contexts: [fresh; CONTEXTS], ends: [fresh; 2], run_index: 0 }
    }

    /// Decodes lines of so many columns.
    pub fn decode(&mut self, numbers: &mut [u16], columns: usize) -> Result<(), Cause> {
        // A number more at both ends.
        let (mut above, mut line) = (vec![0; columns + 2], vec![0; columns + 2]);
        for numbers in numbers.chunks_exact_mut(columns) {
            line[0] = above[1];
            above[columns + 1] = above[columns];
            let mut at = 1;
            while at <= columns {
                let [left, corner, up, next] = [line[at - 1], above[at - 1], above[at], above[at + 1]];
                let levels = [next - up, up - corner, corner - left].map(|difference| self.coding.level(difference));
                if levels == [0; 3] {
                    at = self.run(&above, &mut line, at)?;
                } else {
                    line[at] = self.single(levels, left, corner, up)?;
                    at += 1;
                }
            }
            for (number, value) in numbers.iter_mut().zip(&line[1..]) {
                *number = *value as u16;
            }
            std::mem::swap(&mut above, &mut line);
        }
        Ok(())
    }

    /// One number (A.4 to A.6).
    fn single(&mut self, levels: [i32; 3], left: i32, corner: i32, up: i32) -> Result<i32, Cause> {
        let Coding { max, near, reset, plain, limit, .. } = *self.coding;
        let number = 81 * levels[0] + 9 * levels[1] + levels[2];
        let sign = number.signum();
        let context = &mut self.contexts[number.unsigned_abs() as usize];
        let (low, high) = (left.min(up), left.max(up));
        let predicted = if corner >= high {
            low
        } else if corner <= low {
            high
        } else {
            left + up - corner
        };
        let predicted = (predicted + sign * context.correction).clamp(0, max);
        let k = context.order(context.size);
        let mapped = self.bits.golomb(k, limit - plain - 1, plain)?;
        // 0, -1, 1, -2, ...; or -1, 0, -2, 1, ... where errors lean to the negative.
        let inverted = near == 0 && k == 0 && 2 * context.bias <= -(context.count as i32);
        let error = mapped >> 1 ^ -((mapped & 1) ^ i32::from(inverted));
        context.bias += error * (2 * near + 1);
        context.size += error.unsigned_abs();
        context.age(reset);
        let count = context.count as i32;
        if context.bias <= -count {
            context.correction = (context.correction - 1).max(-128);
            context.bias = (context.bias + count).max(1 - count);
        } else if context.bias > 0 {
            context.correction = (context.correction + 1).min(127);
            context.bias = (context.bias - count).min(0);
        }
        Ok(self.coding.value(predicted, sign * error))
    }

    /// A run of numbers equal to the one before, and the number that ends it, from column `start` on (A.7). Returns the column behind.
    fn run(&mut self, above: &[i32], line: &mut [i32], start: usize) -> Result<usize, Cause> {
        let Coding { near, reset, plain, limit, .. } = *self.coding;
        let left = line[start - 1];
        let end = line.len() - 1;
        let mut at = start;
        loop {
            let full = 1 << RUN_ORDERS[self.run_index];
            if self.bits.take(1)? == 0 {
                break;
            }
            let length = full.min(end - at);
            line[at..at + length].fill(left);
            at += length;
            if length == full {
                self.run_index = (self.run_index + 1).min(RUN_ORDERS.len() - 1);
            }
            if at == end {
                return Ok(end);
            }
        }
        let order = RUN_ORDERS[self.run_index];
        let length = self.bits.take(order)? as usize;
        if length >= end - at {
            return Err(damaged());
        }
        line[at..at + length].fill(left);
        at += length;

        let up = above[at];
        let equal = (left - up).abs() <= near;
        let context = &mut self.ends[usize::from(equal)];
        let k = context.order(context.size + if equal { context.count >> 1 } else { 0 });
        let mapped = self.bits.golomb(k, limit - order - 1 - plain - 1, plain)?;
        let doubled = mapped + i32::from(equal);
        let size = (doubled + 1) >> 1;
        let negative = (doubled & 1 == 1) == (k != 0 || 2 * context.bias >= context.count as i32);
        let error = if negative { -size } else { size };
        context.bias += i32::from(error < 0);
        context.size += (mapped + 1 - i32::from(equal)) as u32 >> 1;
        context.age(reset);
        self.run_index = self.run_index.saturating_sub(1);
        line[at] = match equal {
            true => self.coding.value(left, error),
            false => self.coding.value(up, if left > up { -error } else { error }),
        };
        Ok(at + 1)
    }
}

//! The bits of a stream's coded numbers (T.87, A.1 and A.5.3).

/// What is wrong with a stream, as the end of a sentence about it.
pub(super) type Cause = String;

/// Where its coded numbers are wrong or end early: which of the two cannot be told.
pub(super) fn damaged() -> Cause {
    "is damaged or cut off".to_owned()
}

/// Bits up to the next marker: after a byte of ones, the first bit of the next is none of them.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next ones, from the highest; zeros below those that are held.
    cache: u64,
    held: u32,
    /// Whether the last byte held was all ones.
    stuffed: bool,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, cache: 0, held: 0, stuffed: false }
    }

    /// Holds 57 bits or more, if so many are left before the next marker.
    fn fill(&mut self) {
        while self.held <= 56 {
            let [byte, rest @ ..] = self.bytes else { return };
            if *byte == 0xff && rest.first().is_none_or(|next| *next >= 0x80) {
                return;
            }
            self.held += if self.stuffed { 7 } else { 8 };
            self.cache |= u64::from(*byte) << (64 - self.held);
            self.stuffed = *byte == 0xff;
            self.bytes = rest;
        }
    }

    /// The next bits, up to 32 of them, as a number.
    pub fn take(&mut self, count: u32) -> Result<u32, Cause> {
        if self.held < count {
            self.fill();
        }
        if self.held < count {
            return Err(damaged());
        }
        let value = self.cache >> 1 >> (63 - count);
        self.cache <<= count;
        self.held -= count;
        Ok(value as u32)
    }

    /// A number of a Golomb code of order `k` with at most `longest` zeros before its first one; after so many, it stands there plainly, less
    /// one, in `plain` bits.
    pub fn golomb(&mut self, k: u32, longest: u32, plain: u32) -> Result<i32, Cause> {
        if self.held <= longest {
            self.fill();
        }
        let zeros = self.cache.leading_zeros();
        if zeros >= self.held || zeros > longest {
            return Err(damaged());
        }
        self.cache <<= zeros + 1;
        self.held -= zeros + 1;
        let number = if zeros < longest { zeros << k | self.take(k)? } else { self.take(plain)? + 1 };
        // No number is larger than there are values.
        if number > 1 << plain { Err(damaged()) } else { Ok(number as i32) }
    }

    /// Refuses more than what fills the last byte.
    pub fn end(&mut self) -> Result<(), Cause> {
        self.fill();
        if self.held >= 8 { Err(damaged()) } else { Ok(()) }
    }

    /// Goes on behind the restart marker of that number.
    pub fn restart(&mut self, number: usize) -> Result<(), Cause> {
        while self.bytes.starts_with(&[0xff, 0xff]) {
            self.bytes = &self.bytes[1..];
        }
        match self.bytes {
            [0xff, marker, rest @ ..] if usize::from(*marker) == 0xd0 + number => *self = Self::new(rest),
            _ => return Err(damaged()),
        }
        Ok(())
    }
}

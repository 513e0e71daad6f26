//! Every colour of the program, light and dark: reports and the window share them. The first hues are those of Okabe and Ito, told apart by colour-blind
//! readers as well (<https://jfly.uni-koeln.de/color/>), darkened or lightened where a background asks for contrast.

/// A colour on a light and on a dark page, `0xRRGGBB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tone {
    /// On a light page, and on paper.
    pub light: u32,
    /// On a dark page.
    pub dark: u32,
}

const fn tone(light: u32, dark: u32) -> Tone {
    Tone { light, dark }
}

impl Tone {
    /// The colour on a page of this kind.
    pub fn on(self, dark: bool) -> u32 {
        if dark { self.dark } else { self.light }
    }
}

/// Text and axes of a plot.
pub const INK: Tone = tone(0x3B4350, 0xC5CCD6);
/// Grid of a plot.
pub const GRID: Tone = tone(0xDDE1E7, 0x39414D);
/// Reference lines: the untrained network.
pub const REFERENCE: Tone = tone(0x7A8290, 0x99A1AE);
/// Arms of a comparison, in their order.
pub const SERIES: [Tone; 10] = [
    tone(0x0072B2, 0x56B4E9),
    tone(0xD55E00, 0xFF8F4D),
    tone(0x00835F, 0x2FC99B),
    tone(0xB0578D, 0xE79CC6),
    tone(0x9A6B00, 0xE6B800),
    tone(0x4B3FA8, 0xA59BFF),
    // More arms than six are rare, and their colours not safe for every eye.
    tone(0x8C2D19, 0xE8806C),
    tone(0x007A8A, 0x5FD3E3),
    tone(0x5B7C00, 0xB4D84A),
    tone(0x6E6259, 0xC9BBAE),
];
/// Outlines of labels on a grey image, in the order of the label values; the same on any page.
pub const LABELS: [u32; 8] = [0xFFB000, 0x4CC3FF, 0x2EE6A6, 0xFF7AC8, 0xF0E442, 0xFF6A3D, 0xB39DFF, 0xA6E22E];
/// The reference segmentation's outline behind a prediction.
pub const TRUTH: u32 = 0xFFFFFF;

/// Voxels of the truth that a prediction lacks.
pub const MISSED: u32 = 0xE69F00;
/// Voxels that a prediction has and the truth does not.
pub const FALSE: u32 = 0xCC79A7;
/// Voxels where prediction and truth agree.
pub const AGREED: u32 = 0x009E73;
/// Good news: a healthy representation, a finished run.
pub const GOOD: Tone = tone(0x00694C, 0x2FC99B);
/// Something to look at: a partly position-bound encoder, a warning.
pub const CAUTION: Tone = tone(0x8A5A00, 0xE6B800);
/// Bad news: collapsed, failed.
pub const BAD: Tone = tone(0xB23A00, 0xFF8F4D);

/// Stops of a heat map from 0 to 1, evenly spaced: viridis, in which equal steps look equal to every eye and in print.
pub const HEAT: [u32; 9] = [0x440154, 0x472D7B, 0x3B528B, 0x2C728E, 0x21918C, 0x28AE80, 0x5EC962, 0xADDC30, 0xFDE725];
/// Around a volume's slices: dark, as reading rooms are, and not quite the black of air.
pub const AROUND: u32 = 0x101418;

/// Outline colour of the label at a place of the dataset's list.
pub fn label(index: usize) -> u32 {
    LABELS[index % LABELS.len()]
}

//! Every colour of the program, light and dark: reports and the window share them. The first hues are those of Okabe and Ito, distinguishable to colour-blind
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
/// Colours of labels on a grey image, by the label's number less one; the same on any page. The first eight are for every eye. Each that
/// follows was chosen as far as can be in CIE L*a*b* from all before it, among colours that stand out from grey: any two of the first
/// 64 are more than 21 apart, any two of all more than 15, where 2.3 is just seen.
#[rustfmt::skip]
pub const LABELS: [u32; 128] = [
    0xFFB000, 0x4CC3FF, 0x2EE6A6, 0xFF7AC8, 0xF0E442, 0xFF6A3D, 0xB39DFF, 0xA6E22E,
    0x8A00FF, 0x6A6A35, 0xFFB5AA, 0xFF00DF, 0x00800B, 0x0060FF, 0x00FF00, 0xF40060,
    0x008080, 0xDFEAAA, 0x805580, 0x9F4A40, 0x75FFFF, 0x9F40BF, 0xAA6A0B, 0x006AB5,
    0x00D44A, 0x8A9515, 0x6AAA75, 0xFFCAFF, 0xF4BF6A, 0xFF0000, 0xFF009F, 0xAAF48A,
    0xB5356A, 0xFF7580, 0xD4809F, 0xCA4AFF, 0x4075EA, 0xFF75FF, 0xCA0020, 0xEA8A60,
    0x00BFAA, 0xBF2A95, 0x8095CA, 0xF48000, 0x7555AA, 0x0BBFD4, 0xBF956A, 0xAAF4CA,
    0x4ABF60, 0x95FF00, 0x6AAA15, 0x007540, 0xB54A20, 0xAAAA60, 0xBF75BF, 0x9575FF,
    0xCAAA20, 0x7540F4, 0x0080AA, 0x55802A, 0x00FF95, 0xF4EA80, 0x4A9FFF, 0xFF5595,
    0xDFF400, 0xBF354A, 0x8AFF60, 0xB5D455, 0x806A0B, 0xFFAAFF, 0x8A6035, 0xBF00BF,
    0x4AFFDF, 0x55CA00, 0xD48AFF, 0xF49F40, 0xEA00FF, 0x80B555, 0xCA8075, 0xEACA95,
    0xFF55CA, 0xFF5500, 0x2AFF55, 0xBFBFFF, 0xFF5555, 0x9F556A, 0x00AA75, 0x9F408A,
    0xCA3500, 0xD460CA, 0x80DFFF, 0xBF95CA, 0xAADF95, 0x7580D4, 0xAAB500, 0xFF0040,
    0xCA0075, 0x95FFB5, 0x009F00, 0x408060, 0xFF80AA, 0xB59540, 0xFF9FD4, 0xFFD400,
    0x6AEA75, 0x6055CA, 0x75D4CA, 0x606095, 0x8A4ADF, 0xCA606A, 0xCA6AFF, 0xFFB580,
    0xCA600B, 0x6AD49F, 0xFF958A, 0x809560, 0xFF00BF, 0xFFD455, 0xBFBF55, 0xCA8A4A,
    0xEA6A55, 0x9F00DF, 0x606A0B, 0x40954A, 0x9F6AD4, 0xFF8A4A, 0x80D44A, 0xFFAABF,
];
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
/// Voxels that are NaN or infinite.
pub const NOT_FINITE: u32 = 0x8B1FB8;
/// Around a volume's slices: dark, as reading rooms are, and not quite the black of air.
pub const AROUND: u32 = 0x101418;

/// Colour of a value from 0 to 1 on a heat map; what is no number takes the lower end.
pub fn heat(value: f32) -> u32 {
    let last = HEAT.len() - 1;
    let place = if value.is_finite() { value.clamp(0.0, 1.0) * last as f32 } else { 0.0 };
    let (below, share) = (place as usize, place.fract());
    let ends = [below, (below + 1).min(last)].map(|stop| HEAT[stop].to_be_bytes().map(f32::from));
    u32::from_be_bytes(std::array::from_fn(|channel| ((1.0 - share) * ends[0][channel] + share * ends[1][channel]).round() as u8))
}

/// Colour of a label by its number, wherever labels are drawn. Numbers above 128 begin again with the first colour.
pub fn label(number: u32) -> u32 {
    LABELS[number.saturating_sub(1) as usize % LABELS.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_runs_from_one_end_of_the_scale_to_the_other() {
        assert_eq!([0.0, 0.125, 1.0, 7.0, f32::NAN].map(heat), [HEAT[0], HEAT[1], HEAT[8], HEAT[8], HEAT[0]]);
        assert_eq!(heat(0.0625), 0x46_17_68, "half way between two stops");
    }

    /// CIE L*a*b* of an sRGB colour, under D65.
    fn lab(rgb: u32) -> [f64; 3] {
        let [_, r, g, b] = rgb.to_be_bytes().map(|value| {
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        let root = |t: f64| if t > 216.0 / 24389.0 { t.cbrt() } else { (24389.0 / 27.0 * t + 16.0) / 116.0 };
        let x = root((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
        let y = root(0.2126729 * r + 0.7151522 * g + 0.0721750 * b);
        let z = root((0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883);
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    #[test]
    fn the_colours_of_64_labels_are_distinct_from_one_another_and_from_grey() {
        let colours: Vec<[f64; 3]> = (1..=64).map(|number| lab(label(number))).collect();
        for (index, [l, a, b]) in colours.iter().enumerate() {
            assert!(a.hypot(*b) > 25.0, "label {} is nearly grey", index + 1);
            for (before, [m, c, d]) in colours[..index].iter().enumerate() {
                let apart = ((l - m).powi(2) + (a - c).powi(2) + (b - d).powi(2)).sqrt();
                assert!(apart > 20.0, "labels {} and {} are {apart:.1} apart", before + 1, index + 1);
            }
        }
    }
}

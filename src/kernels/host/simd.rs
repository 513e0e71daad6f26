//! Vector instructions by run-time detection, and the functions that must vectorise.
//!
//! Everything here is plain arithmetic on fixed-size blocks, which the compiler turns into vector instructions of
//! whatever set [`run`] found. Long sums of products use fused multiply-adds where the machine has them:
//! half the instructions, and a product too small for a normal number never exists by itself, which would cost a hundred times a product.

use macerator::{AutoArch, Simd, WithSimd};

/// Elements worked on together: one 512-bit register, two of 256 bits.
pub(super) const LANES: usize = 16;

/// Work that is compiled once for each instruction set. A type and no closure, because only what is inlined without
/// fail (`#[inline(always)]`, here and in all it calls) is compiled for the set in question. [`vectorised!`] defines it.
pub(super) trait Vectorised {
    /// What the work returns.
    type Output;

    /// Does the work.
    fn run(self) -> Self::Output;
}

/// Work whose inner loop is [`multiply_add`]: compiled once more for machines without a fused one.
pub(super) trait Fused {
    /// What the work returns.
    type Output;

    /// Does the work.
    fn run<const FUSED: bool>(self) -> Self::Output;
}

/// Runs `work` compiled for the best instruction set of this machine.
#[inline]
pub(super) fn run<W: Vectorised>(work: W) -> W::Output {
    struct Adapter<W>(W);

    impl<W: Vectorised> WithSimd for Adapter<W> {
        type Output = W::Output;

        #[inline(always)]
        fn with_simd<S: Simd>(self) -> W::Output {
            self.0.run()
        }
    }

    AutoArch::new().dispatch(Adapter(work))
}

/// The same for fused work.
#[inline]
pub(super) fn run_fused<W: Fused>(work: W) -> W::Output {
    struct Adapter<W, const FUSED: bool>(W);

    impl<W: Fused, const FUSED: bool> Vectorised for Adapter<W, FUSED> {
        type Output = W::Output;

        #[inline(always)]
        fn run(self) -> W::Output {
            self.0.run::<FUSED>()
        }
    }

    if fuses() { run(Adapter::<W, true>(work)) } else { run(Adapter::<W, false>(work)) }
}

/// Defines a function whose body is compiled once for each instruction set; with the parameter `const FUSED: bool`, also for
/// machines with and without a fused multiply-add, which that tells apart.
macro_rules! vectorised {
    (@define ($($head:tt)*) $work:ident $name:ident $life:lifetime ($($argument:ident: $type:ty),+) $output:ty, $run:ident, ($($fused:tt)*) $body:block) => {
        $($head)*
        #[inline]
        fn $name<$life>($($argument: $type),+) -> $output {
            struct Work<$life> {
                $($argument: $type),+
            }

            impl<$life> $crate::kernels::host::simd::$work for Work<$life> {
                type Output = $output;

                #[inline(always)]
                fn run $($fused)* (self) -> $output {
                    let Self { $($argument),+ } = self;
                    $body
                }
            }

            $crate::kernels::host::simd::$run(Work { $($argument),+ })
        }
    };
    ($(#[$a:meta])* fn $name:ident<$life:lifetime>($($argument:ident: $type:ty),+ $(,)?) -> $output:ty $body:block) => {
        vectorised!(@define ($(#[$a])*) Vectorised $name $life ($($argument: $type),+) $output, run, () $body);
    };
    ($(#[$a:meta])* fn $name:ident<$life:lifetime, const FUSED: bool>($($argument:ident: $type:ty),+ $(,)?) -> $output:ty $body:block) => {
        vectorised!(@define ($(#[$a])*) Fused $name $life ($($argument: $type),+) $output, run_fused, (<const FUSED: bool>) $body);
    };
}
pub(super) use vectorised;

/// Whether every instruction set that [`run`] may choose on this machine has a fused multiply-add.
fn fuses() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::is_x86_feature_detected!("fma") && std::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    return cfg!(target_arch = "aarch64");
}

/// `a * b + c`, rounded once where `FUSED`.
#[inline(always)]
pub(super) fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    // Where there is no such instruction, `mul_add` is a call for each number.
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Strands of a sum: enough to hide the latency of an addition, few enough for short rows.
const STRANDS: usize = 8;

/// Adds `term(a, b)` up over two slices of one length.
#[inline(always)]
pub(super) fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut strands = [0.0_f32; STRANDS];
    let (blocks_a, blocks_b) = (a.chunks_exact(STRANDS), b.chunks_exact(STRANDS));
    let rest: f32 = blocks_a.remainder().iter().zip(blocks_b.remainder()).map(|(&a, &b)| term(a, b)).sum();
    for (a, b) in blocks_a.zip(blocks_b) {
        for ((strand, &a), &b) in strands.iter_mut().zip(a).zip(b) {
            *strand += term(a, b);
        }
    }
    strands.iter().sum::<f32>() + rest
}

/// `e^x` to about one unit in the last place; arguments below -87 count as -87, NaN stays NaN.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    /// Adding it leaves the nearest whole number in the low bits.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, the first with few enough bits that its small multiples are exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    /// Chebyshev interpolation of `e^r` on `±ln(2)/2`; relative error 4e-8.
    const SERIES: [f32; 7] = [1.0, 1.0, 0.5, 0.166_664_15, 0.041_666_354, 0.008_375_126, 0.001_394_110_8];
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let whole = rounded - ROUND;
    let rest = x - whole * LN_2[0] - whole * LN_2[1];
    let power = f32::from_bits(rounded.to_bits().wrapping_add(127) << 23);
    polynomial(&SERIES, rest) * power
}

/// The standard normal distribution's cumulative density and density at `x`; absolute error below 1e-7.
#[inline(always)]
pub(super) fn normal(x: f32) -> (f32, f32) {
    /// With `t = 1 / (1 + 0.4 z)`, `z = |x| / √2`: `erfc(z) = e^(-z²) t P(u)`, `u` being `t` brought to ±1 for z of 0 to 4.2.
    /// Chebyshev interpolation of `P / 2`; error of erfc 2e-9.
    const SERIES: [f32; 8] =
        [0.285_369_3, 0.152_931_14, 0.052_158_57, 0.009_727_402, 1.317_590_2e-4, -3.121_855_7e-4, -1.796_337_4e-5, 1.195_494_1e-5];
    const Z_STEP: f32 = 0.4 * std::f32::consts::FRAC_1_SQRT_2;
    const TO_UNIT: [f32; 2] = [3.190_476_2, -2.190_476_2];
    /// e^(-x²/2) is 2e-32 there: nothing beside 1.
    const FARTHEST: f32 = 12.0;
    /// 1 / √(2π)
    const PEAK: f32 = 0.398_942_3;
    // Beyond, products with it would be no normal numbers.
    let bell = if x.abs() > FARTHEST { 0.0 } else { exp(-0.5 * x * x) };
    let t = 1.0 / (1.0 + Z_STEP * x.abs());
    let tail = bell * t * polynomial(&SERIES, t * TO_UNIT[0] + TO_UNIT[1]);
    (if x > 0.0 { 1.0 - tail } else { tail }, bell * PEAK)
}

#[inline(always)]
fn polynomial<const N: usize>(series: &[f32; N], x: f32) -> f32 {
    let mut value = series[N - 1];
    let mut power = N - 1;
    while power > 0 {
        power -= 1;
        value = value * x + series[power];
    }
    value
}

#[cfg(test)]
mod tests {
    use super::{exp, multiply_add, normal, sum};

    #[test]
    fn exp_is_accurate_and_keeps_nan() {
        for step in -8600..=8600 {
            let x = step as f32 / 100.0;
            let wanted = f64::from(x).exp();
            let error = (f64::from(exp(x)) / wanted - 1.0).abs();
            assert!(error < 2.5e-7, "exp({x}): relative error {error}");
        }
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn the_normal_distribution_is_symmetric_and_known_at_points() {
        // Φ at 0, 1, 2, 3 (tables), and the density's closed form.
        for (x, cdf) in [(0.0, 0.5), (1.0, 0.841_344_746), (2.0, 0.977_249_868), (3.0, 0.998_650_102)] {
            let (above, density) = normal(x);
            let (below, _) = normal(-x);
            assert!((above - cdf as f32).abs() < 1.2e-7, "Φ({x}) = {above}");
            assert!((above + below - 1.0).abs() < 1.2e-7);
            let wanted = (-0.5 * f64::from(x).powi(2)).exp() / (2.0 * std::f64::consts::PI).sqrt();
            assert!((f64::from(density) - wanted).abs() < 1e-7);
        }
        assert!(normal(f32::NAN).0.is_nan());
    }

    #[test]
    fn a_multiply_add_is_one_whether_fused_or_not() {
        vectorised! {
            fn squares<'a, const FUSED: bool>(values: &'a [f32]) -> f32 {
                values.iter().fold(0.0, |sum, &value| multiply_add::<FUSED>(value, value, sum))
            }
        }
        let values: Vec<f32> = (0..100).map(|v| v as f32 - 50.0).collect();
        assert_eq!(squares(&values), values.iter().map(|v| v * v).sum::<f32>());
        assert_eq!((multiply_add::<true>(3.0, 5.0, 7.0), multiply_add::<false>(3.0, 5.0, 7.0)), (22.0, 22.0));
    }

    #[test]
    fn sums_cover_blocks_and_rest() {
        let values: Vec<f32> = (0..21).map(|v| v as f32).collect();
        assert_eq!(sum(&values, &[2.0; 21], |a, b| a * b), 420.0);
    }
}

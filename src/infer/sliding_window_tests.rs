//! Slabs against whole volumes, window places, mirrors, stops and refusals; a GPU's blending against the host's.

use std::rc::Rc;

use burn::tensor::{Device, Tensor, TensorData};

use super::*;
use crate::device::for_tests;
use crate::infer::convention::InputConvention;
use crate::infer::device_blender::DeviceBlender;
use crate::volume::Grid;

const CLASSES: usize = 3;

fn image(shape: [usize; 3], channels: usize) -> Volume {
    let grid = Grid::axis_aligned(shape, [1.0; 3]);
    let voxels = (0..channels * grid.len()).map(|v| ((v * 7919) % 1013) as f32 / 1013.0 - 0.4).collect();
    Volume { channels, grid, voxels }
}

fn window(roi: [usize; 3]) -> SlidingWindow {
    SlidingWindow::new(&InferConfig::default(), roi, 2)
}

/// Logits that depend on the place in the window, so that blending matters.
fn logits(inputs: &[f32], [batch, channels, d, h, w]: [usize; 5]) -> Vec<f32> {
    let voxels = d * h * w;
    let mut logits = vec![0.0; batch * CLASSES * voxels];
    for (b, logits) in logits.chunks_exact_mut(CLASSES * voxels).enumerate() {
        for class in 0..CLASSES {
            for v in 0..voxels {
                let input = inputs[(b * channels + class % channels) * voxels + v];
                logits[class * voxels + v] = input * (class as f32 + 1.0) + ((v * (class + 3)) % 17) as f32 * 0.1;
            }
        }
    }
    logits
}

fn predict(inputs: &[f32], shape: [usize; 5]) -> Result<Logits, Fault> {
    Ok(Logits::Here(logits(inputs, shape)))
}

fn go(_: usize, _: usize, _: &[u8]) -> bool {
    true
}

/// Sums over the whole padded volume, then cropped back: the definition.
fn whole_volume(window: &SlidingWindow, image: &Volume) -> Vec<f32> {
    let (shape, layout) = (image.grid.shape, Windows::new(window.roi, window.overlap, image.grid.shape));
    let weights = window.weights();
    let mut sums = vec![0.0; (CLASSES + 1) * layout.padded.iter().product::<usize>()];
    let at = |class: usize, place: [usize; 3]| {
        ((class * layout.padded[0] + place[0]) * layout.padded[1] + place[1]) * layout.padded[2] + place[2]
    };
    let [depth, height, width] = window.roi;
    let voxels = depth * height * width;
    for start in &layout.starts {
        let origin = std::array::from_fn(|axis| start[axis] as i64 - layout.before[axis] as i64);
        let mut input = vec![0.0; image.channels * voxels];
        VoxelBox::at(origin, window.roi).cut_padded(&image.voxels, shape, &image.minima(), &mut input);
        let logits = logits(&input, [1, image.channels, depth, height, width]);
        for v in 0..voxels {
            let place = [start[0] + v / (height * width), start[1] + v / width % height, start[2] + v % width];
            (0..CLASSES).for_each(|class| sums[at(class, place)] += logits[class * voxels + v] * weights[v]);
            sums[at(CLASSES, place)] += weights[v];
        }
    }
    let place = |v: usize| {
        let place = [v / (shape[1] * shape[2]), v / shape[2] % shape[1], v % shape[2]];
        std::array::from_fn(|axis| place[axis] + layout.before[axis])
    };
    let blended = |class| (0..image.grid.len()).map(place).map(move |place| (class, place));
    (0..CLASSES).flat_map(blended).map(|(class, place)| sums[at(class, place)] / sums[at(CLASSES, place)]).collect()
}

#[test]
fn slabs_give_the_whole_volume_bit_for_bit() {
    for (shape, roi, overlap, batch) in [
        ([19, 9, 7], [4, 4, 4], 0.5, 3),
        ([19, 9, 7], [5, 4, 3], 0.0, 1),
        ([8, 8, 8], [8, 8, 8], 0.5, 4),
        ([3, 9, 5], [6, 4, 8], 0.25, 2),
        ([12, 6, 6], [4, 6, 6], 0.9, 5),
    ] {
        let image = image(shape, 2);
        for blending in [Blending::Gaussian, Blending::Constant] {
            let window = SlidingWindow { overlap, batch, blending, ..window(roi) };
            let expected = whole_volume(&window, &image);
            assert_eq!(window.blend(&image, CLASSES, &mut predict, &mut go).unwrap(), expected, "{shape:?} {roi:?}");
            let voxels = image.grid.len();
            let first_best = |v: usize| {
                let better = |best, class| if expected[class * voxels + v] > expected[best * voxels + v] { class } else { best };
                (1..CLASSES).fold(0, better) as u8
            };
            let arg_max: Vec<u8> = (0..voxels).map(first_best).collect();
            assert_eq!(window.segment(&image, CLASSES, &mut predict, &mut go).unwrap(), arg_max);
        }
    }
}

#[test]
fn memory_is_bounded_by_a_window_along_d() {
    let (image, window) = (image([40, 6, 5], 1), window([4, 4, 4]));
    let (mut peak, mut lines) = (0, 0);
    let mut finished = |line: Line<'_>| {
        assert_eq!((line.depth, line.height), (lines / 6, lines % 6), "lines come in order");
        peak = peak.max(line.held_values());
        lines += 1;
    };
    let mut run = Run { predict: &mut predict, watch: &mut |_, _| true, finished: &mut finished, channels: 1 };
    window.slide(&image, CLASSES, &mut run).unwrap();
    assert_eq!((lines, peak), (40 * 6, CLASSES * 4 * 6 * 5));
}

#[test]
fn mirror_images_are_averaged_in_place() {
    let image = image([9, 6, 7], 1);
    // Each voxel on its own: mirroring changes nothing.
    let mut pointwise = |inputs: &[f32], _: [usize; 5]| Ok(Logits::Here(inputs.to_vec()));
    let mirrored = SlidingWindow { mirror: [true; 3], ..window([4, 4, 4]) };
    let blended = mirrored.blend(&image, 1, &mut pointwise, &mut go).unwrap();
    assert!(blended.iter().zip(&image.voxels).all(|(got, expected)| (got - expected).abs() < 1e-6));
    // A value of the place in the window alone: the average is the centre's.
    let mut ramp = |_: &[f32], [batch, ..]: [usize; 5]| Ok(Logits::Here((0..batch * 64).map(|v| (v % 64) as f32).collect()));
    let blended = mirrored.blend(&image, 1, &mut ramp, &mut go).unwrap();
    assert!(blended.iter().all(|&value| (value - 31.5).abs() < 1e-4));
}

#[test]
fn only_axes_that_may_be_mirrored_are() {
    let image = image([4, 4, 4], 1);
    let mut ramp = |_: &[f32], _: [usize; 5]| Ok(Logits::Here((0..64).map(|v| v as f32).collect()));
    for mirror in [[true, true, false], [false, true, false], [false; 3]] {
        let window = SlidingWindow { mirror, batch: 1, ..window([4, 4, 4]) };
        let mut runs = 0;
        let mut count = |_: usize, _: usize, _: &[u8]| {
            runs += 1;
            true
        };
        let blended = window.blend(&image, 1, &mut ramp, &mut count).unwrap();
        assert_eq!(runs, (1 << mirror.iter().filter(|&&axis| axis).count()) + 1, "and once at the end");
        for (index, value) in blended.into_iter().enumerate() {
            let places = crate::geometry::unravel(index, [4, 4, 4]).map(|place| place as f32);
            let [d, h, w] = [0, 1, 2].map(|axis| if mirror[axis] { 1.5 } else { places[axis] });
            assert!((value - (16.0 * d + 4.0 * h + w)).abs() < 1e-4, "{mirror:?} {index}: {value}");
        }
    }
}

#[test]
fn it_can_be_stopped_and_says_what_fails() {
    let (image, window) = (image([9, 4, 4], 1), window([4, 4, 4]));
    let mut calls = Vec::new();
    let mut stop = |done, total, _: &[u8]| {
        calls.push((done, total));
        done != 2
    };
    let error = window.segment(&image, CLASSES, &mut predict, &mut stop).unwrap_err();
    assert_eq!((error.to_string().as_str(), calls), ("stopped before window 3 of 4", vec![(0, 4), (2, 4)]));
    let mut short = |_: &[f32], _: [usize; 5]| Ok(Logits::Here(vec![0.0; 5]));
    let error = window.segment(&image, CLASSES, &mut short, &mut go).unwrap_err().to_string();
    assert!(error.contains("returned 5 logits") && error.contains("expected 384"), "{error}");
    let mut broken = |_: &[f32], _: [usize; 5]| Err("device lost".into());
    let error = window.segment(&image, CLASSES, &mut broken, &mut go).unwrap_err().to_string();
    assert_eq!(error, "window 1 of 4: device lost");
    let refused = |window: &SlidingWindow, classes| window.segment(&image, classes, &mut predict, &mut go).unwrap_err().to_string();
    assert!(refused(&window, 300).contains("1 to 256"));
    assert!(refused(&SlidingWindow { overlap: 1.0, ..window.clone() }, 3).contains("below 1"));
    assert!(refused(&SlidingWindow { batch: 0, ..window.clone() }, 3).contains("batch 0"));
}

/// What a device beside the host is asked and read, in order.
type Calls = Rc<RefCell<Vec<&'static str>>>;

/// A device that computes beside the host.
fn beside(calls: &Calls) -> impl FnMut(&[f32], [usize; 5]) -> Result<Logits, Fault> {
    let calls = Rc::clone(calls);
    move |inputs, shape| {
        calls.borrow_mut().push("ask");
        let (calls, logits) = (Rc::clone(&calls), logits(inputs, shape));
        Ok(Logits::Awaited(Box::new(move || {
            calls.borrow_mut().push("read");
            Ok(logits)
        })))
    }
}

#[test]
fn a_device_beside_the_host_has_its_next_windows_before_the_last_are_blended() {
    let image = image([9, 6, 7], 2);
    for (mirror, batch, runs) in [(false, 2, 4 * 2 * 3 / 2), (true, 2, 4 * 2 * 3 / 2 * 8), (false, 100, 1)] {
        let window = SlidingWindow { mirror: [mirror; 3], batch, ..window([4, 4, 4]) };
        let calls = Calls::default();
        let blended = window.blend(&image, CLASSES, &mut beside(&calls), &mut go).unwrap();
        assert_eq!(blended, window.blend(&image, CLASSES, &mut predict, &mut go).unwrap());
        let mut expected = vec!["ask"];
        (1..runs).for_each(|_| expected.extend(["ask", "read"]));
        expected.push("read");
        assert_eq!(*calls.borrow(), expected, "mirror {mirror}, batch {batch}");
    }
}

#[test]
fn a_device_beside_the_host_can_be_stopped_and_names_the_windows_that_fail() {
    let (image, window, calls) = (image([9, 4, 4], 1), window([4, 4, 4]), Calls::default());
    let error = window.segment(&image, CLASSES, &mut beside(&calls), &mut |done, _, _| done != 2).unwrap_err();
    assert_eq!((error.to_string().as_str(), calls.borrow().as_slice()), ("stopped before window 3 of 4", ["ask"].as_slice()));
    let mut asked = 0;
    let mut broken = |inputs: &[f32], shape: [usize; 5]| {
        asked += 1;
        let answer: Result<Vec<f32>, Fault> = if asked == 2 { Err("device lost".into()) } else { Ok(logits(inputs, shape)) };
        Ok(Logits::Awaited(Box::new(move || answer)))
    };
    let error = window.segment(&image, CLASSES, &mut broken, &mut go).unwrap_err().to_string();
    assert_eq!(error, "window 3 of 4: device lost");
}

/// A GPU's logits: those of the host, along the axes of a convention.
fn on_device(device: &Device, convention: InputConvention, half: bool) -> impl FnMut(&[f32], [usize; 5]) -> Result<Logits, Fault> {
    let (device, axes) = (device.clone(), convention.axes());
    move |inputs, shape| {
        let [batch, _, d, h, w] = shape;
        let [first, second, third] = axes.shape([d, h, w]);
        let turned = axes.reorient(logits(inputs, shape), [d, h, w]);
        let tensor = Tensor::from_data(TensorData::new(turned, [batch, CLASSES, first, second, third]), &device);
        Ok(Logits::OnDevice(Box::new(DeviceLogits { tensor, axes, half })))
    }
}

/// The same on their way to the host, where they are blended.
fn read_ahead(
    mut predict: impl FnMut(&[f32], [usize; 5]) -> Result<Logits, Fault>,
) -> impl FnMut(&[f32], [usize; 5]) -> Result<Logits, Fault> {
    move |inputs, shape| Ok(predict(inputs, shape)?.into_host())
}

#[test]
fn a_gpu_blends_as_the_host_does_and_alike_each_time() {
    for (name, device) in for_tests().into_iter().skip(1) {
        for (shape, roi, overlap, batch, mirror) in [
            ([19, 9, 7], [4, 4, 4], 0.5, 3, [false; 3]),
            // A batch reaches over several steps along D.
            ([19, 4, 3], [5, 4, 3], 0.7, 4, [true, false, false]),
            ([11, 9, 7], [6, 4, 5], 0.4, 2, [false, true, true]),
            ([8, 8, 8], [8, 8, 8], 0.5, 4, [true; 3]),
            // Smaller than a window.
            ([3, 9, 5], [6, 4, 8], 0.25, 2, [false, false, true]),
            ([19, 9, 7], [5, 4, 3], 0.0, 1, [false; 3]),
        ] {
            let image = image(shape, 2);
            for (blending, convention) in [(Blending::Gaussian, InputConvention::Simtrot), (Blending::Constant, InputConvention::Monai)] {
                let window = SlidingWindow { overlap, batch, blending, mirror, ..window(roi) };
                let what = format!("{name}: {shape:?} {roi:?} {convention:?}");
                let on_gpu = || window.blend(&image, CLASSES, &mut on_device(&device, convention, false), &mut go).unwrap();
                let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                let found = on_gpu();
                assert_eq!(bits(&found), bits(&on_gpu()), "{what}: to the bit");
                let expected = window.blend(&image, CLASSES, &mut predict, &mut go).unwrap();
                for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{what} [{at}]: {found}, expected {expected}");
                }
                // Where the GPU has no room for the sums.
                let on_host = window.blend(&image, CLASSES, &mut read_ahead(on_device(&device, convention, false)), &mut go).unwrap();
                assert_eq!(bits(&on_host), bits(&expected), "{what}");
            }
        }
    }
}

#[test]
fn a_gpu_blends_where_its_adapter_binds_the_sums_and_hands_them_to_the_host_elsewhere() {
    for (name, device) in for_tests().into_iter().skip(1) {
        let logits =
            |tensor: Tensor<5>| Logits::OnDevice(Box::new(DeviceLogits { tensor, axes: SignedPermutation::IDENTITY, half: false }));
        let fits = |roi: [usize; 3], logits: &Logits| {
            let image = [9, roi[1], roi[2]];
            let layout = Windows::new(roi, 0.5, image);
            let walk = Walk { layout, image, roi, batch: 2, classes: 1, mirrors: vec![[false; 3]], weights: vec![1.0; 64] };
            DeviceBlender::new(&walk, logits).is_some()
        };
        let there = logits(Tensor::zeros([1, 1, 4, 4, 4], &device));
        assert!(fits([4, 4, 4], &there), "{name}");
        assert!(!fits([4, 6000, 6000], &there), "{name}: sums of 1.6 GiB");
        assert!(!fits([4, 4, 4], &Logits::Here(vec![0.0; 64])), "{name}: they are on the host");
    }
}

#[test]
fn a_gpu_that_blends_can_be_stopped_and_names_what_fails() {
    for (name, device) in for_tests().into_iter().skip(1) {
        let (image, window) = (image([9, 4, 4], 1), window([4, 4, 4]));
        let simtrot = InputConvention::Simtrot;
        let error = window.segment(&image, CLASSES, &mut on_device(&device, simtrot, false), &mut |done, _, _| done != 2).unwrap_err();
        assert_eq!(error.to_string(), "stopped before window 3 of 4", "{name}");
        let error = window.segment(&image, CLASSES + 1, &mut on_device(&device, simtrot, false), &mut go).unwrap_err().to_string();
        assert!(error.contains("returned 384 logits") && error.contains("expected 512"), "{name}: {error}");
        // Beyond float16 in a row that only the last windows touch.
        let mut huge = image.clone();
        *huge.voxels.last_mut().unwrap() = f32::INFINITY;
        assert!(window.blend(&huge, CLASSES, &mut on_device(&device, simtrot, false), &mut go).is_ok(), "{name}: float32 holds infinity");
        let error = window.blend(&huge, CLASSES, &mut on_device(&device, simtrot, true), &mut go).unwrap_err().to_string();
        assert!(error.starts_with("window 3 of 4") && error.contains("infer.precision=full"), "{name}: {error}");
    }
}

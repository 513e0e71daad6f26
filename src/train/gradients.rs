//! Gradients between the backward pass and the optimiser: clipped by their global norm.

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};

use crate::device::on_host;
use crate::kernels::{NORM_EPSILON, clipping};

/// The L2 norm of all gradients together, before they are clipped.
#[derive(Clone, Debug)]
pub enum GradientNorm {
    /// On the host, where the gradients are clipped already.
    Known(f64),
    /// On their device, with the factor that the optimiser's step clips them by: `[2]`, see [`clipping`].
    Unread(Box<Tensor<1>>),
}

impl GradientNorm {
    /// The norm; waits for the device that it lies on.
    ///
    /// # Panics
    /// Never: there are two numbers.
    pub fn value(&self) -> f64 {
        match self {
            Self::Known(norm) => *norm,
            Self::Unread(numbers) => numbers.to_data().iter::<f64>().next().expect("a norm and a factor"),
        }
    }

    /// Norm and factor, where they lie on a device.
    pub(super) fn unread(&self) -> Option<&Tensor<1>> {
        if let Self::Unread(numbers) = self { Some(numbers) } else { None }
    }
}

/// The global L2 norm of all gradients of `module`, which all lie on one device; above `max_norm` they are scaled down to it, on the host
/// at once, elsewhere in [`Optimiser::step_at`](super::Optimiser::step_at).
///
/// The same as `torch.nn.utils.clip_grad_norm_`. The norm is that before clipping, so the caller sees NaN and infinity: what comes of a
/// step along such gradients is to be thrown away.
pub fn clip_grad_norm<M: Module>(module: &M, gradients: &mut GradientsParams, max_norm: Option<f64>) -> GradientNorm {
    let (mut on_the_host, mut elsewhere) = (0.0, Vec::new());
    let square = |gradient: Tensor<1>| {
        let device = gradient.device();
        if !on_host(&device) {
            elsewhere.push(gradient.clone());
            return gradient;
        }
        let data = gradient.into_data();
        on_the_host += sum_of_squares(&data);
        Tensor::from_data(data, &device)
    };
    module.visit(&mut EachGradient { gradients, update: square });
    if !elsewhere.is_empty() {
        return GradientNorm::Unread(Box::new(clipping(&elsewhere, max_norm)));
    }
    let norm = on_the_host.sqrt();
    if let Some(max_norm) = max_norm.filter(|_| norm.is_finite()) {
        let factor = max_norm / (norm + NORM_EPSILON);
        if factor < 1.0 {
            module.visit(&mut EachGradient { gradients, update: |gradient| gradient * factor });
        }
    }
    GradientNorm::Known(norm)
}

/// Replaces each gradient of a module by what `update` makes of it.
struct EachGradient<'a, F> {
    gradients: &'a mut GradientsParams,
    update: F,
}

impl<F: FnMut(Tensor<1>) -> Tensor<1>> ModuleVisitor for EachGradient<'_, F> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return };
        let (shape, length) = (gradient.dims(), gradient.shape().num_elements());
        self.gradients.register(param.id, (self.update)(gradient.reshape([length])).reshape(shape));
    }
}

/// The gradients of `module`, flattened.
pub(super) fn flattened<M: Module>(module: &M, gradients: GradientsParams) -> HashMap<ParamId, Tensor<1>> {
    let mut flat = Flat { gradients, flat: HashMap::new() };
    module.visit(&mut flat);
    flat.flat
}

struct Flat {
    gradients: GradientsParams,
    flat: HashMap<ParamId, Tensor<1>>,
}

impl ModuleVisitor for Flat {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            let length = gradient.shape().num_elements();
            self.flat.insert(param.id, gradient.reshape([length]));
        }
    }
}

/// In double precision, in blocks so that the additions do not wait for each other.
fn sum_of_squares(data: &TensorData) -> f64 {
    let values = data.as_slice::<f32>().expect("gradients are f32");
    let (blocks, rest) = values.as_chunks::<8>();
    let mut sums = [0.0_f64; 8];
    for block in blocks {
        for (sum, &value) in sums.iter_mut().zip(block) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Pair {
        a: Param<Tensor<1>>,
        b: Param<Tensor<2>>,
    }

    fn pair() -> Pair {
        let device = Device::flex();
        let (a, b) = (Tensor::zeros([2], &device), Tensor::zeros([1, 2], &device));
        Pair { a: Param::initialized(ParamId::new(), a), b: Param::initialized(ParamId::new(), b) }
    }

    fn gradients(pair: &Pair, a: [f32; 2], b: [f32; 2]) -> GradientsParams {
        let mut gradients = GradientsParams::new();
        gradients.register(pair.a.id, Tensor::<1>::from_data(a, &Device::flex()));
        gradients.register(pair.b.id, Tensor::<2>::from_data([b], &Device::flex()));
        gradients
    }

    fn values(pair: &Pair, gradients: &GradientsParams) -> Vec<f32> {
        let a = gradients.get::<1>(pair.a.id).unwrap().into_data();
        let b = gradients.get::<2>(pair.b.id).unwrap().into_data();
        a.iter().chain(b.iter()).collect()
    }

    #[test]
    fn the_norm_is_that_of_all_parameters_together() {
        let pair = pair();
        let mut together = gradients(&pair, [1.0, 2.0], [2.0, 4.0]);
        assert_eq!(clip_grad_norm(&pair, &mut together, Some(10.0)).value(), 5.0);
        assert_eq!(values(&pair, &together), [1.0, 2.0, 2.0, 4.0]);
        assert_eq!(clip_grad_norm(&pair, &mut together, Some(0.5)).value(), 5.0);
        let factor = 0.5 / (5.0 + 1e-6);
        let expected = [1.0, 2.0, 2.0, 4.0].map(|value| (value * factor) as f32);
        values(&pair, &together).iter().zip(expected).for_each(|(got, expected)| assert!((got - expected).abs() < 1e-7));
    }

    #[test]
    fn a_norm_that_is_no_number_is_returned_and_changes_nothing() {
        let pair = pair();
        let mut broken = gradients(&pair, [1.0, f32::INFINITY], [2.0, 4.0]);
        assert_eq!(clip_grad_norm(&pair, &mut broken, Some(0.5)).value(), f64::INFINITY);
        assert_eq!(values(&pair, &broken), [1.0, f32::INFINITY, 2.0, 4.0]);
        let mut broken = gradients(&pair, [1.0, f32::NAN], [2.0, 4.0]);
        assert!(clip_grad_norm(&pair, &mut broken, Some(0.5)).value().is_nan());
    }

    #[test]
    fn the_norm_of_a_long_parameter_counts_every_number_on_every_device() {
        let count = 2_000_003;
        for (name, device) in crate::device::for_tests() {
            let long = Pair {
                a: Param::initialized(ParamId::new(), Tensor::zeros([count], &device)),
                b: Param::initialized(ParamId::new(), Tensor::zeros([1, 2], &device)),
            };
            let norms = [(); 2].map(|()| {
                let mut gradients = GradientsParams::new();
                gradients.register(long.a.id, Tensor::<1>::full([count], 0.1, &device));
                clip_grad_norm(&long, &mut gradients, None).value()
            });
            let expected = f64::from(0.1_f32) * (count as f64).sqrt();
            assert!((norms[0] / expected - 1.0).abs() < 1e-6, "{name}: {} instead of {expected}", norms[0]);
            assert_eq!(norms[0].to_bits(), norms[1].to_bits(), "{name}");
        }
    }
}

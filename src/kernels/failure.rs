//! Which operation a GPU fails at.
//!
//! A GPU computes later than it is asked to, and a failure shows where something is read back that rests on it. Where it is watched, each
//! operation is waited for.

use std::cell::RefCell;
use std::fmt;

use burn::backend::DispatchTensor;
use burn::tensor::Tensor;
use burn_wgpu::CubeBackend;

use crate::device::on_host;

thread_local! {
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// What a watched thread has seen.
#[derive(Debug, Default)]
struct Watch {
    /// The operation that went well last.
    last: Option<Operation>,
    /// The first that failed, and why.
    failure: Option<String>,
}

/// An operation or its gradient, by the function that asks for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    function: &'static str,
    is_gradient: bool,
}

/// Runs `work`, and waits for each operation that it asks for on this thread: what comes of it, and the first operation that a GPU could
/// not do, with the reason.
pub fn first_failure<T>(work: impl FnOnce() -> T) -> (T, Option<String>) {
    /// Ends the watch, also where `work` panics.
    struct End(Option<Watch>);
    impl Drop for End {
        fn drop(&mut self) {
            WATCH.replace(self.0.take());
        }
    }
    let end = End(WATCH.replace(Some(Watch::default())));
    let out = work();
    let failure = WATCH.with_borrow_mut(|watch| watch.as_mut().and_then(|watch| watch.failure.take()));
    drop(end);
    (out, failure)
}

impl Operation {
    /// The function in which a closure of type `F` is written.
    pub(super) fn around<F>() -> Self {
        Self { function: function_of(std::any::type_name::<F>()), is_gradient: false }
    }

    /// Its backward pass.
    pub(super) fn gradient(self) -> Self {
        Self { is_gradient: true, ..self }
    }

    /// Before it: what failed among `inputs` failed earlier, in an operation of the tensor library.
    pub(super) fn begins<'a>(self, inputs: impl IntoIterator<Item = &'a DispatchTensor>) {
        observe(inputs, |watch, reason| match (&watch.last, reason) {
            (Some(last), Some(reason)) => watch.failure = Some(format!("between {last} and {self}: {reason}")),
            (None, Some(reason)) => watch.failure = Some(format!("before {self}: {reason}")),
            (_, None) => {}
        });
    }

    /// After it.
    pub(super) fn ends<'a>(self, results: impl IntoIterator<Item = &'a DispatchTensor>) {
        observe(results, |watch, reason| match reason {
            Some(reason) => watch.failure = Some(format!("in {self}: {reason}")),
            None => watch.last = Some(self),
        });
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_gradient {
            f.write_str("the gradient of ")?;
        }
        f.write_str(self.function)
    }
}

/// Looks at the results of `work` that has no [`Operation`].
pub(super) fn observe_results(function: &'static str, results: &[Tensor<1>]) {
    let results: Vec<DispatchTensor> = results.iter().map(|result| result.clone().into_dispatch()).collect();
    Operation { function, is_gradient: false }.ends(&results);
}

/// Tells a watch under way that has seen no failure yet why one of `tensors` could not be computed, if so.
fn observe<'a>(tensors: impl IntoIterator<Item = &'a DispatchTensor>, tell: impl FnOnce(&mut Watch, Option<String>)) {
    WATCH.with_borrow_mut(|watch| {
        if let Some(watch) = watch.as_mut().filter(|watch| watch.failure.is_none()) {
            tell(watch, tensors.into_iter().find_map(reason_of_failure));
        }
    });
}

/// Waits for a tensor: why it could not be computed, if so.
fn reason_of_failure(tensor: &DispatchTensor) -> Option<String> {
    // Of any rank: the rank is part of its type alone.
    let tensor = Tensor::<1>::from_dispatch(tensor.clone());
    if on_host(&tensor.device()) {
        return None;
    }
    let tensor = tensor.try_into_primitive::<CubeBackend>().ok()?;
    pollster::block_on(tensor.client.sync_buffers([&tensor.handle])).err().map(|error| innermost_cause(&error.to_string()).to_owned())
}

/// The last cause that an error of many lines names: before it stands what rested on it, behind it where in the library it happened.
fn innermost_cause(text: &str) -> &str {
    let cause = text.rsplit_once("Caused by:\n").map_or(text, |(_, cause)| cause);
    cause.trim_start().lines().next().unwrap_or(text)
}

/// `conv3d` of `simtrot::kernels::conv::conv3d<2>::{{closure}}`.
fn function_of(closure: &'static str) -> &'static str {
    let path = closure.split("::{{closure}}").next().unwrap_or(closure);
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::device::{DeviceChoice, for_tests, open};
    use crate::kernels::{gelu, linear, sum};

    #[test]
    fn an_operation_is_named_by_its_function() {
        fn conv3d<const N: usize>() -> Operation {
            fn around<F: FnOnce()>(_: F) -> Operation {
                Operation::around::<F>()
            }
            around(|| {})
        }
        assert_eq!(conv3d::<2>().to_string(), "conv3d");
        assert_eq!(conv3d::<2>().gradient().to_string(), "the gradient of conv3d");
        assert_eq!(function_of("simtrot::kernels::conv::conv3d<2>::{{closure}}::{{closure}}"), "conv3d");
        assert_eq!(function_of("somewhere::plain"), "plain");
    }

    #[test]
    fn the_innermost_cause_is_told() {
        let text = "Several failures\nCaused by:\n  Never written\n  hop\nCaused by:\n  can't allocate 7 bytes\nNo backtrace\nAsked at:\nNo backtrace";
        assert_eq!(innermost_cause(text), "can't allocate 7 bytes");
        assert_eq!(innermost_cause("lost"), "lost");
        assert_eq!(innermost_cause(""), "");
    }

    #[test]
    fn what_goes_well_is_no_failure() {
        for (name, device) in for_tests() {
            let x = Tensor::<2>::random([4, 3], Distribution::Default, &device.autodiff()).require_grad();
            let (gradients, failure) = first_failure(|| sum(gelu(x.clone())).backward());
            assert!(failure.is_none() && x.grad(&gradients).is_some(), "{name}: {failure:?}");
        }
    }

    /// A product larger than any tensor of the device: nothing of it is ever allocated.
    #[test]
    fn the_operation_that_fails_first_is_named() {
        let Ok(opened) = open(&DeviceChoice::Gpu) else { return };
        let adapter = opened.description.adapter.expect("a GPU is an adapter");
        let rows = 1 << 16;
        let columns = (adapter.max_binding_bytes / 4 / rows as u64 + 1024) as usize;
        let ones = |shape: [usize; 2], device: &Device| Tensor::<2>::ones(shape, device);
        let (x, weight) = (ones([rows, 1], &opened.device), ones([1, columns], &opened.device));
        let (out, failure) = first_failure(|| gelu(linear(x.clone(), weight.clone(), None)));
        let failure = failure.expect("too large a tensor");
        assert!(failure.starts_with("in linear: "), "{failure}");
        assert!(out.narrow(0, 0, 1).narrow(1, 0, 1).try_into_data().is_err(), "it was computed after all");
        let (_, failure) = first_failure(|| gelu(gelu(x).matmul(weight)));
        let failure = failure.expect("too large a tensor");
        assert!(failure.starts_with("between gelu and gelu: "), "{failure}");

        let device = opened.device.autodiff();
        let (x, weight) = (ones([rows, 1], &device).require_grad(), ones([1, columns], &device));
        let (_, failure) = first_failure(|| linear(x, weight, None));
        let failure = failure.expect("too large a tensor");
        assert!(failure.starts_with("in linear: "), "{failure}");
    }
}
